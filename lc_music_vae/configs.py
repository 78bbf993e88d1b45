"""The registry: which MusicVAE each config personalises, and which small VAE it uses.

There is one literal entry for each of magenta's MusicVAE configs. An entry only names it and its published checkpoints.
The details are looked up in magenta's CONFIG_MAP when they are needed, so that this table loads quickly.
docs/models.md says what each of them makes and needs.
"""

import difflib
from typing import Dict, NamedTuple, Optional, Tuple

from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams

# From magenta/models/music_vae/README.md in https://github.com/magenta/magenta.
_PUBLISHED = "https://storage.googleapis.com/magentadata/models/music_vae/checkpoints/"


class Published(NamedTuple):
    """A MusicVAE checkpoint that Magenta publishes.

    Attributes:
        name: Its name, as `--pretrained_path` takes it.
        megabytes: Its size in millions of bytes, computed: twelve bytes a weight, as Adam's two slots are in it.
        url: Where it is published.
        sha256: SHA-256 of the file there, in hexadecimal, if the author of the entry had it.
    """

    name: str
    megabytes: int
    url: str
    sha256: Optional[str] = None


def _published(name: str, megabytes: int) -> Published:
    return Published(name, megabytes, "%s%s.tar" % (_PUBLISHED, name))


class Shipped(NamedTuple):
    """A MusicVAE checkpoint that ships with the toolkit, in `lc_music_vae/pretrained`.

    Attributes:
        name: Its name, as `--pretrained_path` takes it.
        encoder: The fingerprint of its encoder, as runs record it: SHA-256 in hexadecimal.
    """

    name: str
    encoder: str

    @property
    def file(self) -> str:
        """The name of its file."""
        return self.name + ".tar"


class Config(NamedTuple):
    """A MusicVAE model and the small VAE that is trained over its latent z.

    Attributes:
        music_vae: Name of the MusicVAE config in magenta's `CONFIG_MAP`.
        hparams: Hyperparameters of the small VAE.
        checkpoints: The published checkpoints of the MusicVAE config.
        shipped: Those that ship. The first is used when none is given; the others are for what was trained on them.
    """

    music_vae: str
    hparams: HParams = HParams()
    checkpoints: Tuple[Published, ...] = ()
    shipped: Tuple[Shipped, ...] = ()


CONFIG_MAP: Dict[str, Config] = {}

# Melodies of 2 and of 16 bars
CONFIG_MAP["lc-cat-mel_2bar_small"] = Config(
    music_vae="cat-mel_2bar_small",
    shipped=(
        Shipped("cat-mel_2bar_small_folk2", "72a7d5f70c2441c85d4ea16a2236ee216fd0018e94fc0b28cb22f98b7e81e915"),
        Shipped("cat-mel_2bar_small_folk", "19a8f58237040436178e7949ce5e3f450915b2989f7b88d72a522618bb7eccea"),
    ),
)
CONFIG_MAP["lc-cat-mel_2bar_big"] = Config(
    music_vae="cat-mel_2bar_big", checkpoints=(_published("cat-mel_2bar_big", 1615),)
)
CONFIG_MAP["lc-cat-mel_2bar_med_chords"] = Config(music_vae="cat-mel_2bar_med_chords")
CONFIG_MAP["lc-flat-mel_16bar"] = Config(music_vae="flat-mel_16bar")
CONFIG_MAP["lc-hierdec-mel_16bar"] = Config(
    music_vae="hierdec-mel_16bar", checkpoints=(_published("hierdec-mel_16bar", 2113),)
)
CONFIG_MAP["lc-hier-mel_16bar"] = Config(music_vae="hier-mel_16bar")

