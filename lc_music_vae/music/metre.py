"""Bars and time signatures (metres) of a song, in quarters from its start."""

import bisect
import math
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from lc_music_vae.music.tempo import TempoMap

QUARTERS_PER_BAR = 4  # in 4/4, the time signature that MusicVAE uses
_MAX_SAID = 8  # time signatures listed per song
_BEAT_TOLERANCE = 0.02  # quarters that a change may be away from its beat


class Metre(NamedTuple):
    """A part of a song with one time signature, from `start` to `end` in quarters.

    `quarters` is the length that its bars get. `is_4_4` says whether the signature itself gives bars of four quarters
    (2/2 does). `remark` says, in words, how any other signature was read.
    """

    start: float
    end: float
    signature: str
    quarters: float
    is_4_4: bool
    remark: str


def of_signature(start: float, numerator: int, denominator: int) -> Metre:
    """Returns the metre of a time signature; its end is not known yet.

    Bars of 2/4 or 1/4 (which often stands for "unknown") are grouped into bars of four quarters, which MusicVAE knows.
    """
    sixteenths = 16 * numerator / denominator if denominator else 0
    signature = "%d/%d" % (numerator, denominator)
    quarters, remark = float(QUARTERS_PER_BAR), ""
    if sixteenths == int(sixteenths) and 6 <= sixteenths <= 64 and sixteenths not in (8, 16, 32, 64):
        quarters, remark = sixteenths / 4, "%s: windows start at its bars and are cut by sixteenths" % signature
    elif sixteenths != 16:
        remark = "%s: taken as bars of four quarters" % signature
    return Metre(start, math.inf, signature, quarters, sixteenths == 16, remark)


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


def remarks(metres: Sequence[Metre]) -> List[str]:
    """Returns, in words, how metres other than 4/4 are read when all metres are accepted."""
    return _first_few(list(dict.fromkeys(m.remark for m in metres if m.remark)))


def other_than_4_4(metres: Sequence[Metre], bars: np.ndarray) -> str:
    """Returns the time signatures other than 4/4, each with the bar (from 1) where it first starts; "" if none."""
    first_bars: Dict[str, int] = {}
    for m in metres:
        if not m.is_4_4:
            first_bars.setdefault(m.signature, int(np.searchsorted(bars, m.start)) + 1)
    return ", ".join(_first_few(["%s from bar %d" % item for item in first_bars.items()]))


def _first_few(said: List[str]) -> List[str]:
    """Returns a list short enough for a table: the first few, and how many more there are."""
    return said[:_MAX_SAID] + (["and %d more" % (len(said) - _MAX_SAID)] if len(said) > _MAX_SAID else [])
