"""Measures of a few bars: of made windows whose answers a musician knows."""

import numpy as np
import pytest

from lc_music_vae.music.measures import (
    Grid,
    density,
    leaps,
    names_for,
    pitch_range,
    register,
    repetition,
    rests,
    syncopation,
)

COMMON = Grid(192, 24)  # two bars of 4/4
JIG = Grid(144, 24, "6/8")  # two bars of 6/8


def notes(*rows):
    """Returns notes from starts and lengths in sixteenths, and pitches."""
    return np.array([(6 * start, 6 * (start + length), pitch) for start, length, pitch in rows]).reshape(-1, 3)


SCALE = notes(*((2 * i, 2, pitch) for i, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72) * 2)))
CHARLESTON = notes(*((16 * bar + at, 2, 60) for bar in (0, 1) for at in (0, 6)))  # a dotted quarter, an eighth


def test_a_scale_in_eighths():
    assert density(SCALE, COMMON) == 8
    assert register(SCALE, COMMON) == pytest.approx(66.25)
    assert pitch_range(SCALE, COMMON) == 12
    assert leaps(SCALE, COMMON) == pytest.approx((12 + 12 + 12) / 15)  # up, an octave back, and up again
    assert rests(SCALE, COMMON) == 0
    assert syncopation(SCALE, COMMON) == 0
    assert repetition(SCALE, COMMON) == 1


def test_an_octave_up_changes_the_register_alone():
    higher = SCALE + [0, 0, 12]
    assert register(higher, COMMON) == register(SCALE, COMMON) + 12
    for measure in (density, pitch_range, leaps, rests, syncopation, repetition):
        assert measure(higher, COMMON) == measure(SCALE, COMMON)


def test_the_charleston_is_syncopated_once_a_bar():
    """Its second note falls on the eighth before the third quarter, and is held over it: from level 3 to level 1."""
    assert syncopation(CHARLESTON, COMMON) == 2
    assert rests(CHARLESTON, COMMON) == pytest.approx(12 / 16)
    quarters = notes(*((4 * i, 4, 60) for i in range(8)))
    assert syncopation(quarters, COMMON) == 0
    offbeat = quarters + [12, 12, 0]  # all of them an eighth late: before beats 2, 3 and 4 of each bar, and bar 2
    assert syncopation(offbeat[:-1], COMMON) == (1 + 2 + 1 + 3 + 1 + 2 + 1) / 2


def test_a_bar_of_six_eighths_has_two_beats():
    """A quarter on the third eighth is held over the second beat; in 3/4 it would be held over nothing strong."""
    tied = notes((0, 4, 60), (4, 4, 60), (8, 4, 60), (12, 12, 60))
    assert syncopation(tied, JIG) == 0.5
    assert syncopation(tied, Grid(144, 24, "3/4")) == 0
    assert density(tied, JIG) == 2


def test_half_of_a_second_bar_is_as_the_first():
    rows = [(0, 4, 60), (4, 4, 62), (8, 4, 64), (12, 4, 65)]
    again = [(16, 4, 60), (20, 4, 62), (24, 4, 67), (28, 4, 69)]
    assert repetition(notes(*rows, *again), COMMON) == 0.5
    assert np.isnan(repetition(notes(*rows), Grid(96, 24)))


def test_chords_count_once_and_drums_have_no_pitch():
    chord = notes((0, 4, 60), (0, 4, 64), (0, 4, 67))
    assert density(chord, COMMON) == 0.5
    drums = notes((0, 1, 128 + 36), (4, 1, 128 + 38))
    assert density(drums, COMMON) == 1
    assert all(np.isnan(of(drums, COMMON)) for of in (register, pitch_range, leaps))
    assert names_for("drums") == ("density", "syncopation", "repetition")


def test_silence_has_no_pitch_and_is_all_rest():
    silence = np.zeros([0, 3], int)
    assert (density(silence, COMMON), rests(silence, COMMON), syncopation(silence, COMMON)) == (0, 1, 0)
    assert all(np.isnan(of(silence, COMMON)) for of in (register, pitch_range, leaps))
