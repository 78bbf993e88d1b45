"""Each mode on a reel, a minuet and a jig: what is made is in its metre, and is the bars given where it should be."""

import json
import os

import numpy as np
import pytest
from helpers import REPO, SMALL, generate

import lc_music_vae
from lc_music_vae import data
from lc_music_vae.encoding.nearness import f1
from lc_music_vae.generation import bars
from lc_music_vae.music import examples
from lc_music_vae.music.metre import bars_and_metres
from lc_music_vae.music.tempo import TempoMap

pytestmark = pytest.mark.slow

TUNES = {  # time signature, and quarters in a bar
    "nottingham_reelsa-c12.mid": ((4, 4), 4.0),
    "minuet_in_g.mid": ((3, 4), 3.0),
    "nottingham_jigs10.mid": ((6, 8), 3.0),
}


def song(name):
    return os.path.join(REPO, "tests", "songs", name)


# Four quarters are what all other tests have.
@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.every if "reel" in name else []) for name in TUNES]
)
def tune(request, tmp_path_factory):
    """The name of a tune, and a model of it."""
    run_dir = str(tmp_path_factory.mktemp("metres"))
    lc_music_vae.train(SMALL, song(request.param), run_dir, num_steps=1000, seed=1)
    return request.param, run_dir


def made(mode, run_dir, folder, **given):
    """The notes of what a mode makes, at MusicVAE's tempo in ticks, in order; and the run in the index."""
    generate(mode, run_dir, output_dir=str(folder), **given)
    (run,) = json.loads((folder / "index.json").read_text())["runs"]
    read = [next(examples.read(str(folder / output["file"]))).note_sequence for output in run["outputs"]]
    return read, [data.notes_of(sequence) for sequence in read], run


MODES = {
    "sample": {"num_outputs": 4},
    "walk": {"num_outputs": 2},
    "similar": {"num_outputs": 4, "input_bars_1": "3-4"},
    "interpolate": {"num_outputs": 4, "input_bars_1": "3-4", "input_bars_2": "5-6"},
}


@pytest.mark.parametrize("mode", MODES)
def test_what_is_made_is_two_bars_of_the_songs_metre_on_its_sixteenths(mode, tune, tmp_path):
    name, run_dir = tune
    (numerator, denominator), quarters = TUNES[name]
    files = {
        flag: song(name) for flag in ("input_midi_1", "input_midi_2") if flag.replace("midi", "bars") in MODES[mode]
    }
    read, notes, _ = made(mode, run_dir, tmp_path, **MODES[mode], **files)
    assert len(read) >= 4
    for sequence, heard in zip(read, notes):
        assert [(s.numerator, s.denominator) for s in sequence.time_signatures] == [(numerator, denominator)]
        assert len(heard)
        assert heard[:, 1].max() <= 2 * quarters * data.TICKS_PER_QUARTER + 1
        assert (np.abs(heard[:, 0] - 6 * np.round(heard[:, 0] / 6)) <= 1).all()  # a file's clock rounds
        assert (heard[1:, 0] > heard[:-1, 0]).all()  # a melody


def test_the_bars_given_come_back_at_similarity_1_and_at_both_ends(tune, tmp_path):
    name, run_dir = tune
    cold = {"temperature": 0.001, "seed": 1}
    given = {"input_midi_1": song(name), "input_bars_1": "3-4"}
    _, variations, _ = made("similar", run_dir, tmp_path / "s", num_outputs=2, similarity=1, **given, **cold)
    ends = {"input_midi_2": song(name), "input_bars_2": "5-6"}
    _, way, run = made("interpolate", run_dir, tmp_path / "i", num_outputs=4, **given, **ends, **cold)
    assert [one["title"] for one in run["given"]] == ["bars 3-4 of " + name, "bars 5-6 of " + name]
    with lc_music_vae.TrainedModel(run_dir) as model:
        score = model.converter.score(next(examples.read(song(name))))
        windows = [model.converter.window(score, score.tracks[0], bar) for bar in (2, 4)]
        means, residuals = model.hear(windows)
        own = model.heard(model.decode(means, 0.001, residual=residuals))  # what MusicVAE hears
        octave = [0, 0, 12 * model.octaves]
    for heard, expected in ((variations[0], own[0]), (variations[1], own[0]), (way[0], own[0]), (way[-1], own[1])):
        assert f1([(heard + octave, expected)]) == 1
    assert f1([(windows[0].notes, own[0]), (windows[1].notes, own[1])]) > 0.6


def test_a_reconstruction_keeps_to_the_songs_bars_and_with_all_detail_to_its_notes(tune, tmp_path):
    name, run_dir = tune
    found = {}
    (whole,) = examples.read(song(name))
    (track,) = data.WindowConverter("cat-mel_2bar_small").score(whole).tracks
    ticks = data.TICKS_PER_QUARTER
    melody = np.round([(n.start * ticks, n.end * ticks, n.pitch) for n in track.notes]).astype(int)
    for detail in (0, 1):
        (again,), _, _ = made(
            "reconstruct", run_dir, tmp_path / str(detail), input_midi_1=song(name), detail=detail, temperature=0.001
        )
        lines = [bars_and_metres(s, TempoMap(s.tempos), 32)[0] for s in (again, whole.note_sequence)]
        np.testing.assert_allclose(*lines, atol=0.01)
        found[detail] = f1([(melody, data.notes_of(again))])
    assert found[1] > 0.9
    assert found[1] >= found[0] > 0.3


def test_the_bars_that_stand_for_a_tune_come_again_in_it(tune):
    """Their notes are played elsewhere in the tune as well, at least in part, more than those of most of its bars."""
    converter = data.WindowConverter("cat-mel_2bar_small")
    windows = converter.windows(converter.score(next(examples.read(song(tune[0])))))
    alike = np.array([[f1([(a.notes, b.notes)]) for b in windows] for a in windows]) @ [w.repeats for w in windows]
    assert alike[bars.most_typical(windows)] == pytest.approx(alike.max(), abs=1e-5)
    assert alike.max() > 1.05 * np.median(alike)
