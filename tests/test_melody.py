"""Which track is the melody."""

import os

import pytest
from helpers import SONGS, melody, tune

from lc_music_vae import data
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples
from lc_music_vae.music import melody as melody_lib
from lc_music_vae.music.examples import Song
from lc_music_vae.music.score import Note, Track
from lc_music_vae.options import Reading


def chords(bars, instrument=0, program=0, name=""):
    notes = [(4 * i, 4 * i + 4, root + third) for i in range(bars) for root in (48, 53) for third in (0, 4, 7)]
    return melody(notes, instrument=instrument, program=program, name=name)


def band(*parts):
    song = parts[0]
    for part in parts[1:]:
        song.MergeFrom(part)
    return song


def chosen(sequence, wanted="auto"):
    score = data.WindowConverter("cat-mel_2bar_small", Reading(wanted)).score(Song("song", sequence))
    return [track.number for track in score.tracks], score.choice


@pytest.mark.parametrize("name", ["MELODY", "Lead vocals", "the tune", "Voice", "lead"])
def test_a_name_wins(name):
    song = band(
        melody(tune(8), name="flute"),
        melody(tune(2, 1), instrument=3, name=name),
        melody(tune(8, 2), instrument=4, name=name),
    )
    assert chosen(song) == ([3], "by its name")


def test_names_that_only_contain_such_a_word_do_not_win():
    song = band(melody(tune(8), name="x"), melody(tune(2, 1), instrument=3, name="misleading fortune"))
    assert chosen(song) == ([0], "sounds alone most")


def test_without_names_the_track_that_sounds_alone_in_most_bars():
    song = band(chords(8), melody(tune(2), instrument=1), melody(tune(7), instrument=2))
    assert chosen(song) == ([2], "sounds alone most")
    assert chosen(melody(tune(2))) == ([0], "the only track")


def test_a_number_or_a_name_that_was_asked_for_or_all():
    song = band(melody(tune(4), name="MELODY"), melody(tune(4, 1), instrument=7, name="oboe"))
    assert chosen(song, "7") == chosen(song, "oboe") == ([7], "as asked")
    assert chosen(song, "all") == ([0, 7], "all tracks")
    with pytest.raises(InputError) as e:
        chosen(song, "violin")
    assert e.value.for_command_line() == "--melody_track=violin: its tracks are 0 MELODY, 7 oboe"


def track(notes, number=0):
    return Track(number, "", 0, tuple(Note(*note, 80, number, 0, False) for note in notes))


def test_bars_are_four_quarters():
    four = track([(start, start + 1, 60) for start in (0, 5, 10, 15)])
    five = track([(start, start + 1, 60) for start in (0, 4, 8, 12, 16)], number=1)
    assert melody_lib.choose([four, five]) == ([five], "sounds alone most")


def test_half_of_the_notes_alone_is_enough():
    notes = [(0, 1, 60), (0, 1, 64), (1, 2, 65), (2, 3, 67)]
    assert melody_lib.choose([track(notes)]) == ([track(notes)], "the only track")
    assert melody_lib.choose([track(notes[:3])])[1] == "inferred from chords"


def test_what_is_too_long_to_infer_from_gives_its_highest_notes():
    """note_seq looks at no more than 10,000 frames."""
    long = track([(0.5 * i, 0.5 * i + 0.5, pitch) for i in range(10001) for pitch in (60, 64)])
    assert melody_lib.choose([long]) == ([long], "highest notes")


def test_legato_still_sounds_alone_and_chords_do_not():
    def share(notes):
        return melody_lib.alone(track(notes))

    assert share([(0, 1.2, 60), (1, 2.2, 62), (2, 3, 64)]) == 1
    assert share([(0, 1.25, 60), (1, 2, 62)]) == 0
    assert share([(0, 2, 60), (1, 2, 62), (4, 5, 64)]) == pytest.approx(1 / 3)
    assert share([(0, 1, 60), (0, 1, 64)]) == 0


def test_the_line_is_heard_above_its_chords_in_one_track():
    line = [(start, end, pitch + 12) for start, end, pitch in tune(8)]
    both = band(chords(8), melody(line))
    score = data.WindowConverter("cat-mel_2bar_small").score(Song("song", both))
    assert score.choice == "inferred from chords"
    heard = {(n.start, n.pitch) for n in score.tracks[0].notes}
    expected = {(start, pitch) for start, _, pitch in line}
    assert len(heard & expected) / len(heard) > 0.9
    assert len(heard & expected) / len(expected) > 0.7


@pytest.mark.parametrize("path", SONGS, ids=os.path.basename)
def test_real_songs_without_their_names(path):
    """The melody is the first track in all of them: POP909 labels it, and Nottingham's second is chords."""
    (song,) = examples.read(path)
    del song.note_sequence.instrument_infos[:]
    assert chosen(song.note_sequence) == ([0], "sounds alone most")
