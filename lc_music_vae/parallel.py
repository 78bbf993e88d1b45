"""Work in other processes, its results in order.

Workers are started afresh (TensorFlow does not survive a fork) and, unlike those of `multiprocessing`, do not run the
user's script again. Nothing in here imports TensorFlow: what workers import is what they are given to do.
"""

import collections
import contextlib
import functools
import itertools
import logging
import os
import pickle
import signal
import threading
import time
import warnings
import zlib
from concurrent.futures import process
from typing import Any, Callable, Deque, Iterable, Iterator, List

from joblib.externals import loky

from lc_music_vae.errors import InputError

_ITEMS_A_PIECE = 8
_PIECES_A_WORKER = 4  # in flight: bounds the memory, and bridges the time in which results are not asked for
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
)
_ENVIRONMENT = dict(_ONE_THREAD, CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3", PYTHONWARNINGS="ignore")


def cores() -> int:
    """Returns how many cores this process may use."""
    return loky.cpu_count()


@contextlib.contextmanager
def ordered_map(workers: int) -> Iterator[Callable[[Callable, Iterable], Iterator]]:
    """Yields a `map` that computes in so many worker processes, which end with the block; 0 computes here.

    The function and its results must be picklable; items are taken a bounded number ahead.

    Raises:
        InputError: A worker was killed.
    """
    if not workers:
        yield map
        return
    executor = loky.ProcessPoolExecutor(workers, initializer=_start, initargs=(os.getpid(),), env=_ENVIRONMENT)
    try:
        yield functools.partial(_map, executor, workers * _PIECES_A_WORKER)
    except process.BrokenProcessPool as e:
        raise InputError(
            "a process that reads songs was killed, most likely for want of memory: free some and try again, or allow "
            "fewer processes with LOKY_MAX_CPU_COUNT=1"
        ) from e
    finally:
        executor.shutdown(kill_workers=True)


def _start(parent: int) -> None:
    """Makes a worker quiet, and end with its parent however that ends."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _map(executor: loky.ProcessPoolExecutor, most: int, function: Callable, items: Iterable) -> Iterator:
    """Starts the work, and returns an iterator over its results."""
    items = iter(items)
    pieces = iter(lambda: list(itertools.islice(items, _ITEMS_A_PIECE)), [])
    futures: Deque = collections.deque()

    def submit(number):
        futures.extend(executor.submit(_compute, function, piece) for piece in itertools.islice(pieces, number))

    def results():
        while futures:
            packed = futures.popleft().result()
            submit(1)
            for one in packed:
                yield pickle.loads(zlib.decompress(one))  # noqa: S301 - our own workers made it

    with _uninterrupted():
        submit(1)  # starts the workers
    submit(most - 1)
    return results()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes that are started in here never hear of Ctrl-C: it is for this one, which ends them.

    Nor does this one for that moment, some milliseconds.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers cannot be set here
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # is inherited; a mask would be undone on the way
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _compute(function: Callable[[Any], Any], piece: List[Any]) -> List[bytes]:
    """Compressed, each by itself: one-hot windows of a whole piece are many times what they are packed."""
    return [zlib.compress(pickle.dumps(function(item), 4), 1) for item in piece]
