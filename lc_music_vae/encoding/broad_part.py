"""Finds the broad part of a model's prior: in its `songs.npz`, or from the latents of its run."""

from typing import Optional, Sequence

import numpy as np

from lc_music_vae import base_model
from lc_music_vae.checkpoints import songs_npz
from lc_music_vae.checkpoints.checkpoint import Checkpoint
from lc_music_vae.encoding import latents
from lc_music_vae.errors import InputError


def find(small: Checkpoint, shards: Sequence[str], z_size: int) -> Optional[base_model.BroadPart]:
    """Returns the broad part of a model's prior; None if it is not known, as in bundles of version 0.1.0.

    Args:
        small: The small VAE's checkpoint.
        shards: The latents that it was trained on, as far as they are known.
        z_size: Dimensions of its z.

    Raises:
        InputError: Its `songs.npz` is damaged, and there are no latents.
    """
    of = moments(small, shards, z_size)
    return None if of is None else base_model.BroadPart(of)


def moments(small: Checkpoint, shards: Sequence[str], z_size: int) -> Optional[base_model.Moments]:
    """Returns what the broad part of a model's prior is made of; arguments and errors as for `find`."""
    try:
        kept = songs_npz.find(small)
        if kept is not None and kept.mean is not None:
            return _from(kept, small, z_size)
    except InputError:
        if not shards:
            raise
    return latents.moments(shards) if shards else None


def of_latents(shards: Sequence[str]) -> base_model.BroadPart:
    """Returns the broad part of a prior that is learned from these latents."""
    return base_model.BroadPart(latents.moments(shards))


def _from(kept: songs_npz.SongsNpz, small: Checkpoint, z_size: int) -> base_model.Moments:
    of = kept.windows, kept.mean, kept.covariance, kept.variance
    windows, mean, covariance, variance = (np.asarray(one, np.float64) for one in of)
    try:
        if len(mean) != z_size:
            raise ValueError("they are of another model")
        found = base_model.Moments(int(windows[0]), mean, covariance, variance)
        base_model.BroadPart(found)  # fails unless these are moments
    except (ValueError, np.linalg.LinAlgError) as e:
        raise InputError(
            "%s=%s: the moments in its songs.npz are damaged (%s); restore it, or give --freedom=0"
            % (small.flag, small.path, e)
        ) from e
    return found
