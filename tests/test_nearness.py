"""How near outputs are to what was trained on."""

import os

import note_seq
import numpy as np
import pytest
from helpers import EXAMPLE, layers, melody, tune, write_midi

import lc_music_vae
from lc_music_vae import data
from lc_music_vae.checkpoints import run_dir
from lc_music_vae.encoding import latents, nearness
from lc_music_vae.encoding.nearness import Songs
from lc_music_vae.music import examples
from lc_music_vae.music.score import normalise


@pytest.fixture(scope="module")
def shards(trained):
    return run_dir.at(trained).shards()


def bars_of_the_example(first, last, shift=0):
    """Bars, from 1, of the example as a sequence of their own, at 90 quarters a minute and on the flute."""
    song = normalise(next(examples.read(EXAMPLE)))
    start, end = 4 * (first - 1), 4 * last
    notes = [(n.start - start, min(n.end, end) - start, n.pitch + shift) for n in song.notes if start <= n.start < end]
    return melody(notes, qpm=90, program=73)


def test_a_copy_is_named_whatever_its_tempo_and_program(shards):
    for first in (1, 3, 9):
        (found,) = Songs.read(shards).nearest([data.notes_of(bars_of_the_example(first, first + 1))])
        assert (found.similarity, found.copy) == (1, True)
        assert (os.path.basename(found.song), found.bars) == ("ode_to_joy.mid", (first, first + 1))
        assert found.label() == "bars %d-%d of ode_to_joy.mid" % (first, first + 1)


def test_similarity_is_the_share_of_notes_in_common(shards):
    """Against sets of (start, pitch), window by window."""
    outputs = [data.notes_of(melody(tune(2, seed))) for seed in range(5)]
    near = bars_of_the_example(9, 10)
    near.notes[0].pitch += 1
    longer = bars_of_the_example(9, 10)
    longer.notes[-1].end_time -= 0.25
    outputs += [data.notes_of(near), data.notes_of(longer), data.notes_of(note_seq.NoteSequence())]
    found = Songs.read(shards).nearest(outputs)
    for notes, nearest in zip(outputs, found):
        ours = {(start, pitch) for start, _, pitch in notes}
        expected = 0
        for record in latents.read(shards):
            theirs = {(start, pitch) for start, _, pitch in record["notes"]}
            expected = max(expected, 2 * len(ours & theirs) / (len(ours) + len(theirs)))
        assert (nearest.similarity if nearest else 0) == pytest.approx(expected)
    n = len(near.notes)
    assert (found[5].similarity, found[5].copy, found[5].bars) == (pytest.approx((n - 1) / n), False, (9, 10))
    assert (found[6].similarity, found[6].copy) == (1, False)  # the same notes, one of another length
    assert found[7] is None


def test_of_equally_near_windows_the_first_but_a_copy_before_all():
    whole, short = [[0, 24, 60], [24, 48, 62]], [[0, 24, 60], [24, 36, 62]]
    windows = {
        "songs/a": ((2, 2), whole[:1]),
        "songs/b": ((3, 3), whole[:1]),
        "songs/c": ((0, 1), short),
        "songs/d": ((4, 5), whole),
        "songs/e": ((6, 7), whole),
        "songs/f": ((8, 9), short),
    }
    bars, notes = zip(*windows.values())
    names = np.array([name.encode() for name in windows], object)
    lengths, in_key = np.array(list(map(len, notes))), np.ones([6, 1], bool)
    songs = Songs(latents.Notes(np.concatenate(notes), lengths, np.array([0]), in_key, names, np.array(bars)))
    half = np.array([[0, 96, 60], [96, 120, 61], [120, 144, 61]])
    found = songs.nearest([np.array(whole), np.array(short), half, np.array([[256, 280, 59]])])
    expected = [("songs/d", (5, 6), 1, True, 0), ("songs/c", (1, 2), 1, True, 0), ("songs/a", (3, 3), 0.5, False, 0)]
    assert found[:3] == expected
    assert [f.label() for f in found[:3]] == ["bars 5-6 of d", "bars 1-2 of c", "bar 3 of a"]
    assert found[3] is None
    assert Songs.read([]).nearest([half]) == [None]


def test_notes_are_read_as_records_have_them(tmp_path, monkeypatch):
    """In the song's own key, however many records are parsed at once; and each window knows its keys."""
    lc_music_vae.train("lc-cat-mel_2bar_small", EXAMPLE, str(tmp_path), num_steps=1, hparams=layers(8), augment=True)
    shards = run_dir.at(str(tmp_path)).shards()
    monkeypatch.setattr(latents, "_RECORDS_A_BATCH", 4)
    records, table = list(latents.read(shards)), latents.read_notes(shards, 1000)
    assert len(table.lengths) == len(records) == 11
    for i, notes in enumerate(np.split(table.notes, np.cumsum(table.lengths)[:-1])):
        record = records[i]
        np.testing.assert_array_equal(notes + [0, 0, record["transpositions"][0]], record["notes"])
        assert tuple(table.keys[table.in_key[i]]) == record["transpositions"]
        assert (os.fsdecode(table.songs[i]), *table.bars[i]) == (
            record["song"],
            record["first_bar"],
            record["last_bar"],
        )


