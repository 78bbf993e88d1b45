"""A small VAE over MusicVAE's latent z (MidiMe). It learns which part of that space a few songs use.

`train` learns from songs, which several machines may `encode` before. `TrainedModel` generates music with the trained
model. All are loaded on first use, so that reading the registry imports neither TensorFlow nor magenta.
"""

import importlib

__version__ = "0.2.0.dev0"
__all__ = ["CONFIG_MAP", "Config", "InputError", "TrainedModel", "encode", "evaluate", "train"]

_HOMES = {
    "CONFIG_MAP": "configs",
    "Config": "configs",
    "InputError": "errors",
    "TrainedModel": "trained_model",
    "encode": "training.encode",
    "evaluate": "training.evaluate",
    "train": "training.train",
}


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    return getattr(importlib.import_module("lc_music_vae." + _HOMES[name]), name)


def __dir__():
    return sorted({*globals(), *__all__})
