"""Which tracks become the parts of a trio, and what is said where one is missing."""

import copy

import numpy as np
import pytest
from helpers import drum_beat, melody, tune
from magenta.models.music_vae import configs

from lc_music_vae.data import WindowConverter
from lc_music_vae.encoding import songs
from lc_music_vae.music.examples import Song
from lc_music_vae.options import Reading

TRIO = "hierdec-trio_16bar"
FLUTE, BASS, PIANO = 73, 33, 0


def band(*parts):
    together = copy.deepcopy(parts[0])
    for part in parts[1:]:
        together.MergeFrom(part)
    return together


def part(seed, program, instrument, name="", bars=16, shift=0):
    notes = [(start, end, pitch + shift) for start, end, pitch in tune(bars, seed)]
    return melody(notes, program=program, instrument=instrument, name=name)


def score_of(sequence, melody_track="auto"):
    return WindowConverter(TRIO, Reading(melody_track)).score(Song("band", sequence))


def test_a_trio_of_piano_bass_and_drums_is_magentas():
    song = band(part(0, PIANO, 0), part(1, BASS, 1, shift=-30), drum_beat(16))
    (expected,) = copy.deepcopy(configs.CONFIG_MAP[TRIO].data_converter).to_tensors(song).inputs
    (window,) = WindowConverter(TRIO).windows(score_of(song))
    np.testing.assert_array_equal(window.inputs[0], expected)


def test_each_part_is_named():
    song = band(part(0, FLUTE, 2, "lead voice"), part(1, PIANO, 3, "keys"), part(2, 38, 5), drum_beat(16))
    score = score_of(song)
    assert score.how_it_is_read() == "track 0 trio (melody track 2 lead voice, by its name; bass track 5; drums)"
    programs = {(n.instrument, n.program, n.is_drum) for n in score.tracks[0].notes}
    assert programs == {(0, 0, False), (1, 33, False), (9, 0, True)}
    assert len(WindowConverter(TRIO).windows(score)) == 1
    assert "melody track 3 keys, as asked" in score_of(song, "keys").choice
    assert "lead voice" in score_of(song, "all").choice


def test_a_bass_by_its_name():
    song = band(part(0, PIANO, 0), part(1, PIANO, 1, "Acoustic Bass"), drum_beat(16))
    assert score_of(song).choice == "melody track 0, the only track; bass track 1 Acoustic Bass; drums"


def test_notes_out_of_range_are_moved_into_it_by_octaves_and_that_is_said():
    """Magenta's range is a piano's, 21 to 108."""
    high = melody([(0, 1, 108), (1, 2, 109), (2, 3, 127), *((i, i + 1, 70) for i in range(3, 64))])
    low = melody([(0, 1, 20), *((i, i + 1, 40) for i in range(1, 64))], program=BASS, instrument=1)
    score = score_of(band(high, low, drum_beat(16)))
    pitches = {(n.instrument, n.start): n.pitch for n in score.tracks[0].notes if not n.is_drum}
    assert [pitches[0, 0], pitches[0, 1], pitches[0, 2], pitches[0, 3]] == [108, 97, 103, 70]
    assert [pitches[1, 0], pitches[1, 1]] == [32, 40]
    assert score.remarks == (
        "melody: moved 2 notes alone, to be in MusicVAE's range",
        "bass: moved 1 note alone, to be in MusicVAE's range",
    )
    (window,) = WindowConverter(TRIO).windows(score)
    assert songs._reason(score, [window], WindowConverter(TRIO)) == "; ".join(score.remarks)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([part(0, PIANO, 0)], "no bass: a track of program 33 to 40, or named bass; no drums: notes on channel 10"),
        ([part(0, BASS, 0), drum_beat(16)], "no melody: a track that is neither bass nor drums"),
        ([drum_beat(16), part(0, PIANO, 0)], "no bass: a track of program 33 to 40, or named bass"),
    ],
)
def test_what_is_missing_is_said(parts, said):
    score = score_of(band(*parts))
    assert score.tracks == ()
    assert songs._reason(score, [], WindowConverter(TRIO)) == "no notes that this config reads; " + said


def test_bars_that_are_no_windows_are_told_why():
    silent_bass = band(part(0, PIANO, 0), melody([(0, 1, 40)], program=BASS, instrument=1), drum_beat(16))
    converter = WindowConverter(TRIO)
    score = score_of(silent_bass)
    said = songs._reason(score, converter.windows(score), converter)
    assert said == "no 16 bars in which melody, bass and drums all play"
