"""Progress bars on a terminal; none elsewhere, nor where less than INFO is logged."""

import contextlib
import logging
import sys
from typing import Any, Iterator

import tqdm

_package = logging.getLogger("lc_music_vae")


def shown() -> bool:
    """Returns whether there are bars: else a few log lines say how far the work is."""
    return _package.isEnabledFor(logging.INFO) and sys.stderr.isatty()


@contextlib.contextmanager
def bar(what: str, total: Any, unit: str, **options: Any) -> Iterator[tqdm.tqdm]:
    """Shows a bar while its block runs; log lines of the package stand above it.

    Args:
        what: What is done, in a word.
        total: Number of units, or None if that is not known.
        unit: What is counted.
        options: More of tqdm's.
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
