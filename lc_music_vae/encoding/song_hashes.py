"""Hashes of the training windows, by which a model that is shared knows its songs' bars without holding them.

A window is the set of its onsets: starts and pitches. Kept are the hash of each set, in each key that was trained on,
and the hashes of this set with any one onset left out. Two sets that differ by one onset (one is added, left out or
changed) have such a hash in common. This is "symmetric deletion": Garbe, "SymSpell" (2012).

The hash of a set is the sum of its onsets' hashes modulo 2^64, hashed once more together with what it is of: the whole
set, or a set with one left out. Which of them agree says how many notes are shared.
"""

import logging
from typing import Sequence

import numpy as np

from lc_music_vae.checkpoints.songs_npz import MAX_HASHES
from lc_music_vae.encoding import latents
from lc_music_vae.encoding.nearness import MAX_WINDOWS, onsets

logger = logging.getLogger(__name__)

_WHOLE, _LESS_ONE = np.uint64(1), np.uint64(2)
_ONSETS = 1 << 32  # more than all onsets


def read(shards: Sequence[str]) -> np.ndarray:
    """Returns the hashes of the windows in files of latents; see `hashes_of`.

    Raises:
        InputError: A shard is damaged or missing.
    """
    return hashes_of(latents.read_notes(shards, MAX_WINDOWS))


def hashes_of(table: latents.Notes, most: int = MAX_HASHES) -> np.ndarray:
    """Returns the hashes of windows in their keys, uint64 [n], ascending: of the first ones, if there are too many.

    Args:
        table: The notes of the windows.
        most: The largest n.
    """
    counts = np.cumsum(table.in_key.sum(1) * (table.lengths + 1))
    num_windows = int(np.searchsorted(counts, most, "right"))
    if num_windows < len(counts):
        logger.info("the model knows copies of the first %d of its %d windows", num_windows, len(counts))
    windows = np.repeat(np.arange(len(counts)), table.lengths)
    sets = np.unique(windows * _ONSETS + onsets(table.notes) + _ONSETS // 2)
    windows, own = sets // _ONSETS, sets % _ONSETS - _ONSETS // 2
    found = [np.zeros(0, np.uint64)]
    for key, in_key in zip(table.keys, table.in_key.T):
        used = in_key[windows] & (windows < num_windows)
        first = np.flatnonzero(np.diff(windows[used], prepend=-1))
        found += _hashes(own[used] + key, first)
    return np.unique(np.concatenate(found))


def _hashes(own: np.ndarray, first: np.ndarray) -> Sequence[np.ndarray]:
    """Returns the hash of each set, and those of each set with one left out, in order of the onsets.

    Args:
        own: The onsets of the sets, one set after another, int [n].
        first: Index of the first onset of each set.
    """
    of_onsets = _mixed(own.astype(np.uint64))
    sums = np.add.reduceat(of_onsets, first) if len(first) else of_onsets
    of_sets = np.repeat(sums, np.diff(first, append=len(own)))
    return _mixed(_mixed(sums) + _WHOLE), _mixed(_mixed(of_sets - of_onsets) + _LESS_ONE)


def hash_of_each_set(own: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Returns one hash for each set of onsets, uint64 [number of sets].

    Args:
        own: The onsets of the sets, one set after another, each once: int [n].
        first: Index of the first onset of each set, ascending; none is empty.
    """
    return _mixed(np.add.reduceat(_mixed(own.astype(np.uint64)), first))


def _mixed(x: np.ndarray) -> np.ndarray:
    """Returns a hash of each number, uint64, modulo 2^64.

    Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014), with the constants of
    SplitMix64.
    """
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class HashedSongs:
    """The training songs as their windows' hashes: for finding outputs that are copies, or one note away from one.

    Attributes:
        hashes: The hashes, uint64 [n], ascending.
    """

    def __init__(self, hashes: np.ndarray):
        self.hashes = hashes

    def similarities(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Returns how similar each output is to the nearest window; 0 if no window is one note away or less.

        Args:
            outputs: Notes of each output, as `data.notes_of` returns them.
        """
        return np.array([self._similarity(np.unique(onsets(notes))) for notes in outputs])

    def _similarity(self, own: np.ndarray) -> float:
        """Returns 2 |A and B| / (|A| + |B|) for the onsets A of an output and the onsets B of the nearest window."""
        n = len(own)
        if not n:
            return 0.0
        of_onsets = _mixed(own.astype(np.uint64))
        whole = of_onsets.sum(keepdims=True, dtype=np.uint64)
        less_one = whole - of_onsets
        if self._has(whole, _WHOLE):
            return 1.0
        if self._has(whole, _LESS_ONE):  # the window has one note more
            return 2 * n / (2 * n + 1)
        if self._has(less_one, _WHOLE):  # one note less
            return 2 * (n - 1) / (2 * n - 1)
        return (n - 1) / n if self._has(less_one, _LESS_ONE) else 0.0

    def _has(self, sums: np.ndarray, of: np.uint64) -> bool:
        wanted = _mixed(_mixed(sums) + of)
        at = np.searchsorted(self.hashes, wanted)
        return bool((self.hashes[np.minimum(at, len(self.hashes) - 1)] == wanted).any()) if len(self.hashes) else False
