"""The modes of generation. Each has its own module and one line in this table.

These modules do not load TensorFlow or magenta, because the scripts' help is made from them.
"""

from typing import Dict

from lc_music_vae.errors import InputError
from lc_music_vae.generation.mode import Mode
from lc_music_vae.generation.modes.compose import Compose
from lc_music_vae.generation.modes.go_on import Continue
from lc_music_vae.generation.modes.interpolate import Interpolate
from lc_music_vae.generation.modes.play import Play
from lc_music_vae.generation.modes.reconstruct import Reconstruct
from lc_music_vae.generation.modes.sample import Sample
from lc_music_vae.generation.modes.similar import Similar
from lc_music_vae.generation.modes.walk import Walk

MODES: Dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Sample(),
        Interpolate(),
        Reconstruct(),
        Similar(),
        Walk(),
        Compose(),
        Continue(),
        Play(),
    )
}


def get_mode(name: str) -> Mode:
    """Returns the mode called `name`, or raises an `InputError` that names all modes."""
    if name not in MODES:
        raise InputError("--mode=%s must be one of %s" % (name, ", ".join(MODES)))
    return MODES[name]
