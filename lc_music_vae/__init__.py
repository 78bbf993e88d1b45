"""A small VAE over MusicVAE's latent z (MidiMe): learns which part of it a few songs live in.

`train` learns from songs, `TrainedModel` generates from what was learned. Both are loaded when they are
first asked for, so that reading the registry imports neither TensorFlow nor magenta.
"""

import importlib

__version__ = "0.2.0.dev0"
__all__ = ["CONFIG_MAP", "Config", "InputError", "TrainedModel", "evaluate", "train"]

_HOMES = {
    "CONFIG_MAP": "configs",
    "Config": "configs",
    "InputError": "errors",
    "TrainedModel": "trained_model",
    "evaluate": "training.evaluate",
    "train": "training.train",
}


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    return getattr(importlib.import_module("lc_music_vae." + _HOMES[name]), name)


def __dir__():
    return sorted({*globals(), *__all__})
