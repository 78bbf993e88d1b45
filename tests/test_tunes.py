"""Improving tunes: neighbours go better together, the form stays, nothing is copied. A toy stands for the model."""

import numpy as np
import pytest

from lc_music_vae.models import tunes
from lc_music_vae.models.tunes import Instrument, Plan
from lc_music_vae.music.likeness import dice

STEPS, PITCHES, HOME = 6, 12, 7  # two halves of two steps, which are followed by their beginning again
BANNED = 5  # windows of this pitch alone are copies


def of(pitches):
    """The tensor of a window with a pitch at each step."""
    return np.eye(PITCHES, dtype=np.float32)[np.asarray(pitches)]


def leaps(window):
    """How far its pitches move, in all."""
    return np.abs(np.diff(window[:4].argmax(1))).sum()


class Toy:
    """Likes small steps; imagines windows of nearly one pitch."""

    def __init__(self):
        self.heard = 0

    def decode(self, where, keys):
        pitches = [
            np.random.RandomState([*key, int(1000 * abs(p[0]))]).randint(PITCHES, size=4) for p, key in zip(where, keys)
        ]
        return np.stack([of(np.resize(one, STEPS)) for one in pitches])

    def hear(self, windows):
        self.heard += len(windows)
        z = np.stack([window.argmax(1) for window in windows]).astype(float)
        return np.array([-10.0 * leaps(window) for window in windows]), z

    def imagine(self, z, keys):
        means = np.round(z[:, :4].mean(1)).astype(int)
        moves = [np.random.RandomState(key).randint(-1, 2, size=4) for key in keys]
        return np.stack([of(np.resize(np.clip(m + move, 0, PITCHES - 1), STEPS)) for m, move in zip(means, moves)])

    def instrument(self):
        return Instrument(
            decode=self.decode,
            hear=self.hear,
            imagine=self.imagine,
            onsets=lambda windows: [np.arange(4) * 100 + window[:4].argmax(1) for window in windows],
            is_copy=lambda windows: np.array([(window.argmax(1) == BANNED).all() for window in windows]),
            end=lambda half, homes: of([half[0].argmax(), homes[0]]),
            cut=lambda half: half,
            seam=2,
            last=4,
        )


# A form of four windows, of which the third begins as the first does, and the first comes again at the end.
PLACES, HALVES = [0, 1, -1, 2, 3, 0], [(0, 1), (2, 3), (0, 4), (5, 6)]
FREE = np.where(np.eye(4) > 0, 1.0, np.nan)
PATH = np.arange(8.0).reshape(4, 2)


def compose(plan, *keys):
    return tunes.compose([plan] * len(keys), Toy().instrument(), keys)


def all_leaps(tune):
    """How far pitches move within the windows of a tune on PLACES, and across its seams."""
    played = [tune.windows[place] for place in PLACES if place >= 0]
    across = [(0, 1), (2, 3), (3, 0)]
    seams = [np.concatenate([tune.windows[a][2:4], tune.windows[b][:2]]) for a, b in across]
    return [sum(map(leaps, some)) for some in (played, seams)]


def test_neighbours_go_better_together_within_windows_and_across_seams(monkeypatch):
    plan = Plan(PLACES, HALVES, PATH, FREE)
    keys = [(1, i) for i in range(8)]
    after = np.array([all_leaps(tune) for tune in compose(plan, *keys)])
    monkeypatch.setattr(tunes, "_ROUNDS", 0)
    before = np.array([all_leaps(tune) for tune in compose(plan, *keys)])
    assert (after.sum(0) < 0.5 * before.sum(0)).all()
    assert (after.sum(1) <= before.sum(1)).all()


def test_what_lies_across_seams_counts_more(monkeypatch):
    plan, keys = Plan(PLACES, HALVES, PATH, FREE), [(1, i) for i in range(16)]
    ways = []
    for weight in (3.0, 0.0):
        monkeypatch.setattr(tunes, "_SEAM", weight)
        ways.append(np.sum([all_leaps(tune) for tune in compose(plan, *keys)], 0))
    (windows, seams), (windows_alone, seams_alone) = ways
    assert seams < 0.8 * seams_alone
    assert windows_alone <= windows


def test_halves_that_are_the_same_stay_the_same_and_a_window_begins_again():
    for tune in compose(Plan(PLACES, HALVES, PATH, FREE), (1, 0), (1, 1), (1, 2)):
        np.testing.assert_array_equal(tune.windows[0][:2], tune.windows[2][:2])
        np.testing.assert_array_equal(tune.windows[:, 4:], tune.windows[:, :2])


def test_a_tune_depends_on_its_key_alone():
    plan = Plan(PLACES, HALVES, PATH, FREE)
    (alone,), (_, beside, other) = compose(plan, (1, 5)), compose(plan, (1, 4), (1, 5), (1, 6))
    np.testing.assert_array_equal(alone.windows, beside.windows)
    assert not np.array_equal(alone.windows, other.windows)
    np.testing.assert_allclose(np.linalg.norm(np.diff(alone.points, axis=0), axis=1), np.linalg.norm([2, 2]))


