"""The inputs of a mode: bars of a music file, a whole song, or a point of the small latent."""

import logging
import math
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.errors import InputError
from lc_music_vae.music import examples
from lc_music_vae.options import MAX_COORDINATE, Request
from lc_music_vae.showing import outputs

logger = logging.getLogger(__name__)

Bars = Tuple[int, int]


class Input(NamedTuple):
    """One input of a mode: bars of a music file, or a point of the small latent.

    Attributes:
        name: Name of the input in messages and on the sheet.
        number: 1 or 2, as in the names of the flags.
        path: The music file, or None.
        bars: First and last bar to use, counted from 1, or None.
        latent: The point, or None.
    """

    name: str
    number: int
    path: Optional[str] = None
    bars: Optional[Bars] = None
    latent: Optional[List[float]] = None


class Given(NamedTuple):
    """The inputs of a mode, after they were read.

    Attributes:
        inputs: The inputs that were given.
        songs: The songs of the inputs that are music files, in order.
        windows: The windows that were picked from these songs; empty if the mode takes whole songs.
        bars: These windows as they are shown and played.
    """

    inputs: Sequence[Input] = ()
    songs: Sequence[examples.Song] = ()
    windows: Sequence[Any] = ()
    bars: Sequence[outputs.Bars] = ()

    def of_files(self) -> List[Input]:
        """Returns the inputs that are music files."""
        return [one for one in self.inputs if one.path]


def find(request: Request, num_inputs: int, num_latents: int) -> List[Input]:
    """Returns the inputs that are given for a mode; does not read the songs yet.

    Args:
        request: What to generate.
        num_inputs: How many inputs the mode takes.
        num_latents: How many points of the small latent the mode takes, instead of inputs or in addition to them.

    Raises:
        InputError: An input is missing, given twice or cannot be found.
    """
    files = (request.input_midi_1, request.input_bars_1), (request.input_midi_2, request.input_bars_2)
    found = []
    for number, (path, bars), latent in zip((1, 2), files, (request.latent, request.latent_2)):
        flag = _latent_flag(number)
        if latent and number <= num_inputs and path:
            raise InputError("give either --input_midi_%d or %s" % (number, flag))
        if latent:
            found.append(Input("%s=%s" % (flag, latent), number, latent=_parse_latent(flag, latent)))
        elif number <= num_inputs and (path or not request.list_bars):
            instead = ", or " + flag if num_latents else ""
            found.append(_find_file(request.mode, number, path, bars, instead))
    if request.list_bars and not any(one.path for one in found):
        raise InputError("--list_bars: give --input_midi_1 too, the song whose bars are to be listed")
    return found


def _latent_flag(number: int) -> str:
    return "--latent" if number == 1 else "--latent_%d" % number


def _parse_latent(flag: str, text: str) -> List[float]:
    try:
        point = [float(x) for x in text.split(",")]
    except ValueError:
        point = [math.nan]
    if not all(map(math.isfinite, point)):
        raise InputError("%s=%s: expected numbers with commas between, such as 0.3,-1,0,2" % (flag, text))
    if not all(abs(x) <= MAX_COORDINATE for x in point):
        limits = MAX_COORDINATE, MAX_COORDINATE
        raise InputError("%s=%s: its numbers must be from -%d to %d; few samples are beyond 3" % (flag, text, *limits))
    return point


def parse_knobs(text: str) -> Dict[str, float]:
    """Returns the values of `--knobs`, such as density=1.5,register=-1, by name.

    Raises:
        InputError: It is written in another way, or names a knob twice or one that no model has.
    """
    from lc_music_vae.models import knobs  # needs NumPy, and not for the help
    from lc_music_vae.music import measures

    values: Dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (one.strip() for one in part.partition("="))
        try:
            number = float(value)
        except ValueError:
            raise InputError("--knobs=%s: expected names and numbers, such as density=1.5,register=-1" % text) from None
        if name in values:
            raise InputError("--knobs=%s: %s is there twice; leave one out" % (text, name))
        if name not in measures.MEASURES:
            raise InputError("--knobs=%s: %r is none of %s" % (text, name, ", ".join(measures.MEASURES)))
        values[name] = number
    return knobs.checked(values)


def find_controls(request: Request) -> Optional[str]:
    """Returns the path of `--control_midi`, or None.

    Raises:
        InputError: Both `--chords` and `--control_midi` are given, or they are not usable.
    """
    if request.chords is not None:
        from lc_music_vae.music import chords  # needs note_seq, and not for the help

        chords.parse(request.chords)
    if request.control_midi is None:
        return None
    if request.chords is not None:
        raise InputError("give either --chords or --control_midi")
    found = examples.find(request.control_midi, "--control_midi")
    if len(found) != 1:
        raise InputError("--control_midi=%s holds %d music files; give one" % (request.control_midi, len(found)))
    return found[0]


def _find_file(mode: str, number: int, path: Optional[str], bars: Optional[str], instead: str) -> Input:
    flag = "--input_midi_%d" % number
    if not path:
        raise InputError("%s is needed in mode %s: a music file%s" % (flag, mode, instead))
    found = examples.find(path, flag)
    if len(found) != 1:
        raise InputError("%s=%s holds %d music files; give one" % (flag, path, len(found)))
    match = re.match(r"(\d+)-(\d+)$", bars or "")
    if bars and not (match and 1 <= int(match.group(1)) <= int(match.group(2))):
        raise InputError("--input_bars_%d=%s: expected first and last bar, such as 5-6" % (number, bars))
    chosen = (int(match.group(1)), int(match.group(2))) if match else None
    return Input(os.path.basename(found[0]), number, found[0], chosen)
