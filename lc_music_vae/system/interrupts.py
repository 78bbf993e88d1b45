"""Stops the work cleanly when a signal arrives. Needs no TensorFlow."""

import contextlib
import os
import signal
import threading
from typing import Callable, Dict, Iterator, List, Sequence

_places: List[Callable[[], str]] = []  # the arguments of the active `saying` blocks, the innermost last
_heard = threading.Event()  # a handler was called
_postponing: List[bool] = []  # one for each `postponed` that is active


@contextlib.contextmanager
def handled(signals: Sequence[int], handler: Callable) -> Iterator[None]:
    """Handles signals while its block runs. Does nothing outside the main thread, where Python allows no handlers."""
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
    """Delays signals until its block has ended without an error.

    Yields a list of the signals that arrived, so that the block can check it. Signals that are ignored, or that end the
    process at once, stay as they are. A second signal is not delayed.
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
    """Adds a text to a `KeyboardInterrupt` that leaves its block. The text says where the work stopped."""
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
    """Calls `give_up` if SIGINT or SIGTERM arrives during one long call of TensorFlow, so that no handler is called.

    If signals are `postponed`, the work must not be cut short, and `give_up` is not called.

    Python calls handlers in its main thread, between its own instructions. A batch of a large model may take seconds.

    Args:
        give_up: Function that is called in another thread, with the signal and the text of `saying` about where the
            work is. It must end the process.
        seconds: How long to wait until a handler is called. The run time of the handler is not limited.
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
            if callable(current):  # nohup and similar programs make the process ignore it
                stack.enter_context(handled([signal.SIGINT], current))
            yield
    finally:
        signal.set_wakeup_fd(earlier)
        os.close(writer)
