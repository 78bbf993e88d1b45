"""The objective against NumPy."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from lc_music_vae import base_model
from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams

LEARNED = HParams(encoded_z_size=3, latent_encoder_layers=(7, 5), latent_decoder_layers=(6,))
UNIT = LEARNED._replace(decoder_variance="unit")
BOTH = pytest.mark.parametrize("sizes", [LEARNED, UNIT], ids=["learned", "unit"])


def run_small_vae(sizes, z, noise, scale=0.5):
    """The losses of a small VAE with drawn weights, and these weights."""
    with tf.Graph().as_default(), tf.Session() as session:
        vae = base_model.LatentVAE(sizes, z.shape[1])
        losses = vae.losses(tf.constant(z, tf.float32), tf.constant(noise, tf.float32))
        session.run(tf.global_variables_initializer())
        rng = np.random.RandomState(1)
        for v in tf.trainable_variables():
            v.load(rng.normal(0, scale, v.shape.as_list()), session)
        return session.run(losses), {v.op.name: session.run(v).astype(np.float64) for v in tf.trainable_variables()}


@BOTH
@pytest.mark.parametrize("scale", [0.5, 2.0])  # with the larger weights, log variances reach their limits
def test_losses_equal_numpy(sizes, scale):
    rng = np.random.RandomState(0)
    z, noise = rng.normal(size=(4, 8)), rng.normal(size=(4, 3))
    (reconstruction, kl, regulariser), w = run_small_vae(sizes, z, noise, scale)

    def dense(x, name):
        return x @ w[name + "/kernel"] + w[name + "/bias"]

    x = z
    for name in ("latent_encoder/layer0", "latent_encoder/layer1"):
        x = np.maximum(dense(x, name), 0)
    mu, sigma = dense(x, "latent_encoder/mu"), np.log1p(np.exp(dense(x, "latent_encoder/sigma")))
    x = np.maximum(dense(mu + sigma * noise, "latent_decoder/layer0"), 0)
    z_hat = dense(x, "latent_decoder/mu")
    v = np.zeros_like(z_hat)
    if sizes is LEARNED:
        v = np.clip(dense(x, "latent_decoder/log_variance"), -4, 1)
        assert scale < 1 or {v.min(), v.max()} == {-4, 1}
    np.testing.assert_allclose(reconstruction, ((z_hat - z) ** 2 * np.exp(-v) + v).sum(1) / 2, rtol=1e-4)
    np.testing.assert_allclose(kl, (sigma**2 + mu**2 - 1 - 2 * np.log(sigma)).sum(1) / 2, rtol=1e-4)
    np.testing.assert_allclose(regulariser, (np.exp(-v) + v - 1).sum(1) / 2, rtol=1e-4, atol=1e-6)


def test_variables_have_the_names_of_midime():
    names = ["encoder/layer0", "encoder/layer1", "encoder/mu", "encoder/sigma", "decoder/layer0", "decoder/mu"]
    for sizes, more in ((UNIT, []), (LEARNED, ["decoder/log_variance"])):
        _, weights = run_small_vae(sizes, np.zeros((1, 8)), np.zeros((1, 3)))
        assert sorted(weights) == sorted(
            "latent_%s/%s" % (n, part) for n in names + more for part in ("kernel", "bias")
        )


def test_initial_kernels_are_a_function_of_the_seed_alone():
    def kernels(seed):
        with tf.Graph().as_default(), tf.Session() as session:
            base_model.LatentVAE(UNIT, 8, seed).losses(tf.zeros([1, 8]), tf.zeros([1, 3]))
            session.run(tf.global_variables_initializer())
            return [session.run(v) for v in tf.trainable_variables() if "kernel" in v.name]

    one, same, other = kernels(1), kernels(1), kernels(2)
    assert all(np.array_equal(a, b) for a, b in zip(one, same))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other))
    assert len({a.tobytes()[:16] for a in one}) == len(one)  # layers of one shape do not start alike
    assert abs(one[0]).max() < (6 / (8 + 7)) ** 0.5 + 1e-6


def test_a_learned_variance_starts_at_one():
    """Before the first step the model is MidiMe's, weight for weight, and so are its losses."""
    found = []
    for sizes in (LEARNED, UNIT):
        with tf.Graph().as_default(), tf.Session() as session:
            losses = base_model.LatentVAE(sizes, 8, 3).losses(tf.ones([2, 8]), tf.ones([2, 3]))
            session.run(tf.global_variables_initializer())
            found.append(session.run(losses))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


