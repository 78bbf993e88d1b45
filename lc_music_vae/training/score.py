"""The score of bars that a model has not seen: by how much it makes them likelier than MusicVAE's own prior does.

For a window x, with MusicVAE's posterior q(z|x) and the personal prior p(z), the score is

    E over q(z|x) of [log p(z) - log N(z; 0, I)]    in nats

This is by how much the ELBO of x rises when p(z) takes the place of MusicVAE's prior. log p(z) is a lower bound by
importance sampling, and so is the score.
"""

from typing import Callable, NamedTuple, Optional

import numpy as np

from lc_music_vae import base_model
from lc_music_vae.checkpoints import run_json
from lc_music_vae.encoding import nearness
from lc_music_vae.encoding.latents import OwnKey

_VERDICTS = ((10, "it knows them"), (0, "it hardly knows them"), (float("-inf"), "they are strange to it"))
_DRAWS = 4  # of z, per window: the mean over a song's windows is known to about 0.3 nats


class Score(NamedTuple):
    """The score of windows, in nats per window.

    Attributes:
        windows: Score of each, float64 [n].
        new: Which of them are no near-copies of training windows, bool [n].
        repeats: How many times each is played, int [n].
    """

    windows: np.ndarray
    new: np.ndarray
    repeats: np.ndarray

    def mean(self) -> float:
        """Returns the mean over all windows as they are played."""
        return float(np.average(self.windows, weights=self.repeats))

    def mean_of_new(self) -> Optional[float]:
        """Returns the mean over the new windows; None if there are none."""
        if not self.new.any():
            return None
        return float(np.average(self.windows[self.new], weights=self.repeats[self.new]))

    def record(self) -> run_json.Score:
        """Returns what run.json records."""
        new = self.mean_of_new()
        rounded = None if new is None else round(new, 3)
        windows, new_windows = int(self.repeats.sum()), int(self.repeats[self.new].sum())
        return run_json.Score(round(self.mean(), 3), windows, rounded, new_windows)


def gains(log_prob: Callable[[np.ndarray], np.ndarray], windows: OwnKey, *, seed: int = 0) -> np.ndarray:
    """Returns the score of each window under a prior, float64 [n].

    Args:
        log_prob: Maps z, [m, z_size], to log p(z), [m].
        windows: The windows.
        seed: Seed of the draws of z.
    """
    z = windows.draws(seed, _DRAWS)
    return np.mean((log_prob(z) - base_model.log_standard_normal(z)).reshape(_DRAWS, -1), 0)


def score(log_prob: Callable[[np.ndarray], np.ndarray], windows: OwnKey, training_shards) -> Score:
    """Returns the score of windows under a prior that was learned from the windows in some shards."""
    notes = [record["notes"] for record in windows.records]
    new = nearness.Songs.read(training_shards).similarities(notes) < nearness.NEAR
    return Score(gains(log_prob, windows), new, np.array([record["repeats"] for record in windows.records]))


def in_words(found: run_json.Score, *, trained_on: bool = False) -> str:
    """Returns a score as a sentence about the bars that it is of.

    Args:
        found: The score.
        trained_on: Whether the model was trained on these bars.
    """
    likelier = "likelier" if found.all >= 0 else "less likely"
    said = "%.1f nats a window %s under your model than under MusicVAE" % (abs(found.all), likelier)
    if trained_on:
        return said + ", which is flattery: it was trained on them; --examples_path or --holdout gives it other bars"
    said += next(": " + words for least, words in _VERDICTS if found.all >= least)
    if found.new is None:
        return said + " (all %d windows are nearly as in the songs that it learned)" % found.windows
    return said + " (%.1f over the %d of %d windows that are new)" % (found.new, found.new_windows, found.windows)
