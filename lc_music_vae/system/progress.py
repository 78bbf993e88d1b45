"""Progress bars on a terminal. There are none elsewhere, and none if INFO messages are not logged."""

import contextlib
import logging
import sys
from typing import Any, Iterator

import tqdm

_package = logging.getLogger("lc_music_vae")


def shown() -> bool:
    """Returns whether bars are shown. If not, a few log lines report the progress."""
    return _package.isEnabledFor(logging.INFO) and sys.stderr.isatty()


@contextlib.contextmanager
def bar(what: str, total: Any, unit: str, **options: Any) -> Iterator[tqdm.tqdm]:
    """Shows a bar while its block runs. Log lines of the package are printed above it.

    Args:
        what: The work in one word.
        total: Number of units, or None if that is not known.
        unit: Name of the unit.
        options: Other options of tqdm.
    """
    with contextlib.ExitStack() as stack:
        if shown():
            from tqdm.contrib.logging import logging_redirect_tqdm  # here: its asyncio is slow to load

            stack.enter_context(logging_redirect_tqdm([_package]))
        yield stack.enter_context(
            tqdm.tqdm(
                desc=what, total=total, unit=unit, disable=not shown(), leave=False, dynamic_ncols=True, **options
            )
        )
