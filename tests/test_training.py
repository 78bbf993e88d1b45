"""Latents, training and evaluation."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from helpers import (
    EXAMPLE,
    REPO,
    SMALL,
    WEIGHTS,
    drum_beat,
    layers,
    melody,
    run_process,
    state_of,
    train,
    tune,
    weights_at,
    write_midi,
)

import lc_music_vae
from lc_music_vae import base_model, data
from lc_music_vae.checkpoints import finding, shards
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.checkpoints.weights import ENCODER_SCOPE, Weights
from lc_music_vae.encoding import latents
from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams, from_json
from lc_music_vae.models import music_vae
from lc_music_vae.music import examples
from lc_music_vae.options import Reading, Training
from lc_music_vae.system import files
from lc_music_vae.training import estimator, summaries

pytestmark = pytest.mark.slow


def prepare(paths, folder, weights, workers=None, **made_with):
    """Returns the latents of songs, encoding only what is not in `folder` already."""
    values = {"music_vae": "cat-mel_2bar_small", "fingerprint": "print", "transpositions": (0,)}
    values.update({"melody_track": "auto", "metre": "any"}, **made_with)
    planned = latents.plan(shards.hashed(paths))
    return latents.complete(planned, folder, shards.MadeWith(**values), weights=weights, workers=workers)


@pytest.fixture(scope="module")
def shipped():
    return Weights(finding.shipped(WEIGHTS))


@pytest.fixture(scope="module")
def records(trained):
    return list(latents.read(run_dir_lib.at(trained).shards()))


def found_latents(run_dir):
    folder = run_dir_lib.at(str(run_dir))
    return latents.load(folder.kept(folder.read()))


def test_what_training_leaves_behind(trained, records):
    bundle = finding.find(os.path.join(trained, SMALL + ".tar"), "--checkpoint_file")
    run = files.read_json(os.path.join(trained, "run.json"))
    assert bundle.run == run
    with open(os.path.join(trained, "training.png"), "rb") as f:
        assert f.read(4) == b"\x89PNG"
    assert (run["config"], run["music_vae"], run["seed"], run["augment"]) == (SMALL, "cat-mel_2bar_small", 0, False)
    assert from_json(run["hparams"]) == HParams()
    assert run["examples"]["windows"] == 11
    names = set(Weights(bundle).shapes)
    assert all(name.startswith("latent_") for name in names)  # never MusicVAE's
    assert os.path.getsize(os.path.join(trained, SMALL + ".tar")) < 20e6
    assert not [n for n in os.listdir(os.path.join(trained, "train")) if n.endswith(".meta")]
    with open(os.path.join(trained, "train", "checkpoint")) as f:
        assert trained not in f.read()  # relative paths: the folder can be moved
    with open(os.path.join(trained, "examples.tsv")) as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    assert rows == [["path", "slices", "melody", "reason"], [EXAMPLE, "11", "0 (the only track)", ""]]
    assert [(r["first_bar"], r["repeats"]) for r in records][:5] == [(0, 2), (1, 4), (2, 1), (3, 1), (6, 3)]
    assert {r["song"] for r in records} == {EXAMPLE}


def test_latents_are_what_the_encoder_says(records, shipped):
    converter = data.WindowConverter("cat-mel_2bar_small")
    windows = converter.windows(converter.score(next(examples.read(EXAMPLE))))
    encoder = music_vae.Encoder("cat-mel_2bar_small", shipped)
    mean, scale = encoder.encode([w.inputs[0] for w in windows], [w.length for w in windows])
    encoder.close()
    np.testing.assert_array_equal(np.stack([r["mean"][0] for r in records]), mean)
    np.testing.assert_array_equal(np.stack([r["scale"][0] for r in records]), scale)


def test_same_training_distribution_as_with_the_encoder_in_the_loop(trained, records):
    """z drawn from stored latents over many steps against z of magenta's own q(z|x).sample(), as z-scores."""
    from magenta.models.music_vae import TrainedModel
    from magenta.models.music_vae.configs import CONFIG_MAP

    steps, n = 200, len(records)
    found = found_latents(trained)
    with tf.Graph().as_default(), tf.Session() as session:
        features = estimator.train_input_fn(found, n, 0)().make_one_shot_iterator().get_next()
        step = tf.placeholder(tf.int64, [])
        z = estimator.draw_z(features, 3, step)
        ours = np.stack([session.run(z, {step: s}) for s in range(steps)])
    converter = data.WindowConverter("cat-mel_2bar_small")
    windows = converter.windows(converter.score(next(examples.read(EXAMPLE))))
    prefix = Weights(finding.shipped(WEIGHTS))._prefix
    reference = TrainedModel(CONFIG_MAP["cat-mel_2bar_small"], batch_size=n, checkpoint_dir_or_path=prefix)
    theirs = np.stack([reference.encode_tensors([w.inputs[0] for w in windows], [32] * n)[0] for _ in range(steps)])
    mean = np.stack([r["mean"][0] for r in records])
    scale = np.stack([r["scale"][0] for r in records])
    for draws in (ours, theirs):
        scores = (draws - mean) / scale  # standard normal, if the draws are from q(z|x)
        assert abs(scores.mean()) < 0.01
        assert abs(scores.std() - 1) < 0.01
        assert abs(scores.mean(0)).max() < 5 / np.sqrt(steps)
        assert abs((np.abs(scores) > 1.959964).mean() - 0.05) < 0.002
    assert (
        abs(np.corrcoef(ours[0].ravel() - mean.ravel(), ours[1].ravel() - mean.ravel())[0, 1]) < 0.1
    )  # fresh each step


