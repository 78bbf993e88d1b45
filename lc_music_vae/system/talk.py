"""Messages about the work when it is called from Python: the same ones as the command prints, and no more.

The scripts set up logging for their whole process; see `command_line`.
"""

import contextlib
import logging
import os
import sys
import threading
import warnings
from typing import Iterator, List

_package = logging.getLogger("lc_music_vae")
_LIBRARIES = ("tensorflow", "absl", "apache_beam")
# TensorFlow's C++ code, and processes that this one starts, read these.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONWARNINGS": "ignore"}

_lock = threading.Lock()
_running: List[None] = []  # one for each block that runs
_set_up = contextlib.ExitStack()


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Sends the package's messages to stderr while its block runs, if no other handler gets them. Libraries are quiet.

    Handlers and levels that the user has set stay as they are. At level DEBUG, libraries may print messages too. Blocks
    may run at the same time in several threads. Everything is restored when the last of them has ended.
    """
    with _lock:
        if not _running:
            _set_up.enter_context(_talking())
        _running.append(None)
    try:
        yield
    finally:
        with _lock:
            _running.pop()
            if not _running:
                _set_up.close()


@contextlib.contextmanager
def _talking() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if not (_package.handlers or _has_handlers(logging.getLogger())):
            stack.enter_context(_on_stderr())
        if not _package.isEnabledFor(logging.DEBUG):
            stack.enter_context(_libraries_are_quiet())
        yield


def _has_handlers(root: logging.Logger) -> bool:
    # absl adds its own handler when TensorFlow is imported. The user has not asked for it.
    return any(not type(handler).__module__.startswith("absl.") for handler in root.handlers)


@contextlib.contextmanager
def _on_stderr() -> Iterator[None]:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    level, propagate = _package.level, _package.propagate
    _package.addHandler(handler)
    _package.propagate = False
    if level == logging.NOTSET:
        _package.setLevel(logging.INFO)
    try:
        yield
    finally:
        _package.removeHandler(handler)
        _package.propagate = propagate
        _package.setLevel(level)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


@contextlib.contextmanager
def _libraries_are_quiet() -> Iterator[None]:
    # A filter, because TensorFlow 1.15 sets its own level when it is imported: to INFO in a notebook.
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    added = {name: value for name, value in _QUIET.items() if name not in os.environ}
    for logger in loggers:
        logger.addFilter(_is_error)
    os.environ.update(added)
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_error)
        for name in added:
            os.environ.pop(name, None)
