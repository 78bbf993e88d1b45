"""Run folders that disks, people and other programs have damaged: commands go on, or say in one line what to do."""

import os
import shutil
import stat

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from helpers import SMALL, generate, layers, melody, state_of, tune, weights_at, write_midi

import lc_music_vae
from lc_music_vae.checkpoints import bundles, run_json
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.errors import InputError
from lc_music_vae.system import files
from lc_music_vae.training import evaluate as evaluating
from lc_music_vae.training import hooks

pytestmark = [pytest.mark.faults("damaged run folders, and files that are not its own"), pytest.mark.slow]

SIZES = layers(8)
NEWEST = "train/model.ckpt-2"
DATA = NEWEST + ".data-00000-of-00001"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A run of two steps that was stopped after the first, so that there are checkpoints of steps 1 and 2."""
    folder = tmp_path_factory.mktemp("base")
    os.environ["LC_MUSIC_VAE_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    song = write_midi(melody(tune(4)), folder / "song.mid")
    for step in (1, 2):
        lc_music_vae.train(SMALL, song, str(folder / "run"), num_steps=step, hparams=SIZES)
    return folder


@pytest.fixture
def run(base, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluating, "_show", lambda *a: (run_json.Score(1.0, 1, None, 0), {}))
    return shutil.copytree(str(base / "run"), str(tmp_path / "run"))


def rewritten(run, change):
    """Writes the newest checkpoint anew, its tensors by name changed by `change`."""
    prefix = os.path.join(run, NEWEST)
    reader = tf.train.NewCheckpointReader(prefix)
    tensors = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    change(tensors)
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.get_variable(name, initializer=tf.constant(value)) for name, value in tensors.items()]
        session.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(session, prefix, write_meta_graph=False, write_state=False)


def with_nan(tensors):
    tensors["latent_decoder/mu/kernel"][0, 0] = np.nan


def without_slots(tensors):
    for name in [name for name in tensors if "Adam" in name]:
        del tensors[name]


def without_a_layer(tensors):
    del tensors["latent_encoder/mu/bias"]


def of_another_step(tensors):
    tensors["global_step"] = np.int64(7)


def edit_run_json(run, **values):
    path = os.path.join(run, "run.json")
    value = files.read_json(path)
    for name, one in values.items():
        value["hparams"][name] = one
    files.write_json(path, value)


def in_place_of(run, name, make):
    path = os.path.join(run, name)
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)
    make(path)


def a_file(path):
    with open(path, "w") as f:
        f.write("a file")


def renamed(run):
    for suffix in (".index", ".data-00000-of-00001"):
        os.rename(os.path.join(run, NEWEST + suffix), os.path.join(run, "train/model.ckpt-1" + suffix))
    in_place_of(run, "train/checkpoint", lambda path: None)


def no_checkpoints(run):
    for name in os.listdir(os.path.join(run, "train")):
        if name.startswith("model.ckpt"):
            os.remove(os.path.join(run, "train", name))


GONE = "train/model.ckpt-2, which training reached, is gone or lacks a file; put it back, or train again"
DAMAGED = "the checkpoint is damaged"
# What is done to the run; what training, evaluating and generating say of it, or the step that training goes on from.
DAMAGES = {
    "nothing": (lambda run: None, 2, None, None),
    "index gone": (lambda run: os.remove(os.path.join(run, NEWEST + ".index")), 1, GONE, GONE),
    "data gone": (lambda run: os.remove(os.path.join(run, DATA)), 1, GONE, GONE),
    "index empty": (lambda run: os.truncate(os.path.join(run, NEWEST + ".index"), 0), DAMAGED, DAMAGED, DAMAGED),
    "index cut off": (lambda run: os.truncate(os.path.join(run, NEWEST + ".index"), 99), DAMAGED, DAMAGED, DAMAGED),
    "data empty": (lambda run: os.truncate(os.path.join(run, DATA), 0), DAMAGED, DAMAGED, DAMAGED),
    "data cut off": (lambda run: os.truncate(os.path.join(run, DATA), 9000), DAMAGED, DAMAGED, DAMAGED),
    "index a folder": (lambda run: in_place_of(run, NEWEST + ".index", os.mkdir), 1, GONE, GONE),
    "all checkpoints gone": (no_checkpoints, 0, GONE, GONE),
    "train gone": (lambda run: shutil.rmtree(os.path.join(run, "train")), 0, GONE, GONE),
    "train a file": (
        lambda run: in_place_of(run, "train", a_file),
        "train cannot be written (Not a directory)",
        GONE,
        GONE,
    ),
    "list gone": (lambda run: os.remove(os.path.join(run, "train/checkpoint")), 2, None, None),
    "list empty": (lambda run: os.truncate(os.path.join(run, "train/checkpoint"), 0), 2, None, None),
    "list of bytes": (
        lambda run: in_place_of(run, "train/checkpoint", lambda path: shutil.copy(os.path.join(run, DATA), path)),
        2,
        None,
        None,
    ),
    "list a pipe": (lambda run: in_place_of(run, "train/checkpoint", os.mkfifo), 2, None, None),
    "list a folder": (lambda run: in_place_of(run, "train/checkpoint", os.mkdir), "train/checkpoint", None, None),
    "NaN": (lambda run: rewritten(run, with_nan), "values that are NaN", "values that are NaN", "values that are NaN"),
    "no slots": (lambda run: rewritten(run, without_slots), "damaged in ", None, None),
    "a layer gone": (lambda run: rewritten(run, without_a_layer), *3 * ("has no variable latent_encoder/mu/bias",)),
    "of another step": (lambda run: rewritten(run, of_another_step), "is of step 7; give it back", None, None),
    "renamed": (renamed, "is of step 2; give it back its own name", GONE, GONE),
    "other sizes recorded": (
        lambda run: edit_run_json(run, encoded_z_size=7),
        *2 * ("with shape [4, 8], not [7, 8]",),
        None,
    ),
    "fewer layers recorded": (
        lambda run: edit_run_json(run, latent_encoder_layers=[8, 8]),
        *2 * ("has no variable latent_encoder/layer1/",),
        None,
    ),
    "latents a file": (
        lambda run: in_place_of(run, "latents", a_file),
        "cannot be written",
        "is damaged or gone",
        "is damaged or gone; to have it made again from its songs, train with the same command (with a larger "
        "num_steps or not); midime_generate checkpoint_file=",
    ),
    "picture a folder": (lambda run: in_place_of(run, "training.png", os.mkdir), "training.png cannot be", None, None),
    "bundle a folder": (lambda run: in_place_of(run, SMALL + ".tar", os.mkdir), ".tar cannot be written", None, None),
    "table a folder": (lambda run: in_place_of(run, "examples.tsv", os.mkdir), "examples.tsv cannot be", None, None),
    "lock a folder": (lambda run: in_place_of(run, ".lc_music_vae.lock", os.mkdir), "cannot be written", None, None),
    "eval a file": (lambda run: in_place_of(run, "eval", a_file), 2, "eval cannot be written", None),
}


ALIKE = ("list empty", "list of bytes")  # to the list that is gone, and as slow


@pytest.mark.parametrize(
    "damage", [pytest.param(name, marks=pytest.mark.every if name in ALIKE else []) for name in DAMAGES]
)
def test_each_command_goes_on_or_says_what_to_do(damage, run, base, tmp_path, caplog):
    """None of them takes an older checkpoint for the newest, or hangs."""
    spoil, *expected = DAMAGES[damage]
    spoil(run)
    before = {path: state for path, state in state_of(run).items() if "eval" not in path and ".lock" not in path}
    commands = [
        lambda: lc_music_vae.evaluate(run),
        lambda: generate("sample", run, num_outputs=1, output_dir=str(tmp_path / "out")),
        lambda: lc_music_vae.train(SMALL, str(base / "song.mid"), run, num_steps=3),
    ]
    for command, outcome in zip(commands, expected[1:] + expected[:1]):
        caplog.clear()
        with caplog.at_level("INFO"):
            if isinstance(outcome, str):
                with pytest.raises(InputError) as e:
                    command()
                assert outcome in str(e.value)
                assert run in str(e.value)
                assert "\n" not in str(e.value)
            else:
                command()
        if command is not commands[2]:
            assert before.items() <= state_of(run).items()
    if isinstance(expected[0], int):
        assert "training from step %d to 3" % expected[0] in caplog.text
        lost = "the checkpoint of step 2 is gone or lacks a file; training goes on from step %d" % expected[0]
        assert (lost in caplog.text) == (expected[0] < 2)
        whole = shutil.copytree(str(base / "run"), str(tmp_path / "whole"))
        lc_music_vae.train(SMALL, str(base / "song.mid"), whole, num_steps=3)
        assert weights_at(run) == weights_at(whole)


def test_what_a_damaged_checkpoint_costs_is_the_way_to_the_one_before(run, base):
    """The advice is right: without it, training goes on from there."""
    os.truncate(os.path.join(run, DATA), 9000)
    with pytest.raises(InputError) as e:
        lc_music_vae.train(SMALL, str(base / "song.mid"), run, num_steps=3)
    prefix = os.path.join(run, NEWEST)
    assert str(e.value).endswith("; or remove %s.*, and training goes on from the checkpoint before it" % prefix)
    for name in (NEWEST + ".index", DATA):
        os.remove(os.path.join(run, name))
    lc_music_vae.train(SMALL, str(base / "song.mid"), run, num_steps=3)
    assert run_dir_lib.at(run).latest()[1] == 3


def test_a_strangers_list_of_checkpoints_removes_nothing(run, base, tmp_path):
    """TensorFlow removes what it lists, when there are more than are kept."""
    mine = tmp_path / "mine"
    mine.mkdir()
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(os.path.join(run, NEWEST + suffix), str(mine / ("model.ckpt-1" + suffix)))
    with open(os.path.join(run, "train", "checkpoint"), "w") as f:
        f.write('model_checkpoint_path: "model.ckpt-2"\n')
        for path in (str(mine / "model.ckpt-1"), "../../mine/model.ckpt-1", "model.ckpt-2"):
            f.write('all_model_checkpoint_paths: "%s"\n' % path)
    before = state_of(mine)
    lc_music_vae.train(SMALL, str(base / "song.mid"), run, num_steps=4, checkpoints_to_keep=1)
    assert state_of(mine) == before
    assert not os.path.exists(os.path.join(run, NEWEST + ".index"))  # its own it does


def test_weights_too_large_to_be_of_use_are_no_model(base, tmp_path):
    """They are finite, what they make of latents is not."""
    run = str(tmp_path / "run")
    deep = "latent_encoder_layers={0},latent_decoder_layers={0},".format(",".join(16 * "8"))
    hparams = deep + "learning_rate=10,min_learning_rate=10"
    for _ in range(2):
        with pytest.raises(InputError, match="lower learning_rate in hparams"):
            lc_music_vae.train(SMALL, str(base / "song.mid"), run, num_steps=1, hparams=hparams)
    assert not os.path.exists(os.path.join(run, SMALL + ".tar"))
    assert run_dir_lib.at(run).latest()[1] == 1
    with pytest.raises(InputError, match="lower learning_rate in hparams"):
        generate("sample", run, num_outputs=1)


def test_a_musicvae_that_cannot_decode_is_not_trained_on(tmp_path, base):
    """Training reads its encoder alone; what is broken in its decoder would show when it is too late."""
    from benchmarks.random_checkpoints import save_random_checkpoint

    prefix = str(tmp_path / "vae.ckpt")
    save_random_checkpoint("cat-mel_2bar_small", prefix, 1, slots=False)
    reader = tf.train.NewCheckpointReader(prefix)
    tensors = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    name = max(one for one in tensors if one.startswith("decoder/") and one.endswith("kernel"))
    tensors[name][3, 3] = np.inf
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.get_variable(one, initializer=tf.constant(value)) for one, value in tensors.items()]
        session.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(session, prefix, write_meta_graph=False)
    with pytest.raises(InputError) as e:
        lc_music_vae.train(
            SMALL, str(base / "song.mid"), str(tmp_path / "run"), pretrained_path=prefix, num_steps=1, hparams=SIZES
        )
    said = "pretrained_path=%s: %s has values that are NaN or infinite; give another checkpoint"
    assert str(e.value) == said % (prefix, name)
    assert not (tmp_path / "run" / "run.json").exists()


def test_what_a_full_disk_leaves_of_a_checkpoint_is_removed_at_once(run, base, monkeypatch):
    save = hooks.Saver.save

    def on_a_full_disk(self, sess, path, *arguments, **kwargs):
        for name in (".data-00000-of-00001.tempstate123", ".index.tempstate123"):
            with open(path + "-9" + name, "w") as f:
                f.write("half")
        raise tf.errors.ResourceExhaustedError(None, None, "%s; No space left on device" % path)

    monkeypatch.setattr(hooks.Saver, "save", on_a_full_disk)
    with pytest.raises(InputError, match="No space left on device"):
        lc_music_vae.train(SMALL, str(base / "song.mid"), run, num_steps=3)
    assert not [name for name in os.listdir(os.path.join(run, "train")) if "tempstate" in name]
    monkeypatch.setattr(hooks.Saver, "save", save)
    lc_music_vae.train(SMALL, str(base / "song.mid"), run, num_steps=3)


def test_the_last_checkpoint_is_on_the_disk_before_it_is_said(run, base, monkeypatch):
    flushed, at_the_end = [], []
    flush, write = files.flush, bundles.write
    monkeypatch.setattr(files, "flush", lambda path: (flushed.append(os.path.relpath(path, run)), flush(path))[1])
    monkeypatch.setattr(bundles, "write", lambda *a, **k: (at_the_end.extend(flushed), write(*a, **k))[1])
    lc_music_vae.train(SMALL, str(base / "song.mid"), run, num_steps=3)
    expected = {"train", "train/checkpoint", "train/model.ckpt-3.index", "train/model.ckpt-3.data-00000-of-00001"}
    assert expected <= set(at_the_end)
    assert stat.S_ISREG(os.stat(os.path.join(run, SMALL + ".tar")).st_mode)
