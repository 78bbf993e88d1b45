"""Finds bars of generated music that are bars of the training songs, note for note. Needs only NumPy."""

import os
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from lc_music_vae.encoding import latents
from lc_music_vae.encoding.nearness import onsets
from lc_music_vae.encoding.song_hashes import hash_of_each_set

MIN_NOTES = 4  # bars of fewer notes, such as one long note, are in many songs


class SameBar(NamedTuple):
    """A bar of an output that is a bar of a training song: the same starts and pitches.

    Attributes:
        bar: Its number in the output, from 1.
        song: Name of the song.
        song_bar: Its number in the song, from 1.
    """

    bar: int
    song: str
    song_bar: int


class SongBars:
    """The bars of the training songs, in every key that they were trained on.

    Args:
        table: The notes of the songs' windows.
        bar_ticks: Length of a bar, in ticks of `data.notes_of`.
    """

    def __init__(self, table: latents.Notes, bar_ticks: int):
        self._bar_ticks = bar_ticks
        window = np.repeat(np.arange(len(table.lengths)), table.lengths)
        found = [self._hashes(table.notes[:0], window[:0])]
        for key, in_key in zip(table.keys, table.in_key.T):
            used = in_key[window]
            found.append(self._hashes(table.notes[used] + [0, 0, key], window[used]))
        hashes, places = map(np.concatenate, zip(*found))
        order = np.lexsort((places[:, 1], places[:, 0], hashes))  # of equal bars, the first of the first window
        self._known, first = np.unique(hashes[order], return_index=True)
        self._places = places[order][first]
        self._table = table

    def _hashes(self, notes: np.ndarray, window: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Returns a hash of each bar with enough notes, uint64 [n], and its window and number in it, int [n, 2].

        Args:
            notes: As `data.notes_of` returns them, of one window after another.
            window: Number of each note's window.
        """
        if not len(notes):
            return np.zeros(0, np.uint64), np.zeros([0, 2], int)
        bars = notes[:, 0] // self._bar_ticks
        within = onsets(notes - [[1, 1, 0]] * (bars * self._bar_ticks)[:, np.newaxis])
        rows = np.unique(np.stack([window, bars, within], 1), axis=0)
        places, first, counts = np.unique(rows[:, :2], axis=0, return_index=True, return_counts=True)
        enough = counts >= MIN_NOTES
        return hash_of_each_set(rows[:, 2], first)[enough], places[enough]

    def in_outputs(self, outputs: Sequence[np.ndarray]) -> List[List[SameBar]]:
        """Returns, for each output, which of its bars are bars of the songs.

        Args:
            outputs: Notes of each output, as `data.notes_of` returns them.
        """
        return [self._in_output(notes) for notes in outputs]

    def _in_output(self, notes: np.ndarray) -> List[SameBar]:
        hashes, places = self._hashes(notes, np.zeros(len(notes), int))
        found = []
        for own, (_, bar) in zip(hashes, places):
            at = int(np.searchsorted(self._known, own))
            if at < len(self._known) and self._known[at] == own:
                window, in_window = self._places[at]
                song = os.fsdecode(self._table.songs[window])
                found.append(SameBar(int(bar) + 1, song, int(self._table.bars[window, 0] + in_window) + 1))
        return found
