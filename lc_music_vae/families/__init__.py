"""The families of MusicVAE configs. Each has its own module and one line in this table."""

from typing import Tuple, Type

from magenta.models.music_vae import configs as music_vae_configs

from lc_music_vae.errors import InputError
from lc_music_vae.families.band import Band
from lc_music_vae.families.drums import Drums
from lc_music_vae.families.family import Family
from lc_music_vae.families.groove import Groove
from lc_music_vae.families.magenta_facts import facts_of
from lc_music_vae.families.melody import Melody
from lc_music_vae.families.performance import Performance

FAMILIES: Tuple[Type[Family], ...] = (
    Melody,
    Drums,
    Groove,
    Band,
    Performance,
)


def family_of(music_vae: str) -> Family:
    """Returns the family of the config named `music_vae` in magenta's CONFIG_MAP, with the config's facts.

    Raises:
        InputError: No family reads this kind of config, or its family knows no controls, and it needs some.
    """
    converter = music_vae_configs.CONFIG_MAP[music_vae].data_converter
    alike = [family for family in FAMILIES if isinstance(converter, family.converters)]
    if not alike:
        known = ", ".join(kind.__name__ for family in FAMILIES for kind in family.converters)
        raise InputError(
            "MusicVAE config %s: its converter, %s, is not supported yet; supported are %s"
            % (music_vae, type(converter).__name__, known)
        )
    family = alike[0](facts_of(music_vae))
    if converter.control_depth and not family.controls:
        raise InputError("MusicVAE config %s needs controls, and %s has none" % (music_vae, type(family).__name__))
    return family
