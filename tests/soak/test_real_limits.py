"""What needs rights: a disk that really is full, and no way to any network. Run as root, on Linux."""

import contextlib
import os
import shutil
import subprocess
import sys

import pytest
from helpers import EXAMPLE, REPO, SMALL, check_whole, layers, weights_at

SIZES_KB = (4, 16, 64, 150, 400, 800, 1200, 1600, 2400, 5000)
ENOUGH_KB = 64 << 10
HPARAMS = layers(64)


@contextlib.contextmanager
def disk(path, kilobytes):
    """Mounts a file system of so many kB at `path`, and yields a function that makes it larger."""
    path.mkdir()
    subprocess.check_call(["mount", "-t", "tmpfs", "-o", "size=%dk" % kilobytes, "tmpfs", str(path)])
    try:
        yield lambda size: subprocess.check_call(["mount", "-o", "remount,size=%dk" % size, str(path)])
    finally:
        subprocess.check_call(["umount", str(path)])


def run(script, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, os.path.join(REPO, script), "--log=ERROR"] + list(arguments),
        stderr=subprocess.PIPE,
        env=dict(os.environ, **environment),
        text=True,
    )
    assert done.returncode in (0, 1), done.stderr
    assert len(done.stderr.splitlines()) == done.returncode, done.stderr
    return done.stderr


def training(run_dir):
    return "--config=" + SMALL, "--examples_path=" + EXAMPLE, "--hparams=" + HPARAMS, "--num_steps=50", run_dir


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("whole"))
    assert run("midime_train.py", *training("--run_dir=" + folder)) == ""
    return folder


def test_training_on_a_full_disk(whole, tmp_path):
    failed = 0
    for size in SIZES_KB:
        with disk(tmp_path / str(size), size) as grow:
            run_dir = str(tmp_path / str(size) / "run")
            error = run("midime_train.py", *training("--run_dir=" + run_dir))
            if error:
                failed += 1
                assert str(tmp_path / str(size)) in error
                assert "No space left on device" in error, error
                check_whole(str(tmp_path / str(size)))
            grow(ENOUGH_KB)
            assert run("midime_train.py", *training("--run_dir=" + run_dir)) == ""
            assert weights_at(run_dir) == weights_at(whole)
    print("\ntraining: %d disks, full in %d, then large enough and finished" % (len(SIZES_KB), failed))
    assert 5 < failed < len(SIZES_KB)


def test_generating_on_a_full_disk(whole, tmp_path):
    failed = 0
    arguments = ["--run_dir=" + whole, "--num_outputs=8", "--seed=1"]
    sizes = (4, 12, 24, 36, 48, 64, 96, 160)
    for size in sizes:
        with disk(tmp_path / str(size), size) as grow:
            out = tmp_path / str(size) / "generated"
            error = run("midime_generate.py", "--output_dir=%s" % out, *arguments)
            if error:
                failed += 1
                assert str(tmp_path / str(size)) in error
                assert "No space left on device" in error, error
                check_whole(str(out))
                # Either nothing is left of the run, or all but the page, which the next run writes.
                left = [name for name in os.listdir(str(out)) if name.endswith(".mid")]
                assert len(left) in (0, 8)
            grow(ENOUGH_KB)
            assert run("midime_generate.py", "--output_dir=%s" % out, *arguments) == ""
            check_whole(str(out))
    print("\ngenerating: %d disks, full in %d, then large enough and finished" % (len(sizes), failed))
    assert 3 < failed < len(sizes)


def test_unpacking_on_a_full_disk(whole, tmp_path):
    arguments = ["--run_dir=" + whole, "--num_outputs=1", "--output_dir=%s" % (tmp_path / "out")]
    with disk(tmp_path / "cache", 1000) as grow:
        cache = str(tmp_path / "cache" / "lc")
        error = run("midime_generate.py", *arguments, LC_MUSIC_VAE_CACHE=cache)
        assert "No space left on device" in error
        assert "set LC_MUSIC_VAE_CACHE to a folder with room" in error
        assert [names for _, _, names in os.walk(cache) if names] == []
        grow(ENOUGH_KB)
        assert run("midime_generate.py", *arguments, LC_MUSIC_VAE_CACHE=cache) == ""


def test_the_demo_without_any_network(tmp_path):
    assert shutil.which("unshare"), "unshare is needed (Debian: util-linux)"
    probe = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    isolated = ["unshare", "--net"]
    done = subprocess.run(isolated + [sys.executable, "-c", probe], stderr=subprocess.PIPE, text=True)
    assert "Network is unreachable" in done.stderr
    environment = dict(os.environ, OUT=str(tmp_path / "demo"), LC_MUSIC_VAE_CACHE=str(tmp_path / "cache"))
    demo = [os.path.join(REPO, "tools", "demo.sh"), sys.executable]
    subprocess.check_call(isolated + demo, env=environment)
    made = os.listdir(str(tmp_path / "demo" / "generated"))
    assert len([name for name in made if name.endswith(".mid")]) == 8 + 8 + 1
