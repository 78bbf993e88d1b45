"""Drums as they are played: loudness and timing, tempo, drums that MusicVAE does not know, and notes dropped."""

import copy

import note_seq
import numpy as np
import pytest
from helpers import drum_beat, groove
from magenta.models.music_vae import configs

from lc_music_vae import data
from lc_music_vae.data import WindowConverter
from lc_music_vae.music.examples import Song
from lc_music_vae.music.style import Style

HUMANIZE, TAP, CLOSED_HI_HAT = "groovae_2bar_humanize", "groovae_2bar_tap_fixed_velocity", "groovae_2bar_add_closed_hh"
DROPPING = "groovae_2bar_tap_fixed_velocity_note_dropout"
KICK, HI_HAT = 36, 42


def windows_of(sequence, config=HUMANIZE):
    converter = WindowConverter(config)
    return converter.windows(converter.score(Song("groove", sequence)))


def played(sequence):
    return sorted((n.start_time, n.pitch, n.velocity) for n in sequence.notes)


@pytest.mark.parametrize("config", [HUMANIZE, TAP, CLOSED_HI_HAT, "groovae_4bar"])
@pytest.mark.parametrize("qpm", [120, 87.5])
def test_windows_are_those_that_magenta_cuts(config, qpm):
    """Hits ahead of a window's first beat included."""
    song = groove(8, qpm)
    magentas = copy.deepcopy(configs.CONFIG_MAP[config].data_converter)
    magentas.set_mode("infer")
    expected = magentas.to_tensors(song)
    bars = 8 // len(expected.inputs)
    converter = WindowConverter(config)
    score = converter.score(Song("groove", song))
    for i, (inputs, outputs) in enumerate(zip(expected.inputs, expected.outputs)):
        window = converter.window(score, score.tracks[0], i * bars)
        np.testing.assert_allclose(window.inputs[0], inputs, atol=1e-5)
        np.testing.assert_allclose(window.outputs, outputs, atol=1e-5)
    assert min(o[0, 18:].max() for o in expected.outputs[1:]) > 0.5  # a hit that is ahead of a first beat


def test_a_window_that_ends_with_a_bar_of_rest_is_one():
    beat = groove(2)
    kept = [n for n in beat.notes if n.start_time < 1.9]
    del beat.notes[:]
    beat.notes.extend(kept)
    converter = WindowConverter(HUMANIZE)
    (window,) = converter.candidates(converter.score(Song("beat", beat)))
    assert window.outputs[:16, :9].any()
    assert not window.outputs[16:].any()


def test_loudness_and_timing_come_back_at_the_tempo_that_is_asked_for():
    song = groove(2, qpm=95)
    (window,) = windows_of(song)
    (again,) = WindowConverter(HUMANIZE).to_note_sequences([window.outputs], Style(qpm=95))
    assert again.total_time == pytest.approx(8 * 60 / 95)
    assert {n.is_drum for n in again.notes} == {True}
    np.testing.assert_allclose(played(again), played(song), atol=1e-6)
    assert len({n.velocity for n in again.notes}) > 8


def test_a_hit_ahead_of_the_first_beat_starts_with_the_file_and_ahead_of_a_later_bar():
    song = groove(8)
    converter = WindowConverter(HUMANIZE)
    score = converter.score(Song("groove", song))
    places = converter.consecutive(score, score.tracks[0])
    result = note_seq.NoteSequence()
    for place, window in places:
        (alone,) = converter.to_note_sequences([window.outputs])
        assert min(n.start_time for n in alone.notes) >= 0
        (decoded,) = converter.to_note_sequences([window.outputs], early=True)
        converter.place(decoded, score.tracks[0], score, at=place, result=result)
    np.testing.assert_allclose(played(result), played(song), atol=1e-6)


def test_a_hit_that_decodes_to_silence_can_be_heard():
    outputs = np.zeros((32, 27))
    outputs[4, 0] = 1
    (decoded,) = WindowConverter(HUMANIZE).to_note_sequences([outputs])
    assert [(n.start_time, n.pitch, n.velocity) for n in decoded.notes] == [(0.5, KICK, 1)]


def test_how_alike_grooves_are_is_a_matter_of_their_steps():
    """The same beat, written and played, has the same notes; the played one half a step late has others."""
    (written,), (as_played,) = windows_of(drum_beat(2)), windows_of(groove(2))
    assert written.notes.tolist() == as_played.notes.tolist()
    assert set(written.notes[:, 0] % 6) == {0}
    converter = WindowConverter(HUMANIZE)
    late = np.copy(as_played.outputs)
    late[:, 18:] = -0.96 * late[:, :9]  # nearly half a sixteenth: it rounds to the next when it is counted in ticks
    (sequence,) = converter.to_note_sequences([late], Style(qpm=133))
    assert converter.notes_of(sequence).tolist() == written.notes.tolist()
    assert data.notes_of(sequence).tolist() != written.notes.tolist()


def with_pitches(*pitches):
    beat = drum_beat(2)
    for i, pitch in enumerate(pitches):
        beat.notes.add(pitch=pitch, velocity=80, start_time=i / 4, end_time=i / 4 + 0.1, is_drum=True, instrument=9)
    return beat


@pytest.mark.parametrize("config", [HUMANIZE, "cat-drums_2bar_small", "nade-drums_2bar_full"])
def test_drums_that_musicvae_does_not_know_are_left_out_and_said(config):
    score = WindowConverter(config).score(Song("beat", with_pitches(90, 14, 90)))
    assert score.remarks == ("left out: 3 notes of drums that MusicVAE does not know (pitch 14, 90)",)
    assert len(score.tracks[0].notes) == len(drum_beat(2).notes)
    assert WindowConverter(config).windows(score)


def test_all_drums_unknown_is_no_music():
    beat = with_pitches(90)
    del beat.notes[:-1]
    assert WindowConverter(HUMANIZE).score(Song("beat", beat)).tracks == ()


def test_pads_of_an_electronic_kit_are_the_drum_of_their_class():
    """22 is the edge of a closed hi-hat, 26 that of an open one; General MIDI has neither."""
    (nine,) = windows_of(with_pitches(22, 26), HUMANIZE)
    assert nine.outputs[0, 2] == 1
    assert nine.outputs[2, 3] == 1
    score = WindowConverter("nade-drums_2bar_full").score(Song("beat", with_pitches(22, 26)))
    assert score.remarks == ()
    assert sorted(n.pitch for n in score.tracks[0].notes if n.pitch != KICK)[-2:] == [HI_HAT, 46]


def test_notes_are_dropped_in_some_draws_of_a_window_the_same_each_time():
    np.random.seed(5)
    state = np.random.get_state()[1].tolist()
    (window,) = windows_of(groove(2), DROPPING)
    assert np.random.get_state()[1].tolist() == state
    (whole,) = windows_of(groove(2), TAP)
    assert window.transpositions == (0,) * 8
    np.testing.assert_array_equal(window.inputs[0], whole.inputs[0])
    np.testing.assert_array_equal(window.outputs, whole.outputs)
    assert len({inputs.tobytes() for inputs in window.inputs}) > 3
    np.random.seed(6)
    (again,) = windows_of(groove(2), DROPPING)
    for draw, the_same in zip(window.inputs, again.inputs):
        np.testing.assert_array_equal(draw, the_same)