# Drums
CONFIG_MAP["lc-cat-drums_2bar_small"] = Config(
    music_vae="cat-drums_2bar_small",
    checkpoints=(_published("cat-drums_2bar_small.lokl", 56), _published("cat-drums_2bar_small.hikl", 56)),
    shipped=(Shipped("cat-drums_2bar_small_made", "aeff2d10a3bda9f8cfddd8ae63609960a7d1d44840e33dc95811cb7c04fbf48d"),),
)
CONFIG_MAP["lc-cat-drums_2bar_big"] = Config(music_vae="cat-drums_2bar_big")
CONFIG_MAP["lc-nade-drums_2bar_reduced"] = Config(music_vae="nade-drums_2bar_reduced")
CONFIG_MAP["lc-nade-drums_2bar_full"] = Config(
    music_vae="nade-drums_2bar_full", checkpoints=(_published("nade-drums_2bar_full", 173),)
)

# Drums as they are played: with velocities, and ahead of the beat or behind it
CONFIG_MAP["lc-groovae_4bar"] = Config(music_vae="groovae_4bar", checkpoints=(_published("groovae_4bar", 49),))
CONFIG_MAP["lc-groovae_2bar_humanize"] = Config(
    music_vae="groovae_2bar_humanize", checkpoints=(_published("groovae_2bar_humanize", 49),)
)
CONFIG_MAP["lc-groovae_2bar_tap_fixed_velocity"] = Config(
    music_vae="groovae_2bar_tap_fixed_velocity", checkpoints=(_published("groovae_2bar_tap_fixed_velocity", 49),)
)
CONFIG_MAP["lc-groovae_2bar_tap_fixed_velocity_note_dropout"] = Config(
    music_vae="groovae_2bar_tap_fixed_velocity_note_dropout"
)
CONFIG_MAP["lc-groovae_2bar_add_closed_hh"] = Config(
    music_vae="groovae_2bar_add_closed_hh", checkpoints=(_published("groovae_2bar_add_closed_hh", 49),)
)
CONFIG_MAP["lc-groovae_2bar_hits_control_tfds"] = Config(
    music_vae="groovae_2bar_hits_control_tfds", checkpoints=(_published("groovae_2bar_hits_control", 50),)
)

# Trios of melody, bass and drums
CONFIG_MAP["lc-flat-trio_16bar"] = Config(music_vae="flat-trio_16bar")
CONFIG_MAP["lc-hierdec-trio_16bar"] = Config(
    music_vae="hierdec-trio_16bar", checkpoints=(_published("hierdec-trio_16bar", 2772),)
)
CONFIG_MAP["lc-hier-trio_16bar"] = Config(music_vae="hier-trio_16bar")

# Several instruments as they are played
CONFIG_MAP["lc-hier-multiperf_vel_1bar_med"] = Config(music_vae="hier-multiperf_vel_1bar_med")
CONFIG_MAP["lc-hier-multiperf_vel_1bar_big"] = Config(music_vae="hier-multiperf_vel_1bar_big")
CONFIG_MAP["lc-hier-multiperf_vel_1bar_med_chords"] = Config(music_vae="hier-multiperf_vel_1bar_med_chords")
CONFIG_MAP["lc-hier-multiperf_vel_1bar_big_chords"] = Config(music_vae="hier-multiperf_vel_1bar_big_chords")


def published() -> Dict[str, Published]:
    """Returns the published checkpoints by name."""
    return {one.name: one for entry in CONFIG_MAP.values() for one in entry.checkpoints}


def get_config(name: str) -> Config:
    """Returns the config called `name`, or raises an `InputError` that names the most similar ones."""
    if not isinstance(name, str):
        raise InputError("--config=%.60r must be a config's name, such as %s" % (name, next(iter(CONFIG_MAP))))
    if name in CONFIG_MAP:
        return CONFIG_MAP[name]
    near = difflib.get_close_matches(name, CONFIG_MAP, 1)
    hint = "did you mean %s? " % near[0] if near else ""
    raise InputError("--config=%s is not known; %schoose from %s" % (name, hint, ", ".join(sorted(CONFIG_MAP))))
