"""Songs to windows: against magenta's converter where it reads the song, by hand where it does not."""

import copy
import os

import numpy as np
import pytest
from helpers import EXAMPLE, SONGS, drum_and_band, drum_beat, melody, tune, write_midi

from lc_music_vae import data
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples
from lc_music_vae.music.examples import Song
from lc_music_vae.music.style import Style
from lc_music_vae.options import Reading

SMALL = "cat-mel_2bar_small"


def score_of(sequence, config=SMALL, melody_track="all"):
    return data.WindowConverter(config, Reading(melody_track)).score(Song("song", sequence))


def windows_of(sequence, config=SMALL, melody_track="all", **kwargs):
    return data.WindowConverter(config).windows(score_of(sequence, config, melody_track), **kwargs)


def onsets(window):
    """(step, pitch) of each note that a melody window holds."""
    events = window.inputs[0].argmax(-1)
    return [(step, event - 2 + 21) for step, event in enumerate(events) if event >= 2]


def magentas_windows(sequence, config=SMALL):
    from magenta.models.music_vae import configs

    converter = copy.deepcopy(configs.CONFIG_MAP[config].data_converter)
    converter.max_tensors_per_notesequence = None
    return {tensor.tobytes() for tensor in converter.to_tensors(copy.deepcopy(sequence)).inputs}


def with_rests(seed):
    """A tune with rests of less than a bar, of a bar and of several, chords and overlapping notes."""
    rng = np.random.RandomState(seed)
    notes, at = [], float(rng.randint(8)) / 2
    for _ in range(120):
        length = rng.choice([0.25, 0.5, 1.0, 3.0])
        for pitch in rng.choice(np.arange(50, 80), rng.choice([1, 1, 2]), replace=False):
            notes.append((at, at + length * rng.choice([1, 1, 1.5]), int(pitch)))
        at += length + rng.choice([0, 0, 0, 0, 0.25, 1, 2, 3.75, 4, 9], p=[0.2] * 4 + [0.2 / 6] * 6)
    return melody(notes)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("config", [SMALL, "hierdec-mel_16bar"])
def test_windows_of_a_tune_in_4_4_are_magentas(seed, config):
    sequence = with_rests(seed)
    del sequence.notes[260:]  # below magenta's cap of 100 bars a melody
    ours = {w.inputs[0].tobytes() for w in windows_of(sequence, config)}
    silent = np.eye(90, dtype=bool)[[0] * (256 if "16" in config else 32)].tobytes()
    # A note that is held through a whole window makes an empty one in magenta; we have no use for that.
    assert ours == magentas_windows(sequence, config) - {silent}


@pytest.mark.parametrize("path", [p for p in SONGS if "reelsa" in p or "xmas" in p] + [EXAMPLE], ids=os.path.basename)
def test_windows_of_real_songs_in_4_4_are_magentas(path):
    song = next(examples.read(path))
    ours = windows_of(song.note_sequence)
    assert {w.inputs[0].tobytes() for w in ours} == magentas_windows(song.note_sequence)
    assert len(ours) >= 11


def test_no_cap_on_windows_or_bars():
    windows = windows_of(melody(tune(130)))
    assert [w.first_bar for w in windows] == list(range(129))  # magenta keeps 5, from the first 100 bars


@pytest.mark.parametrize("path", SONGS, ids=os.path.basename)
def test_every_real_song_gives_windows_whatever_its_header_says(path):
    windows = windows_of(next(examples.read(path)).note_sequence)
    assert len(windows) >= 20
    assert all(w.inputs[0].shape == (32, 90) and w.inputs[0].sum() == 32 for w in windows)


