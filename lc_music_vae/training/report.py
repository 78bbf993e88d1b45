"""Reports on the songs that training and evaluation read: how many windows, which tracks, what was left out."""

import logging
from typing import List, Optional, Sequence

from lc_music_vae.checkpoints.shards import Row
from lc_music_vae.encoding import latents
from lc_music_vae.encoding.latents import Latents
from lc_music_vae.errors import InputError
from lc_music_vae.music import metre

logger = logging.getLogger(__name__)

_MAX_SAID = 5  # songs listed per kind: a path and a reason may fill several lines of a screen


def write(found: Latents, path: str) -> None:
    """Writes `examples.tsv` to `path`, and reports what was left out and why.

    Raises:
        InputError: No song gave a window.
    """
    latents.write_rows(path, found.rows)
    if not found.num_windows:
        raise InputError(_no_windows(found.rows))
    say(found, path)


def say(found: Latents, path: str) -> None:
    """Reports how many windows there are, and what was left out and why: at most one screen; `path` has everything.

    The first songs are named, and the first of the others that are not in 4/4, with how their bars were taken.
    """
    logger.info(counted(found.rows))
    used = _used(found.rows)
    _say_used(used[:_MAX_SAID])
    others = [row for row in used[_MAX_SAID:] if metre.is_other(row.reason)]
    _say_used(others[:_MAX_SAID])
    if len(others) > _MAX_SAID:
        logger.info("  ... and %d more songs that are not in 4/4; all are in %s", len(others) - _MAX_SAID, path)
    unused = [row for row in found.rows if not row.slices]
    if unused:
        logger.warning("%d of %d songs gave no window; all are in %s:", len(unused), len(found.rows), path)
        for row in unused[:_MAX_SAID]:
            logger.warning("  %s", _why_not(row))


def _say_used(rows: Sequence[Row]) -> None:
    for row in rows:
        logger.info("  %s: track %s%s", row.path, row.melody, "; " + row.reason if row.reason else "")


def say_held_out(held_out: Optional[Latents], holdout: float) -> None:
    """Reports how many windows are kept out of training."""
    if held_out is None:
        logger.warning("--holdout=%g: the last bars of these songs give no window; nothing is kept out", holdout)
        return
    windows = held_out.num_windows
    logger.info("the last %g %% of each song's bars are kept out: %d distinct windows", 100 * holdout, windows)


def counted(rows: Sequence[Row]) -> str:
    """Returns the number of windows and the number of songs that they are from, in words."""
    songs = len(_used(rows))
    return "%d distinct windows from %d song%s" % (sum(row.slices for row in rows), songs, "" if songs == 1 else "s")


def _used(rows: Sequence[Row]) -> List[Row]:
    return [row for row in rows if row.slices]


def _why_not(row: Row) -> str:
    # If a file cannot be read, the reason already contains its name.
    return row.reason if row.path in row.reason else "%s: %s" % (row.path, row.reason)


def _no_windows(rows: Sequence[Row]) -> str:
    first = _why_not(rows[0])
    return first if len(rows) == 1 else "none of %d songs gave a window; the first: %s" % (len(rows), first)
