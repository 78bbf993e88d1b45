"""A trained small VAE, restored from its checkpoint."""

from typing import Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from lc_music_vae import base_model
from lc_music_vae.checkpoints.checkpoint import Checkpoint
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.errors import InputError
from lc_music_vae.models import sessions

_ROWS_A_BATCH = 4096  # that the decoder takes at once for likelihoods: 20 MB for each layer of 1,024
_MAX_VALUE = 1000000  # values of MusicVAE's z and of the small latent are mostly below 5


class SmallVAE:
    """The small VAE in its own graph and session.

    Attributes:
        z_size: Dimensions of MusicVAE's z.
        encoded_z_size: Dimensions of the small latent.

    Raises:
        InputError: The checkpoint is damaged, or is not that of a small VAE.
    """

    def __init__(self, checkpoint: Checkpoint):
        self._name = "%s=%s" % (checkpoint.flag, checkpoint.path)
        weights = Weights(checkpoint)
        hparams, self.z_size = base_model.sizes_of(weights.shapes, self._name)
        self.encoded_z_size = hparams.encoded_z_size
        self._likelihood: Optional[Tuple[tf.Tensor, tf.Tensor]] = None
        with tf.Graph().as_default() as graph:
            self._vae = vae = base_model.LatentVAE(hparams, self.z_size)
            self._z = tf.placeholder(tf.float32, [None, self.z_size])
            self._z_small = tf.placeholder(tf.float32, [None, self.encoded_z_size])
            q = vae.encode(self._z)
            self._posterior = (q.loc, q.stddev())
            self._decoded, _ = vae.decode(self._z_small)
            self._session = tf.Session(graph=graph, config=sessions.config())
            variables = tf.trainable_variables()
            weights.check({v.op.name: tuple(v.shape.as_list()) for v in variables}, "the small VAE")
            weights.restore(self._session, variables)

    def encode(self, z: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Returns the mean and scale of q(z'|z), float32 [n, encoded_z_size] each, for z of shape [n, z_size]."""
        mean, scale = self._session.run(self._posterior, {self._z: z})
        self._check_usable(mean, scale)
        return mean, scale

    def decode(self, z_small: np.ndarray) -> np.ndarray:
        """Returns z^, float32 [n, z_size], for z' of shape [n, encoded_z_size]."""
        z = self._session.run(self._decoded, {self._z_small: np.asarray(z_small)})
        self._check_usable(z)
        return z

    def log_prob(self, z: np.ndarray, *, draws: int, seed: int = 0, same_noise: bool = False) -> np.ndarray:
        """Returns a lower bound of log p_sharp(z), float64 [n], for z of shape [n, z_size].

        Args:
            z: Points of MusicVAE's latent.
            draws: Number of draws from the small posterior; see `base_model.LatentVAE.log_prob`.
            seed: Seed of the draws.
            same_noise: Whether all points have the same draws; then that of each does not depend on the others.
        """
        if self._likelihood is None:  # few need it, and building it takes as long as a batch of samples
            with self._session.graph.as_default():
                placeholder = tf.placeholder(tf.float32, [None, None, self.encoded_z_size])
                self._likelihood = placeholder, self._vae.log_prob(self._z, placeholder)
        noise_in, log_prob = self._likelihood
        rng = np.random.RandomState(seed)
        size = max(1, _ROWS_A_BATCH // draws)
        parts = []
        for i in range(0, len(z), size):
            part = z[i : i + size]
            rng = np.random.RandomState(seed) if same_noise else rng
            noise = rng.standard_normal((draws, 1 if same_noise else len(part), self.encoded_z_size))
            parts.append(self._session.run(log_prob, {self._z: part, noise_in: noise}))
        found = np.concatenate(parts).astype(np.float64)
        if not np.isfinite(found).all():
            raise InputError("%s: its small VAE gives no likelihoods; training failed: train again" % self._name)
        return found

    def _check_usable(self, *results: np.ndarray) -> None:
        """Raises an `InputError` if diverged weights, or a point far from the prior, gave unusable values."""
        if not all((np.abs(result) < _MAX_VALUE).all() for result in results):  # false for NaN, too
            raise InputError(
                "%s: its small VAE makes NaN or numbers beyond %d of what it was given; if that was a point, it lies "
                "too far out. Otherwise training failed: train into another --run_dir with a lower learning_rate in "
                "--hparams" % (self._name, _MAX_VALUE)
            )

    def close(self) -> None:
        """Frees the session and the weights in it."""
        self._session.close()