def test_draws_are_a_function_of_seed_and_step(trained):
    found = found_latents(trained)
    with tf.Graph().as_default(), tf.Session() as session:
        features = estimator.train_input_fn(found, 11, 0)().make_one_shot_iterator().get_next()
        draws = {
            (seed, step): estimator.draw_z(features, seed, tf.constant(step)) for seed in (1, 2) for step in (0, 7)
        }
        once, again = session.run(draws), session.run(draws)
    for key, value in once.items():
        np.testing.assert_array_equal(value, again[key])
    assert len({value.tobytes() for value in once.values()}) == 4


def test_it_learns(trained, records):
    """From posterior means, z of the song comes back far better than from the best constant.

    Measured on this song: the squared error is 2.3 times smaller.
    """
    z = np.stack([r["mean"][0] for r in records])
    constant = ((z - z.mean(0)) ** 2).sum(1).mean()
    with lc_music_vae.TrainedModel(trained) as model:
        mean, _ = model.encode(model_windows(model))
        again = model.small.decode(mean)
    assert constant / ((z - again) ** 2).sum(1).mean() > 1.8


def model_windows(model):
    converter = model.converter
    windows = converter.windows(converter.score(next(examples.read(EXAMPLE))))
    return converter.to_note_sequences([w.outputs for w in windows])


