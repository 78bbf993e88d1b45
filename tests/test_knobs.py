"""Knobs with names: found where a measure rises in z, and turned without the others."""

import numpy as np
import pytest
from helpers import one_line

from lc_music_vae.checkpoints.run_json import Knob
from lc_music_vae.generation.inputs import parse_knobs
from lc_music_vae.models.knobs import Knobs
from lc_music_vae.training import knobs as training

SIZE = 16
RNG = np.random.RandomState(0)
SLOPES = RNG.standard_normal((3, SIZE))


def a_knob(name, slope, *, effect=1.0, offset=0.0):
    return Knob(name, 0.8, 5.0, 2.0, effect, offset, list(slope))


@pytest.fixture
def knobs():
    """Two knobs whose slopes are no right angle apart."""
    return Knobs([a_knob("density", SLOPES[0], offset=0.5), a_knob("register", SLOPES[0] + SLOPES[1])], SIZE)


def test_a_knob_is_set_and_the_others_stay(knobs):
    z = RNG.standard_normal((5, SIZE))
    before, after = knobs.read(z), knobs.read(knobs.set(z, {"density": 1.5}))
    np.testing.assert_allclose(after[:, 0], 1.5)
    np.testing.assert_allclose(after[:, 1], before[:, 1])
    both = knobs.read(knobs.set(z, {"density": 1, "register": -2}))
    np.testing.assert_allclose(both, np.tile([1.0, -2.0], (5, 1)))


def test_a_shift_moves_every_point_by_the_same(knobs):
    z = RNG.standard_normal((5, SIZE))
    moved = knobs.read(z + knobs.shift({"register": -1})) - knobs.read(z)
    np.testing.assert_allclose(moved, np.tile([0.0, -1.0], (5, 1)), atol=1e-12)
    assert not knobs.shift({}).any()


def test_no_shorter_move_turns_one_knob_alone(knobs):
    """Adding anything that the knobs do not read makes the move longer."""
    move = knobs.shift({"density": 1})
    for other in RNG.standard_normal((20, SIZE)):
        slopes = np.array([knob.slope for knob in knobs])
        unread = other - np.linalg.pinv(slopes) @ (slopes @ other)
        assert np.linalg.norm(move + unread) > np.linalg.norm(move)


def test_a_knob_that_outputs_follow_by_half_is_turned_twice_as_far():
    weak = Knobs([a_knob("density", SLOPES[0], effect=0.5)], SIZE)
    np.testing.assert_allclose(weak.shift({"density": 1}), 2 * np.array(SLOPES[0]) / np.sum(SLOPES[0] ** 2))
    np.testing.assert_allclose(weak.read(weak.set(np.zeros([2, SIZE]), {"density": 1})), 2)


def test_what_cannot_be_turned_is_one_line(knobs):
    z = np.zeros([1, SIZE])
    assert one_line(knobs.set, z, {"leaps": 1}) == "knob leaps: this model has no such knob; it has density, register"
    assert one_line(Knobs([], SIZE).shift, {"leaps": 1}).endswith("it has none at all")
    for value in (6, float("nan"), "1", True):
        assert "must be a number from -5 to 5" in one_line(knobs.shift, {"density": value})
    assert "expected values by name" in one_line(knobs.shift, 3)
    with pytest.raises(ValueError, match="another model"):
        Knobs([a_knob("density", SLOPES[0][:-1])], SIZE)
    tiny = Knobs([a_knob("density", SLOPES[0] * 1e-9)], SIZE)
    assert "its run.json is damaged" in one_line(tiny.shift, {"density": 1})


def made(z):
    """Returns measures of z: two that can be turned, one that goes with the first, noise, and nothing."""
    rng = np.random.RandomState(len(z))
    first, second = z @ SLOPES[0], z @ SLOPES[1]
    with_first = first + 0.05 * rng.standard_normal(len(z))
    silent = np.full(len(z), np.nan)
    return np.stack([10 + 2 * first, 60 + second, with_first, rng.standard_normal(len(z)), silent, 0 * first], 1)


def test_knobs_are_found_where_measures_rise():
    names = ("density", "register", "rests", "leaps", "range", "syncopation")
    z = RNG.standard_normal((256, SIZE))
    found = {k.name: k for k in training.fit(names, z, RNG.standard_normal((16, SIZE)), measured=made)}
    assert "register" in found
    assert len(set(found) & {"density", "rests"}) == 1  # two that cannot be told apart are one
    assert not set(found) & {"leaps", "range", "syncopation"}  # noise, silence, and what is always the same
    register = found["register"]
    assert (register.mean, register.scale) == pytest.approx((60, np.linalg.norm(SLOPES[1])), rel=0.1)
    assert register.fit > 0.95
    assert register.effect == pytest.approx(1, abs=0.15)
    knobs = Knobs(list(found.values()), SIZE)
    turned = made(knobs.set(RNG.standard_normal((64, SIZE)), {"register": 1.5}))[:, 1]
    np.testing.assert_allclose((turned - register.mean) / register.scale, 1.5, atol=0.3)


def test_what_hardly_fits_or_does_not_follow_is_no_knob():
    z = RNG.standard_normal((256, SIZE))
    noise = 3 * np.linalg.norm(SLOPES[0]) * np.random.RandomState(1).standard_normal(len(z))

    def noisy(z):
        return (z @ SLOPES[0] + noise[: len(z)])[:, np.newaxis]

    assert np.corrcoef(noisy(z)[:, 0], z @ SLOPES[0])[0, 1] > 0.2  # it does rise, and turning it would work
    assert training.fit(("density",), z, z[:16], measured=noisy) == []

    def unmoved(z):
        return (z @ SLOPES[0] if len(z) == 256 else np.zeros(len(z)))[:, np.newaxis]

    assert training.fit(("density",), z, z[:16], measured=unmoved) == []


def test_models_whose_samples_are_all_alike_have_no_knobs():
    z = RNG.standard_normal((256, SIZE))
    assert training.fit(("density",), z, z[:16], measured=lambda z: np.ones([len(z), 1])) == []
    assert training.fit(("register",), z, z[:16], measured=lambda z: np.full([len(z), 1], np.nan)) == []


def test_knobs_as_they_are_written():
    assert parse_knobs("density=1.5, register=-1") == {"density": 1.5, "register": -1}
    for text in ("density", "density=", "density=high", "", "density=1,"):
        assert "expected names and numbers, such as density=1.5,register=-1" in one_line(parse_knobs, text)
    assert "there twice" in one_line(parse_knobs, "density=1,density=2")
    assert "'busy' is none of density, register" in one_line(parse_knobs, "busy=1")
    assert "from -5 to 5" in one_line(parse_knobs, "density=inf")
