"""The small VAE over MusicVAE's latent z, its loss, and the personal prior that it is a part of.

The sharp part is a small VAE. Its decoder gives a mean and, per dimension of z, a log variance:

    z' ~ q(z'|z) = N(mu(z), sigma(z)^2),    p(z|z') = N(z^(z'), diag exp v(z')),    p(z') = N(0, I)

    loss = E[ sum over z of ((z - z^)^2 exp(-v) + v) / 2  +  beta KL(q(z'|z) || p(z'))  +  sum over z of R(v) ]

in nats per window: the negative ELBO without the constant of the normal density, and a regulariser. With n training
windows, R(v) = (exp(-v) + v - 1) / 2n. This is what one more window, at the distance 1 from z^ in every dimension,
would add: it keeps the variance of a few windows from collapsing. `mu`, `sigma`, `z^` and `v` are multilayer
perceptrons with relu between layers; sigma ends in a softplus. With `decoder_variance=unit`, v = 0 and R is left out:
that is MidiMe.

The broad part is in closed form: the mean of several Gaussians, each shrunk towards N(0, I) as if some windows of
N(0, I) had been seen too (`BroadPart`). The personal prior is the mixture

    p(z) = SHARP p_sharp(z) + (1 - SHARP) p_broad(z),    p_sharp(z) = E over p(z') of p(z|z')

The sharp part knows what the songs do, and promises too much where a song goes on with something new. There the broad
part stands guard. For windows x that neither part has seen, E over q(z|x) of [log p(z) - log N(z; 0, I)] is what the
ELBO of x gains over MusicVAE's own prior: see `training.score`.

Sources: Dinculescu, Engel, Roberts, "MidiMe: Personalizing a MusicVAE model with user data" (2019); Engel, Hoffman,
Roberts, "Latent Constraints" (ICLR 2018); Dai, Wipf, "Diagnosing and Enhancing VAE Models" (ICLR 2019), for a second
VAE as a better prior, with a learned variance.
"""

import itertools
import math
import re
import zlib
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow_probability as tfp

from lc_music_vae.errors import InputError
from lc_music_vae.hparams import LEARNED, UNIT, HParams

ds = tfp.distributions

_LOG_VARIANCE = (-4.0, 1.0)  # limits of v; z of MusicVAE's prior has variance 1
_LOG_2_PI = math.log(2 * math.pi)

# Weight of the sharp part. Measured on 27 halves of songs, scored on the other halves: from 0.05 to 0.3 the mean score
# changes by less than 1.2 nats a window; a small weight costs next to nothing where a song goes on with something new.
SHARP = 0.1
# How many windows of N(0, I) each Gaussian of the broad part has seen too, for its mean and for its covariance. Which
# numbers are best depends on the song; a mean over several was better than the best single one on all 27.
_OF_MEAN, _OF_COVARIANCE = (2, 8), (2, 4, 8, 16, 32)
PSEUDO_WINDOWS = list(itertools.product(_OF_MEAN, _OF_COVARIANCE))


def stateless_seed(seed: int, stream: int, step) -> tf.Tensor:
    """Returns the seed pair of a stateless op: a function of (seed, step) that differs for each `stream`."""
    return tf.stack([tf.constant(stream * 2**32 + seed, tf.int64), tf.cast(step, tf.int64)])