def test_eval_equals_numpy(trained, records, shipped, tmp_path):
    """The loss that eval reports, recomputed by NumPy from the checkpoint with the noise that eval draws."""
    result = lc_music_vae.evaluate(trained)
    weights = tf.train.NewCheckpointReader(tf.train.latest_checkpoint(os.path.join(trained, "train")))
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.constant(500, tf.int64)
        noise = session.run(
            [
                tf.random.stateless_normal([11, size], base_model.stateless_seed(0, stream, step))
                for stream, size in ((estimator._Z, 256), (estimator._Z_SMALL, 4))
            ]
        )
    z = np.stack([r["mean"][0] + r["scale"][0] * e for r, e in zip(records, noise[0])])

    def dense(x, name):
        return x @ weights.get_tensor(name + "/kernel") + weights.get_tensor(name + "/bias")

    x = z
    for i in range(3):
        x = np.maximum(dense(x, "latent_encoder/layer%d" % i), 0)
    mu, sigma = dense(x, "latent_encoder/mu"), np.log1p(np.exp(dense(x, "latent_encoder/sigma")))
    x = mu + sigma * noise[1]
    for i in range(3):
        x = np.maximum(dense(x, "latent_decoder/layer%d" % i), 0)
    v = np.clip(dense(x, "latent_decoder/log_variance"), -4, 1)
    reconstruction = ((dense(x, "latent_decoder/mu") - z) ** 2 * np.exp(-v) + v).sum(1).mean() / 2
    kl = ((sigma**2 + mu**2 - 1) / 2 - np.log(sigma)).sum(1).mean()
    np.testing.assert_allclose(result["reconstruction"], reconstruction, rtol=1e-4)
    np.testing.assert_allclose(result["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(result["loss"], reconstruction + kl, rtol=1e-4)
    assert result["global_step"] == 500


def test_scalars_for_tensorboard(trained, tmp_path):
    run_dir = shutil.copytree(trained, str(tmp_path / "run"))
    curves = summaries.read_scalars(os.path.join(run_dir, "train"))
    assert {"loss", "reconstruction", "kl", "beta", "learning_rate"} <= set(curves)
    assert len(curves["loss"]) >= 40
    assert curves["beta"][max(curves["beta"])] == 1.0
    result = lc_music_vae.evaluate(run_dir, eval_dir_suffix="_x")
    shown = summaries.read_scalars(os.path.join(run_dir, "eval_x"))
    assert shown["loss"][500] == pytest.approx(result["loss"])
    assert set(shown) == {"loss", "reconstruction", "kl", "score"}  # there are no new windows
    assert shown["score"][500] == pytest.approx(result["score"])
    assert result["score"] > 20


def test_eval_shows_tensorboard_pictures_and_a_projector(trained, tmp_path):
    """Read back through TensorBoard's own reader and its projector plugin."""
    from tensorboard.backend.event_processing import event_multiplexer
    from tensorboard.plugins.projector import projector_plugin
    from werkzeug import test, wrappers

    run_dir = shutil.copytree(trained, str(tmp_path / "run"))
    lc_music_vae.evaluate(run_dir, eval_dir_suffix="_seen")
    multiplexer = event_multiplexer.EventMultiplexer().AddRunsFromDirectory(run_dir)
    multiplexer.Reload()
    for name in ("samples", "reconstructions"):
        (image,) = multiplexer.Images("eval_seen", name)
        assert (image.step, image.encoded_image_string[:4]) == (500, b"\x89PNG")
        assert image.width > 1000
        assert image.height > 300
    runs = types.SimpleNamespace(list_runs=lambda *_, **__: [types.SimpleNamespace(run_name="eval_seen")])
    # TensorBoard 1.15 asks the multiplexer for the runs, 2.15 the data provider.
    context = types.SimpleNamespace(logdir=run_dir, multiplexer=multiplexer, data_provider=runs)
    plugin = projector_plugin.ProjectorPlugin(context)
    client = test.Client(plugin._serve_tensor, wrappers.Response)
    shown = client.get("/?run=eval_seen&name=small_latent")
    assert shown.status_code == 200
    points = np.frombuffer(shown.data, np.float32).reshape(-1, 4)
    with lc_music_vae.TrainedModel(run_dir) as model:
        z, _, records = latents.own_key(run_dir_lib.at(run_dir).shards(), 100)
        np.testing.assert_allclose(points, model.small.encode(z)[0], atol=1e-5)
    client = test.Client(plugin._serve_metadata, wrappers.Response)
    rows = client.get("/?run=eval_seen&name=small_latent").data.decode().splitlines()
    assert rows[0] == "song\tbars\ttrack\trepeats"
    first_bars = [record["first_bar"] + 1 for record in records]
    assert [row.split("\t")[:2] for row in rows[1:]] == [
        ["ode_to_joy.mid", "bars %d-%d" % (bar, bar + 1)] for bar in first_bars
    ]


def test_events_that_a_kill_cut_off_are_read_as_far_as_they_go(trained, tmp_path):
    """At every length: cut inside a record, a header, or between two."""
    train_dir = os.path.join(trained, "train")
    (name,) = [n for n in os.listdir(train_dir) if "tfevents" in n]
    whole = summaries.read_scalars(train_dir)["loss"]
    size = os.path.getsize(os.path.join(train_dir, name))
    cut = shutil.copy(os.path.join(train_dir, name), str(tmp_path / name))
    for length in (size - 1, size - 5, size - 20, size - 100, size - 1000, 30, 0):
        os.truncate(cut, length)
        found = summaries.read_scalars(str(tmp_path)).get("loss", {})
        assert found.items() <= whole.items()
        assert len(found) >= 40 if length > 30 else not found


@pytest.mark.usefixtures("no_pictures")
def test_eval_of_other_songs_keeps_their_latents_apart(trained, tmp_path):
    run_dir = shutil.copytree(trained, str(tmp_path / "run"))
    before = state_of(os.path.join(run_dir, "latents"))
    other = write_midi(melody(tune(6, 5)), tmp_path / "other.mid")
    result = lc_music_vae.evaluate(run_dir, other, eval_dir_suffix="_other")
    assert state_of(os.path.join(run_dir, "latents")) == before
    assert os.listdir(os.path.join(run_dir, "eval_other", "latents"))
    assert result["loss"] > lc_music_vae.evaluate(run_dir)["loss"] + 5  # a song it does not know
    # Five windows in batches of two: the last, smaller batch counts too.
    values = from_json(files.read_json(os.path.join(run_dir, "run.json"))["hparams"])
    folder = os.path.join(run_dir, "eval_other", "latents")
    shard = [os.path.join(folder, n) for n in os.listdir(folder) if n.endswith("tfrecord")]
    found = latents.Latents(tuple(shard), 5, 256, ())
    with tf.Graph().as_default(), tf.Session() as session:
        batch = estimator.eval_input_fn(found, 2)().make_one_shot_iterator().get_next()
        sizes = [len(session.run(batch)["mean"]) for _ in range(3)]
    assert sizes == [2, 2, 1]
    assert values == HParams()


@pytest.mark.usefixtures("no_pictures")
def test_resumed_training_ends_with_the_weights_of_one_that_was_not_stopped(tmp_path):
    song = write_midi(melody(tune(12, 1)), tmp_path / "song.mid")
    for batches in ("", ",batch_size=4"):
        once, twice, hparams = tmp_path / ("once" + batches), tmp_path / ("twice" + batches), layers(32) + batches
        train(once, song, num_steps=20, hparams=hparams, seed=5)
        train(twice, song, num_steps=7, hparams=hparams, seed=5)
        assert weights_at(once) != weights_at(twice)
        train(twice, song, num_steps=20)
        assert weights_at(once) == weights_at(twice)
    train(tmp_path / "other", song, num_steps=20, hparams=hparams, seed=6)
    assert weights_at(once) != weights_at(tmp_path / "other")


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_training_goes_on_to_the_same_weights(tmp_path, number):
    """A signal once the first checkpoint is there; the run that goes on ends as an undisturbed one.

    SIGTERM leaves a checkpoint of the very step that it says, and stops within two seconds.
    """
    song = write_midi(melody(tune(12, 1)), tmp_path / "song.mid")
    arguments = ["--config=" + SMALL, "--examples_path=" + song, "--hparams=latent_encoder_layers=32"]
    run_dir = tmp_path / "killed"
    script = [sys.executable, os.path.join(REPO, "midime_train.py"), "--run_dir=%s" % run_dir, "--num_steps=100000"]
    process = subprocess.Popen(script + arguments, stderr=subprocess.PIPE, universal_newlines=True)
    for _ in range(600):
        if (run_dir / "train" / "checkpoint").exists():
            break
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(number)
    began = time.monotonic()
    said = process.stderr.read()
    status = process.wait()
    step = run_dir_lib.at(str(run_dir)).latest()[1]
    if number == signal.SIGTERM:
        assert (status, time.monotonic() - began < 2) == (143, True)
        assert 0 < step < 100000
        last = "midime_train: stopped at step %d of 100000; the same command goes on from there" % step
        assert said.splitlines()[-1] == last
    else:
        assert status == -number
    assert not (run_dir / (SMALL + ".tar")).exists()
    end = step + 60
    for folder in ("killed", "whole"):
        train(tmp_path / folder, song, num_steps=end, hparams="latent_encoder_layers=32")
    assert weights_at(run_dir) == weights_at(tmp_path / "whole")


def test_a_finished_run_that_is_started_again_changes_nothing(trained, caplog):
    before = state_of(trained)
    with caplog.at_level("INFO"):
        train(trained)
    assert state_of(trained) == before
    assert "is trained to step 500 already" in caplog.text


@pytest.mark.usefixtures("no_pictures")
def test_latents_are_used_again_until_the_song_or_the_encoder_changes(tmp_path, monkeypatch):
    song = write_midi(melody(tune(4, 1)), tmp_path / "song.mid")
    encoded = []
    encode = music_vae.Encoder.encode
    monkeypatch.setattr(music_vae.Encoder, "encode", lambda self, x, *n: encoded.append(len(x)) or encode(self, x, *n))
    small = layers(8)
    train(tmp_path / "run", song, num_steps=1, hparams=small)
    train(tmp_path / "run", song, num_steps=2)
    assert encoded == [3]
    write_midi(melody(tune(6, 2)), song)
    train(tmp_path / "run", song, num_steps=3, add_songs=True)
    assert encoded == [3, 5]
    assert files.read_json(str(tmp_path / "run" / "run.json"))["examples"]["windows"] == 8


def test_only_missing_shards_are_encoded(tmp_path, monkeypatch, shipped):
    monkeypatch.setattr(latents, "_FILES_A_SHARD", 2)
    paths = [write_midi(melody(tune(3, seed)), tmp_path / ("%d.mid" % seed)) for seed in range(5)]
    folder = str(tmp_path / "latents")
    first = prepare(paths, folder, shipped)
    assert (len(first.shards), first.num_windows) == (3, 10)
    songs = [r["song"] for r in latents.read(first.shards)]
    assert songs == [p for p in paths for _ in range(2)]
    contents = list(latents.read(first.shards))
    os.remove(first.shards[1])  # as after a kill
    times = [os.stat(first.shards[i]).st_mtime_ns for i in (0, 2)]
    second = prepare(paths, folder, shipped)
    assert second == first
    assert [os.stat(first.shards[i]).st_mtime_ns for i in (0, 2)] == times
    for a, b in zip(contents, latents.read(second.shards)):
        np.testing.assert_allclose(a["mean"], b["mean"], atol=1e-6)
    before = state_of(folder)
    assert prepare(paths[:2], folder, shipped).num_windows == 4
    assert before.items() <= state_of(folder).items()  # whoever reads those of more songs goes on


def test_batches_are_a_function_of_the_step_and_epochs_see_everything_once(tmp_path, monkeypatch, shipped):
    monkeypatch.setattr(latents, "_FILES_A_SHARD", 2)
    paths = [write_midi(melody(tune(4, seed)), tmp_path / ("%d.mid" % seed)) for seed in range(3)]
    found = prepare(paths, str(tmp_path / "latents"), shipped)
    assert found.num_windows == 9

    def batches(first_step, count, seed=0):
        with tf.Graph().as_default(), tf.Session() as session:
            batch = (
                estimator.train_input_fn(found, 4, seed, first_step=first_step, threads=2)()
                .make_one_shot_iterator()
                .get_next()
            )
            return [session.run(batch)["mean"][:, 0, 0].tolist() for _ in range(count)]

    whole = batches(0, 9)
    assert batches(4, 5) == whole[4:]
    assert batches(0, 9, seed=1) != whole
    flat = [x for batch in whole for x in batch]
    epochs = [flat[i : i + 9] for i in range(0, 36, 9)]
    assert all(len(set(epoch)) == 9 for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_augment_draws_every_transposition_anew(tmp_path, shipped):
    song = write_midi(melody([(0, 4, 60), (4, 8, 104)]), tmp_path / "song.mid")
    found = prepare([song], str(tmp_path), shipped, transpositions=tuple(range(-5, 6)))
    (record,) = latents.read(found.shards)
    assert record["transpositions"] == tuple(range(-5, 5))  # 104 + 5 is out of MusicVAE's range
    with tf.Graph().as_default(), tf.Session() as session:
        features = estimator.train_input_fn(found, 1, 0)().make_one_shot_iterator().get_next()
        step = tf.placeholder(tf.int64, [])
        z = estimator.draw_z(features, 0, step)
        draws = np.stack([session.run(z, {step: s})[0] for s in range(400)])
    nearest = np.argmin(((draws[:, None] - record["mean"][None]) ** 2 / record["scale"][None] ** 2).sum(-1), 1)
    counts = np.bincount(nearest, minlength=10)
    assert counts.min() > 15  # 40 each, if uniform
    assert counts.max() < 80


@pytest.mark.usefixtures("no_pictures")
def test_augment_is_refused_for_drums(cut_down, tmp_path, monkeypatch):
    monkeypatch.setitem(lc_music_vae.CONFIG_MAP, "lc-drums", lc_music_vae.Config(music_vae="cat-drums_2bar_small"))
    song = write_midi(drum_beat(4), tmp_path / "drums.mid")
    kwargs = {"config": "lc-drums", "pretrained_path": cut_down["cat-drums_2bar_small"], "num_steps": 2}
    with pytest.raises(InputError, match="^augment: drums cannot be transposed"):
        train(tmp_path / "run", song, augment=True, **kwargs)
    train(tmp_path / "run", song, **kwargs)
    with lc_music_vae.TrainedModel(str(tmp_path / "run")) as model:
        assert all(n.is_drum for sequence in model.sample(3, 1.0) for n in sequence.notes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"config": "lc-cat-mel_2bar_big"}, "^config=lc-cat-mel_2bar_big contradicts .* config=" + SMALL),
        ({"seed": 1}, "^seed=1 contradicts .* seed=0"),
        ({"augment": True}, "^augment=True contradicts"),
        ({"melody_track": "all"}, "^melody_track=all contradicts .* melody_track=auto"),
        ({"metre": "4/4"}, "^metre=4/4 contradicts .* metre=any"),
        ({"hparams": "encoded_z_size=8"}, "^hparams=encoded_z_size=8.* contradicts .* hparams=encoded_z_size=4"),
    ],
)
def test_a_flag_that_contradicts_the_run_is_an_error_with_both_values(trained, given, message):
    before = state_of(trained)
    with pytest.raises(InputError, match=message):
        train(trained, **dict({"num_steps": 600}, **given))
    assert state_of(trained) == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_data_threads": 9999999999}, "num_data_threads=9999999999 must be from 1 to 256"),
        ({"num_data_threads": 0}, "num_data_threads=0 must be from 1 to 256"),
        ({"num_steps": 10**19}, "num_steps=10000000000000000000 must be from 0 to 1000000000"),
        ({"checkpoints_to_keep": 10**10}, "checkpoints_to_keep=10000000000 must be from 1 to 1000000000"),
        ({"keep_checkpoint_every_n_hours": float("nan")}, "keep_checkpoint_every_n_hours=nan must be from 0 to"),
        (
            {"keep_checkpoint_every_n_hours": float("inf")},
            "keep_checkpoint_every_n_hours=inf must be from 0 to 1000000000",
        ),
    ],
)
def test_numbers_that_no_machine_has_room_for_are_refused(given, message, tmp_path):
    with pytest.raises(InputError, match=message):
        train(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_pictures")
def test_other_weights_contradict_and_the_same_elsewhere_do_not(trained, tmp_path):
    from benchmarks.random_checkpoints import save_random_checkpoint

    run_dir = shutil.copytree(trained, str(tmp_path / "run"))
    save_random_checkpoint("cat-mel_2bar_small", str(tmp_path / "other.ckpt"), 1, slots=False)
    with pytest.raises(InputError, match="other.ckpt holds other weights than those that this run .* was trained on"):
        train(run_dir, num_steps=501, pretrained_path=str(tmp_path / "other.ckpt"))
    copied = shutil.copy(os.path.join(finding.SHIPPED, WEIGHTS), str(tmp_path / "same.tar"))
    train(run_dir, num_steps=501, pretrained_path=copied)
    assert run_dir_lib.at(run_dir).latest()[1] == 501


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ([(0, 4, 60)], "song.mid: too short: 1 of 2 bars"),
        ([(0, 1, 60), (13, 14, 60)], "song.mid: no 2 bars without a bar of rest between"),
    ],
)
def test_songs_without_windows_are_an_error_that_says_why(tmp_path, notes, message):
    song = write_midi(melody(notes), tmp_path / "song.mid")
    with pytest.raises(InputError, match=message):
        train(tmp_path / "run", song)
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.usefixtures("no_pictures")
def test_what_is_left_out_of_a_folder_is_counted_and_said(tmp_path, caplog):
    songs = tmp_path / "songs"
    songs.mkdir()
    write_midi(melody(tune(4)), songs / "good.mid")
    write_midi(melody([(0, 1, 60)]), songs / "short.mid")
    (songs / "bad.mid").write_bytes(b"MThd nothing more")
    with caplog.at_level("INFO"):
        train(tmp_path / "run", str(songs), num_steps=1, hparams=layers(8))
    assert "3 distinct windows from 1 song" in caplog.text
    assert "2 of 3 songs gave no window" in caplog.text
    with open(str(tmp_path / "run" / "examples.tsv")) as f:
        rows = [line.rstrip("\n").split("\t") for line in f][1:]
    assert [(os.path.basename(r[0]), r[1]) for r in rows] == [("bad.mid", "0"), ("good.mid", "3"), ("short.mid", "0")]
    assert "not readable as MIDI" in rows[0][3]
    assert rows[2][3] == "too short: 1 of 2 bars"


