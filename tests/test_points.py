"""Where to decode: points of the small latent."""

import itertools

import numpy as np
import pytest

from lc_music_vae.models import points
from lc_music_vae.models.points import between, kept, prior_samples, similar, slerp, walk


def test_slerp_equals_numpy_rotation():
    """Between unit vectors it is the rotation in their plane, angle by angle."""
    start, end = np.array([1.0, 0, 0, 0]), np.array([0.6, 0.8, 0, 0])
    angle = np.arccos(0.6)
    expected = [[np.cos(t * angle), np.sin(t * angle), 0, 0] for t in np.linspace(0, 1, 5)]
    np.testing.assert_allclose(slerp(start, end, 5), expected, atol=1e-12)
    # Of other vectors it is the same mixture of both: their lengths make no difference to the angle.
    t = np.linspace(0, 1, 5)[:, np.newaxis]
    expected = (np.sin((1 - t) * angle) * 0.5 * start + np.sin(t * angle) * 3 * end) / np.sin(angle)
    np.testing.assert_allclose(slerp(0.5 * start, 3 * end, 5), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("start", "end"),
    [([1, 2], [1, 2]), ([1, 2], [2, 4]), ([1, 2], [-1, -2]), ([0, 0], [1, 2]), ([1, 2], [0, 0]), ([0, 0], [0, 0])],
)
def test_slerp_where_the_circle_is_not_defined(start, end):
    t = np.linspace(0, 1, 5)[:, np.newaxis]
    with np.errstate(all="raise"):
        points = slerp(np.array(start, float), np.array(end, float), 5)
    np.testing.assert_allclose(points, (1 - t) * start + t * np.array(end, float), atol=1e-6)


def test_slerp_of_parallel_vectors_is_a_line_however_cosines_are_rounded():
    rng = np.random.RandomState(0)
    t = np.linspace(0, 1, 5)[:, np.newaxis]
    for start in rng.standard_normal((300, 4)):
        for factor in (1, 2.7, -0.3, -1):
            expected = (1 - t) * start + t * factor * start
            np.testing.assert_allclose(slerp(start, factor * start, 5), expected, atol=1e-6)


def test_slerp_is_continuous_where_it_becomes_a_line():
    start = np.array([1.0, 0.0])
    for angle in (0.9e-6, 1.1e-6):
        points = slerp(start, np.array([np.cos(angle), np.sin(angle)]), 3)
        np.testing.assert_allclose(points[1], [1, angle / 2], atol=1e-9)


def test_the_first_five_of_64_have_the_latents_of_a_run_of_five():
    many = prior_samples(64, 4, seed=7)
    np.testing.assert_array_equal(many[:5], prior_samples(5, 4, seed=7))
    assert len(np.unique(many)) == many.size
    assert not np.array_equal(many, prior_samples(64, 4, seed=8))
    draws = prior_samples(4000, 4, seed=0)
    np.testing.assert_allclose(draws.mean(0), 0, atol=0.06)
    np.testing.assert_allclose(np.cov(draws.T), np.eye(4), atol=0.1)


@pytest.mark.parametrize("similarity", [0.0, 0.3, 0.8, 1.0])
def test_similarity_is_the_correlation_with_the_given_point_and_keeps_the_priors_spread(similarity):
    """Of points drawn from the prior, varied once each."""
    given = prior_samples(3000, 4, seed=1)
    varied = np.stack([similar(point, 1, similarity, seed=i)[0] for i, point in enumerate(given)])
    for dimension in range(4):
        correlation = np.corrcoef(given[:, dimension], varied[:, dimension])[0, 1]
        assert correlation == pytest.approx(kept(similarity), abs=0.05)
    np.testing.assert_allclose(varied.std(0), 1, atol=0.06)
    np.testing.assert_allclose(varied.mean(0), 0, atol=0.06)


def test_variations_at_0_are_the_priors_samples_and_at_1_the_point():
    point = np.array([0.5, -1.0, 2.0])
    np.testing.assert_array_equal(similar(point, 5, 0, seed=3), prior_samples(5, 3, seed=3))
    np.testing.assert_array_equal(similar(point, 5, 1, seed=3), np.tile(point, (5, 1)))


