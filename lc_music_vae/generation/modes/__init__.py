"""The modes of generation: one module each, one line each in this table.

Nothing here loads TensorFlow or magenta: the scripts' help is made from it.
"""

from typing import Dict

from lc_music_vae.errors import InputError
from lc_music_vae.generation.mode import Mode
from lc_music_vae.generation.modes.interpolate import Interpolate
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
    )
}


def get_mode(name: str) -> Mode:
    """Returns the mode called `name`, or raises an `InputError` that names them all."""
    if name not in MODES:
        raise InputError("--mode=%s must be one of %s" % (name, ", ".join(MODES)))
    return MODES[name]
