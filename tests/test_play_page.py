"""The page in which a trained model plays: what Python puts into it. `tests/system/test_play.py` plays it."""

import base64
import json
import os
import re

import numpy as np
import pytest
from helpers import SMALL, Reader, generate, one_line, train

from lc_music_vae.checkpoints import model_files
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.data import TICKS_PER_QUARTER, notes_of
from lc_music_vae.models import points
from lc_music_vae.options import ModelSource
from lc_music_vae.showing import play_page
from lc_music_vae.trained_model import TrainedModel

HOSTILE = '</script><script>alert("x")</script> & <!-- \u2028 @@WEIGHTS@@'


def found_in(run_dir):
    return model_files.find(ModelSource(run_dir=run_dir))


def read(path):
    """Returns the page's text, its model, and its tensors by name."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    model, packed, *_ = Reader(text).scripts
    model, content = json.loads(model), base64.b64decode(packed)
    tensors = {}
    for name, shape, unit in model["tensors"]:
        size = int(np.prod(shape))
        upper = np.frombuffer(content[: 2 * size], "<i2").astype(int)
        halves = np.frombuffer(content[2 * size : 2 * size + (size + 1) // 2], np.uint8)
        lower = np.stack([halves & 15, halves >> 4], 1).ravel()[:size]
        tensors[name] = (unit * (16 * upper + lower)).reshape(shape)
        content = content[2 * size + (size + 1) // 2 :]
    assert not content
    return text, model, tensors


def test_the_page_holds_both_decoders_to_20_bits_in_less_than_6_mb(trained):
    path = os.path.join(trained, play_page.PLAY)  # training has written it
    assert os.path.getsize(path) < 6e6
    _, _, tensors = read(path)
    found = found_in(trained)
    for checkpoint, scope in ((found.small, "latent_decoder/"), (found.pretrained, "decoder/")):
        weights = Weights(checkpoint)
        names = [n for n in weights.shapes if n.startswith(scope) and "log_variance" not in n]
        assert len(names) >= 8
        for name in names:
            expected = weights.get(name)
            np.testing.assert_allclose(tensors[name], expected, rtol=0, atol=np.abs(expected).max() * 2**-19)


def test_the_map_is_where_the_model_hears_the_songs(trained, model):
    _, page, _ = read(os.path.join(trained, play_page.PLAY))
    assert [window["bar"] for window in page["windows"]][:3] == [1, 2, 3]
    assert np.mean([window["point"] for window in page["windows"]], 0) == pytest.approx(model.center, abs=1e-3)
    np.testing.assert_allclose(np.array(page["axes"]) @ np.transpose(page["axes"]), np.eye(2), atol=1e-3)


def test_the_draws_it_leans_to_spread_like_the_broad_part(trained, model):
    _, page, tensors = read(os.path.join(trained, play_page.PLAY))
    draws, _ = model._broad_part().sample(np.random.RandomState(5).standard_normal((2000, 257)))
    kept = tensors["broad_away"] + tensors["broad_mean"][page["broad"]["of"]]
    assert np.linalg.norm(kept.mean(0) - draws.mean(0)) < 0.15 * np.linalg.norm(draws.std(0))
    assert kept.std(0).mean() == pytest.approx(draws.std(0).mean(), rel=0.05)


def test_it_names_no_song_and_no_address(trained):
    text, page, _ = read(os.path.join(trained, play_page.PLAY))
    assert "ode_to_joy" not in text
    assert trained not in text
    assert set(re.findall(r"https?://[^\"'` ]+", text)) == {"http://www.w3.org/2000/svg"}
    names = [name for name, _ in Reader(text).attributes]
    assert "src" not in names
    assert [value for name, value in Reader(text).attributes if name == "href"] == ["data:,"]
    assert page["config"] == SMALL


def test_no_text_of_a_model_becomes_markup(trained, tmp_path):
    before = len(Reader(read(os.path.join(trained, play_page.PLAY))[0]).scripts)
    text, page, _ = read(play_page.write_live(str(tmp_path), found_in(trained)._replace(config=HOSTILE)))
    assert page["config"] == HOSTILE
    assert len(Reader(text).scripts) == before
    assert "<script>alert" not in text


def test_a_model_that_does_not_fit_is_a_grid_of_what_it_decodes(trained, tmp_path):
    assert play_page.write_live(str(tmp_path), found_in(trained), max_page_mb=1) is None
    _, page, tensors = read(play_page.write(str(tmp_path), found_in(trained), max_page_mb=1))
    assert not tensors
    where = points.prior_samples(len(page["grid"]), 4, 0)
    np.testing.assert_allclose([one["point"] for one in page["grid"]], where, atol=1e-3)
    with TrainedModel(trained) as model:
        decoded = model.decode(where)
    for one, sequence in zip(page["grid"], decoded):
        notes = [[start, end, pitch] for start, end, pitch, _ in one["notes"]]
        np.testing.assert_allclose(notes, notes_of(sequence) / [TICKS_PER_QUARTER, TICKS_PER_QUARTER, 1])


@pytest.mark.parametrize("name", ["hierdec-mel_16bar", "cat-mel_2bar_big"])
def test_which_decoders_are_live(name, cut_down, tmp_path):
    run = str(tmp_path / "run")
    train(run, config="lc-" + name, pretrained_path=cut_down[name], num_steps=2)
    path = os.path.join(run, play_page.PLAY)
    assert os.path.exists(path) == (name == "cat-mel_2bar_big")
    (written,) = generate("play", run)
    assert written == path
    assert ("grid" in read(path)[1]) == (name != "cat-mel_2bar_big")


def test_a_bundle_alone_gives_the_page_without_the_songs(trained, tmp_path):
    bundle = os.path.join(trained, SMALL + ".tar")
    (path,) = generate("play", None, str(tmp_path), checkpoint_file=bundle, qpm=90.0, program=73)
    _, page, tensors = read(path)
    assert page["windows"] == []
    assert (page["qpm"], page["program"]) == (90, 73)
    assert len(tensors["broad_away"]) == len(page["broad"]["of"])  # what the bundle says of its songs
    assert path == str(tmp_path / play_page.PLAY)


def test_a_page_of_somebody_elses_stays_and_costs_no_training(tmp_path, caplog):
    other = tmp_path / play_page.PLAY
    other.write_text("<p>mine")
    bundle = train(tmp_path, num_steps=2)
    assert os.path.isfile(bundle)
    assert other.read_text() == "<p>mine"
    assert "there is no page to play the model in: %s: not a page" % other in caplog.text
    assert str(other) in one_line(generate, "play", str(tmp_path))
