"""Chords or hits that a decoder needs beside the latent: from flags, or from the first input."""

from typing import Optional

import numpy as np

from lc_music_vae import data
from lc_music_vae.errors import InputError
from lc_music_vae.generation import bars
from lc_music_vae.generation.inputs import Given
from lc_music_vae.generation.mode import Mode
from lc_music_vae.music import chords, examples
from lc_music_vae.options import Reading, Request


def find(
    request: Request, control_midi: Optional[str], mode: Mode, *, given: Given, music_vae: str, reading: Reading
) -> Optional[np.ndarray]:
    """Returns the controls to decode with, [k, time, control_depth].

    They are None if the config needs none, or if they are to be those of each window of a song.

    Args:
        request: What to generate.
        control_midi: Path of the file of `--control_midi`, or None.
        mode: The mode.
        given: The inputs, after they were read.
        music_vae: Name of the MusicVAE config.
        reading: How songs are read.

    Raises:
        InputError: Controls are given, and the config needs none; or the other way around; or the file has none.
    """
    converter = data.WindowConverter(music_vae, reading)
    if not converter.controls:
        for name in ("chords", "control_midi"):
            if getattr(request, name) is not None:
                said = "--%s=%s: %s decodes with no chords or hits; leave it out"
                raise InputError(said % (name, getattr(request, name), converter.music_vae))
        return None
    if not mode.takes_controls:
        said = "--mode=%s: %s decodes with %s, which this mode has none of; give another mode, such as sample"
        raise InputError(said % (mode.name, converter.music_vae, converter.controls))
    if request.chords is not None:
        return converter.controls_of_chords(chords.parse(request.chords))
    if control_midi is not None:
        return _of_file(control_midi, converter)
    return np.stack(given.windows[0].controls[:1]) if given.windows else None


def _of_file(path: str, converter: data.WindowConverter) -> np.ndarray:
    """Returns the controls of the bars of a file that are most like its others."""
    score = converter.score(examples.read_one(path))
    windows = converter.candidates(score)
    if not windows:
        said = "--control_midi=%s holds no notes that %s reads" % (path, converter.music_vae)
        raise InputError("; ".join((said, *score.remarks)))
    return np.stack(windows[bars.most_typical(windows)].controls[:1])