def test_window_knows_its_place_and_its_notes_stand_at_their_steps():
    sequence = melody([(0, 1, 60), (4.5, 5, 62), (6, 7, 64), (9, 10, 65), (12.25, 16, 67)])
    windows = windows_of(sequence)
    assert [(w.track, w.first_bar, w.repeats) for w in windows] == [(0, 0, 1), (0, 1, 1), (0, 2, 1)]
    assert [onsets(w) for w in windows] == [
        [(0, 60), (18, 62), (24, 64)],
        [(2, 62), (8, 64), (20, 65)],
        [(4, 65), (17, 67)],
    ]
    assert windows[0].inputs[0].argmax(-1)[4] == 1  # the first note ends at step 4


def test_repeats_are_counted_in_order_of_first_appearance():
    bars = [tune(1, seed) for seed in (1, 2)]
    notes = [
        (4 * i + start, 4 * i + end, pitch)
        for i, kind in enumerate([0, 1, 0, 1, 0])
        for start, end, pitch in bars[kind]
    ]
    assert [(w.first_bar, w.repeats) for w in windows_of(melody(notes))] == [(0, 2), (1, 2)]


def test_a_silent_first_bar_stays_silent():
    converter = data.WindowConverter(SMALL)
    (window,) = converter.candidates(score_of(melody([(5, 6, 60), (6, 7, 62)])))
    assert onsets(window) == [(20, 60), (24, 62)]
    assert window.first_bar == 0


def test_a_bar_of_rest_inside_a_window_stays():
    converter = data.WindowConverter(SMALL)
    (window,) = converter.candidates(score_of(melody([(0, 0.25, 60), (7, 8, 62)])))
    assert onsets(window) == [(0, 60), (28, 62)]


def test_tempo_changes_do_not_move_bars():
    steady, changing = melody(tune(8)), melody(tune(8))
    changing.tempos.add(time=4.0, qpm=60)  # from bar 3 on at half the speed
    for note in changing.notes:
        note.start_time = note.start_time if note.start_time <= 4 else 4 + 2 * (note.start_time - 4)
        note.end_time = note.end_time if note.end_time <= 4 else 4 + 2 * (note.end_time - 4)
    changing.total_time = 28
    ours, expected = windows_of(changing), windows_of(steady)
    assert [w.inputs[0].tobytes() for w in ours] == [w.inputs[0].tobytes() for w in expected]
    score = score_of(changing)
    np.testing.assert_allclose(score.tempo_map.seconds(np.array([0, 8, 12, 32])), [0, 4, 8, 28])
    np.testing.assert_allclose(score.tempo_map.quarters(np.array([0, 4, 8, 28])), [0, 8, 12, 32])


@pytest.mark.parametrize(
    ("signature", "bars", "remark"),
    [
        ((4, 4), [0, 4, 8, 12], ""),
        (None, [0, 4, 8, 12], ""),
        ((2, 2), [0, 4, 8, 12], ""),
        ((1, 4), [0, 4, 8, 12], "1/4: taken as bars of four quarters"),
        ((2, 4), [0, 4, 8, 12], "2/4: taken as bars of four quarters"),
        ((3, 4), [0, 3, 6, 9, 12], "3/4: windows hold 2 bars, then"),
        ((6, 8), [0, 3, 6, 9, 12], "6/8: windows hold 2 bars, then"),
        ((12, 8), [0, 6, 12], "12/8: windows hold 1 bar, then"),
        ((7, 8), [0, 3.5, 7, 10.5, 14], "7/8: windows hold 2 bars, then"),
        ((4, 2), [0, 4, 8, 12], "4/2: taken as bars of four quarters"),
    ],
)
def test_bars_of_time_signatures(signature, bars, remark):
    score = score_of(melody([(0, 1, 60), (11, 12, 62)], time_signature=signature))
    assert list(score.bars) == bars
    assert remark in "".join(score.remarks)
    assert bool(score.remarks) == bool(remark)


def test_bars_start_anew_at_a_change_of_metre_on_a_beat_and_not_between_beats():
    sequence = melody([(0, 1, 60), (19, 20, 62)])
    sequence.time_signatures.add(time=3.5, numerator=3, denominator=4)  # at quarter 7, inside a bar
    assert list(score_of(sequence).bars) == [0, 4, 7, 10, 13, 16, 19, 22]
    sequence.time_signatures[1].time = 3.6
    assert list(score_of(sequence).bars) == [0, 4, 8, 11, 14, 17, 20]


