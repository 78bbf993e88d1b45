"""The small VAE over MusicVAE's latent z, and its loss.

    z' ~ q(z'|z) = N(mu(z), sigma(z)^2),    z^ = g(z'),    p(z') = N(0, I)

    loss = E[ sum over z of (z^ - z)^2 / 2  +  beta * KL(q(z'|z) || p(z')) ]    in nats, per example

The first term is the negative log likelihood of z under N(z^, I) without its constant. `mu`, `sigma` and `g` are
multilayer perceptrons with relu between layers; sigma ends in a softplus.

Sources: Dinculescu, Engel, Roberts, "MidiMe: Personalizing a MusicVAE model with user data" (2019); Engel, Hoffman,
Roberts, "Latent Constraints" (ICLR 2018).
"""

import re
import zlib
from typing import Dict, Sequence, Tuple

import tensorflow.compat.v1 as tf
import tensorflow_probability as tfp

from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams

ds = tfp.distributions


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

    def decode(self, z_small: tf.Tensor) -> tf.Tensor:
        """Returns z^, [n, z_size], for z' of shape [n, encoded_z_size]."""
        x = self._hidden(z_small, "latent_decoder", self._hparams.latent_decoder_layers)
        return self._dense(x, self._z_size, "latent_decoder/mu")

    def losses(self, z: tf.Tensor, noise: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
        """Returns the reconstruction loss and the KL divergence, in nats, [n] each.

        Args:
            z: [n, z_size].
            noise: Standard normal noise used to sample z', [n, encoded_z_size].
        """
        q = self.encode(z)
        reconstruction = tf.reduce_sum(tf.squared_difference(self.decode(q.loc + q.stddev() * noise), z), 1) / 2
        prior = ds.MultivariateNormalDiag(loc=tf.zeros([self._hparams.encoded_z_size]))
        return reconstruction, ds.kl_divergence(q, prior)

    def _hidden(self, x: tf.Tensor, scope: str, sizes: Sequence[int]) -> tf.Tensor:
        for i, size in enumerate(sizes):
            x = tf.nn.relu(self._dense(x, size, "%s/layer%d" % (scope, i)))
        return x

    def _dense(self, x: tf.Tensor, size: int, name: str) -> tf.Tensor:
        """Applies a linear layer; its kernel is initialized with the Glorot uniform distribution.

        midiMe initializes the layers of mu, sigma and z^ from N(0, 0.001^2) instead, as MusicVAE does. Both were
        measured on four songs, with 500 steps: with N(0, 0.001^2) the reconstruction error of z is 1.7 to 2.4 times
        below that of a constant, and with Glorot 1.9 to 3.5 times. Glorot was better on three songs and the same on
        one.
        """
        depth = x.shape.as_list()[-1]
        limit = (6 / (depth + size)) ** 0.5
        seed = stateless_seed(self._seed, 0, zlib.crc32(name.encode()))

        def initial_kernel(shape, dtype=tf.float32, partition_info=None):
            del partition_info
            return tf.random.stateless_uniform(shape, seed, -limit, limit, dtype)

        with tf.variable_scope(name, reuse=tf.AUTO_REUSE):
            kernel = tf.get_variable("kernel", [depth, size], initializer=initial_kernel)
            bias = tf.get_variable("bias", [size], initializer=tf.zeros_initializer())
        return tf.matmul(x, kernel) + bias


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
    hparams = HParams(encoded_z_size=mu[1], latent_encoder_layers=encoder, latent_decoder_layers=decoder)
    return hparams, out[1]
