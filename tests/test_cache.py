"""What is kept between commands: made once, whole or not there, never removed while it is read."""

import errno
import fcntl
import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from helpers import EXAMPLE, REPO, run_process

from benchmarks.random_checkpoints import save_random_checkpoint
from lc_music_vae.checkpoints import bundles, finding
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.system import cache, files

pytestmark = pytest.mark.faults("several processes, one cache")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def making(text="whole", calls=None):
    def make(path):
        if calls is not None:
            calls.append(path)
        os.makedirs(path)
        for name in ("a", "b"):
            with open(os.path.join(path, name), "w") as f:
                f.write(text)

    return make


def versions(folder):
    return sorted(os.listdir(str(folder / "entry")))


def test_it_is_made_once_and_the_older_goes(folder):
    calls = []
    for version in ("1", "1", "2", "2", "1"):
        place, descriptor = cache.hold("entry", version, whole="a", make=making(version, calls))
        os.close(descriptor)
        assert place == str(folder / "entry" / version)
        with open(os.path.join(place, "b")) as f:
            assert f.read() == version
        assert versions(folder) == [version]
    assert len(calls) == 3


def test_what_is_read_is_not_removed(folder):
    place, reader = cache.hold("entry", "1", whole="a", make=making())
    os.close(cache.hold("entry", "2", whole="a", make=making())[1])
    cache.forget(place)
    assert versions(folder) == ["1", "2"]
    with open(os.path.join(place, "b")) as f:
        assert f.read() == "whole"
    os.close(reader)
    os.close(cache.hold("entry", "3", whole="a", make=making())[1])
    assert versions(folder) == ["3"]
    cache.forget(str(folder / "entry" / "3"))
    assert os.listdir(str(folder)) == []


def test_what_a_cleaner_of_old_files_took_is_made_anew(folder):
    place, descriptor = cache.hold("entry", "1", whole="a", make=making())
    os.close(descriptor)
    os.remove(os.path.join(place, "a"))
    os.close(cache.hold("entry", "1", whole="a", make=making())[1])
    assert sorted(os.listdir(place)) == ["a", "b"]


def test_who_comes_second_waits_and_makes_nothing(folder, caplog):
    caplog.set_level("INFO")
    started, go_on, calls = threading.Event(), threading.Event(), []

    def slow(path):
        started.set()
        assert go_on.wait(10)
        making("slow", calls)(path)

    first = threading.Thread(target=lambda: os.close(cache.hold("entry", "1", whole="a", make=slow)[1]))
    first.start()
    assert started.wait(10)
    fast = making("fast", calls)
    second = threading.Thread(target=lambda: os.close(cache.hold("entry", "1", whole="a", make=fast)[1]))
    second.start()
    deadline = time.time() + 10
    while "waiting for another process" not in caplog.text and time.time() < deadline:
        time.sleep(0.01)
    go_on.set()
    first.join()
    second.join()
    assert len(calls) == 1
    assert "waiting for another process" in caplog.text
    assert versions(folder) == ["1"]


