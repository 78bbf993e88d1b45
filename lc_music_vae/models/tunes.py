"""Whole tunes: the path of a form through the small latent, turned, and windows that go well with each other.

A personal prior that is N(0, I) in the small latent does not change under rotation, and a rotation keeps all distances.
So a song's path, turned about the origin by a random rotation, repeats where the song repeats and contrasts where it
contrasts, while each of its points is as good a sample as any. Needs only NumPy.
"""

from typing import Callable, List, NamedTuple, Sequence, Tuple

import numpy as np

_SWEEPS = 4  # over the windows of a tune: after three, hardly any choice changes

Pair = Tuple[int, int]


class Form(NamedTuple):
    """What a tune repeats, and what not.

    Attributes:
        places: For each window of the tune, in order, the number of its point in `path`; -1 for one of silence. Windows
            with the same number are the same, note for note.
        path: The points in the small latent, float [number of different windows, size].
    """

    places: Tuple[int, ...]
    path: np.ndarray

    def resized(self, windows: int) -> "Form":
        """Returns the form with so many windows: its first, or all of it again and again."""
        places = [self.places[i % len(self.places)] for i in range(windows)]
        used = sorted(set(places) - {-1})
        return Form(tuple(used.index(place) if place >= 0 else -1 for place in places), self.path[used])

    def seams(self) -> List[Pair]:
        """Returns the pairs of different windows, by their numbers, that follow each other somewhere."""
        pairs = dict.fromkeys(zip(self.places, self.places[1:]))
        return [(first, second) for first, second in pairs if min(first, second) >= 0]


def rotation(size: int, seed: Sequence[int]) -> np.ndarray:
    """Returns a random rotation or reflection, uniform over all, float [size, size].

    Source: Mezzadri, "How to generate random matrices from the classical compact groups" (Notices of the AMS, 2007).
    """
    q, r = np.linalg.qr(np.random.RandomState(seed).standard_normal((size, size)))
    return q * np.sign(np.diag(r))


def lettered(letters: Sequence[str], each: int, draw: Callable[[int], np.ndarray]) -> Form:
    """Returns the form that letters describe, such as "AABA".

    Args:
        letters: One for each section; sections with the same letter are the same.
        each: Number of windows of a section.
        draw: Returns the path of a section, [each, size]; called once for each different letter, with its number.
    """
    names = list(dict.fromkeys(letters))
    places = [names.index(letter) * each + i for letter in letters for i in range(each)]
    return Form(tuple(places), np.concatenate([draw(i) for i in range(len(names))]))


def choose(fits: np.ndarray, seams: Sequence[Pair], joins: np.ndarray) -> np.ndarray:
    """Chooses one candidate for each window, such that the windows fit, and go well with each other.

    The sum of all `fits` and `joins` is raised window by window, until no change of a single window raises it further.

    Args:
        fits: How good each candidate is in itself, float [windows, candidates].
        seams: The pairs of windows that follow each other.
        joins: How well candidates of these pairs go with each other, float [seams, candidates, candidates].

    Returns:
        The number of each window's candidate, int [windows].
    """
    chosen = np.argmax(fits, 1)
    for _ in range(_SWEEPS):
        before = chosen.copy()
        for window in range(len(fits)):
            value = fits[window].copy()
            for (first, second), join in zip(seams, joins):
                if first == second == window:
                    value += np.diag(join)
                elif first == window:
                    value += join[:, chosen[second]]
                elif second == window:
                    value += join[chosen[first]]
            chosen[window] = np.argmax(value)
        if (chosen == before).all():
            break
    return chosen


def straddling(first: np.ndarray, second: np.ndarray, steps: int) -> np.ndarray:
    """Returns windows that begin in the middle of one window and end in the middle of the next, [n, time, depth].

    Args:
        first: Tensors of windows, one event a step, [n, time, depth].
        second: Those of the windows that follow them.
        steps: How many steps of a window are its bars; the rest of it is their beginning again.
    """
    half = steps // 2
    across = np.concatenate([first[:, half:steps], second[:, :half]], 1)
    times = -(-first.shape[1] // across.shape[1])
    return np.tile(across, (1, times, 1))[:, : first.shape[1]]
