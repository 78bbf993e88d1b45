"""The drum model that ships: what it gives back, and a model of one's own over it, without network."""

import glob
import os

import note_seq
import numpy as np
import pytest
from helpers import drum_sequence, write_midi

import lc_music_vae
from lc_music_vae import CONFIG_MAP
from lc_music_vae.checkpoints import finding
from lc_music_vae.data import Song, WindowConverter
from tools.base_model import drum_figures, drum_grooves, drum_styles, drums, evaluate, models
from tools.base_model.drum_rolls import KICK, SNARE, rolls

CONFIG = "lc-cat-drums_2bar_small"


def windows_of(sequence):
    converter = WindowConverter("cat-drums_2bar_small")
    return [np.argmax(window.outputs, 1) for window in converter.windows(converter.score(Song("song", sequence)))]


def nearest(some, song):
    """F1 of the hits of each of some windows with the window of the song that is most like it."""
    return [max(drum_figures.right(theirs[None], ours[None])["hits"] for theirs in song) for ours in some]


@pytest.fixture(scope="module")
def model():
    path = os.path.join(finding.SHIPPED, CONFIG_MAP[CONFIG].shipped[0].file)
    return evaluate.Model(models.DRUMS, path)


@pytest.fixture(scope="module")
def song():
    """Sixteen bars of a style that nothing was trained on, a little varied."""
    rng = np.random.RandomState(7)
    style = {drum: lines[:1] for drum, lines in drum_styles.STYLES["one_drop"].items()}
    made = drums.of_style(style, 8, rng)
    made[3::4] = drums.filled(made[3::4], rng)
    made[::4] = drums.crashed(made[::4], rng)
    return drums.classes(made)


@pytest.mark.slow
def test_grooves_that_every_drummer_knows_come_back(model):
    found = model.given_back(drum_grooves.windows())
    assert found["hits"] > 0.9
    assert found["whole"] >= 0.5


@pytest.mark.slow
def test_samples_of_its_prior_are_drumming(model):
    samples = rolls(model.samples(256))
    assert 8 < samples.sum((1, 2)).mean() < 40
    in_bar = samples.reshape(-1, 16, 9).mean(0)
    assert in_bar[:, KICK].argmax() == 0
    assert in_bar[::4, [KICK, SNARE]].mean() > 2 * in_bar[1::2, [KICK, SNARE]].mean()


@pytest.mark.slow
def test_a_model_of_ones_own_plays_the_songs_groove_and_the_commands_need_no_checkpoint(script, song, model, tmp_path):
    path = write_midi(drum_sequence(song), tmp_path / "one_drop.mid")
    other = write_midi(drum_sequence(drum_grooves.windows()[:1]), tmp_path / "rock.mid")
    run = "--run_dir=%s" % (tmp_path / "run")
    flags = ["--config=" + CONFIG, "--examples_path=" + path, run]
    status, _, err = script("midime_train", *flags)
    assert status == 0, err
    with lc_music_vae.TrainedModel(str(tmp_path / "run")) as mine:
        samples = [windows_of(sequence)[0] for sequence in mine.sample(32, copies="allow")]
    prior = [window for window in model.samples(64) if window.any()]
    theirs = windows_of(drum_sequence(song))
    assert np.mean(nearest(samples, theirs)) > np.mean(nearest(prior, theirs)) + 0.2
    kicks = rolls(np.array(samples))[:, :, KICK].mean(0)
    assert kicks[[8, 24]].mean() > 0.5  # on three
    assert np.delete(kicks, [0, 8, 16, 24]).max() < 0.1

    out = str(tmp_path / "out")
    inputs = ["--input_midi_1=" + path, "--input_midi_2=" + other, "--num_outputs=3"]
    status, _, err = script("midime_generate", run, "--mode=interpolate", "--output_dir=" + out, *inputs)
    assert status == 0, err
    first, _, last = (
        windows_of(note_seq.midi_file_to_note_sequence(file))[0]
        for file in sorted(glob.glob(os.path.join(out, "*.mid")))
    )
    assert nearest([first], theirs)[0] > nearest([last], theirs)[0]
    assert nearest([last], drum_grooves.windows()[:1])[0] > 0.8