class Linear:
    """A small VAE whose networks are linear, so that everything is known in closed form.

    relu(y) - relu(-y) = y makes linear maps of its layers: z^ = A y + b, with v given and the exact posterior
    q(z'|z) = p(z'|z). The columns of A are orthogonal where diag exp(-v) weighs them, so that it is diagonal.
    """

    def __init__(self, z_size=6, size=2):
        rng = np.random.RandomState(0)
        self.v, self.b = rng.uniform(-2, 0.9, z_size), rng.normal(size=z_size)
        orthogonal, _ = np.linalg.qr(rng.normal(size=(z_size, size)))
        self.a = np.exp(self.v / 2)[:, np.newaxis] * orthogonal * rng.uniform(0.5, 2, size)
        self.precision = 1 + (self.a**2 * np.exp(-self.v)[:, np.newaxis]).sum(0)
        to_mean = (self.a * np.exp(-self.v)[:, np.newaxis]) / self.precision
        self.sizes = HParams(
            encoded_z_size=size, latent_encoder_layers=(2 * z_size,), latent_decoder_layers=(2 * size,)
        )

        def both_ways(matrix):
            return np.concatenate([matrix, -matrix])

        self.weights = {
            "latent_encoder/layer0/kernel": np.concatenate([np.eye(z_size), -np.eye(z_size)], 1),
            "latent_encoder/layer0/bias": np.concatenate([-self.b, self.b]),
            "latent_encoder/mu/kernel": both_ways(to_mean),
            "latent_encoder/mu/bias": np.zeros(size),
            "latent_encoder/sigma/kernel": np.zeros((2 * z_size, size)),
            "latent_encoder/sigma/bias": np.log(np.expm1(self.precision**-0.5)),
            "latent_decoder/layer0/kernel": np.concatenate([np.eye(size), -np.eye(size)], 1),
            "latent_decoder/layer0/bias": np.zeros(2 * size),
            "latent_decoder/mu/kernel": both_ways(self.a.T),
            "latent_decoder/mu/bias": self.b,
            "latent_decoder/log_variance/kernel": np.zeros((2 * size, z_size)),
            "latent_decoder/log_variance/bias": self.v,
        }

    def log_prob(self, z, noise, weights=None):
        with tf.Graph().as_default(), tf.Session() as session:
            vae = base_model.LatentVAE(self.sizes, z.shape[1])
            found = vae.log_prob(tf.constant(z, tf.float32), tf.constant(noise, tf.float32))
            for v in tf.trainable_variables():
                v.load(dict(self.weights, **weights or {})[v.op.name], session)
            return session.run(found)


def gaussian(z, mean, covariance):
    """log N(z; mean, covariance) of each row."""
    away = z - mean
    squares = (away * np.linalg.solve(covariance, away.T).T).sum(1)
    return -(squares + np.linalg.slogdet(2 * np.pi * covariance)[1]) / 2


def test_likelihood_equals_the_closed_form_of_a_linear_decoder():
    linear = Linear()
    rng = np.random.RandomState(2)
    z = rng.normal(size=(5, 6))
    exact = gaussian(z, linear.b, linear.a @ linear.a.T + np.diag(np.exp(linear.v)))
    # From the exact posterior, each draw gives log p(z): one or many.
    for draws in (1, 7):
        np.testing.assert_allclose(linear.log_prob(z, rng.normal(size=(draws, 5, 2))), exact, rtol=1e-4)
    # From another posterior, it is a lower bound that many draws close.
    wide = {"latent_encoder/sigma/bias": np.log(np.expm1(1.5 * linear.precision**-0.5))}
    few, many = (linear.log_prob(z, rng.normal(size=(draws, 5, 2)), wide).mean() for draws in (1, 5000))
    assert few < exact.mean() - 0.1
    assert abs(many - exact.mean()) < 0.05


