"""When training with --num_steps=0 ends.

Every `EVERY` steps, draws of z that training does not use are scored: the mean of log p_sharp(z) - log N(z; 0, I). The
score rises fast, then slowly. Training ends where the mean of its last values is hardly above that of those before.

Measured on 27 halves of songs (10 of pop songs with 17 to 52 windows, 17 of folk tunes with 7 to 9), with 200 samples
each, in means over the songs, pop and folk:

    steps  score      F1 of reconstructed notes  near-copies among samples
      300  65,  54    0.39, 0.79                  0.5 %,  8 %
      500  80,  59    0.62, 0.91                  1.4 %, 19 %
      700  84,  61    0.68, 0.94                  1.7 %, 27 %
    1,000  87,  63    0.71, 0.95                  3.3 %, 36 %
    2,000  89,  64    0.73, 0.95                  5.4 %, 45 %

MusicVAE itself gives back 0.76 and 0.96. The likeness of samples to the other halves stops rising at about 1,000 steps.
"""

from typing import Dict, NamedTuple, Optional

from lc_music_vae.options import BALANCED, CLOSE, FREE

EVERY = 100
_VALUES = 3  # of the score in each of the two means: a single one is off by a nat or two
_MIN_EPOCHS = 10  # of a collection that is larger than a batch: so many times through, if it needs them


class Rule(NamedTuple):
    """Training ends where the score rises by less than `gain` nats in 300 steps, or after `max_steps`."""

    gain: float
    max_steps: int


_RULES = {FREE: Rule(30.0, 600), BALANCED: Rule(3.0, 1200), CLOSE: Rule(0.5, 3000)}


def max_steps(fidelity: Optional[str], windows: int, batch_size: int) -> int:
    """Returns the largest number of steps that a training takes.

    Args:
        fidelity: Value of `--fidelity`, or None.
        windows: Number of windows that are trained on.
        batch_size: Number of windows in a step.
    """
    return max(_RULES[fidelity or BALANCED].max_steps, -(-_MIN_EPOCHS * windows // batch_size))


def is_enough(scores: Dict[int, float], fidelity: Optional[str]) -> bool:
    """Returns whether training ends at the last step that was scored.

    Args:
        scores: The score, in nats, at each step that is a multiple of `EVERY`.
        fidelity: Value of `--fidelity`, or None.
    """
    last = max(scores, default=0)
    values = [scores.get(last - i * EVERY) for i in range(2 * _VALUES)]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return False
    return sum(known[:_VALUES]) - sum(known[_VALUES:]) < _VALUES * _RULES[fidelity or BALANCED].gain
