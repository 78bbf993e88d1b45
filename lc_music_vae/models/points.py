"""Points of the small latent that are decoded. Needs only NumPy."""

from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np

_PARALLEL = 1e-6  # radians: closer than this, the great circle between two directions is not defined
_SHARE, _DISTANCE = (
    0.15,
    0.5,
)  # a dimension with less than this share of the greatest effect, or less in z, does nothing
_BACK = 0.3  # cost of steps of an interpolation that go back
_SPAN = 2.5  # standard deviations of the prior: only 1 % of it is outside


def prior_samples(n: int, size: int, seed: int, *, first: int = 0) -> np.ndarray:
    """Draws z' ~ N(0, I), float64 [n, size]; row i depends only on (seed, first + i)."""
    return samples([(first + i, 0) for i in range(n)], size, seed)


def samples(drawn: Sequence[Tuple[int, int]], size: int, seed: int) -> np.ndarray:
    """Draws z' ~ N(0, I) for pairs of a row and a draw, float64 [n, size].

    Draw 0 of a row is that of `prior_samples`; a point depends only on the seed and its pair.
    """
    keys = [[seed, row, draw] if draw else [seed, row] for row, draw in drawn]
    return np.stack([np.random.RandomState(key).standard_normal(size) for key in keys])


def slerp(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Interpolates between two vectors on the great circle; the lengths of the points between follow from the formula.

    If the great circle is not defined (a zero vector, equal or opposite directions), a straight line is used.

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
        return between(start, end, steps)
    return (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)


def smoothest(apart: np.ndarray, n: int) -> List[int]:
    """Chooses n points of a way such that no step between them is large, and that none goes back.

    The choice minimises the sum over steps of d^4 + 0.3 b, where d is how far its two points are apart, and b by how
    much the second is farther from the end of the way than the first, or nearer to its start. Measured on 120
    interpolations of eight points, 29 to choose from, d the share of notes that differ: in the mean, the step at which
    most changes has 0.33 (points at equal distances of the way: 0.51), and 1 % of steps go back by 0.05 or more (8 %).

    Args:
        apart: How far points are apart, from 0 to 1, float [m, m]; only what is above the diagonal counts.
        n: How many to choose, from 2 to m.

    Returns:
        The numbers of the chosen points, ascending; both ends are among them.
    """
    later = np.triu_indices(len(apart), 1)
    first, last = later
    to_start, to_end = np.append(0, apart[0, 1:]), np.append(apart[:-1, -1], 0)
    back = np.maximum(0, to_end[last] - to_end[first]) + np.maximum(0, to_start[first] - to_start[last])
    cost = np.full(apart.shape, np.inf)
    cost[later] = apart[later] ** 4 + _BACK * back
    best, before = np.append(0, np.full(len(apart) - 1, np.inf)), []
    for _ in range(n - 1):
        sums = best[:, np.newaxis] + cost
        before.append(np.argmin(sums, 0))
        best = sums.min(0)
    chosen = [len(apart) - 1]
    for step in reversed(before):
        chosen.append(int(step[chosen[-1]]))
    return chosen[::-1]


def between(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Returns points on the straight line between two vectors, both ends included, float [steps, size]."""
    t = np.linspace(0, 1, steps)[:, np.newaxis]
    return (1 - t) * start + t * end


def kept(similarity: float) -> float:
    """Returns how much variations keep of a window's point and residual: sqrt(s (2 - s)) for a similarity s.

    With it the noise has the scale 1 - s, and the F1 of notes falls evenly. Measured on 27 halves of songs, in means
    over bars that the models had not seen, pop and folk: 0.71, 0.94 for s = 1 (what MusicVAE itself gives back); 0.6,
    0.8 for 0.8; 0.4, 0.6 for 0.5; 0.16, 0.3 for 0.2; 0.07, 0.15 for 0 (as for samples).
    """
    return float(np.sqrt(similarity * (2 - similarity)))


def similar(point: np.ndarray, n: int, similarity: float, *, seed: int, first: int = 0) -> np.ndarray:
    """Draws points near a given one: kept(s) * point + (1 - s) * noise, noise ~ N(0, I), for a similarity s.

    kept(s)^2 + (1 - s)^2 = 1: points stay where the prior's mass is. At 1 they are the point itself, at 0 they are
    samples from the prior.

    Args:
        point: float [size].
        n: Number of points.
        similarity: From 0 to 1.
        seed: Seed of the noise; row i depends only on (seed, first + i).
        first: Number of rows of the noise that were used before.

    Returns:
        float [n, size].
    """
    return kept(similarity) * point + (1 - similarity) * prior_samples(n, len(point), seed, first=first)


def span(low: Optional[Sequence[float]], high: Optional[Sequence[float]], size: int) -> Tuple[np.ndarray, np.ndarray]:
    """Returns where walks begin and end, float [size] each: where songs do, or most of the prior if that is unknown."""
    if low is None or high is None:
        return np.full(size, -_SPAN), np.full(size, _SPAN)
    return np.array(low), np.array(high)


def walk(
    center: np.ndarray, steps: int, *, low: np.ndarray, high: np.ndarray, dimensions: Optional[Sequence[int]] = None
) -> np.ndarray:
    """Moves one dimension after the other from `low` to `high`, while the others stay at `center`.

    Args:
        center: float [size].
        steps: Number of points per dimension, both ends included.
        low: Where each dimension begins, float [size].
        high: Where it ends, float [size].
        dimensions: The dimensions to move, in order; by default all.

    Returns:
        float [len(dimensions), steps, size]: for each of these dimensions, its points.
    """
    moved = range(len(center)) if dimensions is None else dimensions
    points = np.tile(center, (len(moved), steps, 1))
    for row, dimension in enumerate(moved):
        points[row, :, dimension] = np.linspace(low[dimension], high[dimension], steps)
    return points


def effects(decode: Callable[[np.ndarray], np.ndarray], *, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Returns how far each dimension moves z^ on its way from `low` to `high`, with the others halfway: float [size].

    Measured on 11 models of 4 to 16 dimensions: those with less than 0.15 of the greatest effect mostly changed less
    than 15 % of the notes (start and pitch) between five steps of their walk; the others mostly 40 to 90 %.

    Args:
        decode: Maps points, [n, size], to z^, [n, z_size].
        low: Where each dimension begins, float [size].
        high: Where it ends, float [size].
    """
    ends = walk((low + high) / 2, 2, low=low, high=high)
    first, last = (decode(ends[:, i]) for i in (0, 1))
    return np.linalg.norm(last - first, axis=1)


def moving(effect: np.ndarray) -> List[int]:
    """Returns the dimensions that change anything to speak of, the most effective first; there may be none."""
    order = np.argsort(-effect, kind="stable")
    least = max(_SHARE * effect.max(), _DISTANCE)
    return [int(i) for i in order if effect[i] >= least]