def some_moments(n=9, size=5):
    rng = np.random.RandomState(4)
    mean, scale = rng.normal(1, 2, (n, size)), rng.uniform(0.1, 1, (n, size))
    return mean, scale, base_model.moments(mean.astype(np.float32), scale.astype(np.float32))


def test_the_broad_part_is_the_mean_of_shrunk_gaussians():
    mean, scale, moments = some_moments()
    z = np.random.RandomState(5).normal(size=(4, 5))
    parts = []
    for a in (2, 8):
        for b in (2, 4, 8, 16, 32):
            center = mean.sum(0) / (9 + a)
            covariance = (mean - center).T @ (mean - center) + np.diag((scale**2).sum(0) + b)
            parts.append(np.exp(gaussian(z, center, covariance / (9 + b))))
    np.testing.assert_allclose(base_model.BroadPart(moments).log_prob(z), np.log(np.mean(parts, 0)), rtol=1e-5)


def test_draws_of_the_broad_part_have_its_mean_and_covariance():
    _, _, moments = some_moments()
    broad = base_model.BroadPart(moments)
    drawn, means = broad.sample(np.random.RandomState(6).standard_normal((40000, 6)))
    of_means = np.mean([9 * moments.mean / 11, 9 * moments.mean / 17], 0)
    np.testing.assert_allclose(drawn.mean(0), of_means, atol=0.05)
    np.testing.assert_allclose(means.mean(0), of_means, atol=0.02)
    # log p of its own draws is minus its entropy: by the draws' likelihood, and by bins of one dimension.
    expected = 0
    for a in (2, 8):
        for b in (2, 4, 8, 16, 32):
            center = 9 * moments.mean / (9 + a)
            scatter = 9 * (moments.covariance + np.outer(moments.mean - center, moments.mean - center))
            covariance = (scatter + np.diag(9 * moments.variance + b)) / (9 + b)
            expected = expected + (covariance + np.outer(center - of_means, center - of_means)) / 10
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.15)


def test_leaning_goes_from_one_part_to_the_other_and_keeps_the_spread():
    rng = np.random.RandomState(7)
    means = np.full((50000, 2), 3.0)
    sharp, broad = means + rng.normal(0, 2, means.shape), means + rng.normal(0, 2, means.shape)
    np.testing.assert_array_equal(base_model.leant(sharp, broad, means, 0), sharp)
    np.testing.assert_array_equal(base_model.leant(sharp, broad, means, 1), broad)
    for freedom in (0.2, 0.7):
        found = base_model.leant(sharp, broad, means, freedom)
        assert np.std(found) == pytest.approx(2, abs=0.02)
        assert np.corrcoef(found[:, 0], broad[:, 0])[0, 1] == pytest.approx(freedom, abs=0.02)


def test_the_personal_prior_is_a_mixture():
    sharp, broad = np.array([-3.0, -900.0, 2.0]), np.array([-4.0, -5.0, -800.0])
    weight = base_model.SHARP
    expected = [np.log(weight * np.exp(-3) + (1 - weight) * np.exp(-4)), np.log(1 - weight) - 5, np.log(weight) + 2]
    np.testing.assert_allclose(base_model.log_mixture(sharp, broad), expected)
    assert np.exp(base_model.log_mixture(np.zeros(1), np.zeros(1))) == pytest.approx(1)


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
    assert sizes.decoder_variance == "unit"  # as in midiMe, and in version 0.1.0
    sizes, _ = base_model.sizes_of(dict(shapes, **{"latent_decoder/log_variance/kernel": (32, 512)}), "x.ckpt")
    assert sizes.decoder_variance == "learned"


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
