"""Makes new windows of drums from those of a batch: pure functions on int [n, 32] classes.

The windows of `drums.py` have all that a drummer varies; here the drums of one play with those of another, so that no
two batches are alike.
"""

import numpy as np

from tools.base_model import augment, drums
from tools.base_model.drum_rolls import classes, rolls

# Shares of a batch; the rest are the windows as they are.
KINDS = {
    "spliced": (lambda some, rng: drums.spliced(some, augment.others(some, rng)), 0.06),
    "swapped": (lambda some, rng: drums.swapped(some, augment.others(some, rng), rng), 0.12),
    "dropped": (drums.dropped, 0.06),
    "displaced": (drums.displaced, 0.06),
    "added": (drums.added, 0.1),
}
ALL = tuple(KINDS)


def batch(windows, rng, kinds=ALL):
    """Returns augmented windows, int32 [n, 32].

    Args:
        windows: int [n, 32], drawn at random: their order decides which become what.
        rng: A RandomState.
        kinds: Names of ALL that are switched on.
    """
    mixed = rolls(windows.astype(np.int32))
    augment.replace_shares(mixed, KINDS, kinds, rng=rng)
    return classes(mixed).astype(np.int32)