WALTZ_INSIDE = ((0, 4, 4), (12, 3, 4), (24, 4, 4))  # bars 4 to 7 in 3/4


@pytest.mark.parametrize(
    ("signatures", "quarters_read"),
    [
        (((0, 4, 4),), [(0, 40)]),
        ((), [(0, 40)]),
        (((0, 2, 2),), [(0, 40)]),
        (((0, 3, 4),), []),
        (((0, 2, 4),), []),
        (((0, 1, 4),), []),
        (((0, 6, 8),), []),
        (((0, 4, 2),), []),
        (WALTZ_INSIDE, [(0, 12), (24, 40)]),
        (((0, 1, 4), (1, 4, 4)), [(1, 41)]),
    ],
)
def test_strict_metre_is_magentas(signatures, quarters_read):
    """On songs of one tempo; at a change of tempo magenta starts bars anew, which would move them."""
    end = quarters_read[-1][1] if quarters_read else 40
    notes = [n for n in tune(11, 4) if n[0] < end]
    sequence = melody(notes[:-1] + [(notes[-1][0], end, notes[-1][2])], time_signature=None)
    for at, numerator, denominator in signatures:
        sequence.time_signatures.add(time=at / 2, numerator=numerator, denominator=denominator)
    for note in sequence.notes:  # magenta cuts notes in two where metre changes; here none is held over it
        for at, _, _ in signatures:
            if note.start_time < at / 2:
                note.end_time = min(note.end_time, at / 2)
    converter = data.WindowConverter(SMALL, Reading(metre="4/4"))
    score = converter.score(Song("song", sequence))
    ours = converter.windows(score)
    assert {w.inputs[0].tobytes() for w in ours} == magentas_windows(sequence)
    starts = [q for first, last in quarters_read for q in range(first, last - 7, 4)]
    assert [score.bars[w.first_bar] for w in ours] == starts
    assert len(data.WindowConverter(SMALL).windows(score)) >= 8


def test_windows_in_6_8_hold_two_of_its_bars_and_begin_again():
    notes = [(1.5 * i, 1.5 * i + 1.5, 60 + i % 7) for i in range(16)]
    windows = windows_of(melody(notes[:-1] + [(22.5, 30, 62)], time_signature=(6, 8)))
    assert [(w.first_bar, w.last_bar, w.time_signature) for w in windows] == [(i, i + 1, "6/8") for i in range(8)]
    assert onsets(windows[1]) == [(0, 62), (6, 63), (12, 64), (18, 65), (24, 62), (30, 63)]
    assert windows[1].notes.tolist() == [[36 * i, 36 * i + 36, 62 + i] for i in range(4)]  # of 24 ticks a quarter
    assert windows[6].notes.tolist()[-1] == [108, 144, 62]  # cut at the end of the bar


def test_any_program_is_a_melody_and_pitches_out_of_range_move_by_octaves():
    """As many of them together as can: here only one."""
    flute = windows_of(melody(tune(2), program=73))
    assert [w.inputs[0].tobytes() for w in flute] == [w.inputs[0].tobytes() for w in windows_of(melody(tune(2)))]
    (window,) = windows_of(melody([(0, 4, 9), (4, 8, 127)]))
    assert onsets(window) == [(0, 21), (16, 103)]


@pytest.mark.parametrize(
    ("pitches", "octaves", "expected"),
    [
        ([21, 60, 108], 0, [21, 60, 108]),
        ([20, 60], 1, [32, 72]),
        ([3, 60], 2, [27, 84]),
        ([60, 109], -1, [48, 97]),
        ([60, 127], -2, [36, 103]),
        ([0, 1, 2, 127], 2, [24, 25, 26, 103]),  # no way for all: three go together, one alone
        ([60, 61, 0, 127], -2, [36, 37, 24, 103]),
    ],
)
def test_a_melody_out_of_range_is_moved_as_a_whole(pitches, octaves, expected):
    score = score_of(melody([(2 * i, 2 * i + 2, pitch) for i, pitch in enumerate(pitches)]))
    assert score.tracks[0].octaves == octaves
    assert [n.pitch for n in score.tracks[0].notes] == expected


