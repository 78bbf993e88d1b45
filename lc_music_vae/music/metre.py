"""Bars and time signatures (metres) of a song, in quarters from its start."""

import bisect
import math
import re
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from lc_music_vae.music.style import COMMON, QUARTERS_PER_BAR, bar_quarters
from lc_music_vae.music.tempo import TempoMap

_REMARK, _LEFT_OUT = re.compile(r"\d+/\d+: "), "left out by --metre=4/4"
_MAX_SAID = 8  # time signatures listed per song
_BEAT_TOLERANCE = 0.02  # quarters that a change may be away from its beat


class Metre(NamedTuple):
    """A part of a song with one time signature, from `start` to `end` in quarters.

    `quarters` is the length that its bars get. `is_4_4` says whether the signature itself gives bars of four quarters
    (2/2 does).
    """

    start: float
    end: float
    signature: str
    quarters: float
    is_4_4: bool

    @property
    def written(self) -> str:
        """The time signature that music in this metre is written in: 4/4 for all bars of four quarters."""
        return COMMON if self.quarters == QUARTERS_PER_BAR else self.signature

    @property
    def beat(self) -> float:
        """The length of a beat in quarters: three eighths in 6/8, 9/8 and 12/8."""
        return 1.5 if re.match("(6|9|12)/8$", self.signature) else 1.0

    def remark(self, window: float) -> str:
        """Returns how bars were taken if the signature is not 4/4, for windows of `window` quarters; "" if it is."""
        if self.is_4_4:
            return ""
        if self.quarters == QUARTERS_PER_BAR:
            return "%s: taken as bars of four quarters" % self.signature
        if self.quarters > window:
            parts = self.signature, 4 * window, 4 * self.quarters
            return "%s: windows hold the first %d of a bar's %d sixteenths; longer notes are cut" % parts
        bars = in_words(bars_held(self.quarters, window))
        return "%s: windows hold %s, then their beginning again; longer notes are cut" % (self.signature, bars)


