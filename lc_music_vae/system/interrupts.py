"""Stopping in an orderly way when a signal asks for it. Needs no TensorFlow."""

import contextlib
import os
import signal
import threading
from typing import Callable, Dict, Iterator, List, Sequence

_places: List[Callable[[], str]] = []  # the arguments of `saying`, the innermost last
_heard = threading.Event()  # a handler was called
_postponing: List[bool] = []  # one for each `postponed` that is active


@contextlib.contextmanager
def handled(signals: Sequence[int], handler: Callable) -> Iterator[None]:
    """Handles signals while its block runs. Does nothing outside the main thread: Python allows no handlers there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hearing(number, frame):
        _heard.set()
        handler(number, frame)

    before = {number: signal.signal(number, hearing) for number in signals}
    try:
        yield
    finally:
        for number, original in before.items():
            signal.signal(number, original)


@contextlib.contextmanager
def postponed() -> Iterator[List[int]]:
    """Delays signals until its block has ended well; yields a list of those that came, for the block to look at.

    Signals that are ignored, or that end the process at once, stay as they are. A second signal is not delayed.
    """
    originals: Dict[int, Callable] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        original = signal.getsignal(number)
        if callable(original):
            originals[number] = original
    came: List[int] = []

    def keep(number, frame):
        del frame
        came.append(number)
        signal.signal(number, originals[number])

    _postponing.append(True)
    try:
        with handled(list(originals), keep):
            yield came
    finally:
        _postponing.pop()
    for first in came[:1]:
        originals[first](first, None)


@contextlib.contextmanager
def saying(where: Callable[[], str]) -> Iterator[None]:
    """Adds a text to a `KeyboardInterrupt` that leaves its block: where the work stopped."""
    _places.append(where)
    try:
        yield
    except KeyboardInterrupt as e:
        e.args = e.args or (where(),)
        raise
    finally:
        _places.pop()


@contextlib.contextmanager
def not_unheard(give_up: Callable[[int, str], None], seconds: float = 1.5) -> Iterator[None]:
    """Calls `give_up` when SIGINT or SIGTERM came and nothing hears it: TensorFlow computes, in one long call.

    Where signals are `postponed`, nothing is to be cut short, and it is not called.

    Python calls handlers in its main thread, between its own instructions; a batch of a large model may take seconds.

    Args:
        give_up: Is called in another thread, with the signal and where the work is, as `saying` has it. It is to end
            the process.
        seconds: How long to wait for a handler to be called. How long it then takes is its own affair.
    """
    if not hasattr(os, "set_blocking"):  # Windows
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    _heard.clear()

    def watch():
        for byte in iter(lambda: os.read(reader, 1), b""):
            if byte[0] in (signal.SIGINT, signal.SIGTERM) and not _heard.wait(seconds) and not _postponing:
                give_up(byte[0], _places[-1]() if _places else "")
        os.close(reader)

    threading.Thread(target=watch, daemon=True).start()
    earlier = signal.set_wakeup_fd(writer)
    try:
        current = signal.getsignal(signal.SIGINT)
        with contextlib.ExitStack() as stack:
            if callable(current):  # nohup and the like have it ignored
                stack.enter_context(handled([signal.SIGINT], current))
            yield
    finally:
        signal.set_wakeup_fd(earlier)
        os.close(writer)
