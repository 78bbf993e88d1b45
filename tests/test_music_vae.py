"""The two frozen halves against magenta's own TrainedModel, on the same checkpoint and the same bars."""

import contextlib
import os
import time
import types

import numpy as np
import pytest
from helpers import WEIGHTS, melody, tune

from lc_music_vae import data
from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.errors import InputError
from lc_music_vae.models import music_vae, sessions
from lc_music_vae.music.examples import Song
from lc_music_vae.system import command_line, cores

pytestmark = pytest.mark.slow

SHIPPED = "cat-mel_2bar_small"


def prefix_of(name, cut_down):
    if name == SHIPPED:
        return Weights(finding.shipped(WEIGHTS))._prefix
    return cut_down[name]


def keys(n, seed=0):
    return np.array([[seed, i, 0] for i in range(n)])


def decoder_of(name, cut_down, batch_size):
    weights = Weights(finding.find(prefix_of(name, cut_down), "--pretrained_path"))
    return contextlib.closing(music_vae.Decoder(name, weights, batch_size))


# A decoder of one loop, one of a loop a bar, and one of three loops a bar: melody, bass and drums.
@pytest.mark.parametrize(
    ("name", "batch_sizes"),
    [
        (SHIPPED, [1, 5, 64]),
        ("hierdec-mel_16bar", [1, 5, 64]),
        pytest.param("hierdec-trio_16bar", [1, 5], marks=pytest.mark.every),
    ],
)
def test_a_window_is_decoded_with_the_noise_of_its_key_in_whatever_batch(name, batch_sizes, cut_down):
    from magenta.models.music_vae.configs import CONFIG_MAP

    z = np.random.RandomState(0).normal(size=(7, CONFIG_MAP[name].hparams.z_size))
    made = []
    for batch_size in batch_sizes:
        with decoder_of(name, cut_down, batch_size) as decoder:
            made.append(decoder.decode(z, 1.0, keys(7)))
            some = [5, 1]
            np.testing.assert_array_equal(decoder.decode(z[some], 1.0, keys(7)[some]), made[0][some])
            others = decoder.decode(z, 1.0, keys(7, seed=1))
    for again in made[1:]:
        np.testing.assert_array_equal(again, made[0])
    assert not (others == made[0]).all((1, 2)).any()


@pytest.mark.parametrize("name", [SHIPPED, pytest.param("hierdec-mel_16bar", marks=pytest.mark.every)])
def test_batches_that_are_computed_at_once_make_the_same(name, cut_down):
    weights = Weights(finding.find(cut_down[name], "--pretrained_path"))
    converter = data.WindowConverter(name)
    windows = converter.windows(converter.score(Song("tune", melody(tune(60)))))
    assert len(windows) > 24
    given = [w.inputs[0] for w in windows], [w.length for w in windows]
    alone, together = music_vae.Encoder(name, weights), music_vae.Encoder(name, weights, at_once=3)
    for expected, made in zip(alone.encode(*given), together.encode(*given)):
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)
    z = np.random.RandomState(0).normal(size=(23, alone.encode(*given)[0].shape[1]))
    alone, together = music_vae.Decoder(name, weights, 5), music_vae.Decoder(name, weights, 5, at_once=3)
    assert together.at_once == 3
    np.testing.assert_array_equal(together.decode(z, 1.0, keys(23)), alone.decode(z, 1.0, keys(23)))


def test_batches_that_draw_from_one_stream_are_decoded_in_turn(cut_down):
    name = "groovae_2bar_humanize"
    weights = Weights(finding.find(cut_down[name], "--pretrained_path"))
    z = np.random.RandomState(0).normal(size=(9, music_vae.z_size(name)))
    decoder = music_vae.Decoder(name, weights, 2, seed=3, at_once=4)
    assert decoder.at_once == 1
    again = music_vae.Decoder(name, weights, 2, seed=3)
    np.testing.assert_array_equal(decoder.decode(z, 1.0, keys(9)), again.decode(z, 1.0, keys(9)))


def test_small_kernels_are_worth_a_batch_for_each_core_and_large_ones_are_not(monkeypatch):
    import tensorflow.compat.v1 as tf

    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(cores, "are_claimed", lambda: True)
    small, large = {"a": (602, 2048), "b": (8,)}, {"a": (602, 2048), "b": (2138, 8192)}
    assert sessions.batches_at_once(types.SimpleNamespace(shapes=small)) == 6
    assert sessions.batches_at_once(types.SimpleNamespace(shapes=large)) == 1
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert sessions.batches_at_once(types.SimpleNamespace(shapes=small)) == 3
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    monkeypatch.setattr(
        cores, "are_claimed", lambda: False
    )  # what else the process does would be rounded in another way
    assert sessions.batches_at_once(types.SimpleNamespace(shapes=small)) == 1
    monkeypatch.setattr(cores, "are_claimed", lambda: True)
    assert sessions.batches_at_once(types.SimpleNamespace(shapes=small)) == 6
    monkeypatch.setattr(tf.config.experimental, "list_physical_devices", lambda kind: [kind])
    assert sessions.batches_at_once(types.SimpleNamespace(shapes=small)) == 1


