"""How a process uses the cores. TensorFlow fixes that at its first session, and the last bits of sums depend on it."""

import os

_claimed = False


def claim() -> None:
    """Gives the cores to a process that makes music and does nothing else: a batch to a core, where that is faster.

    To be called before NumPy is imported. A process that trains must not: it would round in another way than others.
    """
    global _claimed
    _claimed = True
    # NumPy's products are small there: a second thread costs more than it does, above all on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def are_claimed() -> bool:
    """Returns whether `claim` was called."""
    return _claimed
