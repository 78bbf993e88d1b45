"""Points of the small latent: where to decode. NumPy alone."""

import numpy as np

_PARALLEL = 1e-6  # radians: closer than this, the great circle between two directions is not defined
WALK = 2.5  # deviations of the prior: beyond them lies 1 % of it, and the decoder has seen next to nothing


def prior_samples(n: int, size: int, seed: int, *, first: int = 0) -> np.ndarray:
    """Draws z' ~ N(0, I), float64 [n, size]; row i depends on (seed, first + i) alone."""
    return np.stack([np.random.RandomState([seed, first + i]).standard_normal(size) for i in range(n)])


def slerp(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Interpolates on the great circle between two vectors, their lengths in between as they come.

    Where that circle is not defined (a zero vector, equal or opposite directions) it is the straight line.

    Args:
        start: float [size].
        end: float [size].
        steps: Number of points, both ends included.

    Returns:
        float [steps, size].

    Source: Shoemake, "Animating rotation with quaternion curves" (SIGGRAPH 1985).
    """
    t = np.linspace(0, 1, steps)[:, np.newaxis]
    lengths = np.linalg.norm(start) * np.linalg.norm(end)
    angle = np.arccos(np.clip(np.dot(start, end) / lengths, -1, 1)) if lengths > 0 else 0.0
    if not _PARALLEL < angle < np.pi - _PARALLEL:
        return (1 - t) * start + t * end
    return (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)


def similar(point: np.ndarray, n: int, similarity: float, *, seed: int, first: int = 0) -> np.ndarray:
    """Draws points about a given one: similarity * point + sqrt(1 - similarity^2) * noise, noise ~ N(0, I).

    `similarity` is their correlation with the point: at 1 they are the point, at 0 they are samples of the prior, and
    on the way they stay where the prior's mass is, as a straight mixture of both would not.

    Args:
        point: float [size].
        n: Number of points.
        similarity: From 0 to 1.
        seed: Of the noise; row i depends on (seed, first + i) alone.
        first: How many rows of it were used before.

    Returns:
        float [n, size].
    """
    return similarity * point + np.sqrt(1 - similarity**2) * prior_samples(n, len(point), seed, first=first)


def walk(center: np.ndarray, steps: int) -> np.ndarray:
    """Moves one dimension after the other from -WALK to WALK, the others staying at `center`.

    Args:
        center: float [size].
        steps: Number of points a dimension, both ends included.

    Returns:
        float [size, steps, size]: for each dimension, its points.
    """
    points = np.tile(center, (len(center), steps, 1))
    for dimension in range(len(center)):
        points[dimension, :, dimension] = np.linspace(-WALK, WALK, steps)
    return points
