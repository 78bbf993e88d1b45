"""Measures how near generated windows are to the training songs, so that users do not publish a copy by accident."""

import itertools
import logging
import os
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from lc_music_vae.encoding import latents

logger = logging.getLogger(__name__)

_MAX_WINDOWS = 200_000  # reading them takes a few seconds


class Nearest(NamedTuple):
    """The training window that an output is nearest to.

    Attributes:
        song: Name of its song.
        bars: Its first and last bar, from 1.
        similarity: Share of notes that both have, compared by start and pitch: 2 |A and B| / (|A| + |B|), from 0 to 1
            (Dice's coefficient; Sorensen 1948).
        copy: Whether the output has exactly the notes of that window, including their lengths.
    """

    song: str
    bars: Tuple[int, int]
    similarity: float
    copy: bool

    def label(self) -> str:
        """Returns the window in words."""
        place = "bars %d-%d" % self.bars if self.bars[0] < self.bars[1] else "bar %d" % self.bars[0]
        return "%s of %s" % (place, os.path.basename(self.song))


def find(outputs: Sequence[np.ndarray], shards: Sequence[str]) -> List[Optional[Nearest]]:
    """Returns the nearest window for each output (the first one if several are equal); None if no note is shared.

    Windows that were also trained on in other keys are compared in those keys too.

    Args:
        outputs: Notes of each output, as `data.notes_of` returns them.
        shards: Files of latents, as in `latents.Latents`.
    """
    columns: Dict[int, int] = {}
    for notes in outputs:
        for onset in _onsets(notes):
            columns.setdefault(onset, len(columns))
    has = np.zeros([len(outputs), max(len(columns), 1)])
    for row, notes in zip(has, outputs):
        row[[columns[onset] for onset in _onsets(notes)]] = 1
    sizes = has.sum(1)
    closest = np.zeros(len(outputs))
    best: List[Optional[Nearest]] = [None] * len(outputs)
    records = latents.read(shards)
    for record, notes in _in_every_key(itertools.islice(records, _MAX_WINDOWS)):
        onsets = _onsets(notes)
        shared = has[:, [columns[onset] for onset in onsets if onset in columns]].sum(1)
        similarity = 2 * shared / (sizes + len(onsets))
        for i in np.flatnonzero((similarity > closest) | (similarity == 1)):
            copy = np.array_equal(notes, outputs[i])
            if similarity[i] > closest[i] or copy and not best[i].copy:
                closest[i] = similarity[i]
                bars = record["first_bar"] + 1, record["last_bar"] + 1
                best[i] = Nearest(record["song"], bars, float(similarity[i]), copy)
    if next(records, None) is not None:
        logger.info("compared with the first %d training windows only", _MAX_WINDOWS)
    return best


def _onsets(notes: np.ndarray) -> List[int]:
    """Returns one number for each start and pitch."""
    return (notes[:, 0] * 256 + notes[:, 2]).tolist()


def _in_every_key(records: Iterator[dict]) -> Iterator[Tuple[dict, np.ndarray]]:
    """Yields the notes of each record at each of its transpositions; the record's `notes` are at the first one."""
    for record in records:
        for transposition in record["transpositions"]:
            shift = transposition - record["transpositions"][0]
            yield record, record["notes"] + [0, 0, shift]
