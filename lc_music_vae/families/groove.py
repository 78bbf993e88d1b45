"""Drums as they are played: GrooVAE.

A tensor holds for each sixteenth and drum whether it is hit, how loud, and how far from the sixteenth. Times are shares
of a sixteenth, so that a groove sounds at the tempo of its song.
"""

import contextlib
import zlib
from typing import Any, Iterator, List

import numpy as np
from magenta.models.music_vae import data as music_vae_data

from lc_music_vae.families.drums import Drums
from lc_music_vae.families.family import Tensors
from lc_music_vae.music.chords import HITS
from lc_music_vae.music.style import QUARTERS_PER_BAR
from lc_music_vae.music.tempo import QPM

_BAR = QUARTERS_PER_BAR * 60.0 / QPM  # seconds of a bar in what magenta's converter reads and writes
_DRAWS = 8  # of a window from which notes are dropped at random, the whole one included


class Groove(Drums):
    """A window contains all drums, with velocities, each at its own time within half a sixteenth."""

    converters = (music_vae_data.GrooveConverter,)
    controlled_by = HITS
    earliest = -0.5

    @property
    def draws(self):
        """The whole window, and those from which notes are dropped."""
        return 1 if self.facts.dropping_converter is None else _DRAWS

    def to_tensors(self, note_sequence):
        """Converts a window: first whole; then, if the config drops notes, several times with notes dropped.

        What is dropped is a function of the window's notes.
        """
        moved = _a_bar_later(note_sequence)
        found = self._converted(self.facts.converter, moved)
        with _numpy_seeded(zlib.crc32(moved.SerializeToString(deterministic=True))):
            for _ in range(self.draws - 1):
                found += self._converted(self.facts.dropping_converter, moved)
        return found

    def _converted(self, converter: Any, note_sequence: Any) -> List[Tensors]:
        """Converts a sequence that begins with a bar of rest, and leaves that out.

        The bar is there because no time may be negative, and the first hit may be a little early. magenta's converter
        ends with the last bar that is played; the window does not.
        """
        tensors = converter.to_tensors(note_sequence)
        if len(tensors.inputs) != 1:
            return []
        steps_per_bar = QUARTERS_PER_BAR * self.facts.steps_per_quarter
        steps = self.facts.bars * steps_per_bar
        inputs, outputs, controls = (
            np.pad(of[0][steps_per_bar:], [(0, steps_per_bar + steps - len(of[0])), (0, 0)], "constant")
            for of in (tensors.inputs, tensors.outputs, tensors.controls)
        )
        return [Tensors(inputs, outputs, steps, controls)]

    def from_tensors(self, tensors):
        """Converts decoder outputs; the first hits may start before 0, by half a sixteenth at most."""
        sequences = super().from_tensors(tensors)
        for sequence in sequences:
            sequence.total_time = self.facts.bars * _BAR
            for note in sequence.notes:
                note.velocity = max(1, note.velocity)  # 0 would end a note in a MIDI file
                note.end_time = min(note.end_time, sequence.total_time)
        return sequences


def _a_bar_later(note_sequence: Any) -> Any:
    moved = type(note_sequence)()
    moved.CopyFrom(note_sequence)
    moved.total_time += _BAR
    for note in moved.notes:
        note.start_time += _BAR
        note.end_time += _BAR
    return moved


@contextlib.contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """Seeds the generator that magenta drops notes with, and restores its state."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)
