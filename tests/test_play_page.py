"""The page that plays a model, as Python writes it; tests/system/test_play.py opens it in a browser."""

import base64
import json
import os
import re

import numpy as np
import pytest
from helpers import AWKWARD, EXAMPLE, SMALL, Reader, generate, melody, one_line, train, tune, write_midi

from lc_music_vae import base_model
from lc_music_vae.checkpoints import finding, model_files, songs_npz
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.errors import printable
from lc_music_vae.models import music_vae
from lc_music_vae.models.knobs import Knobs
from lc_music_vae.options import ModelSource
from lc_music_vae.showing import page, play_model, play_page


def unpacked(packed):
    """Arrays as decoder.js reads them."""
    content, arrays = base64.b64decode(packed["text"]), {}
    for one in packed["layout"]:
        rows, count = one["shape"][0], int(np.prod(one["shape"]))
        assert one["at"] % 4 == 0
        arrays[one["name"]] = numbers = np.frombuffer(content, "<f4", rows, one["at"])
        if len(one["shape"]) == 2:
            whole = np.frombuffer(content, "<i2", count, one["at"] + 4 * rows).reshape(one["shape"])
            arrays[one["name"]] = whole * numbers[:, np.newaxis]
    return arrays


def read(path):
    """The data of a page, its packed weights and its code."""
    with open(str(path), encoding="utf-8") as f:
        text = f.read()
    data, weights, worker, code = Reader(text).scripts
    content = json.loads(data)
    return content, {"text": weights, "layout": content.get("layout", [])}, worker, code


def test_weights_are_rounded_by_no_more_than_is_said():
    rng = np.random.RandomState(0)
    given = {
        "odd": rng.standard_normal([7, 3]) * np.logspace(-4, 3, 7)[:, np.newaxis],
        "bias": rng.standard_normal(5).astype(np.float32),
        "zero": np.zeros([2, 2]),
        "after": rng.standard_normal([2, 9]),
    }
    found = unpacked(play_model.pack(given)._asdict())
    assert list(found) == list(given)
    np.testing.assert_array_equal(found["bias"], given["bias"])
    np.testing.assert_array_equal(found["zero"], 0)
    for name in ("odd", "after"):
        largest = np.abs(given[name]).max(1, keepdims=True)
        assert (np.abs(found[name] - given[name]) <= largest * (1 / 65534 + 1e-6)).all()


def test_the_factor_of_the_broad_part_gives_the_covariances_of_all_its_gaussians():
    rng = np.random.RandomState(1)
    of = base_model.moments(rng.standard_normal([9, 24]) + 1, rng.uniform(0.1, 0.5, [9, 24]))
    arrays, facts = play_model.broad_part(of)
    assert arrays["broad/factor"].shape == (24, 8)  # nine windows span eight directions around their mean
    n = facts["windows"]
    prior = base_model.BroadPart(of)
    assert len(facts["pseudo"]) == len(prior._factors)
    for (a, b), center, factor in zip(facts["pseudo"], prior._means, prior._factors):
        s = arrays["broad/factor"] @ arrays["broad/factor"].T
        away = a / (n + a) * arrays["broad/mean"]
        covariance = n / (n + b) * (s + np.outer(away, away) + np.diag(arrays["broad/variance"] + b / n))
        np.testing.assert_allclose(covariance, factor @ factor.T, atol=1e-9)
        np.testing.assert_allclose(n / (n + a) * arrays["broad/mean"], center)


def test_training_writes_a_page_of_a_few_megabytes_that_asks_for_nothing(trained):
    path = os.path.join(trained, play_page.PAGE)
    assert os.path.getsize(path) < 6e6
    content, packed, worker, code = read(path)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    without = text.replace(packed["text"], "").replace("http://www.w3.org/2000/svg", "")
    for fetched in (
        "http:",
        "https:",
        "//cdn",
        "@import",
        "url(",
        "fetch(",
        "import(",
        "XMLHttp",
        "innerHTML",
        "eval(",
    ):
        assert fetched not in without, fetched
    assert not [value for key, value in Reader(text).attributes if key in ("src", "href")]
    assert "@" not in re.sub(r"@media", "", text.replace(packed["text"], ""))  # every part is filled in
    assert "class Model" in worker
    assert code.count("const VOICES") == 1
    assert os.path.dirname(EXAMPLE) not in text
    assert trained not in text
    assert content["songs"] == ["ode_to_joy.mid"]
    assert content["about"] == "A model of %s, trained on ode_to_joy.mid." % SMALL
    bars = {tuple(window["bars"]) for window in content["windows"]}
    assert (1, 2) in bars
    assert len(bars) == len(content["windows"]) == 11