@pytest.mark.usefixtures("no_pictures")
def test_strict_metre_is_recorded_and_what_it_leaves_out_is_said(tmp_path, caplog):
    songs = tmp_path / "songs"
    songs.mkdir()
    write_midi(melody(tune(4)), songs / "march.mid")
    write_midi(melody(tune(4), time_signature=(3, 4)), songs / "waltz.mid")
    left_out = "left out by --metre=4/4: 3/4 from bar 1; --metre=any reads it"
    hparams = layers(8)
    run_dir = tmp_path / "run"
    with caplog.at_level("INFO"):
        train(run_dir, str(songs), num_steps=1, hparams=hparams, metre="4/4")
    assert "waltz.mid: " + left_out in caplog.text
    with open(str(run_dir / "examples.tsv")) as f:
        rows = [line.rstrip("\n").split("\t") for line in f][1:]
    assert [(r[1], r[3]) for r in rows] == [("3", ""), ("0", left_out)]
    run = files.read_json(str(run_dir / "run.json"))
    assert (run["metre"], run["examples"]["windows"]) == ("4/4", 3)
    (made,) = [files.read_json(str(p)) for p in (run_dir / "latents").glob("*.json")]
    assert made["made_from"]["metre"] == "4/4"
    with pytest.raises(InputError, match="metre=any contradicts .* metre=4/4"):
        train(run_dir, str(songs), num_steps=2, metre="any")
    train(run_dir, str(songs), num_steps=2)  # as it began
    assert files.read_json(str(run_dir / "run.json"))["examples"] == run["examples"]
    # Nothing of the other metre is in the latents: with both read they are others, and encoded anew.
    weights = Weights(finding.shipped(WEIGHTS))
    both = prepare(
        [str(songs / "march.mid"), str(songs / "waltz.mid")],
        str(run_dir / "latents"),
        weights,
        fingerprint=weights.fingerprint(ENCODER_SCOPE),
    )
    assert [(row.slices, row.reason[:4]) for row in both.rows] == [(3, ""), (5, "3/4:")]


