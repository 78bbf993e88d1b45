"""The registry: which MusicVAE each config personalises, and which small VAE it uses.

There is one literal entry for each model. An entry only names its MusicVAE config. The details are looked up in
magenta's CONFIG_MAP when they are needed, so that this table loads quickly.
"""

import difflib
from typing import Dict, NamedTuple, Optional

from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams

_PUBLISHED = "https://storage.googleapis.com/magentadata/models/music_vae/checkpoints/"


class Config(NamedTuple):
    """A MusicVAE model and the small VAE that is trained over its latent z.

    Attributes:
        music_vae: Name of the MusicVAE config in magenta's `CONFIG_MAP`.
        hparams: Hyperparameters of the small VAE.
        checkpoint_url: URL of the published MusicVAE checkpoint, if there is one.
        shipped_checkpoint: File in `lc_music_vae/pretrained` that is used when no checkpoint is given.
        checkpoint_sha256: SHA-256, in hexadecimal, of the file at `checkpoint_url`, if the author of the entry had it.
    """

    music_vae: str
    hparams: HParams = HParams()
    checkpoint_url: Optional[str] = None
    shipped_checkpoint: Optional[str] = None
    checkpoint_sha256: Optional[str] = None


CONFIG_MAP: Dict[str, Config] = {}

CONFIG_MAP["lc-cat-mel_2bar_small"] = Config(
    music_vae="cat-mel_2bar_small",
    shipped_checkpoint="cat-mel_2bar_small_folk.tar",
)

CONFIG_MAP["lc-cat-mel_2bar_big"] = Config(
    music_vae="cat-mel_2bar_big",
    checkpoint_url=_PUBLISHED + "cat-mel_2bar_big.tar",
)

CONFIG_MAP["lc-hierdec-mel_16bar"] = Config(
    music_vae="hierdec-mel_16bar",
    checkpoint_url=_PUBLISHED + "hierdec-mel_16bar.tar",
)


def get_config(name: str) -> Config:
    """Returns the config called `name`, or raises an `InputError` that names the most similar ones."""
    if not isinstance(name, str):
        raise InputError("--config=%.60r must be a config's name, such as %s" % (name, min(CONFIG_MAP)))
    if name in CONFIG_MAP:
        return CONFIG_MAP[name]
    near = difflib.get_close_matches(name, CONFIG_MAP, 1)
    hint = "did you mean %s? " % near[0] if near else ""
    raise InputError("--config=%s is not known; %schoose from %s" % (name, hint, ", ".join(sorted(CONFIG_MAP))))
