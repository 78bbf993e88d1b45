"""Measures how near generated windows are to the training songs, so that users do not publish a copy by accident."""

import logging
import os
from typing import Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from lc_music_vae.encoding import latents

logger = logging.getLogger(__name__)

NEAR = 0.9  # an output as similar as this to a training window is a near-copy of it
MAX_WINDOWS = 200_000  # reading them takes a few seconds
_WINDOWS = 1 << 20  # more than `MAX_WINDOWS`: an onset and a window make one number
_PITCHES = 1 << 10  # more than all pitches, and drums as pitches, in all keys
_DRUMS = 128  # pitches of drums begin here
_MIN_NOTES = 4  # fewer notes are alike in some key in any two songs
_SEMITONES = 1 << 12  # more than lie between any two pitches


class Nearest(NamedTuple):
    """The training window that an output is nearest to.

    Attributes:
        song: Name of its song.
        bars: Its first and last bar, from 1.
        similarity: Share of notes that both have, compared by start and pitch: 2 |A and B| / (|A| + |B|), from 0 to 1
            (Dice's coefficient; Sorensen 1948).
        copy: Whether the output has exactly the notes of that window, including their lengths.
        semitones: How much higher the output is than the window that it is nearest to, if that was trained on in other
            keys only: then the similarity is that of the window in this key.
    """

    song: str
    bars: Tuple[int, int]
    similarity: float
    copy: bool
    semitones: int = 0

    def label(self) -> str:
        """Returns the window in words."""
        place = "bars %d-%d" % self.bars if self.bars[0] < self.bars[1] else "bar %d" % self.bars[0]
        way = "higher" if self.semitones > 0 else "lower"
        key = ", %d semitone%s %s" % (abs(self.semitones), "s" * (abs(self.semitones) != 1), way)
        return "%s of %s%s" % (place, os.path.basename(self.song), key if self.semitones else "")


