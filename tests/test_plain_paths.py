"""Folders with names that TensorFlow takes for patterns, or does not take at all."""

import os
import shutil

import pytest
import tensorflow.compat.v1 as tf
from helpers import EXAMPLE, WEIGHTS

from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.errors import InputError
from lc_music_vae.system import plain_paths

pytestmark = pytest.mark.faults("paths that TensorFlow does not take")

ODD = os.fsdecode(b"a [b] \\c *? \xff")
CONFIG = "--config=lc-cat-mel_2bar_small"
SMALL = "--hparams=latent_encoder_layers=16,latent_decoder_layers=16"


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/a b/ä (1)/x]", True),
        ("a[b", False),
        ("a*", False),
        ("a?", False),
        ("a\\b", False),
        (os.fsdecode(b"\xff"), False),
    ],
)
def test_what_tensorflow_takes(path, plain, tmp_path):
    assert plain_paths.is_plain(path) is plain
    there = str(tmp_path / path.strip("/"))
    os.makedirs(there)
    with plain_paths.named(there) as name:
        assert (name == there) is plain
        assert plain_paths.is_plain(name)
        assert os.path.samefile(name, there)
        assert plain_paths.shown(name) == there
    assert plain or not os.path.exists(name)


def test_where_there_is_no_other_name_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_paths, "_OPEN", str(tmp_path / "none" / "%s"))
    os.makedirs(str(tmp_path / ODD))
    with pytest.raises(InputError, match="give it another name$"), plain_paths.named(str(tmp_path / ODD)):
        pass


def test_every_command_works_there(script, tmp_path, monkeypatch):
    folder = tmp_path / ODD
    folder.mkdir()
    song = shutil.copy(EXAMPLE, str(folder / os.fsdecode(b"song \xff [1].mid")))
    run, pretrained = str(folder / "run"), str(folder / "vae.tar")
    shutil.copy(os.path.join(finding.SHIPPED, WEIGHTS), pretrained)
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(folder / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    train = [CONFIG, "--run_dir=" + run, "--examples_path=" + song, "--pretrained_path=" + pretrained, SMALL]
    input_1 = ["--input_midi_1=" + song, "--input_bars_1=1-2"]
    bundle = os.path.join(run, "lc-cat-mel_2bar_small.tar")
    for arguments in (
        ["midime_train", "--num_steps=1", "--checkpoints_to_keep=1"] + train,
        ["midime_train", "--num_steps=2", "--checkpoints_to_keep=1"] + train,
        ["midime_train", "--mode=eval", "--run_dir=" + run],
        ["midime_generate", "--run_dir=" + run, "--num_outputs=1", "--mode=similar"] + input_1,
        ["midime_generate", "--run_dir=" + run, "--mode=reconstruct"] + input_1[:1],
        ["midime_generate", "--checkpoint_file=" + bundle, "--num_outputs=1", "--output_dir=%s" % (folder / "out")],
        ["midime_generate", "--checkpoint_file=" + os.path.join(run, "train"), "--num_outputs=1"]
        + ["--output_dir=%s" % (folder / "out")],
    ):
        status, _, error = script(*arguments)
        assert status == 0, (arguments, error)
    kept = [name for name in os.listdir(os.path.join(run, "train")) if name.endswith(".index")]
    assert kept == ["model.ckpt-2.index"]
    assert len([name for name in os.listdir(str(folder / "out")) if name.endswith(".mid")]) == 2


def test_old_checkpoints_of_a_folder_that_the_name_would_match_stay(script, tmp_path):
    other = tmp_path / "run of mine" / "train"
    other.mkdir(parents=True)
    names = ["model.ckpt-0.index", "model.ckpt-0.data-00000-of-00001"]
    for name in names:
        (other / name).write_text("")
    arguments = [CONFIG, "--run_dir=%s" % (tmp_path / "run*"), "--examples_path=" + EXAMPLE, SMALL]
    status, _, error = script("midime_train", "--num_steps=1", "--checkpoints_to_keep=1", *arguments)
    assert status == 0, error
    assert sorted(os.listdir(str(other))) == sorted(names)


def test_a_checkpoint_with_such_a_name_is_one_line_and_one_in_a_bundle_is_read(script, tmp_path):
    import tarfile

    prefix = str(tmp_path / "x.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("v", initializer=[1.0, 2.0])
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)
    with tarfile.open(str(tmp_path / "b.tar"), "w") as tar:
        for suffix in (".index", ".data-00000-of-00001"):
            tar.add(prefix + suffix, "model [1]/" + ODD + suffix)
            os.rename(prefix + suffix, str(tmp_path / ODD) + suffix)
    weights = Weights(finding.find(str(tmp_path / "b.tar"), "--pretrained_path"))
    assert list(weights.get("v")) == [1, 2]
    for path in (str(tmp_path / ODD), str(tmp_path)):
        with pytest.raises(InputError, match="TensorFlow cannot read a checkpoint with .* rename its files$"):
            finding.find(path, "--pretrained_path")