def test_a_file_system_without_locks(folder, monkeypatch):
    """Everything works; nothing is removed."""

    def flock(*arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    for version in ("1", "2", "2"):
        os.close(cache.hold("entry", version, whole="a", make=making())[1])
    assert versions(folder) == ["1", "2"]
    os.remove(str(folder / "entry" / "1" / "a"))
    with pytest.raises(OSError, match="not empty"):
        cache.hold("entry", "1", whole="a", make=making())
    assert versions(folder) == ["1", "2"]


def test_what_cannot_be_made_leaves_nothing(folder):
    def broken(path):
        making()(path)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.hold("entry", "1", whole="a", make=broken)
    assert os.listdir(str(folder)) == []


ONE_OF_MANY = """
import os, sys
from lc_music_vae.system import cache
def make(path):
    os.makedirs(path)
    for name in "ab":
        with open(os.path.join(path, name), "w") as f:
            f.write("whole" * 1000)
number = int(sys.argv[1])
for turn in range(60):
    version = "%d" % (turn % 3 if number else turn % 2)
    place, held = cache.hold("entry", version, whole="a", make=make)
    for name in "ab":
        with open(os.path.join(place, name)) as f:
            assert f.read() == "whole" * 1000
    os.close(held)
    if turn % 7 == number:
        cache.forget(place)
"""


@pytest.mark.slow
def test_many_processes_that_make_read_and_remove_the_same(folder, record_property):
    processes = [
        subprocess.Popen([sys.executable, "-c", ONE_OF_MANY, str(i)], cwd=REPO, stderr=subprocess.PIPE, text=True)
        for i in range(4)
    ]
    for process in processes:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
    record_property("tried", 240)
    left = versions(folder) if (folder / "entry").exists() else []
    assert not any(name.startswith(".") for name in left)


@pytest.mark.slow
def test_killed_while_it_is_made(folder, record_property):
    """At several moments; the same again works, and what was left is gone."""
    code = """
import os, signal, sys
from lc_music_vae.system import cache, files
left = int(sys.argv[1])
def traced(frame, event, argument):
    global left
    left -= event == "line" and frame.f_code.co_filename in (cache.__file__, files.__file__)
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return traced
def make(path):
    os.makedirs(path)
    open(os.path.join(path, "a"), "w").close()
sys.settrace(traced)
cache.hold("entry", "1", whole="a", make=make)
sys.settrace(None)
"""
    killed = 0
    for lines in range(20, 200, 12):
        ended = run_process("-c", code, str(lines)).returncode
        assert ended in (0, -signal.SIGKILL)
        killed += ended != 0
        os.close(cache.hold("entry", "1", whole="a", make=making())[1])
        assert versions(folder) == ["1"]
        cache.forget(str(folder / "entry" / "1"))
        assert not folder.exists() or os.listdir(str(folder)) == []
    assert killed > 5
    record_property("tried", killed)


def test_a_file_s_identity_is_seen_to_change(tmp_path):
    path, other = str(tmp_path / "x"), str(tmp_path / "y")
    for name in (path, other):
        with open(name, "wb") as f:
            f.write(bytes(3 << 20))
    os.utime(path, ns=(1, 10**18))
    before = files.identity(path)
    assert files.identity(path) == before
    with open(path, "r+b") as f:  # `cp -p` of other contents: the same size and time
        f.seek(1000)
        f.write(b"x")
    os.utime(path, ns=(1, 10**18))
    after = files.identity(path)
    assert after[:2] == before[:2]
    assert after[2] != before[2]
    assert after[4] != before[4]
    os.utime(other, ns=(1, 10**18))
    os.replace(other, path)  # the first contents, in another file
    assert files.identity(path)[3:] != after[3:]
    assert files.identity(path)[4] == before[4]
    for size in (0, 1, 65536, 65537, 1 << 20):
        with open(path, "wb") as f:
            f.write(b"a" * size)
        assert files.identity(path)[0] == size


UNPACK = """
import sys, time
from lc_music_vae.checkpoints import bundles, finding
from lc_music_vae.checkpoints.weights import Weights
import tensorflow
for turn in range(25):
    sys.stdin.readline()
    found = finding.find(sys.argv[1], "--pretrained_path")
    with bundles.unbundled(found) as prefix:
        with open(prefix + ".index", "rb") as f:
            f.read()
        weights = Weights(found)
        weights.fingerprint("encoder/")
    print(turn, flush=True)
"""


def test_four_processes_unpack_one_bundle_at_once(folder, small_checkpoints, tmp_path, record_property):
    """25 rounds, each with an empty cache: what the other processes still read may be taken away before the next."""
    bundle = str(tmp_path / "b.tar")
    bundles.write(bundle, small_checkpoints["cat-mel_2bar_big"], name="x.ckpt", run={})
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UNPACK, bundle],
            cwd=REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for _ in range(4)
    ]
    for turn in range(25):
        shutil.rmtree(str(folder), ignore_errors=True)
        for process in processes:
            process.stdin.write("go\n")
        for process in processes:
            assert process.stdout.readline() == "%d\n" % turn, process.communicate(timeout=60)[1]
        (entry,) = [name for name in os.listdir(str(folder)) if name != "fingerprints"]
        assert len(os.listdir(str(folder / entry))) == 1
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    record_property("tried", 100)