def test_nan_loss_stops_with_one_line_and_the_last_checkpoint_kept(tmp_path):
    deep = "latent_encoder_layers=%s,latent_decoder_layers=8," % ",".join(16 * "8")
    with pytest.raises(InputError, match="the loss is not a number any more; train into another run_dir"):
        train(tmp_path / "run", num_steps=50, hparams=deep + "learning_rate=10,min_learning_rate=10")
    assert all(
        np.isfinite(np.frombuffer(v, np.float32)).all()
        for k, v in weights_at(tmp_path / "run").items()
        if k.startswith("latent")
    )


TINY = "latent_encoder_layers=8,latent_decoder_layers=8"


@pytest.mark.usefixtures("no_pictures")
def test_options_are_given_as_records_by_name_and_paths_as_path_objects(tmp_path):
    """A dict of hyperparameters and NumPy's numbers are as good as what the command takes."""
    song, sizes = tmp_path / "song.mid", {"latent_encoder_layers": (8,), "latent_decoder_layers": [8]}
    write_midi(melody(tune(4)), song)
    options = Training(num_steps=np.int64(1), hparams=sizes, seed=np.uint32(7))
    bundle = train(tmp_path / "a", song, options=options, reading=Reading(metre="4/4"))
    train(tmp_path / "b", str(song), num_steps=1, hparams=TINY, seed=7, metre="4/4")
    assert bundle == str(tmp_path / "a" / (SMALL + ".tar"))
    assert weights_at(tmp_path / "a") == weights_at(tmp_path / "b")
    found = [files.read_json(str(tmp_path / name / "run.json")) for name in "ab"]
    assert found[0] == found[1]
    # What is given by name counts, what stands in the records for the rest; a run that goes on keeps what is not given.
    train(tmp_path / "a", [song], options=options, num_steps=2)
    lc_music_vae.train(SMALL, song, tmp_path / "a", num_steps=3, melody_track="auto", pretrained_path=None)
    again = files.read_json(str(tmp_path / "a" / "run.json"))
    assert (again["seed"], again["metre"], again["step"]) == (7, "4/4", 3)
    with pytest.raises(InputError, match="metre=any contradicts .* metre=4/4"):
        train(tmp_path / "a", song, num_steps=4, reading=Reading())
    assert lc_music_vae.evaluate(tmp_path / "a", song)["global_step"] == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"config": 5}, "config=5 must be a config's name, such as lc-cat-mel_2bar_small"),
        ({"examples_path": 5}, "examples_path=5 must be a path"),
        ({"examples_path": [EXAMPLE, None]}, "examples_path=None must be a path"),
        ({"examples_path": None}, "examples_path is needed: a music file, a TFRecord or a folder of songs"),
        ({"run_dir": None}, "run_dir is needed: the folder that training writes to"),
        ({"run_dir": 1.5}, "run_dir=1.5 must be a path"),
        ({"run_dir": "a\0b"}, "run_dir='a\\x00b' must be a path"),
        ({"pretrained_path": ["a"]}, "pretrained_path=['a'] must be a path"),
        ({"num_steps": "200"}, "num_steps='200' must be a whole number"),
        ({"num_steps": None}, "num_steps=None must be a whole number"),
        ({"num_steps": True}, "num_steps=True must be a whole number"),
        ({"seed": 1.5}, "seed=1.5 must be a whole number"),
        ({"augment": "yes"}, "augment='yes' must be True or False"),
        ({"add_songs": 1}, "add_songs=1 must be True or False"),
        ({"hparams": 8}, "hparams=8 must be text or a dict"),
        ({"hparams": {"encoded_z_size": "eight"}}, "hparams: encoded_z_size=eight is not a whole number"),
        ({"hparams": {"max_betta": 1}}, "hparams: unknown name 'max_betta'; did you mean max_beta?"),
        ({"metre": "3/4"}, "metre=3/4 must be one of any, 4/4"),
        ({"melody_track": 3}, "melody_track=3 must be text"),
        ({"keep_checkpoint_every_n_hours": "1"}, "keep_checkpoint_every_n_hours='1' must be a number"),
    ],
)
def test_what_is_given_in_python_is_checked_there(given, message, tmp_path):
    values = {"config": SMALL, "examples_path": EXAMPLE, "run_dir": tmp_path / "run"}
    with pytest.raises(InputError) as e:
        lc_music_vae.train(**dict(values, **given))
    assert str(e.value) == message
    assert not os.listdir(str(tmp_path))


