"""Chords and hits that decoders need beside the latent: where they come from, and which output gets which."""

import copy
import os

import mido
import note_seq
import numpy as np
import pytest
from helpers import drum_and_band, drum_beat, generate, groove, layers, melody, one_line, train, tune, write_midi
from magenta.models.music_vae import configs

import lc_music_vae
from lc_music_vae.data import WindowConverter
from lc_music_vae.music import chords, examples
from lc_music_vae.music.chords import Chord
from lc_music_vae.music.examples import Song
from lc_music_vae.music.style import Style
from lc_music_vae.showing import index

CHORDS, PERFORMANCE, HITS = (
    "cat-mel_2bar_med_chords",
    "hier-multiperf_vel_1bar_med_chords",
    "groovae_2bar_hits_control_tfds",
)
C, G, A_MINOR, F = 1, 8, 22, 6  # as they are numbered in magenta's tensors; 0 is no chord


def with_chords(sequence, *symbols):
    """Chords at quarters, in a song of 120 quarters a minute."""
    for quarter, figure in symbols:
        kind = sequence.TextAnnotation.CHORD_SYMBOL
        sequence.text_annotations.add(time=quarter / 2, text=figure, annotation_type=kind)
    return sequence


def arpeggios(*triads):
    """A bar of each triad, in eighths."""
    pitches = [triad[i % 3] for triad in triads for i in range(8)]
    return melody([(i / 2, i / 2 + 0.5, pitch) for i, pitch in enumerate(pitches)])


def score_of(sequence, config=CHORDS):
    return WindowConverter(config).score(Song("song", sequence))


def windows_of(sequence, config=CHORDS, **kwargs):
    return WindowConverter(config).windows(score_of(sequence, config), **kwargs)


def in_runs(controls):
    """(first step, chord) of each chord in a window."""
    events = controls.argmax(-1)
    starts = [0, *(np.flatnonzero(np.diff(events)) + 1)]
    return [(int(at), int(events[at])) for at in starts]


def test_chords_of_the_file_are_those_of_each_window():
    song = with_chords(melody(tune(4)), (0, "C"), (4, "G7"), (8, "Am"), (14, "Fmaj7"))
    first, second, third = windows_of(song)
    assert in_runs(first.controls[0]) == [(0, C), (16, G)]
    assert in_runs(second.controls[0]) == [(0, G), (16, A_MINOR)]
    assert in_runs(third.controls[0]) == [(0, A_MINOR), (24, F)]
    assert score_of(song).remarks == ()


def test_windows_with_chords_are_magentas():
    song = with_chords(melody(tune(2)), (0, "C"), (4, "G"))
    converter = copy.deepcopy(configs.CONFIG_MAP[CHORDS].data_converter)
    expected = converter.to_tensors(copy.deepcopy(song))
    (window,) = windows_of(song)
    np.testing.assert_array_equal(window.inputs[0], expected.inputs[0])
    np.testing.assert_array_equal(window.controls[0], expected.controls[0])


def test_chords_that_a_file_has_not_are_inferred_from_all_of_it():
    c, g, a_minor, f = (60, 64, 67), (59, 62, 67), (60, 64, 69), (60, 65, 69)
    song = arpeggios(c, g, a_minor, f)
    assert score_of(song).remarks == ("chords inferred from its notes",)
    found = [in_runs(window.controls[0]) for window in windows_of(song)]
    assert found == [[(0, C), (16, G)], [(0, G), (16, A_MINOR)], [(0, A_MINOR), (16, F)]]


def test_chords_move_with_the_melody():
    (window,) = windows_of(with_chords(melody(tune(2)), (0, "C"), (4, "N.C.")), transpositions=(-2, 0, 3))
    assert [in_runs(controls) for controls in window.controls] == [
        [(0, C + 10), (16, 0)],
        [(0, C), (16, 0)],
        [(0, C + 3), (16, 0)],
    ]
    moved = [inputs[:, 2:].argmax(-1)[inputs[:, 2:].any(-1)] for inputs in window.inputs]
    assert (moved[0] + 2 == moved[1]).all()
    assert (moved[2] - 3 == moved[1]).all()


