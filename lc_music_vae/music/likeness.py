"""How alike sets of onsets are. Needs only NumPy."""

from typing import Sequence

import numpy as np


def dice(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """Returns how alike windows are: 2 |A and B| / (|A| + |B|), from 0 to 1, float [n, m]; two without notes are alike.

    Args:
        some: Onsets of n windows, as `nearness.onsets` numbers them, each without repeats.
        others: Those of m windows.

    Source: Dice, "Measures of the Amount of Ecologic Association Between Species" (Ecology, 1945).
    """
    every = np.unique(np.concatenate([*some, *others, [0]]))
    has = [np.stack([np.isin(every, one) for one in windows]).astype(np.float32) for windows in (some, others)]
    sizes = has[0].sum(1)[:, np.newaxis] + has[1].sum(1)
    return np.where(sizes > 0, 2 * (has[0] @ has[1].T) / np.maximum(sizes, 1), 1.0)