def test_the_pages_weights_are_the_models(trained, model):
    found = model_files.find(ModelSource(run_dir=trained))
    arrays = unpacked(read(os.path.join(trained, play_page.PAGE))[1])
    weights = Weights(found.pretrained)
    kernel = weights.get("decoder/multi_rnn_cell/cell_0/lstm_cell/kernel")
    parts = [arrays["notes/0/event"], arrays["notes/0/embedding"].T, arrays["notes/0/state"].T]
    np.testing.assert_allclose(np.concatenate(parts), kernel, atol=1e-4)
    x = point = model.center
    for layer in range(3):
        x = np.maximum(0, arrays["small%d/kernel" % layer] @ x + arrays["small%d/bias" % layer])
    z = arrays["small/kernel"] @ x + arrays["small/bias"]
    np.testing.assert_allclose(z, model.small.decode(point[np.newaxis])[0], atol=2e-3)


def lstm(arrays, name, embedding):
    """Steps of an LSTM, as decoder.js has it: given the first layer's gates, what the last one gives."""
    start = np.tanh(arrays[name + "/start/kernel"] @ embedding + arrays[name + "/start/bias"])
    layers = sum(re.match(name + r"/\d+/state", key) is not None for key in arrays)
    states = np.split(start, 2 * layers)  # c and h of each layer

    def step(gates):
        for layer in range(layers):
            of = "%s/%d/" % (name, layer)
            if layer:
                gates = arrays[of + "below"] @ states[2 * layer - 1] + arrays[of + "bias"]
            i, j, f, o = np.split(gates + arrays[of + "state"] @ states[2 * layer + 1], 4)
            states[2 * layer] = states[2 * layer] / (1 + np.exp(-f - 1)) + np.tanh(j) / (1 + np.exp(-i))
            states[2 * layer + 1] = np.tanh(states[2 * layer]) / (1 + np.exp(-o))
        return states[-1]

    return step


