"""Chooses one candidate for each distinct window of a tune so that the whole is best. Needs only NumPy.

Windows that repeat are one variable, wherever they stand. So the places of a tune are no chain, for which the Viterbi
algorithm would find the best choice, but a graph; here each variable in turn takes its best value given the others
(iterated conditional modes; Besag 1986), from several starts.
"""

from typing import Dict, List, Sequence, Tuple

import numpy as np

_STARTS = 16
_MAX_SWEEPS = 50  # of one start; a few are enough, as each raises the sum

Pairs = Dict[Tuple[int, int], np.ndarray]


def best(alone: np.ndarray, pairs: Pairs, key: Sequence[int]) -> Tuple[List[int], float]:
    """Returns the choice for each variable with the greatest sum that was found, and the sum.

    Args:
        alone: What each candidate of each variable is worth by itself, float [variables, candidates].
        pairs: For variables (a, b), what each candidate of a is worth beside each of b, float [candidates,
            candidates]. For (a, a), the diagonal counts.
        key: Key of the random starts.
    """
    alone = alone + sum(np.diag(worth) * _at(len(alone), a) for (a, b), worth in pairs.items() if a == b)
    between = [(a, b, worth) for (a, b), worth in pairs.items() if a != b]
    beside: List[List[Tuple[int, np.ndarray]]] = [[] for _ in alone]
    for a, b, worth in between:
        beside[a].append((b, worth.T))
        beside[b].append((a, worth))
    drawn = np.random.RandomState(list(key)).randint(alone.shape[1], size=[_STARTS - 1, len(alone)])
    found = []
    for start in [alone.argmax(1), *drawn]:
        chosen = np.array(start)
        for _ in range(_MAX_SWEEPS):
            before = chosen.copy()
            for i, others in enumerate(beside):
                chosen[i] = np.argmax(alone[i] + sum(worth[chosen[other]] for other, worth in others))
            if (chosen == before).all():
                break
        total = alone[np.arange(len(alone)), chosen].sum() + sum(worth[chosen[a], chosen[b]] for a, b, worth in between)
        found.append((chosen.tolist(), float(total)))
    return max(found, key=lambda one: one[1])


def _at(size: int, place: int) -> np.ndarray:
    """Returns a column that is 1 at one place and 0 elsewhere, float [size, 1]."""
    return (np.arange(size) == place)[:, np.newaxis].astype(float)
