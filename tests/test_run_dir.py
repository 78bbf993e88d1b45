"""A run's folder and its run.json; `test_never_loses.py` has what two commands do to one."""

import os
import shutil

import pytest
from helpers import one_line

from lc_music_vae.checkpoints import run_dir, run_json
from lc_music_vae.hparams import HParams
from lc_music_vae.music.style import Style

FOLDERS = "damaged run folders, and files that are not its own"
LOCK = ".lc_music_vae.lock"


@pytest.fixture
def run(tmp_path):
    return run_dir.at(str(tmp_path / "run"))


@pytest.fixture
def recorded():
    return run_json.RunJson(
        run_json.Settings("lc-x", "x", HParams(), False, 0, "auto", "any"),
        run_json.Pretrained("x.tar", [1, 2], "0123456789abcdef" * 4),
        run_json.Examples(["songs"], 11),
        Style(),
    )


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


def test_a_folder_is_made_once_or_not_at_all(run, tmp_path):
    run.make()
    run.make()
    assert os.listdir(run.path) == []
    (tmp_path / "file").write_text("")
    bad = run_dir.at(str(tmp_path / "file"))
    assert one_line(bad.make) == "run_dir=%s cannot be made: File exists" % bad.path


def test_one_training_holds_it_and_tidies_up(run):
    """What is half-written in its folders is left from processes that are dead; what is somebody's own stays."""
    held = "run_dir=%s: process %d is training there; wait until it ends, or give another run_dir"
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
    lock = os.path.join(run.path, LOCK)
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
    assert one_line(run.held().__enter__) == "run_dir=%s cannot be written (Is a directory); %s" % (run.path, advice)


def test_others_may_read_the_lock(run):
    """Of one group, say: what they may do with it is up to the umask."""
    run.make()
    before = os.umask(0)
    try:
        with run.held():
            assert os.stat(os.path.join(run.path, LOCK)).st_mode & 0o777 == 0o666
    finally:
        os.umask(before)


def test_flags_may_repeat_what_was_trained_with_and_not_contradict_it():
    recorded = {"config": "a", "seed": 0, "augment": False}
    run_dir.check_same("run", recorded, {"config": "a", "seed": None, "augment": False})
    said = one_line(run_dir.check_same, "run", recorded, {"config": "a", "seed": 1, "augment": True})
    assert said == "seed=1 contradicts run, which was trained with seed=0"


def make_checkpoint(run, step):
    os.makedirs(run.train, exist_ok=True)
    for suffix in (".index", ".data-00000-of-00001"):
        open(os.path.join(run.train, "model.ckpt-%d%s" % (step, suffix)), "w").close()


def remove_checkpoint(run, step, suffix=".index"):
    os.remove(os.path.join(run.train, "model.ckpt-%d%s" % (step, suffix)))


def write_list(run, newest, *others):
    with open(os.path.join(run.train, "checkpoint"), "w") as f:
        f.write('model_checkpoint_path: "%s"\n' % newest)
        f.writelines('all_model_checkpoint_paths: "%s"\n' % name for name in others)


def prefix(run, step):
    return os.path.join(run.train, "model.ckpt-%d" % step)


def test_the_newest_checkpoint_is_the_one_that_is_named(run):
    assert run.latest() == (None, 0)
    os.makedirs(run.train)
    assert run.latest() == (None, 0)
    for step in (5, 12):
        make_checkpoint(run, step)
    for step in (5, 12):
        write_list(run, "/moved/from/here/model.ckpt-%d" % step)
        assert run.latest() == (prefix(run, step), step)


@pytest.mark.faults(FOLDERS)
@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_a_checkpoint_that_is_gone_is_never_replaced_by_an_older_one_in_silence(run, suffix, recorded):
    """Training goes on from the one before; whoever reads says what is missing."""
    for step in (0, 5, 12):
        make_checkpoint(run, step)
    write_list(run, "model.ckpt-12")
    bundle = run.bundle(recorded.settings.config)
    assert run.trained(recorded) == (prefix(run, 12), 12)
    remove_checkpoint(run, 12, suffix)
    assert run.latest() == (prefix(run, 5), 5)
    gone = "run_dir=%s: train/model.ckpt-12, which training reached, is gone or lacks a file; put it back, or "
    gone += "train again, which starts at step 5"
    assert one_line(run.trained, recorded) == gone % run.path
    open(bundle, "w").close()
    assert one_line(run.trained, recorded) == (gone + "; midime_generate checkpoint_file=%s needs nothing else") % (
        run.path,
        bundle,
    )
    os.remove(os.path.join(run.train, "checkpoint"))
    assert one_line(run.trained, recorded._replace(step=12)).startswith(gone % run.path)
    assert run.trained(recorded) == (prefix(run, 5), 5)  # of an older run: nothing else is known


def test_a_checkpoint_that_is_replaced_between_two_looks_is_found(run, monkeypatch):
    """As by a training that keeps one: it writes a newer one, then the list, and then removes the older."""
    make_checkpoint(run, 5)
    write_list(run, "model.ckpt-5")
    has = run_dir.RunDir._has

    def training_goes_on(self, name):
        monkeypatch.setattr(run_dir.RunDir, "_has", has)
        make_checkpoint(run, 9)
        write_list(run, "model.ckpt-9")
        remove_checkpoint(run, 5)
        return has(self, name)

    monkeypatch.setattr(run_dir.RunDir, "_has", training_goes_on)
    assert run.latest() == (prefix(run, 9), 9)