def test_windows_are_held_to_the_likeness_of_the_form():
    halves = [(2 * i, 2 * i + 1) for i in range(4)]
    apart = np.eye(4)
    for likeness in (apart, np.ones([4, 4])):
        found = compose(Plan([0, 1, 2, 3], halves, PATH, likeness), *[(2, i) for i in range(6)])
        free = compose(Plan([0, 1, 2, 3], halves, PATH, FREE), *[(2, i) for i in range(6)])
        away = [np.mean([np.abs(matrix(t) - likeness).mean() for t in some]) for some in (found, free)]
        assert away[0] < away[1] or away[0] == 0


def matrix(tune):
    notes = Toy().instrument().onsets(tune.windows)
    return dice(notes, notes)


def test_near_copies_are_improved_away_and_counted_where_they_are_not(monkeypatch):
    plan = Plan([0], [(0, 1)], PATH[:1], FREE[:1, :1])
    monkeypatch.setattr(Toy, "decode", lambda self, where, keys: np.stack([of([BANNED] * STEPS)] * len(where)))
    (tune,) = compose(plan, (3, 0))
    assert tune.copies == 0
    assert set(tune.windows[0].argmax(1)) != {BANNED}
    monkeypatch.setattr(Toy, "imagine", lambda self, z, keys: np.stack([of([BANNED] * STEPS)] * len(z)))
    (tune,) = compose(plan, (3, 0))
    assert tune.copies == 1


def test_a_near_copy_is_not_taken_though_it_would_be_the_best(monkeypatch):
    """Nothing leaps less than a single pitch, and no copy goes away again within the rounds here."""
    plan = Plan([0, 1], [(0, 1), (2, 3)], PATH[:2], FREE[:2, :2])
    monkeypatch.setattr(Toy, "imagine", lambda self, z, keys: np.stack([of([BANNED] * STEPS)] * len(z)))
    monkeypatch.setattr(tunes, "_MAX_ROUNDS", tunes._ROUNDS)
    found = compose(plan, *[(7, i) for i in range(8)])
    assert not any(tune.copies for tune in found)
    assert any((tune.windows[:, :4].argmax(2) == BANNED).any() for tune in found)  # a half alone is no copy


def test_what_is_nearer_to_the_form_is_measured_on_the_tune_as_it_is():
    """After halves were taken, too: the gain is the difference of the sum that it stands for."""
    toy, random = Toy().instrument(), np.random.RandomState(8)
    plan = Plan([0, 1, 2, 3], [(2 * i, 2 * i + 1) for i in range(4)], PATH, np.full([4, 4], 0.3))
    windows = np.stack([of(np.resize(pitches, STEPS)) for pitches in random.randint(3, size=[4, 4])])
    draft = tunes._Draft(plan, tunes._Ear(toy), windows)
    draft._gain = lambda new: 1.0  # whatever is tried is taken

    def far():
        notes = toy.onsets([draft.window(pair) for pair in plan.halves])
        return np.sum(np.triu(tunes._FORM / 4 * (dice(notes, notes) - 0.3) ** 2, 1))

    for number in random.randint(8, size=12):
        new, before = {int(number): of(random.randint(3, size=2))}, far()
        gain = draft._nearer_to_form(new)
        draft.take([new])
        assert gain == pytest.approx(before - far(), abs=1e-3)  # likeness is float32


def test_the_last_half_ends_whatever_is_imagined():
    plan = Plan(PLACES[:5], HALVES, PATH, FREE, homes=[HOME])
    for tune in compose(plan, (4, 0), (4, 1)):
        assert tune.windows[3][3].argmax() == HOME


def test_a_note_is_held_over_a_seam_where_that_is_likelier(monkeypatch):
    """Here a rest is the pitch 0, and the model likes what it hears if no rest is cut."""
    plan = Plan([0, 1], [(0, 1), (2, 3)], PATH[:2], FREE[:2, :2])
    monkeypatch.setattr(tunes, "_ROUNDS", 0)

    def half_cut(half):
        return of([1, *half[1:].argmax(1)]) if half[0].argmax() == 0 else half

    for likes_held in (True, False):
        toy = Toy()
        toy.decode = lambda where, keys: np.stack([of([0, 3, 3, 3, 0, 3])] * len(where))
        cost = 1.0 if likes_held else -1.0
        toy.hear = lambda ws, cost=cost: (
            np.array([-cost * (w.argmax(1) == 1).sum() for w in ws]),
            np.zeros([len(ws), 4]),
        )
        (tune,) = tunes.compose([plan], toy.instrument()._replace(cut=half_cut), [(5, 0)])
        assert (tune.held == {(0, 1)}) == likes_held


def test_likeness_is_dices_coefficient():
    notes = [np.array([1, 2, 3]), np.array([2, 3, 4, 5]), np.zeros(0, int)]
    expected = [[1, 4 / 7, 0], [4 / 7, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(dice(notes, notes), expected, rtol=1e-6)
    sets = [frozenset(some.tolist()) for some in notes]
    assert [[tunes._alike(a, b) for b in sets] for a in sets] == [pytest.approx(row) for row in expected]
