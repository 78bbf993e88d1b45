"""Stopping in an orderly way when a signal asks for it. Needs no TensorFlow."""

import contextlib
import signal
import threading
from typing import Callable, Iterator, List


@contextlib.contextmanager
def handled(signals: List[int], handler: Callable) -> Iterator[None]:
    """Handles signals so while its block runs. Nothing outside the main thread, where Python allows no handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, original in before.items():
            signal.signal(number, original)


@contextlib.contextmanager
def postponed() -> Iterator[List[int]]:
    """Keeps what would interrupt its block until that ends well; yields the signals that came, for it to look at.

    Signals that are ignored or end the process at once stay so. One that comes again is not kept any more.
    """
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(number))]
    originals = {number: signal.getsignal(number) for number in numbers}
    came: List[int] = []

    def keep(number, frame):
        del frame
        came.append(number)
        signal.signal(number, originals[number])

    with handled(numbers, keep):
        yield came
    for number in came[:1]:
        originals[number](number, None)


@contextlib.contextmanager
def saying(where: Callable[[], str]) -> Iterator[None]:
    """Gives a `KeyboardInterrupt` that comes through its block a text: where the work stopped."""
    try:
        yield
    except KeyboardInterrupt as e:
        e.args = e.args or (where(),)
        raise