class Songs:
    """The windows of the training songs, in every key that they were trained on: for finding which are near to outputs.

    Attributes:
        table: The notes of these windows.
    """

    def __init__(self, table: latents.Notes):
        self.table = table
        self._starts = np.cumsum(table.lengths) - table.lengths
        windows = np.repeat(np.arange(len(table.lengths)), table.lengths)
        # One number for each onset of each window, once: by onset, then by window.
        postings = np.unique(onsets(table.notes) * _WINDOWS + windows)
        self._onsets, self._windows = postings // _WINDOWS, postings % _WINDOWS
        self._sizes = np.bincount(self._windows, minlength=len(table.lengths))

    @classmethod
    def read(cls, shards: Sequence[str]) -> "Songs":
        """Reads the windows in files of latents; of a large collection only the first `MAX_WINDOWS`.

        Raises:
            InputError: A shard is damaged or missing.
        """
        table = latents.read_notes(shards, MAX_WINDOWS)
        if len(table.lengths) == MAX_WINDOWS:
            logger.info("compared with the first %d training windows only", MAX_WINDOWS)
        return cls(table)

    def similarities(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Returns how similar each output is to the nearest window, from 0 to 1; see `Nearest`.

        Args:
            outputs: Notes of each output, as `data.notes_of` returns them.
        """
        return np.array([self._of_each_window(notes).max(initial=0) for notes in outputs])

    def nearest(self, outputs: Sequence[np.ndarray]) -> List[Optional[Nearest]]:
        """Returns the nearest window for each output; None if no note is shared.

        If several are equally near, it is the first that the output is a copy of, or else the first of all. If none is
        as near as `NEAR`, windows in keys that they were not trained on count as well, from `NEAR` on: transposed
        near-copies, of melodies of four notes or more.

        Args:
            outputs: Notes of each output, as `data.notes_of` returns them.
        """
        return [self._nearest(notes) for notes in outputs]

    def _nearest(self, notes: np.ndarray) -> Optional[Nearest]:
        similarities = self._of_each_window(notes)
        similarity = similarities.max(initial=0)
        transposed = self._transposed(notes) if similarity < NEAR else None
        if transposed or not similarity:
            return transposed
        equally_near = np.flatnonzero(similarities == similarity)
        copied = (window for window in equally_near if similarity == 1 and self._is_copy(notes, window))
        window = next(copied, None)
        copy = window is not None
        return self._found(window if copy else equally_near[0], similarity, copy)

    def _found(self, window: int, similarity: float, copy: bool, semitones: int = 0) -> Nearest:
        first_bar, last_bar = self.table.bars[window].tolist()
        song = os.fsdecode(self.table.songs[window])
        return Nearest(song, (first_bar + 1, last_bar + 1), float(similarity), copy, semitones)

    def _transposed(self, notes: np.ndarray) -> Optional[Nearest]:
        """Returns the window that an output is a near-copy of in another key; of equally near ones, the first."""
        own = np.unique(onsets(notes))
        if len(own) < _MIN_NOTES or (notes[:, 2] >= _DRUMS).any():
            return None
        starts = own // _PITCHES * _PITCHES
        first, end = np.searchsorted(self._onsets, starts), np.searchsorted(self._onsets, starts + _PITCHES)
        windows = np.concatenate([self._windows[i:j] for i, j in zip(first, end)])
        # At most as many notes are shared as start together: few windows are left to compare in all keys.
        together = np.bincount(windows, minlength=len(self._sizes))
        is_left = (2 * together >= NEAR * (len(own) + self._sizes))[windows]
        intervals = np.concatenate([pitch - self._onsets[i:j] for pitch, i, j in zip(own, first, end)])[is_left]
        pairs, shared = np.unique(windows[is_left] * _SEMITONES + intervals + _SEMITONES // 2, return_counts=True)
        windows, intervals = pairs // _SEMITONES, pairs % _SEMITONES - _SEMITONES // 2
        similarities = 2 * shared / (len(own) + self._sizes[windows])
        if similarities.max(initial=0) < NEAR:
            return None
        best = int(np.argmax(similarities))
        window, semitones = int(windows[best]), int(intervals[best])
        copy = self._is_same(notes, window, semitones)
        return self._found(window, similarities[best], copy, semitones)

    def _of_each_window(self, notes: np.ndarray) -> np.ndarray:
        """Returns the similarity of an output to each window, float [windows]: in the key in which it is greatest."""
        found = np.zeros(len(self._sizes))
        own = np.unique(onsets(notes))
        for key, in_key in zip(self.table.keys, self.table.in_key.T):
            first, end = (np.searchsorted(self._onsets, own - key, side) for side in ("left", "right"))
            windows = [self._windows[i:j] for i, j in zip(first, end)]
            shared = np.bincount(np.concatenate(windows + [self._windows[:0]]), minlength=len(found))
            np.maximum(found, in_key * (2 * shared / (len(own) + self._sizes)), out=found)
        return found

    def _is_copy(self, notes: np.ndarray, window: int) -> bool:
        """Returns whether an output has exactly the notes of a window in one of its keys."""
        return any(self._is_same(notes, window, key) for key in self.table.keys[self.table.in_key[window]])

    def _is_same(self, notes: np.ndarray, window: int, semitones: int) -> bool:
        """Returns whether an output has exactly the notes of a window so much higher."""
        start = self._starts[window]
        own = self.table.notes[start : start + self.table.lengths[window]]
        return np.array_equal(notes, own + [0, 0, semitones])


def f1(pairs: Iterable[Tuple[np.ndarray, np.ndarray]]) -> float:
    """Returns the F1 of the notes that windows share with what became of them, by start and pitch, from 0 to 1.

    Args:
        pairs: Notes of each window, and of what became of it, as `data.notes_of` returns them.
    """
    shared = total = 0
    for before, after in pairs:
        own, other = np.unique(onsets(before)), np.unique(onsets(after))
        shared += 2 * len(np.intersect1d(own, other))
        total += len(own) + len(other)
    return shared / max(total, 1)


def onsets(notes: np.ndarray) -> np.ndarray:
    """Returns one number for the start and pitch of each note: int [n]. Transposing a note adds to this number."""
    return notes[:, 0] * _PITCHES + notes[:, 2]
