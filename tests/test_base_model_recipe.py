"""The recipe of the base model's weights: windows, augmentation, network, training, and the record of it."""

import copy
import glob
import hashlib
import json
import shutil
import tarfile

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from helpers import WEIGHTS

from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.models import music_vae
from tools.base_model import (
    augment,
    corpus,
    drum_grooves,
    evaluate,
    events,
    melody_figures,
    models,
    network,
    provenance,
    train,
    windows,
)

SCALE = [60, 62, 64, 65, 67, 69, 71, 72]
HOLD, OFF, C4 = 0, 1, 60 - 21 + 2  # events; the last begins the note C4


def rng(seed=0):
    return np.random.RandomState(seed)


@pytest.fixture(scope="module")
def tunes():
    """Windows as the converter makes them, int [n, 32], of tunes with eighths, sixteenths, rests and long notes."""
    made = windows.converter()
    draws, found = rng(3), []
    for _ in range(12):
        at, notes = 0.0, []
        while at < 16:
            length = draws.choice([0.25, 0.5, 0.5, 1.0, 2.0])
            if draws.uniform() < 0.85:
                notes.append([at, at + length, int(draws.choice(SCALE))])
            at += length
        found.append(windows.windows_of(notes, made))
    return np.concatenate(found).astype(int)


def sounding(window):
    """What sounds in each sixteenth, by a slow reading of the events: (pitch, step at which it began), or None."""
    found, now = [], None
    for step, event in enumerate(window):
        now = None if event == OFF else now if event == HOLD else (int(event), step)
        found.append(now)
    return found


def pitches_of(window):
    return [int(event) for event in window if event >= events.LOWEST]


# Tunes as they are read


def test_an_upbeat_puts_the_first_bar_line_on_a_bar_and_the_highest_note_is_the_melody():
    given = [(0.0, 0.5, [67]), (0.5, 1.0, [60, 64]), (0.5, 1.0, [72]), (1.5, 0.0, [90]), (1.5, 3.0, [65])]
    assert corpus.melody(given, 4.0, 0.5) == [[3.5, 4.0, 67], [4.0, 5.0, 72], [5.0, 8.0, 65]]
    assert corpus.melody(given, 4.0, 4.0)[0] == [0.0, 0.5, 67]
    assert corpus.melody(given, 2.0, 0.5)[0] == [1.5, 2.0, 67]  # of 2/4, two bars are one


def test_windows_are_the_notes_on_the_grid_and_every_bar_begins_one():
    notes = [[i, i + 1, SCALE[i % 8]] for i in range(12)]  # three bars of quarters
    found = windows.windows_of(notes, windows.converter())
    quarters = [[pitch - 21 + 2 for pitch in (SCALE * 2)[first : first + 8]] for first in (0, 4)]
    assert sorted(found[:, ::4].tolist()) == sorted(quarters)
    assert not found.reshape(2, 8, 4)[:, :, 1:].any()


def test_held_out_melodies_share_no_window_with_the_others_at_any_pitch():
    def melody(title, pitches, up=0):
        return {"source": "s", "title": title, "notes": [[i, i + 1, p + up] for i, p in enumerate(pitches)]}

    draws = rng(1)
    some = [melody("tune %d" % i, [int(p) for p in draws.choice(SCALE, 12)]) for i in range(60)]
    again = [dict(m, title=m["title"] + " again", notes=[[a, b, p + 2] for a, b, p in m["notes"]]) for m in some]
    kept, held_out, counts = windows.split(some + again, 0.3)
    shapes = {tuple(row) for row in events.relative(kept.astype(int)).tolist()}
    assert len(held_out) > 5
    assert not shapes & {tuple(row) for row in events.relative(held_out.astype(int)).tolist()}
    assert counts["s"]["melodies"] == 120
    assert 20 < counts["s"]["held_out"] < 52
    assert len(windows.split(some, 0.3)[1]) > len(held_out)  # what stands in both was left out above


# Augmentation


@pytest.mark.parametrize("kind", sorted(augment.KINDS) + ["thinned", "transposed"])
def test_every_kind_makes_windows_as_magenta_writes_them_and_draws_anew(kind, tunes):
    make = augment.KINDS[kind][0] if kind in augment.KINDS else getattr(augment, kind)
    made = make(tunes, rng())
    assert made.shape == tunes.shape
    assert (made >= HOLD).all()
    assert (made <= events.HIGHEST).all()
    for window in made:  # no end of a note where none sounds
        before = [None, *sounding(window)[:-1]]
        assert not any(event == OFF and was is None for event, was in zip(window, before))
    np.testing.assert_array_equal(made, make(tunes, rng()))
    assert (made != make(tunes, rng(1))).any()


