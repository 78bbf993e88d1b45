"""The MusicVAEs that the recipe makes: what is special to each.

A window is a row of 32 events, each a class: of a melody what it does in a sixteenth, of drums which of the nine are
hit. The decoder hears and says classes; the encoder hears what the config's converter makes of them.
"""

from types import ModuleType
from typing import NamedTuple

import numpy as np

from tools.base_model import augment, augment_drums, drum_figures, drum_rolls, melody_figures


class Model(NamedTuple):
    """One of them.

    Attributes:
        music_vae: Name of magenta's config.
        of_class: What the encoder hears of each class, bool [classes, input depth].
        augment: The module with `batch` and the names of its kinds, `ALL`.
        figures: The module with `right`, of what comes back, and `sound`, of samples.
    """

    music_vae: str
    of_class: np.ndarray
    augment: ModuleType
    figures: ModuleType


MELODY = Model("cat-mel_2bar_small", np.eye(90, dtype=bool), augment, melody_figures)
DRUMS = Model("cat-drums_2bar_small", drum_rolls.heard(np.arange(drum_rolls.CLASSES)), augment_drums, drum_figures)
ALL = {model.music_vae: model for model in (MELODY, DRUMS)}
