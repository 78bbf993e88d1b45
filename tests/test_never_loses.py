"""Whatever stops a command: nothing is half-written, one line says what happened, and the same command goes on."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from helpers import (
    EXAMPLE,
    LOCK,
    REPO,
    SMALL,
    WEIGHTS,
    generate,
    half_written,
    layers,
    melody,
    run_process,
    state_of,
    train,
    tune,
    weights_at,
    write_midi,
)

import lc_music_vae
from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.encoding import latents
from lc_music_vae.errors import InputError
from lc_music_vae.models import music_vae
from lc_music_vae.system import files, interrupts
from lc_music_vae.training import hooks, summaries

pytestmark = [pytest.mark.faults("signals, locks, full disks, what changes or goes"), pytest.mark.slow]

SIZES = layers(16)


@contextlib.contextmanager
def full_disk(most=0):
    """No file can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_interrupts_are_postponed_and_then_come_as_what_they_are():
    handler = signal.getsignal(signal.SIGINT)
    seen = []

    def interrupted():
        with interrupts.postponed() as came:
            os.kill(os.getpid(), signal.SIGINT)
            seen.extend([list(came), signal.getsignal(signal.SIGINT)])

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen == [[signal.SIGINT], handler]  # a second Ctrl-C is not kept
    assert signal.getsignal(signal.SIGINT) is handler
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    threads = []
    with interrupts.postponed():
        thread = threading.Thread(target=lambda: threads.append(list(interrupts.postponed().__enter__())))
        thread.start()
        thread.join()
    assert threads == [[]]  # outside the main thread Python allows no handlers, and needs none


def test_ctrl_c_in_a_notebook_writes_a_checkpoint_and_comes_through(tmp_path, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)
    steps = []

    def after_run(self, context, values):
        steps.append(None)
        if len(steps) == 6:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(hooks.Progress, "after_run", after_run)
    with pytest.raises(KeyboardInterrupt, match="at step 6 of 20"):
        train(tmp_path / "run", num_steps=20, hparams=SIZES)
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is handler
    assert run_dir_lib.at(str(tmp_path / "run")).latest()[1] == 6
    train(tmp_path / "run", num_steps=20)
    train(tmp_path / "whole", num_steps=20, hparams=SIZES)
    assert weights_at(tmp_path / "run") == weights_at(tmp_path / "whole")


