"""What takes minutes: commands killed at random moments, and one process that works for long. `make soak`."""

import collections
import ctypes
import gc
import os
import re
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np
import pytest
from helpers import EXAMPLE, REPO, SMALL, check_whole, layers, melody, tune, weights_at, write_midi

import lc_music_vae
from lc_music_vae.music import examples
from lc_music_vae.system import files

KILLS = int(os.environ.get("SOAK_KILLS", "50"))
SONGS = int(os.environ.get("SOAK_SONGS", "1000"))
HPARAMS = layers(64)
STEPS = 3000
# What the commands say as a stage begins.
STAGES = {"windows from": "building", "training from": "training", "curves and a map": "bundling", "wrote": "page"}


def command(script, *arguments):
    return [sys.executable, os.path.join(REPO, script)] + list(arguments)


def kill_after(arguments, seconds):
    """Starts the command, kills it after so long, and returns the stage that it was in; None if it had ended well."""
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, universal_newlines=True)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    said = process.stderr.read()
    process.stderr.close()
    if process.wait() == 0:
        return None
    assert process.returncode == -9, said
    stage = "starting, reading"
    for text, name in STAGES.items():
        stage = name if text in said else stage
    return stage


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nothing disturbed, and how long it took."""
    run_dir = str(tmp_path_factory.mktemp("whole"))
    began = time.monotonic()
    subprocess.check_call(training(run_dir))
    return run_dir, time.monotonic() - began


def training(run_dir):
    flags = ["--config=" + SMALL, "--examples_path=" + EXAMPLE, "--hparams=" + HPARAMS, "--num_steps=%d" % STEPS]
    return command("midime_train.py", "--run_dir=" + run_dir, *flags)


def show(title, counts):
    print("\n%s" % title)
    for stage, number in sorted(counts.items()):
        print("  %-20s %3d survived" % (stage, number))


def test_killed_trainings(whole, tmp_path):
    """Kills a training again and again until it gets through, then begins another."""
    chance = np.random.RandomState(0)
    survived, finished = collections.Counter(), 0
    run_dir = str(tmp_path / "run0")
    while sum(survived.values()) < KILLS:
        stage = kill_after(training(run_dir), chance.uniform(0.2, 0.9) * whole[1])
        if os.path.isdir(run_dir):
            check_whole(run_dir)
        if stage:
            survived[stage] += 1
            print("killed while %s" % stage, flush=True)
        else:
            assert weights_at(run_dir) == weights_at(whole[0])
            finished += 1
            run_dir = str(tmp_path / ("run%d" % finished))
    subprocess.check_call(training(run_dir))
    assert weights_at(run_dir) == weights_at(whole[0])
    survived["(trainings finished)"] = finished + 1
    show("killed trainings of %.1f s, by the stage they were in:" % whole[1], survived)


def test_killed_generating(whole, tmp_path):
    chance = np.random.RandomState(1)
    survived = collections.Counter()
    folder = str(tmp_path / "generated")
    arguments = command("midime_generate.py", "--run_dir=" + whole[0], "--output_dir=" + folder, "--num_outputs=4")
    began = time.monotonic()
    subprocess.check_call(arguments)
    took = time.monotonic() - began
    for _ in range(max(1, KILLS // 3)):
        survived[kill_after(arguments, chance.uniform(0.5, 1) * took) or "(ended before)"] += 1
        check_whole(folder)
    before = len(files.read_json(os.path.join(folder, "index.json"))["runs"])
    subprocess.check_call(arguments)
    assert len(files.read_json(os.path.join(folder, "index.json"))["runs"]) == before + 1
    show("killed generating of %.1f s, by the stage it was in:" % took, survived)


def test_killed_before_the_first_step(tmp_path, monkeypatch):
    """While TensorFlow is loaded, the bundle unpacked and songs are read and encoded: each time from nothing."""
    songs, chance = tmp_path / "songs", np.random.RandomState(2)
    songs.mkdir()
    for i in range(30):
        write_midi(melody(tune(40, i)), songs / ("%02d.mid" % i))
    flags = ["--config=" + SMALL, "--examples_path=%s" % songs, "--hparams=" + HPARAMS, "--num_steps=1"]

    def started(name):
        monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path / ("cache" + name)))
        return command("midime_train.py", "--run_dir=%s" % (tmp_path / ("run" + name)), *flags)

    began = time.monotonic()
    subprocess.check_call(started("whole"))
    took = time.monotonic() - began
    survived = collections.Counter()
    for i in range(max(1, KILLS // 2)):
        name = str(i)
        if kill_after(started(name), chance.uniform(0.1, 0.9) * took):
            run_dir, cache = tmp_path / ("run" + name), tmp_path / ("cache" + name)
            unpacked, encoded = list(cache.glob("*/*/*.index")), list((run_dir / "latents").glob("latents-*"))
            stage = "training" if encoded else "reading, encoding" if unpacked else "loading, unpacking"
            survived[stage if run_dir.exists() else "starting"] += 1
            check_whole(str(run_dir))
        subprocess.check_call(started(name))
        assert weights_at(str(tmp_path / ("run" + name))) == weights_at(str(tmp_path / "runwhole"))
        for folder in ("run" + name, "cache" + name):
            subprocess.check_call(["rm", "-rf", str(tmp_path / folder)])
    show("killed before the first step of %.1f s, by the stage they were in:" % took, survived)


class _MallInfo(ctypes.Structure):
    """glibc's `struct mallinfo`."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_int) for name in _names.split()]


class Held(NamedTuple):
    """What a process holds: MB of memory, MB that malloc has handed out, Python's blocks, and open files."""

    resident: float
    handed_out: float
    blocks: int
    open_files: int

    @classmethod
    def now(cls):
        gc.collect()
        libc = ctypes.CDLL("libc.so.6")
        libc.mallinfo.restype = _MallInfo
        info = libc.mallinfo()
        with open("/proc/self/status") as f:
            resident = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) / 1024
        handed_out = (info.uordblks + info.hblkhd) / 2**20
        return cls(resident, handed_out, sys.getallocatedblocks(), len(os.listdir("/proc/self/fd")))


def test_many_songs_in_one_process(tmp_path):
    print("\n song   MB  malloc's MB  Python's blocks  open files")
    marks = []
    for i in range(SONGS):
        song = write_midi(melody(tune(6, i)), tmp_path / "song.mid")
        run_dir = str(tmp_path / ("run%d" % (i % 3)))
        subprocess.check_call(["rm", "-rf", run_dir])
        lc_music_vae.train(SMALL, song, run_dir, num_steps=3, hparams=HPARAMS)
        with lc_music_vae.TrainedModel(run_dir) as model:
            assert len(model.sample(2)) == 2
            model.reconstruct(next(examples.read(song)).note_sequence)
        if (i + 1) % max(1, SONGS // 10) == 0:
            marks.append(Held.now())
            print("%5d %4.0f %12.1f %16d %11d" % (i + 1, *marks[-1]), flush=True)
    half, end = marks[len(marks) // 2 - 1], marks[-1]
    songs = SONGS / 2
    assert end.open_files <= half.open_files + 1
    # Less than one object a song; of a list of shapes alone there would be dozens.
    assert end.blocks - half.blocks < songs
    # TensorFlow loses a few kB with the sessions of a song; what malloc keeps for later goes up in steps.
    assert end.handed_out - half.handed_out < 0.01 * songs
    assert end.resident - half.resident < 5 + 0.03 * songs