@pytest.mark.parametrize(
    "name",
    [
        "cat-mel_2bar_big",
        "cat-drums_2bar_small",
        "hierdec-mel_16bar",
        pytest.param("hier-mel_16bar", marks=pytest.mark.every),
    ],
)
def test_a_decoder_of_one_or_two_levels_decodes_on_the_page_as_in_tensorflow(name, cut_down):
    assert play_model.is_live(name)
    weights = Weights(finding.find(cut_down[name], "--pretrained_path"))
    arrays = play_model.decoder(weights)  # not rounded: small random networks often hardly prefer an event
    z = np.random.RandomState(8).standard_normal([3, music_vae.z_size(name)]).astype(np.float32)
    expected = music_vae.Decoder(name, weights, 3).decode(z, 1e-6, np.zeros([3, 1], int)).argmax(-1)
    assert len(np.unique(expected)) > 4
    parts, steps = play_model.parts(name), expected.shape[1]
    for one, of_tensorflow in zip(z, expected):
        embeddings, events = [one], []
        if parts > 1:
            over = lstm(arrays, "parts", one)
            embeddings = [over(arrays["parts/0/bias"]) for _ in range(parts)]
        for embedding in embeddings:
            within = lstm(arrays, "notes", embedding)
            gates = arrays["notes/0/embedding"] @ embedding + arrays["notes/0/bias"]
            for _ in range(steps // parts):
                before = arrays["notes/0/event"][events[-1]] if events else 0
                events.append(np.argmax(arrays["notes/out/kernel"] @ within(gates + before) + arrays["notes/out/bias"]))
        np.testing.assert_array_equal(events, of_tensorflow)


@pytest.mark.parametrize(
    "name", ["hierdec-trio_16bar", "nade-drums_2bar_reduced", "groovae_2bar_humanize", "hier-multiperf_vel_1bar_big"]
)
def test_what_is_neither_melody_nor_drums_of_one_decoder_is_not_decoded_on_the_page(name):
    assert not play_model.is_live(name)


def test_named_knobs_turn_and_read_z_as_the_models_do(trained, model):
    content, packed, _, _ = read(os.path.join(trained, play_page.PAGE))
    arrays = unpacked(packed)
    assert [one["name"] for one in content["named"]] == list(model.knobs.names) != []
    z = model.small.decode(np.random.RandomState(4).standard_normal([5, model.encoded_z_size]))
    np.testing.assert_allclose(z @ arrays["knobs/slope"].T + arrays["knobs/bias"], model.knobs.read(z), atol=2e-3)
    for i, knob in enumerate(model.knobs):
        np.testing.assert_allclose(arrays["knobs/move"][:, i], model.knobs.shift({knob.name: 1}), atol=1e-4)
        assert (content["named"][i]["mean"], content["named"][i]["scale"]) == (knob.mean, knob.scale)


def test_a_low_song_sounds_low_and_its_register_is_said_so(trained, model, tmp_path):
    """MusicVAE has the notes an octave higher, and measured knobs there; a measure of a later version has no unit."""
    playable = play_page.of_trained(model, model_files.find(ModelSource(run_dir=trained)))
    plain = next(knob for knob in playable.knobs if knob.name == "register")
    knobs = Knobs([plain, plain._replace(name="novelty", slope=plain.slope[::-1])], model.small.z_size)
    low = playable._replace(style=playable.style._replace(octaves=1), knobs=knobs)
    assert play_page.write(str(tmp_path / play_page.PAGE), low)
    content = read(tmp_path / play_page.PAGE)[0]
    usual = read(os.path.join(trained, play_page.PAGE))[0]["facts"]
    assert (content["facts"]["lowest"], content["facts"]["up"]) == (usual["lowest"] - 12, 12)
    register, novelty = content["named"]
    assert register["mean"] == pytest.approx(plain.mean - 12)
    assert (novelty["unit"], novelty["mean"]) == (None, plain.mean)


def test_text_that_ends_scripts_or_looks_like_a_part_stays_text():
    text = page.filled("<script>@A@</script><script>@B@</script>", {"A": page.in_script(AWKWARD), "B": '"@A@"'})
    first, second = Reader(text).scripts
    assert json.loads(first) == AWKWARD
    assert second == '"@A@"'


@pytest.mark.slow
def test_a_song_with_a_hostile_name_stays_in_its_string(tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    name = AWKWARD.replace("/", "") + ".mid"
    write_midi(melody(tune(4)), songs / name)
    train(tmp_path / "run", str(songs), num_steps=2)
    content, _, _, code = read(tmp_path / "run" / play_page.PAGE)
    assert content["songs"] == [printable(name)]
    assert code.strip().startswith("// ")


def test_a_bundle_knows_no_songs_and_has_knobs_all_the_same(trained, tmp_path):
    path = os.path.join(trained, SMALL + ".tar")
    written = generate("play", None, str(tmp_path), checkpoint_file=path)
    assert written == [str(tmp_path / play_page.PAGE)]
    content = read(written[0])[0]
    assert (content["songs"], content["windows"]) == ([], [])
    assert content["facts"]["broad"]["windows"] == 11
    of_run = read(os.path.join(trained, play_page.PAGE))[0]
    for known_to_both in ("key", "knobs", "named", "hashes"):
        assert content[known_to_both] == of_run[known_to_both]
    kept = songs_npz.find(model_files.find(ModelSource(checkpoint_file=path)).small).hashes
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(content["hashes"]), "<u8"), kept)


def test_a_decoder_that_is_too_large_leaves_its_bars_on_the_page(trained, tmp_path):
    (path,) = generate("play", trained, str(tmp_path), max_page_mb=3.0, qpm=90, program=40)
    content, packed, _, _ = read(path)
    assert (packed["text"], packed["layout"]) == ("", [])
    assert content["about"].endswith("this one holds 256 places, and plays the nearest.")
    assert (content["style"]["qpm"], content["style"]["program"]) == (90, 40)
    grid = content["grid"]
    assert len(grid["points"]) == len(grid["notes"]) == 256
    own = [window["point"] for window in content["windows"]]
    assert grid["points"][: len(own)] == own  # the songs' bars are there exactly
    for notes in grid["notes"]:
        assert all(0 <= start < end <= content["facts"]["played"] for start, end, _ in notes)
        assert all(end <= later for (_, end, _), (later, _, _) in zip(notes, notes[1:]))  # one at a time
    assert generate("play", trained, str(tmp_path), max_page_mb=3.0) == [path]  # its own page is replaced


def test_somebody_elses_page_stays(trained, tmp_path):
    (tmp_path / "play.html").write_text("<h1>my playground</h1>")
    error = one_line(generate, "play", trained, str(tmp_path))
    assert error.startswith("%s: not a page of generated files; " % (tmp_path / "play.html"))
    assert (tmp_path / "play.html").read_text() == "<h1>my playground</h1>"


@pytest.mark.slow
def test_a_page_that_cannot_be_written_loses_no_training(tmp_path, caplog):
    (tmp_path / "run").mkdir()
    train(tmp_path / "run", num_steps=2)
    page = tmp_path / "run" / "play.html"
    page.unlink()
    page.mkdir()
    bundle = train(tmp_path / "run", num_steps=4)
    assert os.path.isfile(bundle)
    assert [message for message in caplog.messages if message.startswith("there is no page that plays the model: ")]