@pytest.mark.faults(FOLDERS)
def test_an_untrained_model_is_none(run, recorded):
    run.make()
    nothing = "run_dir=%s holds no trained model; train one there with midime_train" % run.path
    assert one_line(run.trained, None) == one_line(run.trained, recorded) == nothing
    make_checkpoint(run, 0)
    said = "run_dir=%s: its training was stopped before a step was kept; train on with the same command" % run.path
    assert one_line(run.trained, recorded) == said
    make_checkpoint(run, 7)
    assert one_line(run.trained, None) == nothing


def test_tensorflow_learns_of_its_own_checkpoints_only(run, tmp_path):
    """It removes the oldest of those that its list has, wherever they are."""
    for step in (3, 5, 12):
        make_checkpoint(run, step)
    mine = str(tmp_path / "mine")
    write_list(
        run,
        "model.ckpt-12",
        mine,
        "../../mine",
        "model.ckpt-3",
        "/x/model.ckpt-3",
        "model.ckpt-4",
        "mine",
        "model.ckpt-12",
    )
    run.list_own(prefix(run, 12))
    with open(os.path.join(run.train, "checkpoint")) as f:
        lines = ['model_checkpoint_path: "model.ckpt-12"', 'all_model_checkpoint_paths: "model.ckpt-3"']
        assert f.read().splitlines() == lines + ['all_model_checkpoint_paths: "model.ckpt-12"']
    assert run.latest() == (prefix(run, 12), 12)
    run.list_own(None)
    run.list_own(None)
    assert "checkpoint" not in os.listdir(run.train)


HOME = {
    ".bashrc": b"alias ll='ls -l'",
    ".zcompdump-vm-5.8": b"#files",
    ".bash_history.1": b"ls",
    ".lock": b"mine",
    ".cache.1/kept": b"1",
    "train.py": b"import train",
    "music/song.tfrecord": b"x",
    "latents-of-mine.txt": b"x",
    "eval_notes/a.tsv": b"x",
}


@pytest.mark.faults(FOLDERS)
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("train/model.ckpt-5.index", "train there"),
        ("train/notes.txt", "train there"),
        ("training.png", "training.png there"),
        ("play.html", "play.html there"),
        ("lc-x.tar", "lc-x.tar there"),
        ("latents/mine.tfrecord", "latents there"),
        ("examples.tsv", "examples.tsv there"),
    ],
)
def test_files_of_a_runs_names_that_are_somebody_elses_are_refused(run, path, said):
    run.make()
    for name, content in HOME.items():
        os.makedirs(os.path.dirname(os.path.join(run.path, name)), exist_ok=True)
        with open(os.path.join(run.path, name), "wb") as f:
            f.write(content)
    run.check_free("lc-x")
    theirs = os.path.join(run.path, path)
    os.makedirs(os.path.dirname(theirs), exist_ok=True)
    open(theirs, "w").close()
    refusal = one_line(run.check_free, "lc-x")
    assert refusal.startswith("run_dir=%s: %s, which no run.json accounts for" % (run.path, said))
    assert refusal.endswith("give another run_dir, or move what is there away")


def test_a_first_training_that_was_stopped_accounts_for_what_it_left(run):
    run.make()
    with run.held():
        os.makedirs(run.latents)
        open(run.examples, "w").close()
    run.check_free("lc-x")
    os.makedirs(run.train)  # it made none before there was a run.json
    assert "train there" in one_line(run.check_free, "lc-x")


@pytest.mark.faults(FOLDERS)
def test_a_lock_is_a_plain_file_of_its_folder(run, tmp_path):
    run.make()
    (tmp_path / "precious").write_text("precious")
    lock = os.path.join(run.path, LOCK)
    os.symlink(str(tmp_path / "precious"), lock)
    assert one_line(run.held().__enter__).startswith("run_dir=%s cannot be written" % run.path)
    assert (tmp_path / "precious").read_text() == "precious"
    os.remove(lock)
    os.mkfifo(lock)
    assert "is not a plain file" in one_line(run.held().__enter__)


def test_a_copy_of_the_newest_checkpoint_outlives_it(run, recorded):
    make_checkpoint(run, 5)
    with run.copied(recorded) as copy:
        remove_checkpoint(run, 5)
        remove_checkpoint(run, 5, ".data-00000-of-00001")
        assert copy.path == prefix(run, 5)
        assert run_dir.at(os.path.dirname(os.path.dirname(copy.prefix))).trained(recorded) == (copy.prefix, 5)
    assert not os.path.exists(copy.prefix + ".index")


def test_a_checkpoint_that_goes_while_it_is_copied_has_a_newer_one(run, recorded, monkeypatch):
    make_checkpoint(run, 5)
    copy_file = shutil.copy

    def copying(source, target):
        monkeypatch.setattr(shutil, "copy", copy_file)
        make_checkpoint(run, 9)
        remove_checkpoint(run, 5)
        return copy_file(source, target)

    monkeypatch.setattr(shutil, "copy", copying)
    with run.copied(recorded) as copy:
        assert copy.path == prefix(run, 9)
        assert os.path.basename(copy.prefix) == "model.ckpt-9"