def bars_held(bar: float, window: float) -> int:
    """Returns how many whole bars fit in a window, or 1 if a bar is longer. Both lengths are in quarters."""
    return max(1, int(window // bar))


def in_words(bars: int) -> str:
    """Returns a number of bars in words."""
    return "1 bar" if bars == 1 else "%d bars" % bars


def of_signature(start: float, numerator: int, denominator: int) -> Metre:
    """Returns the metre of a time signature; its end is not known yet."""
    signature, quarters = "%d/%d" % (numerator, denominator), bar_quarters(numerator, denominator)
    is_4_4 = denominator > 0 and 4 * numerator == QUARTERS_PER_BAR * denominator
    return Metre(start, math.inf, signature, quarters, is_4_4)


def at(metres: Sequence[Metre], start: float) -> Metre:
    """Returns the metre of the bar that starts at `start` quarters."""
    return metres[bisect.bisect_left(metres, (start + _BEAT_TOLERANCE,)) - 1]  # compared by their first field


def whole_bars(bar: Any, window: float) -> Any:
    """Returns how long the whole bars in a window are; the whole window if not one bar fits. All in quarters."""
    return np.where(bar <= window, window // bar * bar, window)


def held(metres: Sequence[Metre], starts: np.ndarray, window: float) -> Tuple[np.ndarray, np.ndarray]:
    """Returns where the whole bars in windows end, and whether they are as many as fit.

    A window holds bars of one length: it ends where bars of another length begin.

    Args:
        metres: The metres of a song, from `bars_and_metres`.
        starts: Starts of the windows in quarters, each at a bar; float [n].
        window: Length of a window in quarters.

    Returns:
        float [n] in quarters, and bool [n].
    """
    firsts, lengths = (np.array(values) for values in zip(*((m.start, m.quarters) for m in metres)))
    changes = np.append(firsts[1:][np.diff(lengths) != 0], np.inf)
    bars = lengths[np.searchsorted(firsts, starts, "right") - 1]
    ends = starts + whole_bars(bars, window)
    change = changes[np.searchsorted(changes, starts, "right")]
    return np.minimum(ends, change), ends <= change


def bars_and_metres(note_sequence: Any, tempo_map: TempoMap, end: float) -> Tuple[np.ndarray, Tuple[Metre, ...]]:
    """Returns the bars of a song, and its metres that are longer than zero.

    Args:
        note_sequence: A NoteSequence with the time signatures, their times in seconds.
        tempo_map: Its tempo map.
        end: The end of its last note, in quarters.

    Returns:
        Starts of bars in quarters, ascending, up to the first one at or after `end`; and metres that follow each other
        from 0 without a gap, the last one without an end.
    """
    bars, metres = [0.0], [of_signature(0.0, QUARTERS_PER_BAR, 4)]
    for at, signature in _signatures(note_sequence, tempo_map, end):
        # A change between beats is not a bar line: it takes effect at the next bar line.
        aligned = math.isclose(at, round(at), abs_tol=_BEAT_TOLERANCE)
        length = metres[-1].quarters
        while bars[-1] + length <= at or (not aligned and bars[-1] < at):
            bars.append(bars[-1] + length)
        if aligned and round(at) > bars[-1]:
            bars.append(float(round(at)))
        metres[-1] = metres[-1]._replace(end=bars[-1])
        metres.append(of_signature(bars[-1], signature.numerator, signature.denominator))
    while bars[-1] < end:
        bars.append(bars[-1] + metres[-1].quarters)
    return np.array(bars), tuple(m for m in metres if m.start < min(m.end, max(end, 1)))


def _signatures(note_sequence: Any, tempo_map: TempoMap, end: float) -> List[Tuple[float, Any]]:
    """Returns the time signatures of the song and the start of each in quarters, in order."""
    signatures = sorted((s for s in note_sequence.time_signatures if math.isfinite(s.time)), key=lambda s: s.time)
    starts = tempo_map.quarters(np.array([s.time for s in signatures])).tolist()
    return [(at, signature) for at, signature in zip(starts, signatures) if 0 <= at <= end]


def all_4_4(metres: Sequence[Metre], start: float, end: float) -> bool:
    """Returns whether all metres from `start` to `end` quarters are 4/4; `bars_and_metres` returns `metres`."""
    i = bisect.bisect_left(metres, (end,)) - 1  # tuples are compared by their first field, here the start
    while i >= 0 and metres[i].end > start:
        if not metres[i].is_4_4:
            return False
        i -= 1
    return True


def remarks(metres: Sequence[Metre], window: float) -> List[str]:
    """Returns, in words, how metres other than 4/4 are read, if all are, to windows of `window` quarters."""
    return _first_few(list(dict.fromkeys(m.remark(window) for m in metres if not m.is_4_4)))


def left_out(metres: Sequence[Metre], bars: np.ndarray) -> List[str]:
    """Returns, in words, what is left out if 4/4 alone is read; nothing if that is all there is."""
    named = _other_than_4_4(metres, bars)
    return [_LEFT_OUT + ": %s; --metre=any reads it" % named] if named else []


def is_other(reason: str) -> bool:
    """Returns whether the remarks on a song, joined with "; ", say how other metres than 4/4 were treated."""
    return any(remark.startswith(_LEFT_OUT) or _REMARK.match(remark) for remark in reason.split("; "))


def _other_than_4_4(metres: Sequence[Metre], bars: np.ndarray) -> str:
    """Returns the time signatures other than 4/4, each with the bar (from 1) where it first starts; "" if none."""
    first_bars: Dict[str, int] = {}
    for m in metres:
        if not m.is_4_4:
            first_bars.setdefault(m.signature, int(np.searchsorted(bars, m.start)) + 1)
    return ", ".join(_first_few(["%s from bar %d" % item for item in first_bars.items()]))


def _first_few(said: List[str]) -> List[str]:
    """Returns a list short enough for a table: the first few, and how many more there are."""
    return said[:_MAX_SAID] + (["and %d more" % (len(said) - _MAX_SAID)] if len(said) > _MAX_SAID else [])
