"""The options of every TensorFlow session in the toolkit, and how many batches of MusicVAE's run at once."""

import concurrent.futures
import os
from typing import Any, Callable, Iterator, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.system import cores

_THREADS = "TF_NUM_INTRAOP_THREADS"  # TensorFlow's own variable: how many cores it may use
_IN_CACHE = 16 << 20  # bytes of the largest kernel that each core can go through on its own


def config(*, at_once: int = 1) -> tf.ConfigProto:
    """Returns a session's options: it uses only as much GPU memory as it needs.

    Args:
        at_once: The number of threads that run it at once. With more than one, each does all of its work itself.
    """
    options = tf.ConfigProto()
    options.gpu_options.allow_growth = True
    if at_once > 1:
        options.intra_op_parallelism_threads = 1
        options.inter_op_parallelism_threads = -1
    return options


def batches_at_once(weights: Weights) -> int:
    """Returns how many batches of a MusicVAE are best computed at once: one for each core, or 1.

    It is 1 unless the cores are claimed; see `cores`.

    TensorFlow divides each product among the cores. Products of small batches are so small that much of the time goes
    into that. If each core does a batch of its own instead, 64 windows of cat-mel_2bar_small are encoded in 0.6 of the
    time on two cores, and decoded in 0.35. Large kernels must come from memory each time, so there one batch is
    better: 64 windows of cat-mel_2bar_big took 1.3 times as long. On a GPU, large batches are better as well.
    """
    if not cores.are_claimed():
        return 1
    kernels = [int(np.prod(shape, dtype=np.int64)) for shape in weights.shapes.values()]
    if 4 * max(kernels, default=0) > _IN_CACHE or tf.config.experimental.list_physical_devices("GPU"):
        return 1
    wanted = os.environ.get(_THREADS, "")
    if wanted.isdigit() and int(wanted):
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def begin(at_once: int) -> None:
    """Sets how many threads TensorFlow divides a product among, which the first session of a process decides."""
    if at_once > 1:
        tf.Session(graph=tf.Graph(), config=config(at_once=at_once)).close()


def side_by_side(function: Callable[[Any], Any], items: Sequence[Any], at_once: int) -> Iterator[Any]:
    """Yields what a function makes of each item, in their order, `at_once` of them computed at the same time."""
    if min(at_once, len(items)) < 2:
        yield from map(function, items)
        return
    with concurrent.futures.ThreadPoolExecutor(min(at_once, len(items))) as threads:
        results = [threads.submit(function, item) for item in items]
        try:
            for result in results:
                yield result.result()
        finally:
            for result in results:
                result.cancel()  # after a signal, what has not begun
