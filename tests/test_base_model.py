"""The objective against NumPy."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from lc_music_vae import base_model
from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams

SIZES = HParams(encoded_z_size=3, latent_encoder_layers=(7, 5), latent_decoder_layers=(6,))


def run_small_vae(z, noise, seed=0):
    with tf.Graph().as_default(), tf.Session() as session:
        vae = base_model.LatentVAE(SIZES, z.shape[1], seed)
        losses = vae.losses(tf.constant(z, tf.float32), tf.constant(noise, tf.float32))
        session.run(tf.global_variables_initializer())
        rng = np.random.RandomState(1)
        for v in tf.trainable_variables():
            v.load(rng.normal(0, 0.5, v.shape.as_list()), session)
        return session.run(losses), {v.op.name: session.run(v).astype(np.float64) for v in tf.trainable_variables()}


def test_losses_equal_numpy():
    rng = np.random.RandomState(0)
    z, noise = rng.normal(size=(4, 8)), rng.normal(size=(4, 3))
    (reconstruction, kl), w = run_small_vae(z, noise)

    def dense(x, name):
        return x @ w[name + "/kernel"] + w[name + "/bias"]

    x = z
    for name in ("latent_encoder/layer0", "latent_encoder/layer1"):
        x = np.maximum(dense(x, name), 0)
    mu, sigma = dense(x, "latent_encoder/mu"), np.log1p(np.exp(dense(x, "latent_encoder/sigma")))
    x = np.maximum(dense(mu + sigma * noise, "latent_decoder/layer0"), 0)
    z_hat = dense(x, "latent_decoder/mu")
    np.testing.assert_allclose(reconstruction, ((z_hat - z) ** 2).sum(1) / 2, rtol=1e-5)
    np.testing.assert_allclose(kl, (sigma**2 + mu**2 - 1 - 2 * np.log(sigma)).sum(1) / 2, rtol=1e-5)


def test_variables_have_the_names_of_midime():
    _, weights = run_small_vae(np.zeros((1, 8)), np.zeros((1, 3)))
    names = ["encoder/layer0", "encoder/layer1", "encoder/mu", "encoder/sigma", "decoder/layer0", "decoder/mu"]
    assert sorted(weights) == sorted("latent_%s/%s" % (n, part) for n in names for part in ("kernel", "bias"))


def test_initial_kernels_are_a_function_of_the_seed_alone():
    def kernels(seed):
        with tf.Graph().as_default(), tf.Session() as session:
            base_model.LatentVAE(SIZES, 8, seed).losses(tf.zeros([1, 8]), tf.zeros([1, 3]))
            session.run(tf.global_variables_initializer())
            return [session.run(v) for v in tf.trainable_variables() if "kernel" in v.name]

    one, same, other = kernels(1), kernels(1), kernels(2)
    assert all(np.array_equal(a, b) for a, b in zip(one, same))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other))
    assert len({a.tobytes()[:16] for a in one}) == len(one)  # layers of one shape do not start alike
    assert abs(one[0]).max() < (6 / (8 + 7)) ** 0.5 + 1e-6


@pytest.mark.parametrize("step", [0, 1, 100])
def test_schedules(step):
    values = HParams(max_beta=0.5, beta_rate=0.99, learning_rate=0.01, min_learning_rate=0.001, decay_rate=0.9)
    with tf.Graph().as_default(), tf.Session() as session:
        beta, rate = session.run([base_model.beta(values, step), base_model.learning_rate(values, step)])
        constant = session.run([base_model.beta(HParams(), step), base_model.learning_rate(HParams(), step)])
    np.testing.assert_allclose(beta, 0.5 * (1 - 0.99 ** (step + 1)), rtol=1e-5)
    np.testing.assert_allclose(rate, 0.001 + 0.009 * 0.9**step, rtol=1e-5)
    np.testing.assert_allclose(constant, [1.0, 0.001], rtol=1e-6)


def test_sizes_are_read_from_a_checkpoint():
    shapes = {
        "latent_encoder/layer0/kernel": (512, 1024),
        "latent_encoder/layer1/kernel": (1024, 64),
        "latent_encoder/mu/kernel": (64, 128),
        "latent_decoder/layer0/kernel": (128, 32),
        "latent_decoder/mu/kernel": (32, 512),
    }
    sizes, z_size = base_model.sizes_of(shapes, "x.ckpt")
    assert z_size == 512
    assert (sizes.encoded_z_size, sizes.latent_encoder_layers, sizes.latent_decoder_layers) == (128, (1024, 64), (32,))


def test_older_midime_models_are_refused_with_the_reason():
    shapes = {
        "latent_encoder/mu/kernel": (512, 128),
        "latent_encoder/sigma/kernel": (512, 128),
        "latent_decoder/mu/kernel": (128, 512),
        "latent_decoder/kernel": (128, 512),
    }
    with pytest.raises(InputError, match="x.ckpt: an older midiMe `lc-` model"):
        base_model.sizes_of(shapes, "x.ckpt")
    with pytest.raises(InputError, match="holds no small VAE"):
        base_model.sizes_of({"encoder/mu/kernel": (4, 4)}, "x.ckpt")
