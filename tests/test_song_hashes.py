"""The songs as hashes: what they find is what the songs themselves would say, as far as it is one note away."""

import numpy as np
import pytest

from lc_music_vae.encoding import song_hashes
from lc_music_vae.encoding.latents import Notes
from lc_music_vae.encoding.nearness import Songs
from lc_music_vae.encoding.song_hashes import HashedSongs


def window(n, seed):
    """n notes one after another, as `data.notes_of` returns them."""
    rng = np.random.RandomState(seed)
    starts = np.sort(rng.choice(32, n, replace=False)) * 6
    return np.stack([starts, starts + 6, rng.randint(48, 84, n)], 1)


def table_of(windows, keys=(0,), in_key=None):
    lengths = np.array([len(notes) for notes in windows])
    in_key = np.ones([len(windows), len(keys)], bool) if in_key is None else np.array(in_key)
    songs, bars = np.array([b"song.mid"] * len(windows), object), np.zeros([len(windows), 2], int)
    return Notes(np.concatenate(windows), lengths, np.array(keys), in_key, songs, bars)


def changed(notes, rng):
    """The notes with one of them added, left out, moved in pitch, or moved in time: all that is one note away."""
    i, free = rng.randint(len(notes)), [t for t in range(32) if t * 6 not in notes[:, 0]]
    start = 6 * rng.choice(free)
    added = np.array([[start, start + 6, 60]])
    higher, later = notes.copy(), notes.copy()
    higher[i, 2] += 1
    later[i, :2] = start, start + 6
    return [np.concatenate([notes, added]), np.delete(notes, i, 0), higher, later]


@pytest.mark.parametrize("n", [2, 5, 6, 9, 10, 19, 25])
def test_what_is_one_note_away_is_as_similar_as_the_songs_say(n):
    windows = [window(n, seed) for seed in range(20)]
    songs = Songs(table_of(windows))
    hashed = HashedSongs(song_hashes.hashes_of(songs.table))
    rng = np.random.RandomState(n)
    outputs = windows + [one for notes in windows for one in changed(notes, rng)]
    assert len(outputs) == 100
    np.testing.assert_allclose(hashed.similarities(outputs), songs.similarities(outputs), rtol=1e-12)


def test_of_other_lengths_of_notes_and_other_orders_nothing_is_said():
    notes = window(8, 0)
    longer = notes + [0, 6, 0]
    hashed = HashedSongs(song_hashes.hashes_of(table_of([notes])))
    np.testing.assert_array_equal(hashed.similarities([longer, notes[::-1], np.concatenate([notes, notes])]), 1)


def test_what_is_two_notes_away_or_in_another_key_is_not_found():
    notes = window(20, 0)
    hashed = HashedSongs(song_hashes.hashes_of(table_of([notes])))
    moved = notes.copy()
    moved[[3, 9], 2] += 2
    assert Songs(table_of([notes])).similarities([moved])[0] == 0.9
    np.testing.assert_array_equal(hashed.similarities([moved, notes + [0, 0, 5], notes[:0], window(20, 1)]), 0)


def test_keys_that_a_window_was_trained_on_and_no_others():
    first, second = window(9, 0), window(7, 1)
    hashed = HashedSongs(
        song_hashes.hashes_of(table_of([first, second], (-2, 0, 3), [[True, True, False], [False, True, True]]))
    )
    outputs = [notes + [0, 0, key] for notes in (first, second) for key in (-2, 0, 3)]
    np.testing.assert_array_equal(hashed.similarities(outputs), [1, 1, 0, 0, 1, 1])


def test_hashes_are_in_order_each_once_and_as_many_as_there_are_sets():
    windows = [window(8, 0), window(8, 0), window(5, 1)]
    hashes = song_hashes.hashes_of(table_of(windows))
    assert hashes.dtype == np.uint64
    assert (hashes[1:] > hashes[:-1]).all()
    assert len(hashes) == (1 + 8) + (1 + 5)  # the same window twice is the same set
    assert len(song_hashes.hashes_of(table_of([window(8, 0)[:0]], in_key=[[True]]))) == 0


def test_of_too_many_windows_the_first_are_kept_and_that_is_said(caplog):
    windows = [window(9, seed) for seed in range(5)]
    caplog.set_level("INFO")
    hashed = HashedSongs(song_hashes.hashes_of(table_of(windows), most=35))
    np.testing.assert_array_equal(hashed.similarities(windows), [1, 1, 1, 0, 0])
    assert caplog.messages == ["the model knows copies of the first 3 of its 5 windows"]


def test_a_million_random_windows_make_no_mistakes():
    """64 bits: hashes of notes that are much alike are as far apart as any."""
    windows = [np.array([[0, 6, pitch], [6 * step, 6 * step + 6, other]]) for pitch in range(40, 90)
               for step in range(1, 20) for other in range(40, 90)]  # fmt: skip
    hashes = song_hashes.hashes_of(table_of(windows))
    assert len(hashes) == len(windows) + 50 + 19 * 50  # whole sets; the first notes alone; the second notes alone