def test_commands_that_begin_at_once_with_an_empty_cache(trained, tmp_path, folder, record_property):
    commands = [
        ["midime_generate.py", "--run_dir=" + trained, "--num_outputs=1", "--output_dir=%s" % (tmp_path / "out")],
        ["midime_generate.py", "--run_dir=" + trained, "--num_outputs=1", "--output_dir=%s" % (tmp_path / "out")],
        ["midime_train.py", "--config=lc-cat-mel_2bar_small", "--examples_path=" + EXAMPLE]
        + ["--num_steps=1", "--run_dir=%s" % (tmp_path / "run")],
    ]
    processes = [
        subprocess.Popen([sys.executable] + command, cwd=REPO, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    for process in processes:
        _, error = process.communicate(timeout=100)
        assert process.returncode == 0, error
    record_property("tried", len(commands))


def test_killed_while_unpacking(folder, small_checkpoints, tmp_path, record_property):
    bundle = str(tmp_path / "b.tar")
    bundles.write(bundle, small_checkpoints["cat-mel_2bar_big"], name="x.ckpt", run={})
    code = """
import os, signal, sys
from lc_music_vae.checkpoints import bundles, finding
from lc_music_vae.checkpoints.weights import Weights
copy, left = bundles._copy, [int(sys.argv[2])]
def killed(*arguments):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    copy(*arguments)
bundles._copy = killed
with bundles.unbundled(finding.find(sys.argv[1], "--pretrained_path")):
    pass
"""
    for copied in (0, 1, 7):
        assert run_process("-c", code, bundle, str(copied)).returncode == -signal.SIGKILL
        (entry,) = os.listdir(str(folder))
        (left,) = os.listdir(str(folder / entry))
        assert left.startswith(".")
        weights = Weights(finding.find(bundle, "--pretrained_path"))
        (version,) = os.listdir(str(folder / entry))
        assert os.path.basename(os.path.dirname(weights._prefix)) == version
        weights._forget()
    record_property("tried", 3)


def test_other_contents_of_the_same_size_and_time_are_read(cut_down, tmp_path):
    """As `cp -p` leaves them."""
    bundle, prefix = str(tmp_path / "b.tar"), str(tmp_path / "x.ckpt")
    prints = []
    for seed in (1, 2):
        save_random_checkpoint("cat-mel_2bar_big", prefix, seed, slots=False)
        other = str(tmp_path / "other.tar")
        bundles.write(other, prefix, name="x.ckpt", run={})
        shutil.copyfile(other, bundle)
        os.utime(bundle, ns=(10**18, 10**18))
        found = finding.find(bundle, "--pretrained_path")
        prints.append((Weights(found).fingerprint("encoder/"), os.path.getsize(bundle)))
    assert prints[0][1] == prints[1][1]
    assert prints[0][0] != prints[1][0]


def test_weights_hold_their_copy_as_long_as_they_are(small_checkpoints, tmp_path):
    """A notebook that opens one bundle after another keeps no descriptor of those that are gone."""
    bundle = str(tmp_path / "b.tar")
    bundles.write(bundle, small_checkpoints["cat-mel_2bar_big"], name="x.ckpt", run={})
    found = finding.find(bundle, "--pretrained_path")
    weights = Weights(found)
    place = os.path.dirname(weights._prefix)
    cache.forget(place)
    assert weights.get("encoder/mu/bias").shape == (12,)
    del weights
    gc.collect()
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        Weights(found).get("encoder/mu/bias")
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == len(before)
    cache.forget(place)
    assert not os.path.exists(place)


@pytest.mark.parametrize("error", [errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT])
def test_a_folder_that_another_process_changes_meanwhile_is_tried_again(folder, monkeypatch, error):
    errors, make = [OSError(error, "changed", "entry")] * 2, cache._make

    def disturbed(*arguments):
        if errors:
            raise errors.pop()
        make(*arguments)

    monkeypatch.setattr(cache, "_make", disturbed)
    place, descriptor = cache.hold("entry", "1", whole="a", make=making())
    os.close(descriptor)
    assert os.path.isfile(os.path.join(place, "a"))


def test_what_never_gets_whole_or_cannot_be_found_is_given_up(folder):
    calls = []
    with pytest.raises(OSError, match="others change it"):
        cache.hold("entry", "1", whole="c", make=making(calls=calls))
    assert len(calls) == cache._TRIES

    def gone(path):
        calls.append(path)
        raise FileNotFoundError(path)

    with pytest.raises(FileNotFoundError):
        cache.hold("other", "1", whole="a", make=gone)
    assert len(calls) == 2 * cache._TRIES
    assert os.listdir(str(folder)) == ["entry"]
