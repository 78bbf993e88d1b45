"""How music sounds as a whole: its tempo, program, octave and time signature. Needs no NumPy, as run.json does not."""

import re
from typing import NamedTuple

from lc_music_vae.music.source import QPM

QUARTERS_PER_BAR = 4  # in 4/4, the time signature that MusicVAE uses
COMMON = "4/4"


def bar_quarters(numerator: int, denominator: int) -> float:
    """Returns the length that bars of a time signature get, in quarters.

    It is that of the bar if this is a number of sixteenths from 6 to 64. Bars of 2/4 or 1/4 (which often stands for
    "unknown") are grouped into bars of four quarters, which MusicVAE knows; so is what MIDI has no time signature for.
    """
    is_midi = 0 < numerator < 256 and 0 < denominator <= 64 and not denominator & (denominator - 1)
    sixteenths = 16 * numerator / denominator if is_midi else 0
    if sixteenths == int(sixteenths) and 6 <= sixteenths <= 64 and sixteenths not in (8, 16, 32, 64):
        return sixteenths / 4
    return float(QUARTERS_PER_BAR)


def bar_of(signature: str) -> float:
    """Returns `bar_quarters` of a time signature such as "6/8"."""
    numerator, denominator = map(int, signature.split("/"))
    return bar_quarters(numerator, denominator)


def is_written(signature: str) -> bool:
    """Returns whether music is written in this time signature: 4/4, or one whose bars have another length."""
    match = re.match(r"(\d{1,3})/(\d{1,2})\Z", signature)
    return signature == COMMON or match is not None and bar_of(signature) != QUARTERS_PER_BAR


class Style(NamedTuple):
    """What songs have in common, and what is made like them gets.

    Attributes:
        qpm: Tempo in quarters per minute.
        program: General MIDI program of melodies, from 0; drums and bands have their own.
        octaves: How many octaves melodies were moved up to be in MusicVAE's range; see `Track.octaves`.
        time_signature: A time signature for which `is_written`, such as "6/8".
    """

    qpm: float = QPM
    program: int = 0
    octaves: int = 0
    time_signature: str = COMMON