def test_transposing_moves_all_notes_of_a_window_alike_and_stays_in_the_range():
    low = np.full([50, 32], HOLD)
    low[:, [0, 4]] = [events.LOWEST, events.LOWEST + 7]
    made = augment.transposed(low, rng(), 12)
    assert set((made[:, 4] - made[:, 0]).tolist()) == {7}
    assert set((made[:, 0] - events.LOWEST).tolist()) >= {0, 12}
    assert (made[:, 1:4] == HOLD).all()


def test_shifting_keeps_notes_and_distances_around_the_window(tunes):
    for given, made in zip(tunes, augment.shifted(tunes, rng())):
        by = [k for k in range(1, 32) if np.array_equal(np.roll(given, k) * (np.roll(given, k) > 1), made * (made > 1))]
        assert by


def test_splicing_takes_a_first_bar_of_one_and_a_second_bar_of_another(tunes):
    made = augment.spliced(tunes, rng())
    seconds = {tuple(half * (half > 1)) for half in tunes[:, 16:]}
    assert all((a[:16] == b[:16]).all() for a, b in zip(tunes, made))
    assert all(tuple(half * (half > 1)) in seconds for half in made[:, 16:])
    assert (made[:, 16:] != tunes[:, 16:]).any(1).mean() > 0.5


def test_pitches_on_a_rhythm_keep_their_order_and_begin_where_it_says(tunes):
    rhythm = augment.rhythms(len(tunes), rng())
    for given, beats, made in zip(tunes, rhythm, augment.on_rhythm(tunes, rhythm)):
        np.testing.assert_array_equal(made >= 2, beats >= 2)
        many = pitches_of(given) * 32
        assert pitches_of(made) == many[: len(pitches_of(made))]
    rhythms = {tuple(np.minimum(window, 2)) for window in tunes}
    assert {tuple(np.minimum(window, 2)) for window in augment.on_other_rhythm(tunes, rng())} <= rhythms


def test_made_rhythms_have_syncopations_sixteenths_rests_and_bars_that_come_again():
    made = augment.rhythms(2000, rng())
    on = made >= 2
    assert on.any(1).all()
    off_beat, beat = on[:, 2::4], on[:, 0::4]
    assert 0.1 < (off_beat[:, :-1] & ~beat[:, 1:]).mean() < 0.5  # held across the beat, or followed by a rest
    assert 0.1 < on[:, 1::2].mean() < on[:, 2::4].mean() < on[:, 0::4].mean()
    assert 0.2 < (on[:, :16] == on[:, 16:]).all(1).mean() < 0.5
    silent = np.array([[one is None for one in sounding(window)] for window in made])
    assert 0.05 < silent.mean() < 0.4


def test_made_lines_repeat_notes_and_mostly_go_by_step():
    made = augment.lines(2000, rng())
    intervals = np.abs(np.diff(made))
    assert 0.2 < (intervals == 0).mean() < 0.5
    assert ((intervals > 0) & (intervals <= 4)).mean() > 0.35
    classes = [len(set((line % 12).tolist())) for line in made]
    assert np.mean(np.array(classes) <= 8) > 0.8  # a scale has at most seven; three notes in a hundred are chromatic


def test_thinning_shortens_and_leaves_out_and_adds_nothing(tunes):
    many = np.repeat(tunes, 20, 0)
    made = augment.thinned(many, rng())
    kept = (made >= 2) & (many >= 2)
    np.testing.assert_array_equal(made[made >= 2], many[made >= 2])
    assert 0.85 < kept.sum() / (many >= 2).sum() < 0.95
    lengths = [[sum(one is not None for one in sounding(window)) for window in some] for some in (many, made)]
    assert np.mean(lengths[1]) < np.mean(lengths[0]) - 1


def test_a_batch_switches_kinds_one_by_one(tunes):
    many = np.repeat(tunes, 8, 0)[rng().permutation(8 * len(tunes))]
    shapes = {tuple(row) for row in events.relative(many).tolist()}
    plain = augment.batch(many, rng(), ())
    assert {tuple(row) for row in events.relative(plain).tolist()} <= shapes
    assert np.abs(plain - many).max() <= augment.NARROW
    for kind in augment.ALL:
        one = augment.batch(many, rng(), (kind,))
        new = np.mean([tuple(row) not in shapes for row in events.relative(one).tolist()])
        share = {"thinned": augment.THINNED, "wide": 0}.get(kind, augment.KINDS.get(kind, (None, 0))[1])
        assert 0.5 * share <= new <= share + 0.01, kind
    assert np.abs(augment.batch(many, rng(), ("wide",)) - many).max() > augment.NARROW


# Figures


def test_figures_of_what_came_back():
    given = np.zeros([4, 32], int)
    given[:, [0, 8]] = [C4, C4 + 2]
    heard = given.copy()
    heard[0, 8] = C4 + 4
    heard[1, 30] = OFF
    found = melody_figures.right(given, heard)
    assert found == {"whole": 0.5, "steps": 126 / 128, "onsets": 7 / 8}


