"""The recipe of the drum model's weights: styles, windows, augmentation, figures, and a run of it."""

import json
import os

import note_seq
import numpy as np
import pytest
from helpers import WEIGHTS
from magenta.models.music_vae import configs as music_vae_configs

from lc_music_vae import data
from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.data import Song
from tools.base_model import (
    augment_drums,
    drum_figures,
    drum_grooves,
    drum_styles,
    drums,
    evaluate,
    models,
    network,
    train,
)
from tools.base_model.drum_rolls import (
    CLASSES,
    CLOSED,
    CRASH,
    DRUMS,
    HIGH_TOM,
    KICK,
    LOW_TOM,
    MID_TOM,
    OPEN,
    PITCHES,
    RIDE,
    SNARE,
    classes,
    heard,
    rolls,
)

CONVERTER = music_vae_configs.CONFIG_MAP["cat-drums_2bar_small"].data_converter
TRAINED = sorted(set(drum_styles.STYLES) - set(drum_styles.HELD_OUT))
BACKBEAT = ("pop", "rock", "funk", "hip_hop", "disco", "electro", "ride_rock")


def rng(seed=0):
    return np.random.RandomState(seed)


@pytest.fixture(scope="module")
def some():
    return drums.to_train(4000, rng(1))


def of(style, n=500, seed=0):
    return drums.of_style(drum_styles.STYLES[style], n, rng(seed))


