"""Runs work in other processes and returns results in order. Only workers that need TensorFlow import it."""

import collections
import contextlib
import functools
import itertools
import pickle
import queue
import zlib
from concurrent import futures
from typing import Any, Callable, Deque, Iterable, Iterator

from joblib.externals import loky

from lc_music_vae.system import processes

_AHEAD = 32  # items in flight per worker: limits the memory, and keeps workers busy while no results are requested
_TRIES = 2  # a worker may be killed because another process needs memory


def cores() -> int:
    """Returns how many cores this process may use."""
    return loky.cpu_count()


@contextlib.contextmanager
def ordered_map(workers: int) -> Iterator[Callable[[Callable, Iterable, Callable], Iterator]]:
    """Yields a `map` that computes in `workers` processes, which end with the block. 0 computes in this process.

    Its arguments are the function, the items, and a function `lost`. If the worker of an item is killed at every
    attempt, the result is that of `lost`, which gets the item and the reason as a text. The functions and their results
    must be picklable. A limited number of items is read ahead.
    """
    if not workers:
        yield lambda function, items, lost: map(function, items)
        return
    pool = _Pool(workers)
    try:
        yield pool.map
    finally:
        pool.close()


class _Pool:
    """A number of workers, and one thread for each that waits for its results."""

    def __init__(self, number: int):
        self._workers = [processes.Worker() for _ in range(number)]
        self._free: queue.Queue = queue.Queue()
        self._threads = futures.ThreadPoolExecutor(number)
        self._asked: Deque[futures.Future] = collections.deque()
        for worker in self._workers:
            worker.start()
            self._free.put(worker)

    def map(self, function: Callable, items: Iterable, lost: Callable[[Any, str], Any]) -> Iterator:
        """Starts the work, and returns an iterator over its results."""
        items = iter(items)

        def submit(number):
            for item in itertools.islice(items, number):
                self._asked.append(self._threads.submit(self._compute, function, item, lost))

        def results():
            while self._asked:
                packed = self._asked.popleft().result()
                submit(1)
                yield pickle.loads(zlib.decompress(packed))  # noqa: S301 - from our own workers

        submit(_AHEAD * len(self._workers))
        return results()

    def close(self) -> None:
        """Ends the workers, even if they are busy."""
        for future in self._asked:
            future.cancel()
        self._asked.clear()
        for worker in self._workers:
            worker.close()
        self._threads.shutdown()

    def _compute(self, function: Callable, item: Any, lost: Callable[[Any, str], Any]) -> bytes:
        worker = self._free.get()
        try:
            why = ""
            for _ in range(_TRIES):
                try:
                    return worker.compute(functools.partial(_packed, function), item)
                except processes.EndedError as e:
                    why = str(e)
            return _packed(functools.partial(lost, item), why)
        finally:
            self._free.put(worker)


def _packed(function: Callable[[Any], Any], item: Any) -> bytes:
    """Returns the compressed result: the one-hot windows of a song are many times larger without compression."""
    return zlib.compress(pickle.dumps(function(item), 4), 1)