def test_sound_of_windows_is_their_entropy_intervals_and_durations():
    one = np.zeros([1, 32], int)
    one[0, [0, 4, 6, 8]] = [C4, C4 + 2, OFF, C4 + 12]
    found = melody_figures.histograms(one)
    assert np.flatnonzero(found["interval"]).tolist() == [26, 34]
    assert np.flatnonzero(found["duration"]).tolist() == [2, 4, 24]
    assert melody_figures.entropy(one) == pytest.approx(-(2 / 3) * np.log(2 / 3) - np.log(1 / 3) / 3)
    assert melody_figures.sound(one, one) == pytest.approx(
        {"interval": 1, "duration": 1, "entropy": melody_figures.entropy(one), "notes": 3, "pitches": 3}
    )


# Network


@pytest.mark.slow
def test_the_lstm_has_the_gradient_that_tensorflow_finds_step_by_step():
    draws = rng()
    arrays = [draws.normal(size=shape) for shape in ([32, 2, 12], [2, 12], [3, 12], [2, 3], [2, 3])]
    weight = draws.normal(size=[32, 2, 3])
    with tf.Graph().as_default(), tf.Session() as session:
        given = [tf.constant(array, tf.float32) for array in arrays]

        def slowly(of_inputs, added, kernel, cell, hidden):
            outputs = []
            for step in range(32):
                i, c, f, o = tf.split(of_inputs[step] + added + hidden @ kernel, 4, axis=1)
                cell = tf.sigmoid(f + 1) * cell + tf.sigmoid(i) * tf.tanh(c)
                hidden = tf.sigmoid(o) * tf.tanh(cell)
                outputs.append(hidden)
            return tf.stack(outputs)

        found = []
        for lstm in (network.recurrent(tf.float32), slowly):
            outputs = lstm(*given)
            found.append(session.run([outputs, *tf.gradients(tf.reduce_sum(outputs * weight), given)]))
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def ours_of(model, weights, some, noise):
    """The recipe's posterior and losses of windows."""
    with tf.Graph().as_default(), tf.Session() as session:
        trained = network.variables(model.of_class, 1)
        heard = tf.constant(np.concatenate([np.full([len(some), 1], -1), some[:, :-1]], 1), tf.int32)
        given = {"inputs": heard, "noise": tf.constant(noise), "products": tf.float32}
        made = network.build(trained, model.of_class, tf.constant(some, tf.int32), **given)
        for name, variable in trained.items():
            variable.load(weights[name], session)
        return session.run(made)


def magentas(model, weights, some, noise):
    """What magenta's model says of the same: mean, scale and loss."""
    config = copy.deepcopy(music_vae.music_vae_configs.CONFIG_MAP[model.music_vae])
    config.hparams.batch_size, config.hparams.sampling_schedule, config.hparams.sampling_rate = (
        len(some),
        "constant",
        0.0,
    )
    classes = len(model.of_class)
    with tf.Graph().as_default(), tf.Session() as session:
        config.model.build(config.hparams, classes, is_training=True)
        target, lengths = tf.one_hot(some, classes), tf.fill([len(some)], 32)
        q_z = config.model.encode(tf.constant(model.of_class[some], tf.float32), lengths, tf.zeros([len(some), 32, 0]))
        z = q_z.loc + q_z.scale.diag * noise
        before = tf.pad(target[:, :-1], [(0, 0), (1, 0), (0, 0)])
        loss = config.model.decoder.reconstruction_loss(before, target, lengths, z, None)[0]
        for variable in tf.trainable_variables():
            variable.load(weights[variable.op.name], session)
        return session.run([q_z.loc, q_z.scale.diag, loss])


@pytest.mark.slow
@pytest.mark.parametrize("model", models.ALL.values(), ids=list(models.ALL))
def test_posterior_and_loss_are_those_of_magentas_model(model, tunes):
    shapes, draws = network.shapes(model.of_class), rng(1)
    weights = {name: draws.normal(0, 0.1, shape) for name, shape in shapes.items()}
    some = drum_grooves.windows()[:4]
    if model is models.MELODY:
        shipped, some = Weights(finding.shipped(WEIGHTS)), tunes[:4]
        weights = {name: shipped.get(name) for name in shapes}
    noise = rng().normal(size=[len(some), 256]).astype(np.float32)
    ours, theirs = (of(model, weights, some, noise) for of in (ours_of, magentas))
    np.testing.assert_allclose(ours.mean, theirs[0], atol=1e-5)
    np.testing.assert_allclose(ours.scale, theirs[1], atol=1e-5)
    np.testing.assert_allclose(ours.cross_entropy, theirs[2], rtol=1e-4, atol=1e-4)
    kl = 0.5 * (theirs[0] ** 2 + theirs[1] ** 2 - 1) - np.log(theirs[1])
    np.testing.assert_allclose(ours.kl, kl.sum(1), rtol=1e-4)


