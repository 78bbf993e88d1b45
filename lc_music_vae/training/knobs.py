"""Finds the knobs of a model at the end of its training.

Samples of the model are decoded and measured. A ridge regression from z gives each measure's slope. A measure is
offered as a knob if its readings fit points that were left out, and if turning it works: points of fresh samples are
decoded where the knob says -1 and where it says 1, and its own measure must move, and each other at most half as far.
"""

import logging
from typing import Callable, List, NamedTuple, Sequence

import numpy as np

from lc_music_vae import base_model, data
from lc_music_vae.checkpoints.run_json import MIN_EFFECT, Knob
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.models import music_vae
from lc_music_vae.models.knobs import Knobs
from lc_music_vae.models.points import prior_samples
from lc_music_vae.models.small_vae import SmallVAE
from lc_music_vae.music import measures
from lc_music_vae.music.style import Style
from lc_music_vae.options import FREEDOM, Sampling

logger = logging.getLogger(__name__)

_POINTS = 256  # that slopes are fitted to
_TURNED = 16  # points at which each knob is tried both ways
_FOLDS = 4
# Weight of the ridge: as if so many more samples with N(0, I) in z had the mean of each measure. Of 3 to 100, 10 to 30
# fit left-out samples of nine songs best.
_RIDGE = 30.0
MIN_FIT = 0.2  # R^2 on points left out
_MAX_SIDE_EFFECT = 0.5  # on other knobs' measures, of the effect on its own
_BATCH = 64
_MAX_BARS = 4  # of windows: decoding so many of sixteen bars would take several times as long as training

Measured = Callable[[np.ndarray], np.ndarray]  # z [n, z_size] to measures [n, number of names]


class _Line(NamedTuple):
    """Readings of several measures: z @ slopes + offsets, [z_size, k] and [k]."""

    slopes: np.ndarray
    offsets: np.ndarray

    def read(self, z: np.ndarray) -> np.ndarray:
        """Returns the readings, [n, k]."""
        return z @ self.slopes + self.offsets


def of_model(small: SmallVAE, moments: base_model.Moments, *, name: str, weights: Weights, style: Style) -> List[Knob]:
    """Returns the knobs of a model, the best fitting first, and says which there are; none if its windows are long.

    Args:
        small: The trained small VAE.
        moments: The moments of its training windows.
        name: Name of the MusicVAE config.
        weights: MusicVAE's weights.
        style: How the songs sound; of it the time signature counts.
    """
    converter = data.WindowConverter(name)
    if converter.bars > _MAX_BARS or converter.controls:
        return []
    names = measures.names_for(converter.reads)
    decoder = music_vae.Decoder(name, weights, _BATCH)
    grid = measures.grid_of(converter.quarters, data.TICKS_PER_QUARTER, style.time_signature)
    of_time = Style(time_signature=style.time_signature)

    def measured(z: np.ndarray) -> np.ndarray:
        keys = np.array([[0, i] for i in range(len(z))])
        sequences = converter.to_note_sequences(decoder.decode(z, Sampling().temperature, keys), of_time)
        heard = [converter.notes_of(sequence) for sequence in sequences]
        return np.array([[measures.MEASURES[name].of(notes, grid) for name in names] for notes in heard])

    # As `TrainedModel.sample` draws them, with noise of their own.
    n = _POINTS + _TURNED
    noise = np.random.RandomState(0).standard_normal((n, small.z_size + 1))
    broad = base_model.BroadPart(moments).sample(noise)
    z = base_model.leant(small.decode(prior_samples(n, small.encoded_z_size, 0)), *broad, freedom=FREEDOM)
    found = fit(names, z[:_POINTS], z[_POINTS:], measured=measured)
    decoder.close()
    said = ", ".join("%s (R^2 %.2f)" % (knob.name, knob.fit) for knob in found)
    logger.info("knobs that its samples follow: %s", said or "none")
    return found