def test_sigterm_while_songs_are_read(tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    first = write_midi(melody(tune(16)), songs / "000.mid")
    for i in range(1, 400):
        os.link(first, str(songs / ("%03d.mid" % i)))
    run_dir = tmp_path / "run"
    arguments = ["--config=" + SMALL, "--examples_path=%s" % songs, "--run_dir=%s" % run_dir]
    script = [sys.executable, os.path.join(REPO, "midime_train.py")] + arguments
    process = subprocess.Popen(script, stderr=subprocess.PIPE, universal_newlines=True)
    for _ in range(600):
        if list((run_dir / "latents").glob("latents-*.json")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    error = process.stderr.read()
    assert process.wait() == 143
    assert time.monotonic() - began < 2
    last = error.splitlines()[-1]
    assert last == "midime_train: stopped while songs were read; the same command goes on from there"
    assert not half_written(run_dir)
    whole = sorted(name for name in os.listdir(str(run_dir / "latents")))
    assert whole == sorted(n for n in whole if n + ".json" in whole or n[: -len(".json")] in whole)


# A command whose encoder computes without end, in one call, and says so when it begins.
ENDLESS = """
import sys
import tensorflow.compat.v1 as tf
from lc_music_vae.models import music_vae
import midime_train

def encode(self, inputs, lengths, controls):
    with tf.Graph().as_default(), tf.Session() as session:
        loop = tf.while_loop(lambda i: i >= 0, lambda i: tf.abs(i) % 7, [tf.constant(1)])
        print("computing", file=sys.stderr, flush=True)
        session.run(loop)

music_vae.Encoder.encode = encode
midime_train.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_heard_while_tensorflow_computes_one_batch(number, tmp_path):
    arguments = ["--config=" + SMALL, "--examples_path=" + EXAMPLE, "--run_dir=%s" % (tmp_path / "run")]
    script = [sys.executable, "-W", "ignore", "-c", ENDLESS] + arguments
    process = subprocess.Popen(script, stderr=subprocess.PIPE, universal_newlines=True, cwd=REPO)
    for line in process.stderr:
        if line == "computing\n":
            break
    time.sleep(0.2)
    process.send_signal(number)
    began = time.monotonic()
    error = process.stderr.read()
    assert process.wait() == 128 + number
    assert time.monotonic() - began < 2
    assert error == "midime_train: stopped while songs were read; the same command goes on from there\n"
    assert not half_written(tmp_path / "run" / "train")
    train(tmp_path / "run", num_steps=1, hparams=SIZES)


def test_who_hears_a_signal_has_time_to_end(tmp_path):
    """As long as the main thread does something after the signal, it is left alone."""
    code = """
import os, signal, sys, time
from lc_music_vae.system import interrupts
with interrupts.not_unheard(lambda number, where: os._exit(99), seconds=0.3):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    except KeyboardInterrupt:
        time.sleep(1)  # writes its last checkpoint
        sys.exit(7)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO).returncode == 7
    ignored = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + code.replace("sleep(5)", "sleep(1)")
    assert subprocess.run([sys.executable, "-c", ignored], cwd=REPO).returncode == 0  # as under nohup


@pytest.mark.parametrize(("block", "status"), [("contextlib.ExitStack()", 99), ("interrupts.postponed()", 7)])
def test_one_long_call_is_cut_short_unless_signals_are_postponed_there(block, status):
    code = """
import contextlib, hashlib, os, signal, sys, threading
from lc_music_vae.system import interrupts

def give_up(number, where):
    print(number, where, flush=True)
    os._exit(99)

with interrupts.not_unheard(give_up, seconds=0.2):
    try:
        with interrupts.saying(lambda: "in the run"), interrupts.saying(lambda: "at step 5"), %s:
            threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
            hashlib.pbkdf2_hmac("sha256", b"a", b"b", 4000000)  # seconds, in which Python has no say
    except KeyboardInterrupt:
        sys.exit(7)
"""
    done = subprocess.run([sys.executable, "-c", code % block], cwd=REPO, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (status, b"2 at step 5\n" if status == 99 else b"")


def test_listening_ends_without_a_word(capfd):
    before = threading.active_count()
    with interrupts.not_unheard(lambda number, where: os._exit(99)):
        assert threading.active_count() == before + 1
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
    assert capfd.readouterr() == ("", "")


def test_sigterm_ends_generating_with_its_own_last_line(trained, tmp_path, script, monkeypatch):
    class Ended(BaseException):
        pass

    def end(status):
        raise Ended(status)

    monkeypatch.setattr(os, "_exit", end)
    decode = music_vae.Decoder.decode
    monkeypatch.setattr(
        music_vae.Decoder,
        "decode",
        lambda *a, **k: (os.kill(os.getpid(), signal.SIGTERM), decode(*a, **k), time.sleep(1)),
    )
    with pytest.raises(Ended, match="143"):
        script("midime_generate", "--run_dir=" + trained, "--output_dir=%s" % tmp_path)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert os.listdir(str(tmp_path)) == []


def test_a_run_dir_has_one_training_and_any_number_of_readers(trained, tmp_path):
    run_dir = shutil.copytree(trained, str(tmp_path / "run"))
    with run_dir_lib.at(run_dir).held():
        before = state_of(run_dir)
        message = "run_dir=%s: process %d is training there; wait until it ends" % (run_dir, os.getpid())
        with pytest.raises(InputError, match=message):
            train(run_dir, num_steps=501)
        arguments = ["--config=" + SMALL, "--examples_path=" + EXAMPLE, "--run_dir=" + run_dir, "--num_steps=501"]
        code = "import sys, midime_train\ntry:\n    midime_train.main(['midime_train'] + sys.argv[1:])\nfinally:\n"
        refused = run_process("-c", code + "    assert 'tensorflow' not in sys.modules", *arguments)
        assert (refused.returncode, message in refused.stderr) == (1, True)
        assert len(refused.stderr.splitlines()) == 1
        assert state_of(run_dir) == before
        lc_music_vae.evaluate(run_dir)
        generate("sample", run_dir, num_outputs=1)
    train(run_dir, num_steps=501)


def test_a_dead_process_holds_nothing(tmp_path):
    code = "import sys, time\nfrom lc_music_vae.checkpoints import run_dir\nwith run_dir.at(sys.argv[1]).held():\n"
    command = [sys.executable, "-c", code + "    print(1, flush=True)\n    time.sleep(60)", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPO)
    process.stdout.readline()
    with pytest.raises(InputError, match="process %d is training" % process.pid), run_dir_lib.at(str(tmp_path)).held():
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    (tmp_path / ".lc_music_vae-scratch-a1b2c3d4").mkdir()
    (tmp_path / ".lc_music_vae-scratch-a1b2c3d4" / "run.json").write_text("{")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / ("checkpoint.tmp" + 32 * "0")).write_text("")
    (tmp_path / "train" / "model.ckpt-5.index").write_text("")
    with run_dir_lib.at(str(tmp_path)).held():
        left = [os.path.relpath(path, str(tmp_path)) for path in state_of(tmp_path)]
        assert sorted(left) == [LOCK, "train/model.ckpt-5.index"]


def test_a_run_dir_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / LOCK).mkdir()
    with pytest.raises(InputError, match="run_dir=%s cannot be written .Is a directory" % tmp_path):
        train(tmp_path, num_steps=1)


