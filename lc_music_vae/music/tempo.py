"""Seconds and quarters: the tempo map of a song, and which tempos are accepted. Does not need TensorFlow."""

import math
from typing import Any, Dict, Iterable, List, Tuple

import numpy as np

from lc_music_vae.music.source import MAX_QPM, MIN_QPM, QPM

# Finer than the ticks of any file, but coarser than the error of its times: ties between steps remain ties.
_DECIMALS = 6


class TempoMap:
    """Converts between a file's seconds and its quarters, both counted from the song's start."""

    def __init__(self, tempos: Iterable):
        changes: Dict[float, float] = {0.0: QPM}  # MIDI's tempo until the file gives one
        real = [t for t in tempos if 0 <= t.time < math.inf and 1e-3 < t.qpm < 1e9]
        changes.update((t.time, t.qpm) for t in sorted(real, key=lambda t: t.time))
        self._seconds = np.array(sorted(changes))
        self.qpms = np.array([changes[s] for s in self._seconds])
        self._quarters = np.concatenate([[0], np.cumsum(np.diff(self._seconds) * self.qpms[:-1] / 60)])

    def quarters(self, seconds) -> np.ndarray:
        """Returns the quarters at `seconds`, an array of any shape."""
        i = np.searchsorted(self._seconds, seconds, "right") - 1
        return np.round(self._quarters[i] + (seconds - self._seconds[i]) * self.qpms[i] / 60, _DECIMALS)

    def seconds(self, quarters) -> np.ndarray:
        """Returns the seconds at `quarters`, an array of any shape."""
        i = np.searchsorted(self._quarters, quarters, "right") - 1
        return self._seconds[i] + (quarters - self._quarters[i]) * 60 / self.qpms[i]

    def main_qpm(self, end: float) -> float:
        """Returns the tempo that is used for the most quarters up to `end`, in all parts of the song together."""
        edges = np.append(np.minimum(self._quarters, end), end)
        held: Dict[float, float] = {}
        for qpm, quarters in zip(self.qpms.tolist(), np.diff(edges).tolist()):
            held[qpm] = held.get(qpm, 0) + quarters
        return max(held, key=lambda qpm: held[qpm])

    def believed(self) -> "TempoMap":
        """Returns the map with each unaccepted tempo changed to the nearest accepted one, at the same quarters."""
        result = TempoMap(())
        result.qpms, result._quarters = np.clip(self.qpms, MIN_QPM, MAX_QPM), self._quarters
        result._seconds = np.concatenate([[0], np.cumsum(np.diff(self._quarters) * 60 / result.qpms[:-1])])
        return result

    def changes(self) -> List[Tuple[float, float]]:
        """Returns the tempo changes as (seconds, quarters per minute)."""
        return list(zip(self._seconds.tolist(), self.qpms.tolist()))


def believe(note_sequence: Any) -> Any:
    """Returns a NoteSequence with each unaccepted tempo changed to the nearest accepted one, at the same beats."""
    if all(MIN_QPM <= tempo.qpm <= MAX_QPM for tempo in note_sequence.tempos):
        return note_sequence
    before = TempoMap(note_sequence.tempos)
    after = before.believed()

    def moved(times: List[float]) -> List[float]:
        old = np.array(times)
        return np.where(old >= 0, after.seconds(before.quarters(old)), old).tolist()

    notes = note_sequence.notes
    for note, start, end in zip(notes, moved([n.start_time for n in notes]), moved([n.end_time for n in notes])):
        note.start_time, note.end_time = start, end
    kinds = ("time_signatures", "key_signatures", "control_changes", "text_annotations")
    for changes in (getattr(note_sequence, kind) for kind in kinds):
        for change, time in zip(changes, moved([change.time for change in changes])):
            change.time = time
    note_sequence.total_time = moved([note_sequence.total_time])[0]
    del note_sequence.tempos[:]
    for time, qpm in after.changes():
        note_sequence.tempos.add(time=time, qpm=qpm)
    return note_sequence