def test_tracks_are_cut_apart_and_drums_left_out():
    sequence = melody(tune(2), name="MELODY")
    sequence.MergeFrom(melody(tune(3, 1), instrument=4, program=33))
    sequence.notes.add(pitch=36, velocity=99, start_time=0, end_time=8, instrument=9, is_drum=True)
    windows = windows_of(sequence)
    assert [(w.track, w.first_bar) for w in windows] == [(0, 0), (4, 0), (4, 1)]
    score = score_of(sequence)
    assert [(t.number, t.name, t.program) for t in score.tracks] == [(0, "MELODY", 0), (4, "", 33)]
    assert [(w.track, w.first_bar) for w in windows_of(sequence, melody_track="auto")] == [(0, 0)]


def test_transpositions_are_the_window_moved_and_stay_in_range():
    (window,) = windows_of(melody([(0, 4, 60), (4, 8, 107)]), transpositions=(-2, 0, 1, 2))
    assert window.transpositions == (-2, 0, 1)
    assert onsets(window._replace(inputs=window.inputs[:1])) == [(0, 58), (16, 105)]


@pytest.mark.parametrize("config", [SMALL, "hierdec-mel_16bar"])
def test_a_transposed_melody_is_what_its_notes_transposed_are_converted_to(config):
    sequence = melody(tune(20) + [(80, 82, 70), (83.5, 84, 60)])
    windows = windows_of(sequence, config, transpositions=(-5, 0, 3))
    assert len(windows) > 3
    for i, semitones in enumerate((-5, 0, 3)):
        moved = copy.deepcopy(sequence)
        for note in moved.notes:
            note.pitch += semitones
        for window, alone in zip(windows, windows_of(moved, config)):
            assert window.inputs[i].dtype == alone.inputs[0].dtype
            assert np.array_equal(window.inputs[i], alone.inputs[0])
            assert i or np.array_equal(window.outputs, alone.outputs)


def test_drums_are_magentas():
    ours = windows_of(drum_beat(5), "cat-drums_2bar_small")
    assert {w.inputs[0].tobytes() for w in ours} == magentas_windows(drum_beat(5), "cat-drums_2bar_small")
    assert [(w.first_bar, w.repeats) for w in ours] == [(0, 1), (1, 3)]


@pytest.mark.parametrize(
    ("config", "bars", "shape"),
    [
        ("flat-trio_16bar", 16, (256, 692)),
        ("hier-trio_16bar", 16, (256, 692)),
        ("groovae_4bar", 4, (64, 27)),
        ("groovae_2bar_humanize", 2, (32, 27)),
        ("nade-drums_2bar_full", 2, (32, 62)),
        ("hier-multiperf_vel_1bar_med", 1, (512, 490)),
        ("hier-mel_16bar", 16, (256, 90)),
    ],
)
def test_other_families_of_configs_give_windows(config, bars, shape):
    band = drum_and_band(20)
    converter = data.WindowConverter(config)
    assert converter.bars == bars
    windows = converter.windows(score_of(band, config))
    assert windows
    assert all(w.inputs[0].shape == shape for w in windows)
    assert windows[0].first_bar == 0


@pytest.mark.parametrize(
    ("config", "reads", "depth", "transpositions"),
    [
        (SMALL, "melody", 90, (-5, 5)),
        ("hierdec-mel_16bar", "melody", 90, (-5, 5)),
        ("cat-drums_2bar_small", "drums", 10, None),
        ("groovae_4bar", "drums", 27, None),
        ("hierdec-trio_16bar", "band", 692, None),
        ("hier-multiperf_vel_1bar_med", "band", 490, (-3, 3)),  # magenta's own
    ],
)
def test_what_a_config_reads(config, reads, depth, transpositions):
    converter = data.WindowConverter(config)
    assert (converter.reads, converter.input_depth, converter.transpose_range) == (reads, depth, transpositions)