def test_a_copy_in_another_key_is_a_copy_and_says_how_far_it_is_moved(shards, tmp_path):
    for shift in (3, -14):
        (found,) = Songs.read(shards).nearest([data.notes_of(bars_of_the_example(3, 4, shift=shift))])
        assert (found.similarity, found.copy, found.bars, found.semitones) == (1, True, (3, 4), shift)
    assert found.label() == "bars 3-4 of ode_to_joy.mid, 14 semitones lower"
    hparams = layers(8)
    lc_music_vae.train("lc-cat-mel_2bar_small", EXAMPLE, str(tmp_path), num_steps=1, hparams=hparams, augment=True)
    shifted = data.notes_of(bars_of_the_example(3, 4, shift=3))
    (found,) = Songs.read(run_dir.at(str(tmp_path)).shards()).nearest([shifted])
    assert (found.copy, found.bars, found.semitones) == (True, (3, 4), 0)  # it was trained on in this key


def test_transposed_copies_against_every_window_in_every_key(shards):
    """Outputs made of bars of the song, moved, with a note or two changed: nine tenths in some key is a near-copy."""
    records, random = list(latents.read(shards)), np.random.RandomState(4)
    outputs = []
    for record in records * 2:
        notes = record["notes"] + [0, 0, random.randint(-12, 12)]
        notes[: random.randint(0, 3), 2] += 40
        outputs.append(notes[random.randint(0, 3) :])
    near = 0
    for notes, found in zip(outputs, Songs.read(shards).nearest(outputs)):
        best = {}
        for key in range(-60, 61):
            ours = {(start, pitch - key) for start, _, pitch in notes.tolist()}
            for record in records:
                theirs = {(start, pitch) for start, _, pitch in record["notes"].tolist()}
                best[key] = max(best.get(key, 0), 2 * len(ours & theirs) / (len(ours) + len(theirs)))
        if best[0] < nearness.NEAR <= max(best.values()):
            near += 1
            assert (found.similarity, best[found.semitones]) == (pytest.approx(max(best.values())),) * 2
        else:
            assert (found.similarity if found else 0, getattr(found, "semitones", 0)) == (pytest.approx(best[0]), 0)
    assert 3 < near < 20


def test_few_notes_and_drums_are_no_transposed_copies():
    notes = np.array([[0, 24, 60], [24, 48, 62], [48, 72, 64], [72, 96, 65]])
    for given, expected in ((notes, 5), (notes[:3], None), (notes + [0, 0, 128], None)):
        table = latents.Notes(
            given, np.array([len(given)]), np.array([0]), np.ones([1, 1], bool), np.array([b"a"]), np.array([[0, 1]])
        )
        (found,) = Songs(table).nearest([given + [0, 0, 5]])
        assert (found and found.semitones) == expected


def test_only_so_many_windows_are_read_and_that_is_said(shards, monkeypatch, caplog):
    last = data.notes_of(bars_of_the_example(11, 12))
    monkeypatch.setattr(nearness, "MAX_WINDOWS", 2)
    caplog.set_level("INFO")
    (found,) = Songs.read(shards).nearest([last])
    assert not found.copy
    assert caplog.messages == ["compared with the first 2 training windows only"]


def test_the_notes_kept_of_a_window_are_those_that_it_was_cut_from(tmp_path):
    """In ticks of 24 a quarter, from the window's start, whatever the song's tempo."""
    notes = [(0, 1, 60), (1, 2.5, 64), (2.5, 4, 62), (4, 7, 65), (7, 8, 64), (8, 12, 60)]
    song = next(examples.read(write_midi(melody(notes, qpm=77), tmp_path / "song.mid")))
    converter = data.WindowConverter("cat-mel_2bar_small")
    first, second = converter.windows(converter.score(song))
    assert first.notes.tolist() == [[0, 24, 60], [24, 60, 64], [60, 96, 62], [96, 168, 65], [168, 192, 64]]
    assert second.notes.tolist() == [[0, 72, 65], [72, 96, 64], [96, 192, 60]]
    assert [(w.first_bar, w.last_bar) for w in (first, second)] == [(0, 1), (1, 2)]


def test_drums_are_no_pitches():
    kick = note_seq.NoteSequence()
    kick.notes.add(pitch=36, start_time=0.5, end_time=0.75, velocity=90, is_drum=True)
    assert data.notes_of(kick).tolist() == [[24, 36, 164]]
    assert data.notes_of(note_seq.NoteSequence()).shape == (0, 3)


def test_records_keep_them(shards):
    records = list(latents.read(shards))
    converter = data.WindowConverter("cat-mel_2bar_small")
    windows = converter.windows(converter.score(next(examples.read(EXAMPLE))))
    assert len(records) == len(windows) == 11
    for record, window in zip(records, windows):
        np.testing.assert_array_equal(record["notes"], window.notes)
        assert (record["first_bar"], record["last_bar"]) == (window.first_bar, window.last_bar)


def test_f1_counts_starts_and_pitches():
    a = np.array([[0, 24, 60], [24, 48, 62], [48, 72, 64]])
    b = np.array([[0, 12, 60], [24, 48, 63], [48, 96, 64], [96, 120, 60]])
    assert nearness.f1([(a, a)]) == 1
    assert nearness.f1([(a, b)]) == pytest.approx(2 * 2 / (3 + 4))  # two of three come back, and two are wrong
    assert nearness.f1([(a, b), (a, a)]) == pytest.approx(2 * (2 + 3) / (7 + 6))
    assert nearness.f1([(a, a[:0])]) == 0
    assert nearness.f1([]) == 0