def test_an_option_that_there_is_not_is_a_type_error(tmp_path):
    with pytest.raises(TypeError, match="unexpected keyword argument 'num_step'"):
        train(tmp_path / "run", num_step=5)
    assert not os.listdir(str(tmp_path))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"run_dir": None}, "run_dir is needed: the folder that training writes to"),
        ({"examples_path": 5}, "examples_path=5 must be a path"),
        ({"eval_num_batches": "2"}, "eval_num_batches='2' must be a whole number"),
        ({"eval_num_batches": 0}, "eval_num_batches=0 must be from 1 to 1000000000"),
        ({"eval_dir_suffix": 2}, "eval_dir_suffix=2 must be text"),
        ({"pretrained_path": 7}, "pretrained_path=7 must be a path"),
    ],
)
def test_what_an_evaluation_is_given_is_checked(given, message, trained):
    with pytest.raises(InputError) as e:
        lc_music_vae.evaluate(**dict({"run_dir": trained}, **given))
    assert str(e.value) == message


def test_the_config_may_be_left_out_for_melodies(tmp_path, caplog):
    caplog.set_level("INFO")
    song = write_midi(melody(tune(4)), tmp_path / "song.mid")
    train(tmp_path / "run", song, None, num_steps=1, hparams=TINY)
    assert "--config=%s, whose MusicVAE ships with the toolkit" % SMALL in caplog.text
    train(tmp_path / "run", song, None, num_steps=2)
    assert "--config=%s, as the run began" % SMALL in caplog.text
    with pytest.raises(InputError, match="^config is needed, such as config="):
        train(tmp_path / "new", song, None, pretrained_path=song)