class LatentVAE:
    """The small VAE, a pure function of the variables `latent_encoder/...` and `latent_decoder/...`.

    Args:
        hparams: Hyperparameters, of which only the sizes are used.
        z_size: Number of dimensions of MusicVAE's z.
        seed: Seed of the initial kernels. Each kernel is a function of this seed and its name.
    """

    def __init__(self, hparams: HParams, z_size: int, seed: int = 0):
        self._hparams = hparams
        self._z_size = z_size
        self._seed = seed

    def encode(self, z: tf.Tensor) -> tfp.distributions.MultivariateNormalDiag:
        """Returns q(z'|z), event shape [encoded_z_size], for z of shape [n, z_size]."""
        x = self._hidden(z, "latent_encoder", self._hparams.latent_encoder_layers)
        size = self._hparams.encoded_z_size
        mu = self._dense(x, size, "latent_encoder/mu")
        sigma = tf.nn.softplus(self._dense(x, size, "latent_encoder/sigma"))
        return ds.MultivariateNormalDiag(loc=mu, scale_diag=sigma)

    def decode(self, z_small: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
        """Returns p(z|z') for z' of shape [n, encoded_z_size]: its mean z^ and its log variance v, [n, z_size] each."""
        x = self._hidden(z_small, "latent_decoder", self._hparams.latent_decoder_layers)
        mean = self._dense(x, self._z_size, "latent_decoder/mu")
        if self._hparams.decoder_variance == UNIT:
            return mean, tf.zeros_like(mean)
        log_variance = self._dense(x, self._z_size, "latent_decoder/log_variance", zero=True)
        return mean, tf.clip_by_value(log_variance, *_LOG_VARIANCE)

    def losses(self, z: tf.Tensor, noise: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the reconstruction loss, the KL divergence and the regulariser n R(v), in nats, [n] each.

        Args:
            z: [n, z_size].
            noise: Standard normal noise used to sample z', [n, encoded_z_size].
        """
        q = self.encode(z)
        mean, v = self.decode(q.loc + q.stddev() * noise)
        prior = ds.MultivariateNormalDiag(loc=tf.zeros([self._hparams.encoded_z_size]))
        kl = ds.kl_divergence(q, prior)
        if self._hparams.decoder_variance == UNIT:
            reconstruction = tf.reduce_sum(tf.squared_difference(mean, z), 1) / 2
            return reconstruction, kl, tf.zeros_like(reconstruction)
        precision = tf.exp(-v)
        reconstruction = tf.reduce_sum(tf.squared_difference(mean, z) * precision + v, 1) / 2
        return reconstruction, kl, tf.reduce_sum(precision + v - 1, 1) / 2

    def log_prob(self, z: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns a lower bound of log p_sharp(z), float32 [n], by importance sampling from q(z'|z).

        Its expectation rises with the number of draws k, towards log p_sharp(z); with k = 1 it is the ELBO.

        Args:
            z: [n, z_size].
            noise: Standard normal noise used to draw z', [k, n, encoded_z_size].

        Source: Burda, Grosse, Salakhutdinov, "Importance Weighted Autoencoders" (ICLR 2016).
        """
        q = self.encode(z)
        z_small = q.loc + q.stddev() * noise
        draws, size = tf.shape(noise)[0], self._hparams.encoded_z_size
        decoded = self.decode(tf.reshape(z_small, [-1, size]))
        mean, v = (tf.reshape(x, [draws, -1, self._z_size]) for x in decoded)
        log_likelihood = -tf.reduce_sum(tf.squared_difference(mean, z) * tf.exp(-v) + v + _LOG_2_PI, 2) / 2
        # log p(z') - log q(z'|z), where z' = mu + sigma * noise
        log_ratio = tf.reduce_sum((tf.square(noise) - tf.square(z_small)) / 2 + tf.log(q.stddev()), 2)
        return tf.reduce_logsumexp(log_likelihood + log_ratio, 0) - tf.log(tf.cast(draws, tf.float32))

    def _hidden(self, x: tf.Tensor, scope: str, sizes: Sequence[int]) -> tf.Tensor:
        for i, size in enumerate(sizes):
            x = tf.nn.relu(self._dense(x, size, "%s/layer%d" % (scope, i)))
        return x

    def _dense(self, x: tf.Tensor, size: int, name: str, *, zero: bool = False) -> tf.Tensor:
        """Applies a linear layer; its kernel is initialized with the Glorot uniform distribution, or with zeros.

        midiMe initializes the layers of mu, sigma and z^ from N(0, 0.001^2) instead, as MusicVAE does. Both were
        measured on four songs, with 500 steps: with N(0, 0.001^2) the reconstruction error of z is 1.7 to 2.4 times
        below that of a constant, and with Glorot 1.9 to 3.5 times. Glorot was better on three songs and the same on
        one.
        """
        depth = x.shape.as_list()[-1]
        limit = 0.0 if zero else (6 / (depth + size)) ** 0.5
        seed = stateless_seed(self._seed, 0, zlib.crc32(name.encode()))

        def initial_kernel(shape, dtype=tf.float32, partition_info=None):
            del partition_info
            return tf.random.stateless_uniform(shape, seed, -limit, limit, dtype)

        with tf.variable_scope(name, reuse=tf.AUTO_REUSE):
            kernel = tf.get_variable("kernel", [depth, size], initializer=initial_kernel)
            bias = tf.get_variable("bias", [size], initializer=tf.zeros_initializer())
        return tf.matmul(x, kernel) + bias


class Moments(NamedTuple):
    """What the broad part knows of n training windows.

    Attributes:
        windows: n.
        mean: Mean of the posterior means of z, float64 [z_size].
        covariance: Their covariance, float64 [z_size, z_size].
        variance: Mean of the posterior variances, float64 [z_size].
    """

    windows: int
    mean: np.ndarray
    covariance: np.ndarray
    variance: np.ndarray


def moments(mean: np.ndarray, scale: np.ndarray) -> Moments:
    """Returns the moments of windows from the mean and scale of their q(z|x), [n, z_size] each."""
    mean, scale = mean.astype(np.float64), scale.astype(np.float64)
    centered = mean - mean.mean(0)
    return Moments(len(mean), mean.mean(0), centered.T @ centered / len(mean), np.mean(scale**2, 0))


class _Axes(NamedTuple):
    """Gaussians with one mean and the same principal axes.

    Attributes:
        mean: float64 [z_size].
        directions: The axes are its columns, float64 [z_size, z_size].
        variances: Along each axis of each Gaussian, float64 [z_size, gaussians].
    """

    mean: np.ndarray
    directions: np.ndarray
    variances: np.ndarray


class BroadPart:
    """The broad part of the personal prior: the mean of several shrunk Gaussians.

    With a pseudo-windows for the mean and b for the covariance, and n windows with posterior means mu and scales sigma,
    a Gaussian has

        m = n mean(mu) / (n + a),    C = [sum of (mu - m)(mu - m)^T + diag(sum of sigma^2 + b)] / (n + b)

    Args:
        of: The moments of the training windows.
    """

    def __init__(self, of: Moments):
        n = of.windows
        self._means: List[np.ndarray] = []
        self._factors: List[np.ndarray] = []  # lower Cholesky factors of the covariances
        self._axes: List[_Axes] = []  # of the Gaussians with each mean, once they are needed
        self._scatters: List[Tuple[np.ndarray, np.ndarray]] = []
        for for_mean in _OF_MEAN:
            mean = n * of.mean / (n + for_mean)
            away = of.mean - mean
            scatter = n * (of.covariance + np.outer(away, away) + np.diag(of.variance))
            self._scatters.append((mean, scatter))
            for for_covariance in _OF_COVARIANCE:
                covariance = (scatter + for_covariance * np.eye(len(mean))) / (n + for_covariance)
                self._means.append(mean)
                self._factors.append(np.linalg.cholesky(covariance))
        self._windows = n

    def log_prob(self, z: np.ndarray) -> np.ndarray:
        """Returns log p_broad(z), float64 [n], for z of shape [n, z_size]."""
        if not self._axes:
            self._axes = [self._axes_of(mean, scatter) for mean, scatter in self._scatters]
        parts = []
        for axes in self._axes:
            squares = np.square((z - axes.mean) @ axes.directions)
            parts.append(-(squares @ (1 / axes.variances) + np.log(axes.variances).sum(0)) / 2)
        found = np.concatenate(parts, 1)
        return np.logaddexp.reduce(found, 1) - math.log(found.shape[1]) - z.shape[1] * _LOG_2_PI / 2

    def _axes_of(self, mean: np.ndarray, scatter: np.ndarray) -> "_Axes":
        """Returns the axes of the Gaussians of a mean: more of N(0, I) in a covariance does not turn them."""
        pseudo = np.array(_OF_COVARIANCE)
        along, directions = np.linalg.eigh(scatter)
        return _Axes(mean, directions, (along[:, None] + pseudo) / (self._windows + pseudo))

    def sample(self, noise: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Returns draws of z and the means that they are drawn around, float64 [n, z_size] each.

        Args:
            noise: Standard normal noise, [n, z_size + 1]. The last column chooses the Gaussian.
        """
        rank = np.array([math.erf(x / math.sqrt(2)) for x in noise[:, -1]]) / 2 + 0.5
        chosen = np.minimum((rank * len(self._means)).astype(int), len(self._means) - 1)
        means = np.stack(self._means)[chosen]
        drawn = [self._factors[i] @ row[:-1] for i, row in zip(chosen, noise)]
        return means + drawn, means


def leant(sharp: np.ndarray, broad: np.ndarray, means: np.ndarray, *, freedom: float) -> np.ndarray:
    """Moves draws of the sharp part towards draws of the broad one, without making them narrower, [n, z_size].

    Around the mean m of the broad draw, sqrt(1 - f^2) (sharp - m) + f (broad - m): with freedom f = 0 it is the sharp
    draw, with 1 the broad one. A plain average would be nearer to m than either.

    Args:
        sharp: z^ of draws of z', [n, z_size].
        broad: Draws of the broad part, [n, z_size].
        means: The means that they are drawn around, [n, z_size].
        freedom: f, from 0 to 1.
    """
    return means + math.sqrt(1 - freedom**2) * (sharp - means) + freedom * (broad - means)


def log_mixture(sharp: np.ndarray, broad: np.ndarray) -> np.ndarray:
    """Returns log p(z) of the personal prior from the log probabilities of its two parts, [n] each."""
    return np.logaddexp(math.log(SHARP) + sharp, math.log(1 - SHARP) + broad)


def log_standard_normal(z: np.ndarray) -> np.ndarray:
    """Returns log N(z; 0, I), MusicVAE's own prior, [n], for z of shape [n, z_size]."""
    return -(np.sum(np.square(z, dtype=np.float64), 1) + z.shape[1] * _LOG_2_PI) / 2


def beta(hparams: HParams, step) -> tf.Tensor:
    """Returns the KL term's weight at `step`: max_beta * (1 - beta_rate ** (step + 1))."""
    return hparams.max_beta * (1.0 - tf.pow(hparams.beta_rate, tf.cast(step, tf.float32) + 1.0))


def learning_rate(hparams: HParams, step) -> tf.Tensor:
    """Returns Adam's learning rate at `step`. It decays from learning_rate to min_learning_rate, as in MusicVAE."""
    span = hparams.learning_rate - hparams.min_learning_rate
    return span * tf.pow(hparams.decay_rate, tf.cast(step, tf.float32)) + hparams.min_learning_rate


def sizes_of(shapes: Dict[str, Tuple[int, ...]], path: str) -> Tuple[HParams, int]:
    """Reads a small VAE's sizes from the shapes in its checkpoint.

    Args:
        shapes: Shape of each variable, by name.
        path: The checkpoint, for error messages.

    Returns:
        Hyperparameters with the sizes of the checkpoint, and the number of dimensions of z.

    Raises:
        InputError: The checkpoint is not from this small VAE.
    """
    shapes = {name: shape for name, shape in shapes.items() if len(shape) == 2 and min(shape) > 0}
    layers: Dict[str, Dict[int, int]] = {"latent_encoder": {}, "latent_decoder": {}}
    for name, shape in shapes.items():
        match = re.match(r"(latent_(?:en|de)coder)/layer(\d+)/kernel$", name)
        if match:
            layers[match.group(1)][int(match.group(2))] = shape[1]
    mu, out = shapes.get("latent_encoder/mu/kernel"), shapes.get("latent_decoder/mu/kernel")
    if mu is None or out is None:
        raise InputError("%s: holds no small VAE (latent_encoder/..., latent_decoder/...)" % path)
    if not layers["latent_encoder"] or not layers["latent_decoder"]:
        raise InputError(
            "%s: an older midiMe `lc-` model, whose single layers are another network; train a new one, "
            "or give a checkpoint of its config ae-cat-mel_2bar_big" % path
        )
    encoder, decoder = (tuple(size for _, size in sorted(found.items())) for found in layers.values())
    hparams = HParams(
        encoded_z_size=mu[1],
        latent_encoder_layers=encoder,
        latent_decoder_layers=decoder,
        decoder_variance=LEARNED if "latent_decoder/log_variance/kernel" in shapes else UNIT,
    )
    return hparams, out[1]