# The whole of it


def test_rate_rises_and_falls_and_beta_waits_for_the_second_half():
    recipe = train.Recipe(1000, 4, 1e-3, 0.15, 1, (), init="", bfloat16=False)
    rates = [train.rate_at(step, recipe) for step in range(1001)]
    assert np.argmax(rates) == train.WARM_UP - 1
    assert rates[1000] == pytest.approx(1e-3 * train.LAST_RATE)
    assert [train.beta_at(step, recipe) for step in (0, 499, 999)] == pytest.approx([0.01, 0.01, 0.15])
    assert train.beta_at(0, recipe._replace(init="weights.tar")) == 0.15


@pytest.fixture(scope="module")
def recipe_run(tmp_path_factory, tunes):
    """Ten steps from a miniature corpus, in one go and in two."""
    folder = tmp_path_factory.mktemp("recipe")
    draws = rng(5)
    with open(str(folder / "melodies.jsonl"), "w") as f:
        f.write('{"music21": "none"}\n')
        for i in range(20):
            notes = [[at / 2, at / 2 + 0.5, int(draws.choice(SCALE))] for at in range(48)]
            f.write(json.dumps({"source": "made", "title": "tune %d" % i, "notes": notes}) + "\n")
    given = str(folder / "windows.npz")
    windows.main([str(folder / "melodies.jsonl"), given, "--held_out=0.2"])
    settings = ["--steps=10", "--batch=4", "--save_every=5", "--threads=2"]
    train.main([given, str(folder / "whole"), *settings])
    halves = folder / "halves"  # as a run leaves it that is killed after five steps
    halves.mkdir()
    for path in glob.glob(str(folder / "whole" / "model.ckpt-5.*")):
        shutil.copy(path, str(halves))
    (halves / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-5"\n')
    train.main([given, str(halves), *settings])
    return folder


@pytest.mark.slow
def test_ten_steps_make_weights_that_magentas_model_takes(recipe_run, tunes):
    path = str(recipe_run / "whole" / "cat-mel_2bar_small.tar")
    found = evaluate.Model(models.MELODY, path).given_back(tunes[:8])
    assert 0 < found["steps"] < 1
    weights = Weights(finding.find(path, "--pretrained_path"))
    assert weights.shapes == Weights(finding.shipped(WEIGHTS)).shapes  # and no slots of Adam's
    assert weights.get("global_step") == 10  # which magenta's TrainedModel restores


@pytest.mark.slow
def test_going_on_ends_where_going_through_does(recipe_run):
    whole, halves = (
        Weights(finding.find(str(recipe_run / name / "cat-mel_2bar_small.tar"), "--pretrained_path"))
        for name in ("whole", "halves")
    )
    start = network.shapes(models.MELODY.of_class)
    for name in start:
        np.testing.assert_array_equal(whole.get(name), halves.get(name))
    assert max(np.abs(whole.get(name)).max() for name in start if name.endswith("bias")) > 1e-4  # they were trained


def test_a_run_that_goes_on_otherwise_says_from_which_step(tmp_path):
    recipe = {"steps": 10, "init": ""}
    weights = tmp_path / "weights.tar"
    weights.write_text("weights")
    np.savez(str(tmp_path / "windows.npz"), train=np.zeros([3, 32]), held_out=np.zeros([0, 32]), made_of="{}")
    for step, steps in ((0, 10), (4, 10), (5, 20), (7, 30), (6, 40)):  # the run at 30 was killed before it saved
        provenance.start(str(tmp_path), step, dict(recipe, steps=steps))
    provenance.write(str(weights), str(tmp_path / "windows.npz"))
    record = json.loads((tmp_path / "weights.json").read_text())
    assert [(one["from_step"], one["steps"]) for one in record["recipes"]] == [(0, 10), (5, 20), (6, 40)]
    assert record["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()


@pytest.mark.slow
def test_the_record_says_what_the_weights_are_made_of(recipe_run):
    with open(str(recipe_run / "whole" / "cat-mel_2bar_small.json")) as f:
        record = json.load(f)
    assert record["corpus"]["sources"]["made"]["melodies"] == 20
    assert record["corpus"]["train_windows"] + record["corpus"]["held_out_windows"] > 50
    (recipe,) = record["recipes"]
    assert {"from_step": 0, "steps": 10, "seed": 1, "batch": 4, "kinds": list(augment.ALL)}.items() <= recipe.items()
    assert record["made_with"]["tensorflow"] == tf.__version__
    with tarfile.open(str(recipe_run / "whole" / "cat-mel_2bar_small.tar")) as tar:
        assert {member.mtime for member in tar.getmembers()} == {0}
