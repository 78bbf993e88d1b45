"""The form of tunes, turned paths, and the choice of windows that go together. No model is loaded."""

import itertools

import numpy as np
import pytest
from helpers import one_line

from lc_music_vae.models import joins, rotation
from lc_music_vae.music import form


def test_a_rotation_keeps_all_distances_and_repeats_and_is_the_same_for_a_key():
    q = rotation.orthogonal(8, [3, 1])
    np.testing.assert_allclose(q @ q.T, np.eye(8), atol=1e-12)
    np.testing.assert_array_equal(q, rotation.orthogonal(8, [3, 1]))
    assert np.abs(q - rotation.orthogonal(8, [3, 2])).max() > 0.1
    path = np.random.RandomState(0).standard_normal([6, 8]).astype(np.float32) + 3
    path[4] = path[1]
    turned = rotation.turned(path, q)
    np.testing.assert_array_equal(turned[4], turned[1])
    np.testing.assert_allclose(turned.mean(0), 0, atol=1e-12)
    apart = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (path, turned)]
    np.testing.assert_allclose(*apart, atol=1e-5)


def test_random_rotations_favour_no_direction():
    images = np.stack([rotation.orthogonal(3, [0, i])[0] for i in range(2000)])
    np.testing.assert_allclose(images.T @ images / 2000, np.eye(3) / 3, atol=0.03)


def test_the_choice_of_windows_is_the_best_of_all_choices():
    rng = np.random.RandomState(1)
    for _ in range(20):
        alone = rng.standard_normal([4, 3])
        pairs = {ab: 2 * rng.standard_normal([3, 3]) for ab in [(0, 1), (1, 2), (2, 0), (2, 2), (2, 3), (3, 1)]}

        def worth(choice, alone=alone, pairs=pairs):
            return alone[range(4), choice].sum() + sum(w[choice[a], choice[b]] for (a, b), w in pairs.items())

        chosen, total = joins.best(alone, pairs, [0])
        assert total == pytest.approx(worth(chosen))
        assert total == pytest.approx(max(worth(list(c)) for c in itertools.product(range(3), repeat=4)))


def test_equal_letters_are_equal_windows_and_variations_are_named():
    assert form.of_letters("AABA", 16) == ([0, 1, 0, 2] * 2 + [3, 4, 3, 5] + [0, 1, 0, 2], {})
    places, varied = form.of_letters("AA'", 8)
    assert places == [0, 1, 0, 2, 0, 1, 3, 4]
    assert varied == {3: 0, 4: 2}
    assert form.of_letters("AB", 2) == ([0, 1], {})
    assert "A' comes before the A" in one_line(form.of_letters, "A'A", 8)
    assert "5 letters" in one_line(form.of_letters, "AABAC", 4)
    assert "form=aaba" in one_line(form.sections, "aaba")


def test_a_form_is_cut_or_repeated_at_a_phrase_and_ends_as_it_does():
    places = list(range(12))
    assert form.fitted(places, 12, 4) == (places, "")
    cut, said = form.fitted(places, 8, 4)
    assert cut == [0, 1, 2, 3, 8, 9, 10, 11]
    assert "cut to 8 at a phrase" in said
    longer, said = form.fitted(places, 16, 4)
    assert longer == [*range(12), 8, 9, 10, 11]
    assert "repeated to 16" in said
    assert form.fitted([5, 6], 3, 4)[0] == [5, 6, 5]


def test_phrases_get_the_letters_that_a_musician_gives_them():
    assert form.letters_of([0, 1, 0, 2, 0, 1, 0, 2, 3, 4, 3, 5, 0, 1, 0, 9], 4) == ["A", "A", "B", "A'"]
