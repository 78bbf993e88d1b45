"""Songs on their own beats: tempo, metre, range and ticks, each rule at its ends; `test_data.py` has windows."""

import math

import note_seq
import numpy as np
import pytest
from helpers import melody

from lc_music_vae import data
from lc_music_vae.errors import InputError
from lc_music_vae.music import metre as metre_lib
from lc_music_vae.music.examples import Song
from lc_music_vae.music.score import normalise
from lc_music_vae.music.style import is_written
from lc_music_vae.music.tempo import TempoMap


def tempos(*changes):
    return [note_seq.NoteSequence.Tempo(time=time, qpm=qpm) for time, qpm in changes]


def test_until_a_song_gives_a_tempo_there_is_midis():
    assert TempoMap([]).changes() == [(0, 120)]
    assert TempoMap(tempos((2, 60), (1, 240))).changes() == [(0, 120), (1, 240), (2, 60)]
    assert TempoMap(tempos((0, 60), (0, 90))).changes() == [(0, 90)]


def test_tempos_of_another_world_are_none():
    others = [(math.inf, 60), (math.nan, 60), (-1, 60), (1, 0), (1, -5), (1, 1e-3), (1, 1e9), (1, math.nan)]
    for other in others:
        assert TempoMap(tempos(other)).changes() == [(0, 120)]
    for slow_or_fast in (0.5, 1.1e-3, 9.9e8):
        assert TempoMap(tempos((0, slow_or_fast))).qpms == [slow_or_fast]


def test_seconds_and_quarters_are_maps_of_one_another():
    tempo_map = TempoMap(tempos((0, 90), (4, 180), (10, 60)))
    quarters = np.array([0, 3, 6, 9, 24, 26.5])
    assert tempo_map.seconds(quarters) == pytest.approx([0, 2, 4, 5, 10, 12.5])
    assert tempo_map.quarters(tempo_map.seconds(quarters)).tolist() == quarters.tolist()
    assert tempo_map.quarters(np.array([[1 / 3, 4 + 1e-9]])).tolist() == [[0.5, 6]]  # errors of floats are rounded away


def test_the_main_tempo_holds_for_most_quarters_not_seconds():
    tempo_map = TempoMap(tempos((0, 60), (10, 240), (15, 60)))  # for 10, then for 20 quarters, then again
    assert [tempo_map.main_qpm(end) for end in (5, 19, 21, 30, 39, 41)] == [60, 60, 240, 240, 240, 60]
    assert TempoMap(tempos((0, 60), (1, 240))).main_qpm(1.5) == 60


@pytest.mark.parametrize(
    ("numerator", "denominator", "quarters", "is_4_4"),
    [
        (4, 4, 4, True),
        (2, 2, 4, True),
        (16, 16, 4, True),
        (5, 16, None, False),  # less than 6 sixteenths
        (6, 16, 1.5, False),
        (3, 8, 1.5, False),
        (7, 16, 1.75, False),
        (15, 4, 15, False),
        (63, 16, 15.75, False),
        (16, 4, None, False),
        (65, 16, None, False),
        (17, 4, None, False),
        (2, 4, None, False),
        (4, 2, None, False),
        (3, 32, None, False),
        (13, 32, None, False),  # of no whole sixteenths
        (4, 0, None, False),
    ],
)
def test_bars_that_are_kept_and_bars_taken_for_four_quarters(numerator, denominator, quarters, is_4_4):
    metre = metre_lib.of_signature(3.0, numerator, denominator)
    assert (metre.start, metre.end, metre.signature) == (3, math.inf, "%d/%d" % (numerator, denominator))
    assert metre.quarters == (quarters or 4)
    assert metre.is_4_4 is is_4_4
    assert metre.written == ("4/4" if metre.quarters == 4 else metre.signature)
    assert is_written(metre.written)
    assert is_written(metre.signature) is (metre.written == metre.signature)


def score_of(sequence):
    return normalise(Song("song", sequence))


def test_signatures_outside_the_song_are_none_of_its():
    sequence = melody([(0, 1, 60), (7, 8, 60)], time_signature=None)
    for time in (-1, 20, math.nan, math.inf):
        sequence.time_signatures.add(time=time, numerator=3, denominator=4)
    score = score_of(sequence)
    assert score.bars.tolist() == [0, 4, 8]
    assert [(m.start, m.end, m.signature) for m in score.metres] == [(0, math.inf, "4/4")]


def test_metres_end_where_the_next_begins():
    sequence = melody([(0, 1, 60), (15, 16, 60)], time_signature=(3, 4))
    sequence.time_signatures.add(time=3, numerator=4, denominator=4)
    score = score_of(sequence)
    assert [(m.start, m.end, m.signature) for m in score.metres] == [(0, 6, "3/4"), (6, math.inf, "4/4")]
    assert score.bars.tolist() == [0, 3, 6, 10, 14, 18]


def test_notes_are_those_that_sound_in_order_and_from_high_to_low():
    sequence = melody([(2, 3, 60), (0, 1, 62), (0, 2, 67), (1, 0.5, 64), (1, 2, 50), (3, 4, 51)])
    sequence.notes[4].velocity = 0
    sequence.notes[5].start_time = -0.1
    found = [(n.start, n.end, n.pitch) for n in score_of(sequence).notes]
    assert found == [(0, 2, 67), (0, 1, 62), (1, 1, 64), (2, 3, 60)]


def test_silence_has_no_bars():
    score = score_of(note_seq.NoteSequence())
    assert (score.notes, score.bars.tolist()) == ((), [0])


def test_a_song_ends_within_5000_bars():
    assert score_of(melody([(0, 20000, 60)])).bars[-1] == 20000
    with pytest.raises(InputError) as e:
        score_of(melody([(0, 20004, 60)]))
    assert str(e.value) == "song: its last note ends after 5001 bars; a song has at most 5000 here; split it"


def test_names_are_printable_and_not_too_long():
    sequence = melody([(0, 1, 60)], name="\x1b" + "n" * 200)
    assert score_of(sequence).track_names == {0: "\\x1b" + "n" * 96}


def test_notes_in_ticks_whatever_the_tempo_and_back():
    sequence = melody([(1, 2.5, 60), (0, 1 / 3, 62)], qpm=77)
    sequence.notes.add(pitch=0, start_time=60 / 77, end_time=120 / 77, velocity=1, is_drum=True)
    notes = data.notes_of(sequence)
    assert notes.tolist() == [[0, 8, 62], [24, 48, 128], [24, 60, 60]]
    back = data.to_note_sequence(notes)
    assert data.notes_of(back).tolist() == notes.tolist()
    assert [(t.time, t.qpm) for t in back.tempos] == [(0, 120)]
    found = [(n.start_time, n.end_time, n.pitch, n.is_drum, n.velocity) for n in back.notes]
    assert found == [
        (0, pytest.approx(1 / 6), 62, False, 80),
        (0.5, 1, 0, True, 80),
        (0.5, 1.25, 60, False, 80),
    ]
    assert data.notes_of(melody([(1, 2, 127)], qpm=120)).tolist() == [[24, 48, 127]]
    del sequence.tempos[:]  # 120
    assert data.notes_of(sequence)[0].tolist() == [0, round(8 * 120 / 77), 62]


@pytest.mark.parametrize(
    ("config", "bars"), [("cat-mel_2bar_small", 2), ("hierdec-trio_16bar", 16), ("groovae_4bar", 4)]
)
def test_bars_of_a_window(config, bars):
    converter = data.WindowConverter(config)
    assert (converter.bars, converter.quarters) == (bars, 4.0 * bars)
    assert type(converter.bars) is int
