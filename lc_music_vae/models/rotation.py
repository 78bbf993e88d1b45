"""Turns the path of a song through the small latent. Needs only NumPy.

The small VAE's prior N(0, I) does not change under a rotation Q. So each point of a turned path is as fair a draw as
before; and as Q keeps all distances, the turned path repeats and contrasts where the song does.
"""

from typing import Sequence

import numpy as np


def orthogonal(size: int, key: Sequence[int]) -> np.ndarray:
    """Returns a random orthogonal matrix, float64 [size, size]; all are equally likely, and it depends only on the key.

    Source: Mezzadri, "How to generate random matrices from the classical compact groups" (2007): QR of a Gaussian
    matrix, with the signs of R's diagonal moved to Q.
    """
    q, r = np.linalg.qr(np.random.RandomState(list(key)).standard_normal([size, size]))
    return q * np.sign(np.diag(r))


def leading(start: np.ndarray, to: np.ndarray, key: Sequence[int]) -> np.ndarray:
    """Returns a random orthogonal matrix that turns one direction into another: start @ Q points as `to` does.

    All such matrices are equally likely. If one of the two is zero, any is.

    Args:
        start: float [size].
        to: float [size].
        key: Key of what is random.
    """
    size = len(start)
    rest = np.random.RandomState(list(key)).standard_normal([2, size, size])
    if not (np.any(start) and np.any(to)):
        return orthogonal(size, key)
    bases = []
    for direction, random in zip((start, to), rest):
        q, r = np.linalg.qr(np.concatenate([np.reshape(direction, [size, 1]), random[:, 1:]], 1))
        bases.append(q * np.sign(np.diag(r)))
    return bases[0] @ bases[1].T


def turned(path: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Returns a path turned about its own mean, which moves to the prior's: zero. float64 [n, size].

    Equal points stay equal to the last bit, as each is turned by itself.

    Args:
        path: Points of the small latent, float [n, size].
        rotation: An orthogonal matrix, float [size, size].
    """
    away = np.asarray(path, np.float64) - np.mean(path, 0, dtype=np.float64)
    return np.stack([point @ rotation for point in away])