def sequence_of(window):
    """A window as a NoteSequence of drums, written without magenta's encoders."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    for step, drum in zip(*np.nonzero(rolls(window))):
        at = {"start_time": step / 8, "end_time": step / 8 + 0.1, "instrument": 9, "is_drum": True, "velocity": 90}
        sequence.notes.add(pitch=PITCHES[drum], **at)
    sequence.total_time = 4
    return sequence


# Hits and classes


def test_classes_and_what_is_heard_of_them_are_those_of_magentas_converter():
    converter = data.WindowConverter("cat-drums_2bar_small")
    for window in drum_grooves.windows():
        (found,) = converter.windows(converter.score(Song("groove", sequence_of(window))))
        np.testing.assert_array_equal(np.argmax(found.outputs, 1), window)
        np.testing.assert_array_equal(found.inputs[0], heard(window))


def test_what_magenta_writes_of_classes_are_the_drums_by_name():
    window = np.zeros(32, int)
    window[:9] = 2 ** np.arange(9)
    (sequence,) = CONVERTER.from_tensors([np.eye(CLASSES)[window]])
    assert [note.pitch for note in sequence.notes] == list(PITCHES)


def test_hits_and_classes_are_the_same_said_twice(some):
    np.testing.assert_array_equal(classes(rolls(some)), some)
    assert heard(np.array([0, 5])).astype(int).tolist() == [[0] * 9 + [1], [1, 0, 1] + [0] * 7]


# Styles


@pytest.mark.parametrize("name", sorted(drum_styles.STYLES))
def test_each_line_is_a_bar_or_two_and_no_style_is_silent_or_one_pattern(name):
    style = drum_styles.STYLES[name]
    for lines in style.values():
        assert all(len(line) in (16, 32) and set(line) <= set(drums.CHANCES) for line in lines)
    made = of(name)
    assert made.any((1, 2)).mean() > 0.9
    assert len({roll.tobytes() for roll in made}) > 15
    assert not (made[:, :, CLOSED] & made[:, :, OPEN]).any()


@pytest.mark.parametrize("name", BACKBEAT)
def test_snares_are_on_two_and_four(name):
    snare = of(name)[:, :, SNARE].mean(0)
    beats = np.arange(32) % 8 == 4
    assert snare[beats].min() > 0.6
    assert snare[beats].min() > snare[~beats].max()


def test_styles_are_what_a_drummer_knows_them_by():
    quarters, off, late = (np.arange(32) % 4 == at for at in (0, 2, 3))
    for name in ("disco", "house", "techno", "steppers"):
        assert of(name)[:, quarters, KICK].all(), name
    assert of("motown")[:, quarters, SNARE].all()
    drop = of("one_drop")
    assert drop[:, 8::16, KICK].all()
    assert not drop[:, ::16, KICK].any()
    for name in ("half_time", "trap", "steppers"):  # on three alone
        snare = of(name)[:, :, SNARE].mean(0)
        assert snare[[8, 24]].min() > 0.7, name
        assert snare[[4, 12, 20, 28]].max() < 0.3, name
    shuffled = of("shuffle")[:, :, CLOSED].mean(0)
    assert shuffled[late].min() > 0.4
    assert shuffled[off].max() == 0
    swing = of("swing")[:, :, RIDE].mean(0)
    assert swing[[0, 4, 7, 8, 12, 15]].min() > 0.5 > swing[[2, 6, 10, 14]].max()
    assert of("metal")[:, :, KICK].sum(1).mean() > 16
    ghosts = of("funk")[:, :, SNARE].sum(1).mean() - of("rock")[:, :, SNARE].sum(1).mean()
    assert ghosts > 3
    toms = of("toms")[:, :, [LOW_TOM, MID_TOM, HIGH_TOM]].any(2).sum(1).mean()
    assert toms > of("toms")[:, :, CLOSED].sum(1).mean()


# Changes


def test_second_bars_are_mostly_the_first_ones():
    made = np.concatenate([of(name) for name in TRAINED])
    assert 0.6 < (made[:, :16] == made[:, 16:]).all((1, 2)).mean() < 0.95


def test_a_cymbal_for_the_hat_has_its_hits():
    given = of("rock")
    made = drums.other_cymbal(given, rng())
    assert not made[:, :, CLOSED].any()
    for before, after in zip(given, made):
        assert any((after[:, drum] >= before[:, CLOSED]).all() for drum in (RIDE, OPEN, CRASH, LOW_TOM))
        np.testing.assert_array_equal(before[:, [KICK, SNARE]], after[:, [KICK, SNARE]])


def test_a_crash_begins_a_bar_with_the_kick():
    made = drums.crashed(of("swing"), rng())
    assert (made[:, :, CRASH].sum(1) == 1).all()
    at = made[:, :, CRASH].argmax(1)
    assert set(at.tolist()) == {0, 16}
    assert 0.7 < made[np.arange(len(made)), at, KICK].mean() < 1


def test_fills_are_snare_and_toms_before_a_bar_line_and_leave_the_rest():
    given = of("rock", 2000)
    made = drums.filled(given, rng())
    toms = made[:, :, [LOW_TOM, MID_TOM, HIGH_TOM]].any(2)
    assert toms.any(1).mean() > 0.7
    assert toms[:, 12:16].mean() > 3 * toms[:, 4:8].mean()
    assert toms[:, 28:].mean() > 1.5 * toms[:, 20:24].mean()
    changed = (given != made).any(2)
    assert not changed[:, :12][changed[:, 28:].any(1)].any(1).all()
    for steps in changed:  # one stretch of at most four beats, and a crash after it
        at = np.flatnonzero(steps)
        assert len(at) == 0 or at.max() - at.min() <= 16
    crash = made[:, 16, CRASH].mean()
    assert 0.1 < crash < 0.35


def test_dropping_adds_nothing_adding_drops_nothing_and_few_drums_are_whole():
    given = np.concatenate([of(name, 50) for name in TRAINED])
    dropped, added, few = (change(given, rng()) for change in (drums.dropped, drums.added, drums.few_drums))
    assert (dropped <= given).all()
    assert 0.75 < dropped.sum() / given.sum() < 0.92
    assert (added >= given).all()
    assert 1 < (added.sum() - given.sum()) / len(given) < 8
    assert ((few == given) | ~few).all()
    for before, after in zip(given, few):
        assert all((after[:, d] == before[:, d]).all() or not after[:, d].any() for d in DRUMS)
    assert 0.3 < few.any(1).sum() / given.any(1).sum() < 0.9


def test_displacing_moves_hits_of_one_drum_and_loses_few():
    given = of("funk")
    made = drums.displaced(given, rng())
    assert ((given != made).any(1).sum(1) <= 1).all()
    assert (given != made).any((1, 2)).mean() > 0.6
    assert made.sum() > 0.95 * given.sum()


def test_bars_and_drums_of_two_styles_are_put_together_whole():
    one, other = of("rock"), of("train")
    made = drums.spliced(one, other)
    np.testing.assert_array_equal(made[:, :16], one[:, :16])
    np.testing.assert_array_equal(made[:, 16:], other[:, 16:])
    for a, b, c in zip(one, other, drums.swapped(one, other, rng())):
        assert all((c[:, d] == a[:, d]).all() or (c[:, d] == b[:, d]).all() for d in DRUMS)
    np.testing.assert_array_equal(drums.shifted(one, rng()).sum(1), one.sum(1))
    assert drums.rested(one, rng())[:, :28].sum() < 0.9 * one[:, :28].sum()


def test_a_corpus_has_every_drum_in_its_place_and_is_drawn_anew(some):
    assert some.any(1).all()
    hits = rolls(some)
    share = hits.any(1).mean(0)
    assert share[KICK] > 0.8
    assert share[SNARE] > 0.8
    assert share[[OPEN, LOW_TOM, MID_TOM, HIGH_TOM, CRASH, RIDE]].min() > 0.1
    in_bar = hits.reshape(-1, 16, 9).mean(0)
    assert in_bar[:, KICK].argmax() == 0
    assert set(np.argsort(in_bar[:, SNARE])[-3:].tolist()) >= {4, 12}
    assert in_bar[:, CRASH].argmax() == 0
    assert 0.25 < (some[:, :16] == some[:, 16:]).all(1).mean() < 0.6
    np.testing.assert_array_equal(some, drums.to_train(4000, rng(1)))
    assert len({tuple(window) for window in some.tolist()}) > 2500


@pytest.mark.parametrize("kind", augment_drums.ALL)
def test_a_batch_switches_kinds_one_by_one(kind, some):
    made = augment_drums.batch(some, rng(), (kind,))
    new = (made != some).any(1).mean()
    share = augment_drums.KINDS[kind][1]
    assert 0.5 * share <= new <= share + 0.001
    np.testing.assert_array_equal(augment_drums.batch(some, rng(), ()), some)


# What is measured


def test_what_is_measured_is_in_no_window_to_train_on(tmp_path):
    path = str(tmp_path / "drums.npz")
    drums.main([path, "--windows=3000", "--held_out=600"])
    with np.load(path) as kept:
        found = {name: kept[name] for name in kept.files}
    made_of = json.loads(str(found.pop("made_of")))
    known = {tuple(window) for window in found.pop("train").tolist()}
    assert len(known) > 2000
    assert set(found) == {"held_out", "grooves", *drum_styles.HELD_OUT}
    assert all(len(windows) >= 20 for windows in found.values())
    assert not known & {tuple(window) for windows in found.values() for window in windows.tolist()}
    assert len(found["held_out"]) == len({tuple(w) for n in drum_styles.HELD_OUT for w in found[n].tolist()})
    assert made_of["styles"] == TRAINED
    assert not set(TRAINED) & set(drum_styles.HELD_OUT)


def test_figures_of_what_came_back():
    given = np.zeros([4, 32], int)
    given[:, [0, 8]] = [1, 2]
    back = given.copy()
    back[0, 8] = 3  # a kick too many
    back[1, 0] = 0  # a kick too few
    found = drum_figures.right(given, back)
    assert found == {"whole": 0.5, "steps": 126 / 128, "hits": 2 * 7 / 16}


def test_sound_is_that_of_the_corpus_for_the_corpus_and_counts_hits():
    one = np.zeros([2, 32], int)
    one[:, ::4] = 1
    one[1, 2] = 6
    found = drum_figures.sound(one, one)
    assert {"sixteenths": 1, "classes": 1, "hits": 9, "drums": 2, "second bar": 0.9, "kick": 8}.items() <= found.items()
    assert found["snare"] == found["closed hat"] == 0.5
    other = drum_figures.sound(np.full([1, 32], 8), one)
    assert other["sixteenths"] == other["classes"] == 0


@pytest.mark.slow
def test_a_few_steps_make_weights_that_magentas_model_takes(tmp_path):
    windows = str(tmp_path / "drums.npz")
    drums.main([windows, "--windows=300", "--held_out=60"])
    train.main([windows, str(tmp_path / "run"), "--config=cat-drums_2bar_small", "--steps=2", "--batch=4"])
    path = str(tmp_path / "run" / "cat-drums_2bar_small.tar")
    found = evaluate.Model(models.DRUMS, path).given_back(drum_grooves.windows())
    assert 0 <= found["steps"] < 1
    assert found["KL"] > 0
    assert Weights(finding.find(path, "--pretrained_path")).shapes["decoder/output_projection/kernel"] == (256, CLASSES)


def test_from_another_model_a_network_takes_what_does_not_hear_or_say_events():
    of_melody, of_drums = (network.shapes(model.of_class) for model in (models.MELODY, models.DRUMS))
    draws = rng()
    for name, shape in of_drums.items():
        fresh, given = draws.normal(size=shape), draws.normal(size=of_melody[name])
        begun = network.begun(name, fresh, given)
        assert list(begun.shape) == shape
        if fresh.shape == given.shape:
            np.testing.assert_array_equal(begun, given)
            continue
        hears = 10 if name.startswith("encoder") else 512  # the rows of events
        if "output_projection" in name:
            np.testing.assert_array_equal(begun, fresh)
        else:
            np.testing.assert_array_equal(begun[:hears], fresh[:hears])
            np.testing.assert_array_equal(begun[hears:], given[90:])


@pytest.mark.slow
def test_training_starts_from_a_checkpoint_of_either_model(tmp_path):
    path = os.path.join(finding.SHIPPED, WEIGHTS)
    recipe = train.Recipe(10, 4, 1e-3, 0.1, 1, (), init=path, bfloat16=False)
    given = Weights(finding.shipped(WEIGHTS))
    for model, alike in ((models.MELODY, 16), (models.DRUMS, 11)):
        trainer = train.Trainer(model, recipe, 1)
        trainer.start(str(tmp_path))
        with trainer._graph.as_default():
            started = trainer._session.run(trainer.trained)
        same = [name for name, value in started.items() if np.array_equal(value, given.get(name))]
        assert len(same) == alike
        assert trainer.step == 0
