"""What a training ends with: its picture, where its songs are in the small latent, and the score of held-out bars."""

import logging
from typing import Callable, List, NamedTuple, Optional, Sequence

import numpy as np

from lc_music_vae import base_model
from lc_music_vae.checkpoints import run_json
from lc_music_vae.checkpoints.run_dir import RunDir
from lc_music_vae.encoding import latents
from lc_music_vae.encoding.latents import Latents
from lc_music_vae.models import points
from lc_music_vae.models.knobs import Knobs
from lc_music_vae.models.prior import PersonalPrior
from lc_music_vae.models.small_vae import SmallVAE
from lc_music_vae.system import files, results
from lc_music_vae.training import drawing, summaries
from lc_music_vae.training import score as scoring

logger = logging.getLogger(__name__)

_MAX_ON_MAP = 2000  # windows: the picture of a large collection shows some of them


class LookedBack(NamedTuple):
    """Where songs are in the small latent, the score of the bars that were kept out, and the model's knobs."""

    latent: run_json.Latent
    score: Optional[run_json.Score]
    knobs: List[run_json.Knob]


def look_back(
    folder: RunDir,
    small: SmallVAE,
    found: Latents,
    *,
    moments: base_model.Moments,
    held_out: Optional[Latents],
    knobs_of: Callable[[SmallVAE], List[run_json.Knob]],
) -> LookedBack:
    """Draws the picture of a training, and returns what its record says at the end.

    Args:
        folder: The run's folder, where the picture goes.
        small: What it has learned.
        found: The latents that it learned from.
        moments: Their moments.
        held_out: The latents of the bars that were kept out, or None.
        knobs_of: Finds the knobs of a model.
    """
    windows = latents.own_key(found.shards, _MAX_ON_MAP)
    means, scales = small.encode(windows.means)
    residual = np.sqrt(np.mean(np.sum((small.decode(means) - windows.means) ** 2, 1)))
    score = None
    if held_out is not None:
        prior = PersonalPrior(small, base_model.BroadPart(moments))
        unseen = latents.own_key(held_out.shards, _MAX_ON_MAP)
        score = scoring.score(prior.log_prob, unseen, found.shards).record()
        results.logger.info("the bars that were kept out are %s", scoring.in_words(score))
    knobs = knobs_of(small)
    center, low, high = _span(means, scales)
    _say_dead(points.effects(small.decode, low=low, high=high))
    labels = [str(record["first_bar"] + 1) for record in windows.records]
    samples = points.prior_samples(8, small.encoded_z_size, 0)
    curves = summaries.read_scalars(folder.train)
    sheet = drawing.training(
        curves,
        means=means,
        scales=scales,
        labels=labels,
        samples=samples,
        score=score,
        coloring=_by_best(knobs, windows.means),
    )
    with files.replacing(folder.picture) as temporary:
        drawing.save(sheet, temporary)
    center, low, high = ([round(float(x), 4) for x in row] for row in (center, low, high))
    return LookedBack(run_json.Latent(center, round(float(residual), 4), low, high), score, knobs)


def _by_best(knobs: Sequence[run_json.Knob], z: np.ndarray) -> Optional[drawing.Coloring]:
    """Returns the measure of the best fitting knob as it is read from windows, in its own unit; None without knobs."""
    if not knobs:
        return None
    best = knobs[0]
    (readings,) = Knobs([best], z.shape[1]).read(z).T
    return drawing.Coloring(best.name, best.mean + best.scale * readings)


def _span(means: np.ndarray, scales: np.ndarray) -> Sequence[np.ndarray]:
    """Returns the mean of the windows' posteriors in the small latent, and where they begin and end."""
    return means.mean(0), (means - scales).min(0), (means + scales).max(0)


def _say_dead(effects: np.ndarray) -> None:
    """Names the dimensions that change hardly anything."""
    moving = points.moving(effects)
    dead = sorted(set(range(len(effects))) - set(moving))
    if not moving:
        logger.info("none of the small latent's %d dimensions changes much yet; more steps may help", len(effects))
    elif dead:
        numbers = ", ".join(str(i + 1) for i in dead)
        said = "of the small latent's %d dimensions, these change hardly anything: %s; encoded_z_size=%d may do as well"
        logger.info(said, len(effects), numbers, len(moving))