def test_a_metre_that_is_no_choice_is_refused():
    with pytest.raises(InputError) as e:
        Reading(metre="3/4")
    assert e.value.for_command_line() == "--metre=3/4 must be one of any, 4/4"


def test_strict_metre_names_what_it_leaves_out():
    sequence = melody(tune(12), time_signature=(3, 4))
    for quarter, signature in ((12, (4, 4)), (28, (6, 8)), (34, (3, 4))):
        sequence.time_signatures.add(time=quarter / 2, numerator=signature[0], denominator=signature[1])
    score = data.WindowConverter(SMALL, Reading(metre="4/4")).score(Song("song", sequence))
    left_out = "left out by --metre=4/4: 3/4 from bar 1, 6/8 from bar 9; --metre=any reads it"
    assert score.remarks == (left_out,)


def test_how_long_a_drum_is_held_means_nothing():
    score = score_of(drum_beat(1), "cat-drums_2bar_small")
    (track,) = score.tracks
    assert track[:3] == (0, "drums", 0)
    assert (track.octaves, score.choice) == (0, "drums")
    assert {n.end - n.start for n in track.notes} == {0.25}
    band = score_of(drum_and_band(2), "hier-multiperf_vel_1bar_med")
    assert (band.choice, [t[:3] for t in band.tracks]) == ("all tracks", [(0, "all tracks", 0)])
    assert score_of(melody(tune(2)), "cat-drums_2bar_small").tracks == ()


def test_a_bar_without_drums_inside_a_window_stays():
    beat = drum_beat(1)
    del beat.notes[:]
    for start in (0.0, 3.5):
        beat.notes.add(pitch=36, velocity=90, start_time=start, end_time=start + 0.1, instrument=9, is_drum=True)
    score = score_of(beat, "cat-drums_2bar_small")
    (window,) = data.WindowConverter("cat-drums_2bar_small").candidates(score)
    assert [(start, pitch) for start, _, pitch in window.notes.tolist()] == [(0, 164), (7 * 24, 164)]


def test_windows_in_which_no_note_starts_are_passed_over():
    assert [w.first_bar for w in windows_of(melody([(0, 12, 60), (12, 16, 62)]))] == [0, 2]


def test_a_first_bar_that_is_whole_is_no_upbeat():
    sequence = melody(tune(6))
    sequence.time_signatures.add(time=2, numerator=3, denominator=4)
    assert [w.first_bar for w in windows_of(sequence)][:2] == [1, 2]  # one bar in 4/4 is no window
    sequence.time_signatures[1].time = 4
    assert [w.first_bar for w in windows_of(sequence)][:3] == [0, 2, 3]


def test_tensors_become_notes_at_any_tempo():
    notes = [(0, 1, 60), (1, 2.5, 64), (3, 8, 62)]
    (window,) = windows_of(melody(notes))
    converter = data.WindowConverter(SMALL)
    for style, down in ((Style(), 0), (Style(60), 0), (Style(90, program=73, octaves=1), 12)):
        (sequence,) = converter.to_note_sequences([window.outputs], style)
        qpm, program = style.qpm, style.program
        found = [(n.start_time * qpm / 60, n.end_time * qpm / 60, n.pitch, n.program) for n in sequence.notes]
        expected = [(a, b, pitch - down, program) for a, b, pitch in notes]
        assert [tuple(round(x, 9) for x in row) for row in found] == expected
        assert sequence.total_time == pytest.approx(8 * 60 / qpm)
        assert [t.qpm for t in sequence.tempos] == [qpm]
        assert [(t.numerator, t.denominator) for t in sequence.time_signatures] == [(4, 4)]