@pytest.fixture(autouse=True)
def _unpacked(_own_cache):
    """MusicVAE's weights lie in the cache before a disk is full."""
    Weights(finding.shipped(WEIGHTS))


# A limit for each file in turn: the lock, latents, a checkpoint.
@pytest.mark.parametrize(("most", "named"), [(0, "run_dir="), (1000, "latents-00000"), (1000000, "train ")])
def test_training_on_a_full_disk_is_one_line_and_goes_on(tmp_path, most, named):
    with full_disk(most), pytest.raises(InputError) as error:
        train(tmp_path / "run", num_steps=3)
    assert "cannot be written" in str(error.value)
    assert named in str(error.value).replace("train:", "train ")
    assert str(tmp_path / "run") in str(error.value)
    assert not (tmp_path / "run" / (SMALL + ".tar")).exists()
    train(tmp_path / "run", num_steps=3, hparams="")
    assert run_dir_lib.at(str(tmp_path / "run")).latest()[1] == 3
    assert not half_written(tmp_path / "run")
    assert finding.find(str(tmp_path / "run" / (SMALL + ".tar")), "--checkpoint_file").run["config"] == SMALL


def test_a_checkpoint_that_cannot_be_written_in_the_middle_of_training_is_not_its_end(tmp_path, monkeypatch):
    """TensorFlow takes EFBIG for "out of range", which Estimator takes for the end of the data."""
    limit = contextlib.ExitStack()
    after_run = hooks.Progress.after_run

    def full_from_step_4(self, context, values):
        if self._step == 4:
            limit.enter_context(full_disk(1000))
        after_run(self, context, values)

    monkeypatch.setattr(hooks.Progress, "after_run", full_from_step_4)
    with limit, pytest.raises(InputError, match="cannot be written"):
        train(tmp_path / "run", num_steps=10, hparams=SIZES)
    monkeypatch.undo()
    assert run_dir_lib.at(str(tmp_path / "run")).latest()[1] == 0
    train(tmp_path / "run", num_steps=10)
    train(tmp_path / "whole", num_steps=10, hparams=SIZES)
    assert weights_at(tmp_path / "run") == weights_at(tmp_path / "whole")


def test_bundle_and_pictures_on_a_full_disk(trained, tmp_path):
    run_dir = shutil.copytree(trained, str(tmp_path / "run"))
    bundle = os.path.join(run_dir, SMALL + ".tar")
    with open(bundle, "rb") as f:
        whole = f.read()
    os.remove(bundle)
    for most, named in ((20000, "training.png"), (200000, "songs.npz"), (1000000, SMALL + ".tar")):
        with full_disk(most), pytest.raises(InputError, match=named + " cannot be written .File too large"):
            train(run_dir)
        assert not os.path.exists(bundle)
    train(run_dir)
    with open(bundle, "rb") as f:
        assert f.read() == whole


