"""Whole tunes: turned paths, forms, the choice among candidates, and what comes out."""

import itertools
import json

import numpy as np
import pytest
from helpers import EXAMPLE, generate, melody, one_line, tune

import lc_music_vae
from lc_music_vae.encoding.nearness import NEAR, f1
from lc_music_vae.models import tunes
from lc_music_vae.models.tunes import Form


def distances(points):
    return np.linalg.norm(points[:, np.newaxis] - points, axis=2)


def test_a_rotation_keeps_distances_and_is_another_for_each_key():
    path = np.random.RandomState(1).standard_normal((7, 4))
    turned = [path @ tunes.rotation(4, [1, i]) for i in range(200)]
    for one in turned[:5]:
        np.testing.assert_allclose(distances(one), distances(path), atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(one, axis=1), np.linalg.norm(path, axis=1), atol=1e-12)
    np.testing.assert_array_equal(tunes.rotation(4, [1, 3]), tunes.rotation(4, [1, 3]))
    # Uniform over all rotations: a point goes anywhere on its sphere, the mean is its centre.
    assert np.abs(np.mean(turned, 0)).max() < 0.3
    assert {int(np.sign(np.linalg.det(tunes.rotation(4, [2, i])))) for i in range(20)} == {-1, 1}


def test_forms_are_cut_and_repeated():
    form = Form((0, 1, 0, -1, 2), np.array([[0.0], [1], [2]]))
    assert form.resized(3).places == (0, 1, 0)
    np.testing.assert_array_equal(form.resized(3).path, [[0], [1]])
    assert form.resized(7).places == (0, 1, 0, -1, 2, 0, 1)
    assert form.seams() == [(0, 1), (1, 0)]


def test_letters_are_sections():
    form = tunes.lettered("ABA", 2, lambda i: np.array([[10.0 * i], [10 * i + 1]]))
    assert form.places == (0, 1, 2, 3, 0, 1)
    np.testing.assert_array_equal(form.path, [[0], [1], [10], [11]])


def total(chosen, fits, seams, joins):
    return sum(fits[i, c] for i, c in enumerate(chosen)) + sum(
        join[chosen[a], chosen[b]] for (a, b), join in zip(seams, joins)
    )


def test_no_change_of_one_window_makes_the_choice_better_and_it_is_near_the_best():
    random = np.random.RandomState(5)
    seams = [(0, 1), (1, 2), (2, 0), (1, 1), (2, 3)]
    gaps = []
    for _ in range(30):
        fits, joins = random.standard_normal((4, 3)), random.standard_normal((5, 3, 3))
        chosen = tunes.choose(fits, seams, joins)
        found = total(chosen, fits, seams, joins)
        for window, other in itertools.product(range(4), range(3)):
            changed = chosen.copy()
            changed[window] = other
            assert total(changed, fits, seams, joins) <= found + 1e-9
        every = [total(c, fits, seams, joins) for c in itertools.product(range(3), repeat=4)]
        gaps.append((max(every) - found) / (max(every) - np.mean(every)))
    assert np.mean(gaps) < 0.15


def test_what_straddles_two_windows_is_the_end_of_one_and_the_beginning_of_the_next():
    first, second = np.arange(32).reshape(1, 32, 1), 100 + np.arange(32).reshape(1, 32, 1)
    of_4_4 = tunes.straddling(first, second, 32)[0, :, 0].tolist()
    assert of_4_4 == [*range(16, 32), *range(100, 116)]
    of_3_4 = tunes.straddling(first, second, 24)[0, :, 0].tolist()  # two bars of twelve steps, and then again
    assert of_3_4 == [*range(12, 24), *range(100, 112), *range(12, 20)]


def bars_of(sequence, first, count):
    """Notes that start in bars of 4/4 at the sequence's tempo, in quarters from there, by start."""
    quarter = 60 / sequence.tempos[0].qpm
    notes = [(n.start_time / quarter - 4 * first, n.end_time / quarter - 4 * first, n.pitch) for n in sequence.notes]
    return sorted((round(s, 3), round(min(e, 4 * count), 3), p) for s, e, p in notes if -1e-3 < s < 4 * count - 1e-3)