def test_the_command_claims_the_cores_and_a_call_of_it_does_not(monkeypatch):
    import midime_generate

    claims = []
    monkeypatch.setattr(cores, "claim", lambda: claims.append(True))
    monkeypatch.setattr(command_line, "run", lambda *args, **kwargs: None)
    midime_generate.main(["midime_generate"])
    assert not claims
    midime_generate.main()
    assert claims


def test_what_has_not_begun_is_not_computed_after_an_error():
    begun = []

    def compute(i):
        begun.append(i)
        time.sleep(0.05)
        if i == 1:
            raise KeyboardInterrupt
        return -i

    with pytest.raises(KeyboardInterrupt):
        list(sessions.side_by_side(compute, range(100), 2))
    assert len(begun) < 10
    assert list(sessions.side_by_side(lambda i: -i, range(7), 3)) == [-i for i in range(7)]


def test_events_are_as_frequent_as_in_magentas_own_draws(cut_down):
    """2,048 draws of one latent each: how often each event is there at each step, in standard errors."""
    from magenta.models.music_vae import TrainedModel
    from magenta.models.music_vae.configs import CONFIG_MAP

    n, temperature = 2048, 2.0
    z = np.repeat(np.random.RandomState(3).normal(size=(1, 256)), n, 0)
    magentas = TrainedModel(CONFIG_MAP[SHIPPED], batch_size=256, checkpoint_dir_or_path=prefix_of(SHIPPED, cut_down))
    theirs = np.mean(magentas.decode_to_tensors(z, 32, temperature=temperature), 0)
    with decoder_of(SHIPPED, cut_down, 256) as decoder:
        ours = decoder.decode(z, temperature, keys(n)).mean(0)
    assert (ours > 0.01).sum() > 100  # many events are likely, or equality would mean little
    errors = np.sqrt((theirs * (1 - theirs) + ours * (1 - ours) + 1 / n) / n)
    assert np.abs((ours - theirs) / errors).max() < 6


@pytest.mark.parametrize(
    ("name", "parts"),
    [("hierdec-mel_16bar", [0, 90]), pytest.param("hierdec-trio_16bar", [0, 90, 180, 692], marks=pytest.mark.every)],
)
def test_every_bar_and_instrument_is_drawn_with_noise_of_its_own(name, parts, cut_down):
    with decoder_of(name, cut_down, 1) as decoder:
        drawn = decoder.decode(np.zeros((1, 12)), 1e6, keys(1))[0]  # nothing but noise
    found = set()
    for first, end in zip(parts, parts[1:]):
        found |= {tuple(bar) for bar in drawn[:, first:end].argmax(-1).reshape(16, 16)}
    assert len(found) == 16 * (len(parts) - 1)


def test_each_half_reads_only_its_own_variables(cut_down, tmp_path):
    import tensorflow.compat.v1 as tf

    reader = tf.train.NewCheckpointReader(prefix_of("cat-mel_2bar_big", cut_down))
    for half, build, other in (
        (
            "encoder",
            lambda w: music_vae.Encoder("cat-mel_2bar_big", w),
            lambda w: music_vae.Decoder("cat-mel_2bar_big", w, 1),
        ),
        (
            "decoder",
            lambda w: music_vae.Decoder("cat-mel_2bar_big", w, 1),
            lambda w: music_vae.Encoder("cat-mel_2bar_big", w),
        ),
    ):
        prefix = str(tmp_path / half)
        with tf.Graph().as_default(), tf.Session() as session:
            names = [n for n in reader.get_variable_to_shape_map() if n.startswith(half) and "Adam" not in n]
            variables = {n: tf.Variable(reader.get_tensor(n)) for n in names}
            session.run(tf.global_variables_initializer())
            tf.train.Saver(variables).save(session, prefix)
        weights = Weights(finding.find(prefix, "--pretrained_path"))
        build(weights).close()
        with pytest.raises(InputError, match="has no variable .*, which cat-mel_2bar_big needs"):
            other(weights)


def test_another_configs_checkpoint_is_refused(cut_down):
    weights = Weights(finding.find(cut_down["cat-mel_2bar_big"], "--pretrained_path"))
    with pytest.raises(InputError, match="which cat-mel_2bar_small needs; give a checkpoint of"):
        music_vae.Encoder("cat-mel_2bar_small", weights)


def test_batches_do_not_matter(cut_down):
    """70 windows through the fixed batch of 32 of a hierarchical encoder are each window alone."""
    name = "hier-mel_16bar"
    converter = data.WindowConverter(name)
    windows = converter.windows(converter.score(Song("tune", melody(tune(85)))))
    assert len(windows) == 70
    encoder = music_vae.Encoder(name, Weights(finding.find(cut_down[name], "--pretrained_path")))
    together, _ = encoder.encode([w.inputs[0] for w in windows], [w.length for w in windows])
    for i in (0, 33, 69):
        alone, _ = encoder.encode([windows[i].inputs[0]], [windows[i].length])
        np.testing.assert_allclose(alone[0], together[i], atol=1e-6)
