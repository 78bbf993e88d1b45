"""What a command is for, beside what it says of its work: paths that were written, numbers that were found.

The scripts show results on stdout, whatever `--log` says; talk is on stderr. In Python they are log records as others.
"""

import logging
import os
import sys

from lc_music_vae.errors import printable

logger = logging.getLogger(__name__)


def show(text: str) -> None:
    """Prints to stdout, where who reads it may have seen enough (`--help | head`)."""
    try:
        print(_encodable(text), flush=True)
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _encodable(text: str) -> str:
    """Returns the text, spelt out where stdout has no characters for it: file names may be bytes that are no text."""
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