def test_events_of_eval_on_a_full_disk(trained, tmp_path):
    run_dir = shutil.copytree(trained, str(tmp_path / "run"))
    with full_disk(8000), pytest.raises(InputError, match="cannot be written .File too large"):
        lc_music_vae.evaluate(
            run_dir, eval_dir_suffix="_full"
        )  # TensorFlow 2 notices it in a scratch folder of Estimator's already
    assert not [path for path in state_of(os.path.join(run_dir, "eval_full")) if "tfevents" in path]
    lc_music_vae.evaluate(run_dir, eval_dir_suffix="_full")
    assert summaries.read_scalars(os.path.join(run_dir, "eval_full"))["loss"]


@pytest.mark.parametrize(("most", "named"), [(0, ".mid"), (20, ".mid"), (400, ".png"), (10000, "index.json")])
def test_generating_on_a_full_disk_leaves_nothing_of_that_run(trained, tmp_path, most, named):
    if named == "index.json":  # as after many runs
        files.write_json(str(tmp_path / named), {"format": 1, "runs": [], "more": "x" * 20000})
    before = state_of(tmp_path)
    with full_disk(most), pytest.raises(InputError, match=r"%s cannot be written .File too large" % named):
        generate("sample", trained, num_outputs=2, output_dir=str(tmp_path), seed=1)
    assert state_of(tmp_path) == before
    paths = generate("sample", trained, num_outputs=2, output_dir=str(tmp_path), seed=1)
    assert all(os.path.getsize(path) for path in paths)


def test_page_and_sound_on_a_full_disk(trained, tmp_path):
    from lc_music_vae.showing import audio, page

    generate("sample", trained, num_outputs=1, output_dir=str(tmp_path))
    before = state_of(tmp_path)
    with full_disk(1000):
        with pytest.raises(InputError, match="index.html cannot be written"):
            page.write(str(tmp_path))
        with pytest.raises(InputError, match="a.wav cannot be written"):
            audio.render(melody(tune(2)), str(tmp_path / "a.wav"), audio.Engine())
    assert state_of(tmp_path) == before


def test_what_changes_while_it_is_read_is_named(tmp_path, monkeypatch):
    song = write_midi(melody(tune(4)), tmp_path / "song.mid")
    encode = music_vae.Encoder.encode

    def changing(self, inputs, lengths, controls):
        write_midi(melody(tune(6, 2)), song)
        return encode(self, inputs, lengths, controls)

    monkeypatch.setattr(music_vae.Encoder, "encode", changing)
    with pytest.raises(InputError, match="song.mid changed while it was read"):
        train(tmp_path / "run", song, num_steps=1, hparams=SIZES)
    monkeypatch.undo()
    train(tmp_path / "run", song, num_steps=1, hparams=SIZES)
    assert files.read_json(str(tmp_path / "run" / "run.json"))["examples"]["windows"] == 5

    copied = shutil.copy(os.path.join(finding.SHIPPED, WEIGHTS), str(tmp_path / "same.tar"))
    complete = latents.complete
    monkeypatch.setattr(latents, "complete", lambda *a, **k: (complete(*a, **k), os.utime(copied, (1, 1)))[0])
    with pytest.raises(InputError, match="same.tar changed while it was read"):
        train(tmp_path / "run", song, num_steps=2, pretrained_path=copied)


def test_a_run_dir_that_vanishes_is_one_line(tmp_path, monkeypatch):
    run_dir = tmp_path / "run"

    def vanish(self, context, values):
        shutil.rmtree(str(run_dir), ignore_errors=True)

    monkeypatch.setattr(hooks.Progress, "after_run", vanish)
    with pytest.raises(InputError, match="%s/train cannot be written" % run_dir):
        train(run_dir, num_steps=3, hparams=SIZES)