@pytest.mark.slow
def test_letters_repeat_note_for_note(trained):
    with lc_music_vae.TrainedModel(trained, seed=2) as model:
        (made,) = model.compose(16, "AABA")
        assert (made.time_signatures[0].numerator, made.time_signatures[0].denominator) == (4, 4)
        assert made.tempos[0].qpm == model.qpm
        assert made.total_time == pytest.approx(64 * 60 / model.qpm)
        first, second, third, fourth = (bars_of(made, 4 * i, 4) for i in range(4))
        assert first == second
        assert len(first) > 4
        assert first != third
        assert fourth[:-1] == first[:-1]  # the last note lasts to the end of its bar
        assert (fourth[-1][0], fourth[-1][2], fourth[-1][1]) == (first[-1][0], first[-1][2], 16.0)
        two, again = model.compose(16, "AB", n=2)
        assert bars_of(two, 0, 16) != bars_of(again, 0, 16)
        said = "form=AAB: 16 bars are no whole windows of 2 bars in 3 sections; give another num_bars"
        assert one_line(model.compose, 16, "AAB") == said
        with lc_music_vae.TrainedModel(trained, seed=2) as other:
            assert bars_of(other.compose(16, "AABA")[0], 0, 16) == bars_of(made, 0, 16)


@pytest.mark.slow
def test_a_tune_repeats_where_its_song_does_and_copies_none_of_its_bars(trained):
    """Bars 1-2 of the Ode to Joy come again as bars 5-6 and 13-14, bars 3-4 nearly as 7-8."""
    a, b, c = tune(2, 3), tune(2, 4), tune(2, 5)
    song = melody([(8 * i + s, 8 * i + e, p) for i, part in enumerate((a, b, a, c)) for s, e, p in part])
    with lc_music_vae.TrainedModel(trained, seed=1) as model:
        made = model.compose(8, song, n=3)
        songs = model._run_songs()
        for one in made:
            parts = [bars_of(one, 2 * i, 2) for i in range(4)]
            assert parts[0] == parts[2]
            assert parts[0] != parts[1]
            assert parts[1] != parts[3]
            heard = [
                np.array([(s * 24, e * 24, p + 12 * model.octaves) for s, e, p in part]).round().astype(int)
                for part in parts
            ]
            assert all(near is None or near.similarity < NEAR for near in songs.nearest(heard))
        assert f1([(np.array(bars_of(made[0], 0, 8)), np.array(bars_of(made[1], 0, 8)))]) < 0.9
        longer = model.compose(12, song)[0]
        assert bars_of(longer, 0, 2) == bars_of(longer, 8, 2)  # it is repeated


@pytest.mark.slow
def test_the_command_writes_tunes_and_records_their_form(trained, tmp_path):
    generate("compose", trained, num_outputs=2, num_bars=8, seed=3, output_dir=str(tmp_path / "a"))
    (run,) = json.loads((tmp_path / "a" / "index.json").read_text())["runs"]
    assert (run["mode"], run["num_bars"], run.get("form"), len(run["outputs"])) == ("compose", 8, None, 2)
    generate("compose", trained, num_bars=8, form="ode_to_joy.mid", seed=3, output_dir=str(tmp_path / "b"))
    (run,) = json.loads((tmp_path / "b" / "index.json").read_text())["runs"]
    assert run["form"] == "ode_to_joy.mid"
    first, again = ((tmp_path / name) for name in ("a", "b"))
    assert sorted(first.glob("*000-of*.mid"))[0].read_bytes() == sorted(again.glob("*.mid"))[0].read_bytes()
    assert one_line(generate, "compose", trained, form="nothing.mid", output_dir=str(tmp_path / "c"))
    with lc_music_vae.TrainedModel(trained) as model:
        assert len(model.compose(4, EXAMPLE)[0].notes) > 4
