"""The results of a command, as opposed to its other messages: paths that were written, numbers that were computed.

The scripts print results on stdout with every value of `--log`. Other messages go to stderr. When called from Python,
results are log records like all others.
"""

import logging
import os
import sys

from lc_music_vae.errors import printable

logger = logging.getLogger(__name__)


def show(text: str) -> None:
    """Prints to stdout. The program that reads stdout may have stopped reading (`--help | head`)."""
    try:
        print(_encodable(text), flush=True)
    except BrokenPipeError:
        # Python flushes once more when it exits, and would print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _encodable(text: str) -> str:
    """Returns the text, with escapes for what stdout cannot encode: file names may be bytes that are not text."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return printable(text)
    return text


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        show(self.format(record))


def on_stdout() -> None:
    """Sends results to stdout from now on, and nowhere else."""
    logger.handlers = [_Handler()]
    logger.setLevel(logging.INFO)
    logger.propagate = False