def test_before_the_first_chord_and_where_a_chord_has_no_triad_is_no_chord():
    (window,) = windows_of(with_chords(melody(tune(2)), (2, "C"), (4, "Gsus4"), (6, "C" + "b" * 100000)))
    assert in_runs(window.controls[0]) == [(0, 0), (8, C), (16, 0)]


def test_bars_that_come_again_have_their_chords_again():
    song = with_chords(melody(tune(6)[:20], time_signature=(3, 4)), (0, "C"), (3, "G"))
    window = windows_of(song)[0]
    assert in_runs(window.controls[0])[:3] == [(0, C), (12, G), (24, C)]


def test_two_chords_in_one_step_are_the_later_one():
    (window,) = windows_of(with_chords(melody(tune(2)), (0, "C"), (4, "G"), (4.01, "F")))
    assert in_runs(window.controls[0]) == [(0, C), (16, F)]


def test_files_with_chords_are_read_with_them(tmp_path):
    path = tmp_path / "song.abc"
    path.write_text('X:1\nM:4/4\nL:1/4\nK:C\n"C"CDEF|"G"GABc|\n')
    (song,) = examples.read(str(path))
    assert WindowConverter(CHORDS).score(song).chords == (Chord(0, "C"), Chord(4, "G"))


def test_a_song_too_long_for_inference_is_told_why():
    score = score_of(melody([(i * 4, i * 4 + 4, 60 + i % 2) for i in range(600)]))
    assert score.tracks == ()
    assert "chords cannot be inferred" in score.remarks[-1]


def test_chords_are_spread_evenly_over_a_window():
    controls = WindowConverter(CHORDS).controls_of_chords(chords.parse("C G Am F"))
    assert controls.shape == (1, 32, 49)
    assert in_runs(controls[0]) == [(0, C), (8, G), (16, A_MINOR), (24, F)]
    assert "8 at most" in one_line(WindowConverter(CHORDS).controls_of_chords, ["C"] * 9)


def test_a_performance_has_one_chord_and_outputs_take_turns():
    converter = WindowConverter(PERFORMANCE)
    controls = converter.controls_of_chords(["C", "Am"])
    assert controls.shape == (2, 512, 49)
    assert controls.sum(-1).tolist() == [[1] * 512] * 2
    (starts, others) = controls[1, ::64].argmax(-1), np.delete(controls[1], range(0, 512, 64), 0).argmax(-1)
    assert set(starts) == {0}
    assert set(others) == {A_MINOR}


def test_a_performance_over_chords_is_read_and_written():
    """Two chords in a bar: each event has the one that sounds; without drums and a second instrument there is none."""
    windows = windows_of(with_chords(drum_and_band(4), (0, "C"), (2, "F"), (4, "G")), PERFORMANCE)
    assert [window.first_bar for window in windows] == [0, 1, 2, 3]
    assert set(windows[0].controls[0].argmax(-1)) == {0, C, F}
    assert set(windows[1].controls[0].argmax(-1)) == {0, G}
    (again,) = WindowConverter(PERFORMANCE).to_note_sequences([windows[0].outputs])
    assert {n.is_drum for n in again.notes} == {True, False}
    assert windows_of(with_chords(melody(tune(4)), (0, "C")), PERFORMANCE) == []


@pytest.mark.parametrize("text", ["", "C Hm", "Csus4", "C | G"])
def test_what_is_no_chord_is_refused(text):
    assert one_line(chords.parse, text).startswith("chords=%s: expected chords, such as" % text)


def test_hits_are_those_that_are_played():
    (window,) = windows_of(groove(2), HITS)
    np.testing.assert_array_equal(window.controls[0], window.outputs[:, :9].astype(bool))


def markers_in(path):
    """(seconds, text) of each marker, as a sequencer reads them."""
    return [(at, event.text) for at, event in timed(mido.MidiFile(path)) if event.type == "marker"]


def timed(midi):
    at = 0.0
    for event in midi:  # all tracks together, with seconds since the event before
        at += event.time
        yield at, event


def chords_of(sequence):
    return [(one.time, one.text) for one in sequence.text_annotations]


