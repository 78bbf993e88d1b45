"""Windows of drums as hits and as classes, for NumPy arrays.

A roll is bool [n, 32, 9]: which of magenta's nine drums (`note_seq`'s DEFAULT_DRUM_TYPE_PITCHES) are hit in each
sixteenth. A class, as the decoder of `cat-drums_2bar_small` says it, is a number below 512 with a bit for each drum.
"""

import numpy as np

STEPS = 32
KICK, SNARE, CLOSED, OPEN, LOW_TOM, MID_TOM, HIGH_TOM, CRASH, RIDE = DRUMS = range(9)
NAMES = ("kick", "snare", "closed hat", "open hat", "low tom", "mid tom", "high tom", "crash", "ride")
PITCHES = (36, 38, 42, 46, 45, 48, 50, 49, 51)  # the first of each drum's, as magenta writes it
CLASSES = 2 ** len(DRUMS)


def classes(rolls):
    """Returns the classes of rolls, int [..., 32]."""
    return (rolls << np.arange(len(DRUMS))).sum(-1)


def rolls(some):
    """Returns the rolls of classes, bool [..., 9]."""
    return (np.asarray(some)[..., np.newaxis] >> np.arange(len(DRUMS))) % 2 == 1


def heard(some):
    """Returns what the encoder hears of classes, bool [..., 10]: the drums, and whether none of them is hit."""
    hits = rolls(some)
    return np.concatenate([hits, ~hits.any(-1, keepdims=True)], -1)
