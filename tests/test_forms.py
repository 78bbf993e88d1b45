"""The form of tunes, and turned paths. No model is loaded."""

import numpy as np
from helpers import melody, one_line

from lc_music_vae import data
from lc_music_vae.encoding import latents, song_forms
from lc_music_vae.models import rotation
from lc_music_vae.music import form
from lc_music_vae.music.source import Song


def test_a_rotation_keeps_all_distances_and_repeats_and_is_the_same_for_a_key():
    q = rotation.orthogonal(8, [3, 1])
    np.testing.assert_allclose(q @ q.T, np.eye(8), atol=1e-12)
    np.testing.assert_array_equal(q, rotation.orthogonal(8, [3, 1]))
    assert np.abs(q - rotation.orthogonal(8, [3, 2])).max() > 0.1
    path = np.random.RandomState(0).standard_normal([6, 8]).astype(np.float32) + 3
    path[4] = path[1]
    turned = rotation.turned(path, q)
    np.testing.assert_array_equal(turned[4], turned[1])
    np.testing.assert_allclose(turned.mean(0), 0, atol=1e-12)
    apart = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (path, turned)]
    np.testing.assert_allclose(*apart, atol=1e-5)


def test_a_rotation_leads_one_direction_to_another_and_leaves_the_rest_to_chance():
    start, to = np.random.RandomState(0).standard_normal([2, 4])
    q = rotation.leading(start, to, [3, 1])
    np.testing.assert_allclose(q @ q.T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(start @ q / np.linalg.norm(start), to / np.linalg.norm(to), atol=1e-12)
    np.testing.assert_array_equal(q, rotation.leading(start, to, [3, 1]))
    across = np.linalg.svd(start[None])[2][1:]  # an orthonormal base of all that is at right angles to the start
    images = np.stack([across[0] @ rotation.leading(start, to, [0, i]) for i in range(2000)])
    np.testing.assert_allclose(images @ to, 0, atol=1e-9)
    left = np.eye(4) - np.outer(to, to) / (to @ to)
    np.testing.assert_allclose(images.T @ images / 2000, left / 3, atol=0.03)
    q = rotation.leading(np.zeros(4), to, [0])
    np.testing.assert_allclose(q @ q.T, np.eye(4), atol=1e-12)


def test_random_rotations_favour_no_direction():
    images = np.stack([rotation.orthogonal(3, [0, i])[0] for i in range(2000)])
    np.testing.assert_allclose(images.T @ images / 2000, np.eye(3) / 3, atol=0.03)


def test_equal_letters_are_equal_windows_and_variations_are_named():
    assert form.of_letters("AABA", 16) == ([0, 1, 0, 2] * 2 + [3, 4, 3, 5] + [0, 1, 0, 2], {})
    places, varied = form.of_letters("AA'", 8)
    assert places == [0, 1, 0, 2, 0, 1, 3, 4]
    assert varied == {3: 0, 4: 2}
    assert form.of_letters("AB", 2) == ([0, 1], {})
    assert "A' comes before the A" in one_line(form.of_letters, "A'A", 8)
    assert "5 letters" in one_line(form.of_letters, "AABAC", 4)
    assert "form=aaba" in one_line(form.sections, "aaba")


def test_a_form_is_cut_or_repeated_at_a_phrase_and_ends_as_it_does():
    places = list(range(12))
    assert form.fitted(places, 12, 4) == (places, "")
    cut, said = form.fitted(places, 8, 4)
    assert cut == [0, 1, 2, 3, 8, 9, 10, 11]
    assert "cut to 8 at a phrase" in said
    longer, said = form.fitted(places, 16, 4)
    assert longer == [*range(12), 8, 9, 10, 11]
    assert "repeated to 16" in said
    assert form.fitted([5, 6], 3, 4)[0] == [5, 6, 5]


def test_phrases_get_the_letters_that_a_musician_gives_them():
    assert form.letters_of([0, 1, 0, 2, 0, 1, 0, 2, 3, 4, 3, 5, 0, 1, 0, 9], 4) == ["A", "A", "B", "A'"]


def test_halves_of_a_form_are_the_same_where_the_song_repeats_them():
    a, b, c, d = [(0, 4, 60)], [(0, 2, 62), (2, 4, 64)], [(0, 1, 65), (1, 4, 67)], [(0, 3, 69), (3, 4, 71)]
    bars = [a, b, a, c, d, b, a, b]
    notes = [(4 * i + start, 4 * i + end, pitch) for i, bar in enumerate(bars) for start, end, pitch in bar]
    converter = data.WindowConverter("cat-mel_2bar_small")
    song = song_forms.of_song(converter, Song("song", melody(notes)))
    assert song.places == [0, 1, 2, 0]
    first, second, third = song_forms.halves(converter, song.windows)
    assert first[0] == second[0]
    assert first[1] == third[1]
    assert len({*first, *second, *third}) == 4
    assert song.home() == 64 % 12


def test_halves_without_a_note_are_never_the_same():
    notes = [(0, 4, 60), (8, 10, 62), (10, 12, 64), (16, 20, 65)]
    converter = data.WindowConverter("cat-mel_2bar_small")
    song = song_forms.of_song(converter, Song("song", melody(notes)))
    assert len({number for pair in song_forms.halves(converter, song.windows) for number in pair}) == 6


def test_songs_end_on_the_last_notes_of_their_last_windows():
    notes = np.array([[0, 24, 60], [24, 48, 64], [0, 24, 67], [0, 12, 50], [12, 24, 57]])
    table = latents.Notes(
        notes,
        lengths=np.array([2, 1, 2]),
        keys=np.array([0]),
        in_key=np.ones([3, 1], bool),
        songs=np.array([b"a", b"a", b"b"], object),
        bars=np.array([[4, 5], [0, 1], [0, 1]]),
    )
    assert song_forms.homes(table) == [64 % 12, 57 % 12]


def test_half_a_window_that_is_much_like_an_earlier_one_begins_as_that():
    a, b = [(0, 1, 60), (1, 2, 62), (2, 4, 64)], [(0, 1, 60), (1, 2, 62), (2, 4, 67)]
    c, d = [(0, 2, 70), (2, 4, 71)], [(0, 4, 50)]
    bars = [a, c, b, d, d, a]
    notes = [(4 * i + start, 4 * i + end, pitch) for i, bar in enumerate(bars) for start, end, pitch in bar]
    converter = data.WindowConverter("cat-mel_2bar_small")
    song = song_forms.of_song(converter, Song("song", melody(notes)))
    halves = song_forms.halves(converter, song.windows)
    assert song_forms.near(halves, song.windows, 4 * data.TICKS_PER_QUARTER) == {halves[1][0]: halves[0][0]}


def test_forms_are_aligned_from_their_ends_and_rests_are_no_pairs():
    song = song_forms.SongForm("song", [0, 1, form.REST, 2, 1, 3], [])
    given = song_forms.SongForm("given", [0, 1, 2, 3, form.REST], [])
    assert given.rests_at_end() == 1
    assert song.aligned(4, given) == [(1, 3), (2, 2), (1, 0)]
    assert song.aligned(0, given) == [(0, 3)]


def test_the_end_of_a_song_is_its_last_windows_or_those_of_the_bars_given():
    converter = data.WindowConverter("cat-mel_2bar_small")
    notes = [(4 * bar, 4 * bar + 2, 60 + bar) for bar in range(11) if bar not in (6, 7)]
    song = Song("song.mid", melody(notes))

    def ended(bars, most=4):
        found = song_forms.ending(converter, song, bars=bars, most=most)
        return [-1 if place < 0 else found.windows[place].first_bar + 1 for place in found.places]

    assert ended(None) == [4, 6, 8, 10]
    assert ended(None, 2) == ended(None)[-2:]
    assert ended((2, 5)) == [2, 4]
    assert ended((1, 5)) == [2, 4]  # the first bar is no whole window
    assert ended((5, 8)) == [5, -1]
    assert "no whole window" in one_line(song_forms.ending, converter, song, bars=(7, 8))
    assert "no whole window" in one_line(song_forms.ending, converter, song, bars=(3, 3))
    assert "input_bars_1=3-30: song.mid has 11 bars" in one_line(song_forms.ending, converter, song, bars=(3, 30))


_TUNE = "X:%d\nT:Tune %d\nM:4/4\nL:1/4\nK:C\n%s|%s|\n\n"
_TUNES = "".join(_TUNE % (n, n, bar, bar) for n, bar in ((1, "CDEF"), (2, "GABc"), (7, "cBAG")))


def test_a_form_is_drawn_from_all_songs_of_a_tunebook_and_found_there_by_name(tmp_path, monkeypatch):
    path = tmp_path / "tunes.abc"
    path.write_text(_TUNES + "X:9\nM:4/4\nL:1/4\nK:C\n|: C2 D2 |1 E2\n")
    monkeypatch.setattr(song_forms, "_training_songs", lambda run_path: [str(path)])
    drawn = [song_forms.find(None, None, [0, i]).name for i in range(30)]
    assert {name.partition("#")[2] for name in drawn} >= {"1", "2", "7"}
    assert drawn == [song_forms.find(None, None, [0, i]).name for i in range(30)]
    assert song_forms.some(None, None, [3], most=4)[0].name in drawn
    first = [note.pitch for note in song_forms.find("tunes.abc#7", None, [0]).note_sequence.notes][:4]
    assert first == [72, 71, 69, 67]
    assert "tunes.abc#8" in one_line(song_forms.find, "tunes.abc#8", None, [0])
    assert "several songs" in one_line(song_forms.find, "tunes", None, [0])
