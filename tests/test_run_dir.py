"""A run's folder and its run.json; `test_never_loses.py` has what two commands do to one."""

import os

import pytest

from lc_music_vae import files, run_dir
from lc_music_vae.errors import InputError


@pytest.fixture
def run(tmp_path):
    return run_dir.at(str(tmp_path / "run"))


def one_line(call, *arguments):
    with pytest.raises(InputError) as e:
        call(*arguments)
    return str(e.value)


def test_where_everything_is():
    """The layout of the README, which other tools may rely on."""
    run = run_dir.at("/songs/mine/")
    assert run == ("/songs/mine",)
    assert run.train == "/songs/mine/train"
    assert run.latents == "/songs/mine/latents"
    assert run.examples == "/songs/mine/examples.tsv"
    assert run.picture == "/songs/mine/training.png"
    assert run.generated == "/songs/mine/generated"
    assert run.run_json == "/songs/mine/run.json"
    assert (run.eval(""), run.eval("_b")) == ("/songs/mine/eval", "/songs/mine/eval_b")
    assert run.bundle("lc-x") == "/songs/mine/lc-x.tar"


def test_paths_are_those_of_a_shell(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(str(tmp_path))
    assert run_dir.at("~/a").path == run_dir.at("a").path == run_dir.at("b/../a/").path == str(tmp_path / "a")


def test_shards_are_in_order_and_those_of_this_folder(tmp_path):
    run = run_dir.at(str(tmp_path / "take [1]*"))
    assert run.shards() == []
    os.makedirs(run.latents)
    for name in ("b.tfrecord", "a.tfrecord", "a.json", ".c.tfrecord"):
        open(os.path.join(run.latents, name), "w").close()
    assert run.shards() == [os.path.join(run.latents, name) for name in ("a.tfrecord", "b.tfrecord")]


def test_a_folder_is_made_once_or_not_at_all(run, tmp_path):
    run.make()
    run.make()
    assert os.listdir(run.path) == []
    (tmp_path / "file").write_text("")
    bad = run_dir.at(str(tmp_path / "file"))
    assert one_line(bad.make) == "--run_dir=%s cannot be made: File exists" % bad.path


def test_one_training_holds_it_and_tidies_up(run):
    """What is half-written in its folders is left from processes that are dead; what is somebody's own stays."""
    held = "--run_dir=%s: process %d is training there; wait until it ends, or give another --run_dir"
    run.make()
    os.makedirs(run.train)
    os.makedirs(run.latents)
    scratch = ".lc_music_vae-scratch-a1b2c3d4"
    for folder in (run.path, run.train, run.latents):
        os.makedirs(os.path.join(folder, scratch))
    tensorflow = ["checkpoint.tmp" + "0a" * 16, "model.ckpt-5.data-00000-of-00001.tempstate123"]
    others = ["mine.tmp" + "0a" * 16, "model.ckpt-5.index", "x.tempstate12", "model.ckpt-5.tempstate1.bak"]
    for name in tensorflow + others:
        open(os.path.join(run.train, name), "w").close()
    lock = os.path.join(run.path, ".lock")
    with open(lock, "w") as f:
        f.write("123456789 and more")  # of one that ended
    with run.held():
        assert one_line(run.held().__enter__) == held % (run.path, os.getpid())
        with open(lock) as f:
            assert f.read() == str(os.getpid())
        for folder in (run.path, run.train, run.latents):
            assert scratch not in os.listdir(folder)
        assert sorted(os.listdir(run.train)) == sorted(others)
    with run.held():
        pass
    os.remove(lock)
    os.makedirs(lock)
    advice = "when it can be, give the same command again"
    assert one_line(run.held().__enter__) == "--run_dir=%s cannot be written (Is a directory); %s" % (run.path, advice)


def test_others_may_read_the_lock(run):
    """Of one group, say: what they may do with it is up to the umask."""
    run.make()
    before = os.umask(0)
    try:
        with run.held():
            assert os.stat(os.path.join(run.path, ".lock")).st_mode & 0o777 == 0o666
    finally:
        os.umask(before)


def test_what_run_json_records(run):
    run.make()
    assert run.read() is None
    files.write_json(run.run_json, {"format": 1, "seed": 3})
    assert run.read() == {"format": 1, "seed": 3, "metre": "any"}
    files.write_json(run.run_json, {"format": 1, "metre": "3/4"})
    assert run.read() == {"format": 1, "metre": "3/4"}
    with open(run.run_json, "w") as f:
        f.write("{")
    assert one_line(run.read) == "%s: not readable as JSON; restore it or train into another --run_dir" % run.run_json


@pytest.mark.parametrize(
    ("value", "found"), [({"format": 2}, "2"), ({}, "None"), ([], "None"), ("x", "None"), ({"format": "1"}, "1")]
)
def test_other_versions_are_refused(run, value, found):
    run.make()
    files.write_json(run.run_json, value)
    said = "%s: written by another version of lc_music_vae (format %s, not 1)" % (run.run_json, found)
    assert one_line(run.read) == one_line(run_dir.check_format, value, run.run_json) == said


def test_flags_may_repeat_what_was_trained_with_and_not_contradict_it():
    recorded = {"config": "a", "seed": 0, "augment": False}
    run_dir.check_same("run", recorded, {"config": "a", "seed": None, "augment": False})
    said = one_line(run_dir.check_same, "run", recorded, {"config": "a", "seed": 1, "augment": True})
    assert said == "--seed=1 contradicts run, which was trained with --seed=0"


def test_the_newest_checkpoint_is_the_one_that_is_named(run):
    assert run.latest() == (None, 0)
    os.makedirs(run.train)
    assert run.latest() == (None, 0)
    for step in (5, 12):
        for suffix in (".index", ".data-00000-of-00001"):
            open(os.path.join(run.train, "model.ckpt-%d%s" % (step, suffix)), "w").close()
    for step in (5, 12):
        with open(os.path.join(run.train, "checkpoint"), "w") as f:
            f.write('model_checkpoint_path: "model.ckpt-%d"\n' % step)
        assert run.latest() == (os.path.join(run.train, "model.ckpt-%d" % step), step)
    for step in (5, 12):
        os.remove(os.path.join(run.train, "model.ckpt-%d.index" % step))
    assert one_line(run.latest).startswith("--run_dir=%s" % run.train)