FRESH = """
import logging, os, sys, warnings
import lc_music_vae
def state():
    package = logging.getLogger("lc_music_vae")
    quiet = [logging.getLogger(name).filters for name in ("tensorflow", "absl")]
    return package.handlers, package.level, package.propagate, quiet, dict(os.environ), list(warnings.filters)
before = state()
lc_music_vae.train({config!r}, {song!r}, {run!r}, num_steps=2, hparams={hparams!r})
assert state()[:-1] == before[:-1]
lc_music_vae.evaluate({run!r})
lc_music_vae.train({config!r}, {song!r}, {run!r}, num_steps=2)
logging.getLogger("lc_music_vae").setLevel("ERROR")
lc_music_vae.evaluate({run!r})
"""


# With -i TensorFlow 1.15 logs at INFO, as in a notebook.
@pytest.mark.parametrize("first", [[], pytest.param(["-i"], marks=pytest.mark.every)])
def test_in_a_process_without_logging_what_the_command_says_is_said_and_no_more(first, tmp_path, monkeypatch):
    for name in ("TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS"):
        monkeypatch.delenv(name, raising=False)
    run = str(tmp_path / "run")
    code = FRESH.format(config=SMALL, song=EXAMPLE, run=run, hparams=TINY)
    done = run_process(*first, "-c", code, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    numbers = r"loss [\d.]+, reconstruction [\d.]+, KL [\d.]+ nats"
    songs = [r"11 distinct windows from 1 song", r"  .*ode_to_joy\.mid: track 0 \(the only track\)"]
    bundle = [r"  the model to keep or share:", r".*/run/%s\.tar" % SMALL]
    patterns = [
        *songs,
        r"training from step 0 to 2, 11 windows a step",
        *[r"step %d of 2: %s" % (step, numbers) for step in (1, 2)],
        r"knobs that its samples follow: .*",
        r"trained to step 2 on 11 distinct windows from 1 song: %s" % numbers,
        r"  its curves and a map of its latent: .*/training\.png",
        r"  a page that plays the model: .*/play\.html",
        *bundle,
        *songs,
        r"step 2 on 11 windows: %s a window" % numbers,
        r"these bars are [\d.]+ nats a window likelier under your model than under MusicVAE, which is flattery: .*",
        r"pictures of samples and reconstructions, and the latents: tensorboard --logdir=.*",
        r".*/run is trained to step 2 already; to go on, give a larger --num_steps",
        *bundle,
    ]
    lines = [line for line in done.stderr.splitlines() if line.strip("> ")]  # -i shows its prompt
    assert len(lines) == len(patterns), done.stderr
    assert all(re.match(pattern + "$", line) for pattern, line in zip(patterns, lines)), done.stderr