def test_what_is_decoded_over_chords_names_them():
    """At its tempo; in 3/4, as far as its bars go. Nothing else has any."""
    converter = WindowConverter(CHORDS)
    (window,) = windows_of(with_chords(melody(tune(2)), (0, "C"), (4, "F#m7"), (6, "Gdim")))
    controls = [window.controls[0]]
    (made,) = converter.to_note_sequences([window.outputs], Style(qpm=90), controls=controls)
    assert chords_of(made) == [
        (0.0, "C"),
        (pytest.approx(4 * 60 / 90), "F#m"),
        (pytest.approx(6 * 60 / 90), "Gdim"),
    ]
    (waltz,) = converter.to_note_sequences([window.outputs], Style(time_signature="3/4"), controls=controls)
    assert waltz.total_time == 3
    assert chords_of(waltz) == [(0.0, "C"), (2.0, "F#m")]
    assert chords_of(converter.to_note_sequences([window.outputs])[0]) == []
    (hits,) = windows_of(groove(2), HITS)
    (played,) = WindowConverter(HITS).to_note_sequences([hits.outputs], controls=[hits.controls[0]])
    assert chords_of(played) == []


def test_chords_of_a_performance_begin_with_their_first_event():
    song = with_chords(drum_and_band(1), (0, "C"), (2, "F"))
    (window,) = windows_of(song, PERFORMANCE)
    converter = WindowConverter(PERFORMANCE)
    (made,) = converter.to_note_sequences([window.outputs], Style(qpm=60), controls=[window.controls[0]])
    first_after = min(n.start_time for n in made.notes if n.start_time >= 2)
    assert chords_of(made) == [(0.0, "C"), (pytest.approx(first_after, abs=0.5), "F")]
    (only,) = converter.controls_of_chords(["Am"])
    assert chords_of(converter.to_note_sequences([window.outputs], controls=[only])[0]) == [(0.0, "Am")]
    nameless = np.roll(
        window.outputs, -1, axis=0
    )  # events without their instruments' programs, at which no chord stands
    assert chords_of(converter.to_note_sequences([nameless], controls=[only])[0]) == [(0.0, "Am")]
    silent = np.zeros_like(window.outputs)
    silent[:, -1] = 1  # each instrument ends at once
    assert chords_of(converter.to_note_sequences([silent], controls=[only])[0]) == []


_RUNS = {}


@pytest.fixture
def runs(cut_down, tmp_path_factory):
    """Folder and song of a training with chords and of one with hits, made once."""
    for name, song in () if _RUNS else ((CHORDS, melody(tune(6))), (HITS, groove(6))):
        folder = tmp_path_factory.mktemp("controlled")
        path = write_midi(song, folder / "song.mid")
        how = {"pretrained_path": cut_down[name], "num_steps": 3, "hparams": layers(8)}
        train(folder / "run", path, "lc-" + name, **how)
        _RUNS[name] = str(folder / "run"), path
    return _RUNS


def test_generation_says_how_to_give_chords_and_hits(runs, tmp_path):
    for name, said in ((CHORDS, 'chords="C G Am F"'), (HITS, "control_midi, a music file whose drums say")):
        assert said in one_line(generate, "sample", runs[name][0], str(tmp_path / "out"), num_outputs=2)
    refused = one_line(generate, "sample", runs[HITS][0], str(tmp_path / "out"), chords="C G")
    assert refused == "chords: this config is not controlled by chords; leave it out"
    refused = one_line(generate, "compose", runs[CHORDS][0], str(tmp_path / "out"))
    assert (
        refused
        == "mode=compose: %s decodes with chords, which this mode has none of; give another mode, such as sample"
        % CHORDS
    )
    refused = one_line(generate, "play", runs[CHORDS][0], str(tmp_path / "out"))
    assert refused.startswith("mode=play: %s decodes with chords, which this mode has none of" % CHORDS)
    both = {"chords": "C", "control_midi": runs[CHORDS][1]}
    assert one_line(generate, "sample", runs[CHORDS][0], **both) == "give either chords or control_midi"


def test_what_has_its_own_programs_takes_no_other(runs, tmp_path):
    refused = one_line(generate, "sample", runs[HITS][0], str(tmp_path), program=40, control_midi=runs[HITS][1])
    assert refused == "program=40: what lc-%s makes has its own programs; leave it out" % HITS


