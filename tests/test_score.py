"""The score of unseen bars, against closed forms, and when training ends by it."""

import re

import numpy as np
import pytest

from lc_music_vae import base_model
from lc_music_vae.checkpoints import run_json
from lc_music_vae.encoding.latents import OwnKey
from lc_music_vae.options import BALANCED, CLOSE, FREE
from lc_music_vae.training import score, stopping


def windows(n=400, size=6, seed=0):
    rng = np.random.RandomState(seed)
    return OwnKey(rng.normal(0, 0.9, (n, size)), rng.uniform(0.2, 0.6, (n, size)), [])


def log_gaussian(mean, variance):
    return lambda z: -(((z - mean) ** 2 / variance + np.log(2 * np.pi * variance)).sum(1)) / 2


def test_musicvaes_own_prior_scores_zero():
    found = score.gains(base_model.log_standard_normal, windows())
    np.testing.assert_array_equal(found, np.zeros(400))
    np.testing.assert_allclose(score.gains(log_gaussian(0.0, np.ones(6)), windows()), 0, atol=1e-5)


def test_a_gaussian_scores_what_the_closed_form_says():
    """E of a quadratic over N(mu, sigma^2) is its value at mu plus sigma^2 times its curvature."""
    given, mean, variance = windows(4000, seed=1), np.linspace(-1, 1, 6), np.linspace(0.3, 1.2, 6)
    squares = ((given.means - mean) ** 2 + given.scales**2) / variance
    exact = ((given.means**2 + given.scales**2) - squares - np.log(variance)).sum(1) / 2
    found = score.gains(log_gaussian(mean, variance), given)
    assert abs(found.mean() - exact.mean()) < 5 * np.std(found - exact) / np.sqrt(4000)
    assert np.std(found - exact) < np.std(exact)  # and window by window


def test_a_prior_gains_by_knowing_and_loses_by_promising_too_much():
    given = OwnKey(np.full((50, 6), 2.0), np.full((50, 6), 0.1), [])
    knows, promises = log_gaussian(2.0, np.full(6, 0.02)), log_gaussian(1.0, np.full(6, 0.02))
    assert score.gains(knows, given).mean() > 15
    assert score.gains(promises, given).mean() < -100


def test_means_are_over_windows_as_they_are_played():
    found = score.Score(np.array([10.0, 20.0, 60.0]), np.array([True, False, True]), np.array([3, 1, 1]))
    assert found.mean() == pytest.approx((30 + 20 + 60) / 5)
    assert found.mean_of_new() == pytest.approx((30 + 60) / 4)
    assert found.record() == run_json.Score(22.0, 5, 22.5, 4)
    known = found._replace(new=np.zeros(3, bool))
    assert known.mean_of_new() is None
    assert known.record() == run_json.Score(22.0, 5, None, 0)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (run_json.Score(31.0, 20, 8.0, 3), "31.0 nats a window likelier .*: it knows them .8.0 over the 3 of 20"),
        (
            run_json.Score(3.0, 20, None, 0),
            "3.0 nats a window likelier .*: it hardly knows them .all 20 windows are nearly as",
        ),
        (run_json.Score(-4.0, 20, -4.0, 20), "4.0 nats a window less likely .*: they are strange to it"),
    ],
)
def test_it_is_said_in_words(record, said):
    assert re.match(said, score.in_words(record))
    assert "flattery" in score.in_words(record, trained_on=True)
    assert "knows" not in score.in_words(record, trained_on=True)


def learned_at(curve, fidelity):
    """The step at which a training ends whose score at each step is `curve(step)`."""
    scores = {}
    for step in range(stopping.EVERY, 10**5, stopping.EVERY):
        scores[step] = curve(step)
        if stopping.is_enough(scores, fidelity):
            return step
    return None


def test_training_ends_where_the_score_stops_rising():
    def saturating(step):
        return 90 * (1 - np.exp(-step / 250))

    free, balanced, close = (learned_at(saturating, one) for one in (FREE, BALANCED, CLOSE))
    assert free < balanced < close
    assert 700 <= balanced <= 1500
    assert saturating(balanced) > 0.96 * 90
    assert learned_at(saturating, None) == balanced
    assert learned_at(lambda step: step / 50.0, BALANCED) is None  # it rises by six nats in 300 steps, for ever
    assert learned_at(lambda step: 0.0, BALANCED) == 600  # there is nothing to learn


def test_one_bad_value_does_not_end_it():
    def rising(step):
        return step / 20.0 - (8 if step == 1500 else 0)

    assert learned_at(rising, BALANCED) is None


def test_no_training_is_without_end():
    assert stopping.max_steps(None, 40, 40) == stopping.max_steps(BALANCED, 40, 40) == 1200
    assert stopping.max_steps(FREE, 40, 40) < 1200 < stopping.max_steps(CLOSE, 40, 40)
    # A large collection is gone through ten times.
    assert stopping.max_steps(None, 100_000, 512) == -(-10 * 100_000 // 512)
