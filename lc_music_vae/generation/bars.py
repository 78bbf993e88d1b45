"""The bars of an input that is a music file: which of its windows is meant, and all that could be."""

import logging
from typing import Any, List, Sequence

import numpy as np

from lc_music_vae import data
from lc_music_vae.encoding import nearness
from lc_music_vae.errors import InputError
from lc_music_vae.generation.inputs import Bars, Given, Input
from lc_music_vae.music import examples
from lc_music_vae.music.likeness import dice
from lc_music_vae.options import Reading
from lc_music_vae.showing import outputs
from lc_music_vae.showing.outputs import Output

logger = logging.getLogger(__name__)


def with_windows(given: Given, music_vae: str, reading: Reading) -> Given:
    """Returns the inputs with the windows that are meant, and with these as they are shown and played.

    Args:
        given: The inputs and their songs.
        music_vae: Name of the MusicVAE config.
        reading: How songs are read.

    Raises:
        InputError: An input has no window, or not at the bars that were given.
    """
    converter = data.WindowConverter(music_vae, reading)
    windows = [pick(converter, song, one) for song, one in zip(given.songs, given.of_files())]
    shown = zip(windows, given.of_files(), converter.heard(windows))
    bars = [outputs.Bars(place_of(window, one), one.number, heard) for window, one, heard in shown]
    return given._replace(windows=windows, bars=bars)


def listed(given: Given, music_vae: str, reading: Reading) -> List[Output]:
    """Returns all windows that the inputs could mean, each with the flag that means it.

    Raises:
        InputError: An input has no window.
    """
    converter = data.WindowConverter(music_vae, reading)
    found = []
    for song, one in zip(given.songs, given.of_files()):
        candidates = _candidates(converter, converter.score(song), one)
        best = most_typical(candidates)
        for i, (window, heard) in enumerate(zip(candidates, converter.heard(candidates))):
            title = place_of(window, one) + (", which stand for it" if i == best and len(candidates) > 1 else "")
            flag = "--input_bars_%d=%d-%d" % (one.number, window.first_bar + 1, window.last_bar + 1)
            found.append(Output(title, heard, flag=flag))
    return found


def place_of(window: data.Window, given: Input) -> str:
    """Returns which bars of which file a window is, such as "bars 5-6 of song.mid"."""
    first, last = window.first_bar + 1, window.last_bar + 1
    return "%s of %s" % ("bars %d-%d" % (first, last) if first < last else "bar %d" % first, given.name)


def most_typical(windows: Sequence[data.Window]) -> int:
    """Returns the number of the window that is most like the others, as often as these are played; of equals the first.

    What two windows have in common is counted as in `nearness`: notes of the same start and pitch.
    """
    onsets = [np.unique(nearness.onsets(window.notes)) for window in windows]
    return int(np.argmax(np.round(dice(onsets, onsets) @ [window.repeats for window in windows], 6)))


def pick(converter: data.WindowConverter, song: examples.Song, given: Input) -> data.Window:
    """Returns the window of an input: the one at the given bars, or the one that stands for the song.

    Raises:
        InputError: The input has no window, or not at the bars that were given.
    """
    score = converter.score(song)
    if given.bars is not None:
        return _window_at(converter, score, given.bars, given.number)
    candidates = _candidates(converter, score, given)
    window = candidates[most_typical(candidates)]
    if len(candidates) > 1:
        logger.info(
            "%s stand for it: of its windows they are most like the others; --input_bars_%d takes others, --list_bars "
            "lists all %d",
            place_of(window, given),
            given.number,
            len(candidates),
        )
    elif score.remarks:
        logger.info("%s: %s", score.name, score.how_it_is_read())
    return window


def _candidates(converter: data.WindowConverter, score: Any, given: Input) -> List[data.Window]:
    found = converter.candidates(score)
    if not found:
        said = "--input_midi_%d=%s holds no notes that %s reads" % (
            given.number,
            score.name,
            converter.music_vae,
        )
        raise InputError("; ".join((said,) + score.remarks))
    return found


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
