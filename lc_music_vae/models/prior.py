"""The personal prior of a trained model: its sharp and its broad part together."""

import numpy as np

from lc_music_vae import base_model
from lc_music_vae.models.small_vae import SmallVAE

DRAWS = 32  # of importance sampling, per point: with 128, songs' scores rise by 0.1 nats


class PersonalPrior:
    """p(z), the mixture that `base_model` defines.

    Args:
        small: The sharp part.
        broad: The broad part.
    """

    def __init__(self, small: SmallVAE, broad: base_model.BroadPart):
        self._small = small
        self._broad = broad

    def log_prob(self, z: np.ndarray, *, draws: int = DRAWS, seed: int = 0, same_noise: bool = False) -> np.ndarray:
        """Returns a lower bound of log p(z), float64 [n], for z of shape [n, z_size].

        Args:
            z: Points of MusicVAE's latent.
            draws: Number of draws from the small posterior at each point.
            seed: Seed of these draws.
            same_noise: Whether all points have the same draws; then that of each does not depend on the others.
        """
        return base_model.log_mixture(
            self._small.log_prob(z, draws=draws, seed=seed, same_noise=same_noise), self._broad.log_prob(z)
        )