def inferred_in(path):
    """(seconds, triad) of each change in a song at 120 quarters a minute."""
    triads = note_seq.TriadChordOneHotEncoding()
    found = [
        (chord.start / 2, triads.decode_event(triads.encode_event(chord.figure)))
        for chord in WindowConverter(CHORDS).score(next(examples.read(path))).chords
    ]
    return [chord for before, chord in zip([(0, None), *found], found) if before[1] != chord[1]]


def test_each_mode_takes_chords_from_the_flag_or_the_input(runs, tmp_path):
    run, song = runs[CHORDS]
    given = {"interpolate": {"input_midi_1": song, "input_midi_2": song}, "similar": {"input_midi_1": song}}
    for mode in ("interpolate", "similar"):
        assert len(generate(mode, run, str(tmp_path / mode), num_outputs=2, seed=1, **given[mode])) == 3
    again = generate("reconstruct", run, str(tmp_path / "again"), input_midi_1=song)
    assert len(again) == 2
    assert len(generate("walk", run, str(tmp_path / "walk"), num_outputs=2, seed=1, chords="C G")) >= 3
    chosen = generate("sample", run, str(tmp_path / "sample"), num_outputs=2, seed=1, chords="C G")
    assert len(chosen) == 3
    taken = generate("sample", run, str(tmp_path / "of_a_file"), num_outputs=2, seed=1, control_midi=song)
    assert len(taken) == 3
    assert markers_in(chosen[0]) == markers_in(chosen[1]) == [(0.0, "C"), (pytest.approx(2, abs=1e-3), "G")]
    assert markers_in(again[0]) == [(pytest.approx(at, abs=1e-3), text) for at, text in inferred_in(song)]
    recorded = [index.read(str(tmp_path / name))[0][0] for name in ("sample", "of_a_file", "again")]
    assert [run.chords for run in recorded] == ["C G", None, None]
    assert [run.control_midi for run in recorded] == [None, os.path.basename(song), None]


def test_outputs_with_different_chords_are_each_as_if_alone(runs):
    with lc_music_vae.TrainedModel(runs[CHORDS][0], seed=3) as model:
        both = np.concatenate([model.converter.controls_of_chords([figure]) for figure in ("C", "F#m")])
        where = np.zeros((4, model.encoded_z_size))
        together = model.decode(where, 1e-6, both)
        alone = [model.decode(where[:1], 1e-6, controls)[0] for controls in both]
    notes = [[(n.start_time, n.pitch) for n in sequence.notes] for sequence in [*together, *alone]]
    assert notes[0] == notes[2] == notes[4]
    assert notes[1] == notes[3] == notes[5]
    assert notes[0] != notes[1]


def test_hits_of_a_file_are_the_hits_of_what_is_decoded_with(runs, tmp_path):
    """The network is random; that the hits reach it is seen by what other hits change."""
    other = write_midi(drum_beat(2), tmp_path / "other.mid")
    made = [
        generate(
            "sample", runs[HITS][0], str(tmp_path / str(i)), num_outputs=1, seed=1, temperature=1e-3, control_midi=path
        )
        for i, path in enumerate([other, other, runs[HITS][1]])
    ]
    read = [
        [(n.start_time, n.pitch, n.velocity) for n in next(examples.read(paths[0])).note_sequence.notes]
        for paths in made
    ]
    assert read[0] == read[1] != []
    assert read[2] != read[0]


def test_a_config_without_controls_refuses_them(cut_down, tmp_path):
    song = write_midi(drum_beat(4), tmp_path / "song.mid")
    name = "cat-drums_2bar_small"
    train(tmp_path / "run", song, "lc-" + name, pretrained_path=cut_down[name], num_steps=2, hparams=layers(8))
    said = "=%s: cat-drums_2bar_small decodes with no chords or hits; leave it out"
    assert one_line(generate, "sample", str(tmp_path / "run"), chords="C") == "chords" + said % "C"
    assert one_line(generate, "sample", str(tmp_path / "run"), control_midi=song) == "control_midi" + said % song
