"""Measures of a few bars that musicians have words for. Needs only NumPy.

Notes are int arrays [n, 3] of start, end and pitch (drums: plus 128) as `data.notes_of` returns them, sorted, with
times in ticks. What does not depend on pitch can be measured of drums, too.

Sources: McKay, Cumming, Fujinaga, "jSymbolic 2.2" (ISMIR 2018), for note density, mean pitch, range and mean melodic
interval; Longuet-Higgins, Lee, "The rhythmic interpretation of monophonic music" (Music Perception 1984), for
syncopation; Dice's coefficient (1945), for repetition.
"""

import re
from typing import Callable, Dict, NamedTuple, Tuple

import numpy as np

from lc_music_vae.music.metre import whole_bars
from lc_music_vae.music.style import COMMON, bar_of

_DRUMS = 128  # pitches from here on are drums
_PITCHES = 1 << 10  # more than all pitches: a start and a pitch make one number
MELODY, DRUMS, BAND = "melody", "drums", "band"  # what windows are made of, as in `families.Family.reads`


class Grid(NamedTuple):
    """The time of a few bars.

    Attributes:
        length: Their length in ticks.
        ticks_per_quarter: Number of ticks in a quarter.
        time_signature: Their time signature, such as "6/8".
    """

    length: int
    ticks_per_quarter: int
    time_signature: str = COMMON

    @property
    def bar(self) -> int:
        """The length of a bar in ticks."""
        return round(bar_of(self.time_signature) * self.ticks_per_quarter)

    def levels(self) -> Tuple[int, ...]:
        """Returns the lengths in ticks of the levels of the metre, from a bar down to sixteenths.

        A bar of 4/4 falls into halves, quarters, eighths and sixteenths; one of 3/4 into quarters first; one of 6/8,
        9/8 or 12/8 into beats of three eighths.
        """
        tick = self.ticks_per_quarter
        is_compound = re.match("(6|9|12)/8$", self.time_signature) is not None
        beats = (3 * tick // 2,) if is_compound else (2 * tick, tick)
        lengths = (self.bar, *beats, tick // 2, tick // 4)
        return tuple(at for i, at in enumerate(lengths) if i == 0 or at < self.bar and self.bar % at == 0)


def grid_of(window: float, ticks_per_quarter: int, time_signature: str) -> Grid:
    """Returns the time of the whole bars that a window of `window` quarters holds."""
    bar = bar_of(time_signature)
    length = float(whole_bars(bar, window))
    return Grid(round(length * ticks_per_quarter), ticks_per_quarter, time_signature)


def density(notes: np.ndarray, grid: Grid) -> float:
    """Returns the number of notes a bar; those that start together, as in chords, count once."""
    return len(np.unique(notes[:, 0])) / (grid.length / grid.bar)


def register(notes: np.ndarray, grid: Grid) -> float:
    """Returns the mean pitch of the notes that are no drums, as a MIDI number; NaN if there are none."""
    del grid
    pitches = _pitches(notes)
    return float(pitches.mean()) if len(pitches) else np.nan


def pitch_range(notes: np.ndarray, grid: Grid) -> float:
    """Returns the semitones from the lowest note to the highest that are no drums; NaN if there are none."""
    del grid
    pitches = _pitches(notes)
    return float(np.ptp(pitches)) if len(pitches) else np.nan


def leaps(notes: np.ndarray, grid: Grid) -> float:
    """Returns the mean size of the intervals from each note to the next, in semitones; NaN if there are none."""
    del grid
    intervals = np.abs(np.diff(_pitches(notes)))
    return float(intervals.mean()) if len(intervals) else np.nan


def rests(notes: np.ndarray, grid: Grid) -> float:
    """Returns the share of time in which no note sounds, from 0 to 1."""
    sounding = np.zeros(grid.length, bool)
    for start, end, _ in notes:
        sounding[start:end] = True
    return 1 - float(sounding.mean())


def syncopation(notes: np.ndarray, grid: Grid) -> float:
    """Returns the syncopation a bar, as Longuet-Higgins and Lee define it.

    A note is syncopated if a stronger place in the bar follows before the next note starts: held through or rested on.
    It counts by how many levels of the metre that place is above its own.
    """
    levels = grid.levels()
    step = levels[-1]
    places = np.arange(0, grid.length, step)
    weights = -np.argmax([places % level == 0 for level in levels], 0)  # 0 for the start of a bar
    onsets = np.unique(np.minimum(notes[:, 0] // step, len(places) - 1))
    total = 0
    for first, following in zip(onsets, np.append(onsets[1:], len(places))):
        between = weights[first + 1 : following]
        total += max(0, between.max(initial=weights.min()) - weights[first])
    return total / (grid.length / grid.bar)


def repetition(notes: np.ndarray, grid: Grid) -> float:
    """Returns how much the bars repeat, from 0 to 1.

    It is the mean, over all bars but the first, of the greatest similarity to an earlier bar: the share of notes, by
    start and pitch, that both have (Dice's coefficient). NaN if there is only one bar.
    """
    starts = range(0, grid.length - grid.bar + 1, grid.bar)
    bars = []
    for start in starts:
        held = notes[(notes[:, 0] >= start) & (notes[:, 0] < start + grid.bar)]
        bars.append({(at - start) * _PITCHES + pitch for at, _, pitch in held.tolist()})
    found = [max(_dice(bar, other) for other in bars[:i]) for i, bar in enumerate(bars) if i]
    return float(np.mean(found)) if found else np.nan


def _dice(some: set, others: set) -> float:
    return 2 * len(some & others) / (len(some) + len(others)) if some or others else 1.0


def _pitches(notes: np.ndarray) -> np.ndarray:
    return notes[notes[:, 2] < _DRUMS, 2]


class Measure(NamedTuple):
    """A measure, in words what more of it is, its unit, and the kinds of windows for which it means something.

    The unit "pitch" is a MIDI number, "share" a number from 0 to 1.
    """

    of: Callable[[np.ndarray, Grid], float]
    more: str
    unit: str
    kinds: Tuple[str, ...]


MEASURES: Dict[str, Measure] = {
    "density": Measure(density, "more notes", "notes a bar", (MELODY, DRUMS, BAND)),
    "register": Measure(register, "higher", "pitch", (MELODY, BAND)),
    "range": Measure(pitch_range, "further from low to high", "semitones", (MELODY, BAND)),
    "syncopation": Measure(syncopation, "more against the beat", "levels a bar", (MELODY, DRUMS, BAND)),
    "leaps": Measure(leaps, "larger steps from note to note", "semitones a step", (MELODY,)),
    "rests": Measure(rests, "more silence", "share", (MELODY, BAND)),
    "repetition": Measure(repetition, "bars more alike", "share", (MELODY, DRUMS, BAND)),
}


def names_for(kind: str) -> Tuple[str, ...]:
    """Returns the names of the measures that mean something for a kind of windows: "melody", "drums" or "band"."""
    return tuple(name for name, measure in MEASURES.items() if kind in measure.kinds)