def test_where_no_phrase_is_long_enough_every_bar_that_has_a_note_may_be_meant():
    converter = data.WindowConverter(SMALL)
    score = score_of(melody([(0, 1, 60), (9, 10, 62), (18, 19, 64)]))
    assert converter.windows(score) == []
    found = [(w.first_bar, onsets(w)) for w in converter.candidates(score)]
    assert found == [(0, [(0, 60)]), (1, [(20, 62)]), (2, [(4, 62)]), (3, [(24, 64)]), (4, [(8, 64)])]
    assert [w.first_bar for w in converter.candidates(score_of(melody(tune(3))))] == [0, 1]


@pytest.mark.parametrize("path", SONGS + [EXAMPLE], ids=os.path.basename)
def test_written_window_read_back_is_the_window(path, tmp_path):
    """What `interpolate` writes as candidates, given back, is exactly that window."""
    converter = data.WindowConverter(SMALL)
    windows = converter.windows(converter.score(next(examples.read(path))))[::7]
    for window, sequence in zip(windows, converter.heard(windows)):
        song = next(examples.read(write_midi(sequence, tmp_path / "candidate.mid")))
        (again,) = converter.candidates(converter.score(song))
        assert np.array_equal(again.inputs[0], window.inputs[0])


def pitches_at(half):
    """(step, pitch) of each note of a decoded melody."""
    events = half.argmax(1)
    return [(step, event - 2 + 21) for step, event in enumerate(events) if event >= 2]


def test_half_a_window_ends_on_a_long_note_of_the_key():
    converter = data.WindowConverter(SMALL)
    events = np.zeros(16, int)
    events[[0, 4, 10, 14]] = np.array([60, 65, 67, 74]) - 21 + 2
    half = np.eye(90, dtype=np.float32)[events]
    assert pitches_at(converter.ended(half, [0], "4/4")) == [(0, 60), (4, 60)]
    assert pitches_at(converter.ended(half, [0, 4], "4/4")) == [(0, 60), (4, 64)]
    late = np.eye(90, dtype=np.float32)[np.where(np.arange(16) < 9, 0, events)]
    assert pitches_at(converter.ended(late, [7], "4/4")) == [(8, 67)]
    silent = np.eye(90, dtype=np.float32)[np.zeros(16, int)]
    assert converter.ended(silent, [7], "4/4") is silent
    assert converter.ended(half, [0], "4/4")[5:].argmax(1).max() == 0  # it is held to the end


def test_no_note_is_held_into_a_half_that_begins_with_a_cut():
    converter = data.WindowConverter(SMALL)
    first, second = (np.eye(90, dtype=np.float32)[events] for events in ([50] + [0] * 15, [0] * 4 + [52] + [0] * 11))
    for joined, end in ((second, 20), (converter.cut(second), 16)):
        (sequence,) = converter.to_note_sequences([np.concatenate([first, joined])])
        assert [(round(n.start_time * 8), round(n.end_time * 8)) for n in sequence.notes] == [(0, end), (20, 32)]
    assert converter.cut(first) is first


@pytest.mark.parametrize(("signature", "seam"), [("4/4", 16), ("6/8", 12), ("9/8", 9), ("5/8", 20), ("3/8", 18)])
def test_the_second_half_of_a_window_begins_at_a_bar_or_in_the_middle_of_its_only_one(signature, seam):
    assert data.WindowConverter(SMALL).seam(signature) == seam


def test_what_starts_in_a_decoded_melody_is_what_its_notes_start_with():
    converter = data.WindowConverter("cat-mel_2bar_small")
    score = converter.score(Song("tune", melody(tune(8))))
    windows = converter.windows(score)
    assert len(windows) > 2
    for window, sequence in zip(windows, converter.heard(windows)):
        expected = data.notes_of(sequence)
        np.testing.assert_array_equal(converter.started(window.outputs)[:, [0, 2]], expected[:, [0, 2]])
    assert data.WindowConverter("cat-drums_2bar_small").started(np.eye(16, 512)) is None