def test_what_variations_keep_and_their_noise_fill_the_prior_together():
    for similarity in (0, 0.2, 0.5, 0.8, 1):
        assert kept(similarity) ** 2 + (1 - similarity) ** 2 == pytest.approx(1)
    np.testing.assert_allclose(between(np.array([0.0, 4]), np.array([1.0, 2]), 3), [[0, 4], [0.5, 3], [1, 2]])


def test_walk_moves_one_dimension_at_a_time():
    center = np.array([0.5, -1.0, 2.0])
    low, high = np.array([-2.5, -1.0, 0.0]), np.array([2.5, 3.0, 2.0])
    way = walk(center, 5, low=low, high=high)
    assert way.shape == (3, 5, 3)
    for dimension in range(3):
        np.testing.assert_allclose(way[dimension, :, dimension], np.linspace(low[dimension], high[dimension], 5))
        others = [i for i in range(3) if i != dimension]
        np.testing.assert_array_equal(way[dimension][:, others], np.tile(center[others], (5, 1)))


def test_dimensions_are_walked_in_the_order_given():
    way = points.walk(np.zeros(3), 2, low=np.array([-1.0, -2, -3]), high=np.array([1.0, 2, 3]), dimensions=[2, 0])
    np.testing.assert_array_equal(way, [[[0, 0, -3], [0, 0, 3]], [[-1, 0, 0], [1, 0, 0]]])


def test_effects_are_distances_in_z_and_what_moves_little_is_left_out():
    """A linear decoder: dimension i moves z by the length of its column times the way it goes."""
    columns = np.array([[3.0, 4, 0], [0, 0, 0.1], [0, 0, 8], [0.3, 0.4, 0]])
    low, high = np.array([-1.0, -1, 0, -1]), np.array([1.0, 1, 1, 0.6])
    effects = points.effects(lambda y: y @ columns, low=low, high=high)
    np.testing.assert_allclose(effects, [10, 0.2, 8, 0.8], atol=1e-12)
    assert points.moving(effects) == [0, 2]
    assert points.moving(np.array([1.0, 0.15, 4.0, 0.59, 0.61])) == [2, 0, 4]
    assert points.moving(np.array([0.4, 0.45, 0.3])) == []


def apart(places):
    """Distances of points on a line."""
    return np.abs(np.subtract.outer(places, places))


def test_points_are_chosen_so_that_no_step_is_large():
    assert points.smoothest(apart([0, 0, 0, 0, 0, 0.3, 0.6, 0.9, 0.9]), 4)[1:] in ([5, 6, 7], [5, 6, 8])
    assert points.smoothest(apart([0.0, 0.9, 0.9, 1]), 4) == [0, 1, 2, 3]  # there are no others
    assert points.smoothest(apart([0.0, 0.5, 1]), 2) == [0, 2]
    assert points.smoothest(apart([0.0, 0.1, 0.5, 0.6, 1.0]), 3) == [0, 2, 4]


def test_points_are_chosen_so_that_none_goes_back():
    there_and_back = np.array([0, 0.5, 0.3, 0.35, 0.6, 0.4, 1.0])
    for n in (3, 4, 5):
        assert (np.diff(there_and_back[points.smoothest(apart(there_and_back), n)]) > 0).all()


def cost(chosen, found):
    """The sum that `smoothest` minimises, by its definition."""
    steps = list(zip(chosen, chosen[1:]))
    start, end = [0, *found[0, 1:]], [*found[:-1, -1], 0]
    back = sum(max(0, end[j] - end[i]) + max(0, start[i] - start[j]) for i, j in steps)
    return sum(found[i, j] ** 4 for i, j in steps) + 0.3 * back


def test_the_choice_is_the_best_of_all():
    random = np.random.RandomState(2)
    for _ in range(10):
        found = random.rand(8, 8)
        every = [(0, *between, 7) for between in itertools.combinations(range(1, 7), 2)]
        costs = [cost(chosen, found) for chosen in every]
        assert tuple(points.smoothest(found, 4)) == every[int(np.argmin(costs))]