def fit(names: Sequence[str], z: np.ndarray, fresh: np.ndarray, *, measured: Measured) -> List[Knob]:
    """Returns the knobs that fit and can be turned without the others, the best fitting first.

    Args:
        names: Names of what `measured` measures.
        z: Samples of the model to fit to, [n, z_size].
        fresh: Other samples, at which knobs are tried, [m, z_size].
        measured: Decodes points and measures them.
    """
    values = measured(z)
    known = np.isfinite(values)
    values = np.where(known, values, np.nan)
    is_measure = known.mean(0) > 0.5  # of silence, for example, there is no pitch
    mean, scale = np.zeros(len(names)), np.zeros(len(names))
    mean[is_measure], scale[is_measure] = (of(values[:, is_measure], 0) for of in (np.nanmean, np.nanstd))
    varies = np.flatnonzero(scale > 1e-6)
    standard = _standard(values, mean, scale)
    line = _ridge(z, standard)
    fits = _fits(z, standard)
    chosen = sorted((i for i in varies if fits[i] >= MIN_FIT), key=lambda i: -fits[i])

    def knob(i: int, effect: float) -> Knob:
        fit, middle, width, offset = (round(float(x[i]), 4) for x in (fits, mean, scale, line.offsets))
        slope = [round(x, 4) for x in line.slopes[:, i].tolist()]
        return Knob(names[i], fit, middle, width, round(float(effect), 4), offset, slope)

    while chosen:
        knobs = Knobs([knob(i, 1.0) for i in chosen], z.shape[1])
        effects = _effects(knobs, fresh, lambda turned: _standard(measured(turned), mean, scale))[:, chosen]
        wrong = _wrong(effects)
        if not wrong:
            return [knob(i, effects[k, k]) for k, i in enumerate(chosen)]
        chosen = [i for k, i in enumerate(chosen) if k not in wrong]
    return []


def _standard(values: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Returns values in standard deviations from the mean; 0 for what is not known or does not vary."""
    varies = scale > 1e-6
    found = (values - mean) / np.where(varies, scale, 1)
    return np.where(np.isfinite(found) & varies, found, 0.0)


def _ridge(z: np.ndarray, values: np.ndarray) -> _Line:
    center, mean = z.mean(0), values.mean(0)
    away = z - center
    slopes = np.linalg.solve(away.T @ away + _RIDGE * np.eye(z.shape[1]), away.T @ (values - mean))
    return _Line(slopes, mean - center @ slopes)


def _fits(z: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns R^2 of each measure's readings on points left out, [k]."""
    fold = np.arange(len(z)) % _FOLDS
    wrong = np.zeros_like(values)
    for i in range(_FOLDS):
        line = _ridge(z[fold != i], values[fold != i])
        wrong[fold == i] = values[fold == i] - line.read(z[fold == i])
    return 1 - np.sum(wrong**2, 0) / np.maximum(np.sum((values - values.mean(0)) ** 2, 0), 1e-12)


def _effects(knobs: Knobs, fresh: np.ndarray, standard: Measured) -> np.ndarray:
    """Returns by how much each measure (columns) rises for 1 of each knob (rows), in standard deviations."""
    turned = [knobs.set(fresh, {name: value}) for name in knobs.names for value in (-1, 1)]
    low_and_high = standard(np.concatenate(turned)).reshape(len(knobs), 2, len(fresh), -1).mean(2)
    return (low_and_high[:, 1] - low_and_high[:, 0]) / 2


def _wrong(effects: np.ndarray) -> List[int]:
    """Returns the knobs to leave out: all that do too little, else the worst fitting that goes with another."""
    own = np.diag(effects)
    weak = np.flatnonzero(own < MIN_EFFECT).tolist()
    aside = np.abs(effects - np.diag(own)) > _MAX_SIDE_EFFECT * own[:, np.newaxis]
    pairs = [max(pair) for pair in zip(*np.nonzero(aside))]
    return weak or ([max(pairs)] if pairs else [])
