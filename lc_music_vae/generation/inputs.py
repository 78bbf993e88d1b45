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
    """

    inputs: Sequence[Input] = ()
    songs: Sequence[examples.Song] = ()
    windows: Sequence[Any] = ()

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
        elif number <= num_inputs:
            instead = ", or " + flag if num_latents else ""
            found.append(_find_file(request.mode, number, path, bars, instead))
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


def pick_window(converter: Any, song: examples.Song, given: Input, *, config: str, folder: str) -> Any:
    """Returns the window of an input: its only window, or the one at the given bars.

    Raises:
        InputError: The input has no window, or several. If it has several, they are written to `folder` for the user
            to choose from.
    """
    score = converter.score(song)
    flag = "--input_midi_%d" % given.number
    if given.bars is not None:
        return _window_at(converter, score, given.bars, given.number)
    candidates = converter.candidates(score)
    if not candidates:
        said = "%s=%s holds no notes that config %s reads" % (flag, song.name, config)
        raise InputError("; ".join((said,) + score.remarks))
    if len(candidates) == 1:
        if score.remarks:
            logger.info("%s: %s", score.name, score.how_it_is_read())
        return candidates[0]
    paths = outputs.write_midi(converter.heard(candidates), folder, "%s_input%d-extractions" % (config, given.number))
    for path, window in zip(paths, candidates):
        place = os.path.basename(path), window.track, window.first_bar + 1, window.last_bar + 1
        logger.info("%s: track %d, bars %d-%d", *place)
    example = candidates[0].first_bar + 1, candidates[0].last_bar + 1
    raise InputError(
        "%s=%s holds %d windows of %s, now written as %s; give one, or its bars, as in --input_bars_%d=%d-%d"
        % (
            flag,
            song.name,
            len(candidates),
            candidates[0].length_in_words(),
            outputs.pattern(paths),
            given.number,
            *example,
        )
    )


def _window_at(converter: Any, score: Any, bars: Bars, number: int) -> Any:
    text = "--input_bars_%d=%d-%d" % (number, *bars)
    num_bars = len(score.bars) - 1
    if bars[0] > num_bars:
        raise InputError("%s: %s has %d bars" % (text, score.name, num_bars))
    expected = bars[0], converter.last_bar(score, bars[0] - 1) + 1
    if bars != expected:
        raise InputError("%s: one window is bars %d-%d there" % (text, *expected))
    for track in score.tracks:
        window = converter.window(score, track, bars[0] - 1)
        if window is not None:
            logger.info("%s: bars %d-%d of %s", score.name, *bars, score._replace(tracks=(track,)).how_it_is_read())
            return window
    said = "%s: no note of %s starts in these bars" % (text, score.name)
    raise InputError("; ".join((said,) + score.remarks))
