"""What the tests share: songs, cut-down MusicVAEs with their checkpoints, and the scripts as functions."""

import collections
import contextlib
import copy
import dataclasses
import glob
import logging
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell started this in the background: commands that the tests stop with SIGINT would be deaf to it as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

EXAMPLE = os.path.join(REPO, "examples", "ode_to_joy.mid")
# Real songs; tests/songs/README.md says where they are from.
SONGS = sorted(glob.glob(os.path.join(REPO, "tests", "songs", "*.mid")))


def pytest_runtest_setup(item):
    for mark in item.iter_markers("faults"):
        item.user_properties.append(("faults", mark.args[0]))


def pytest_terminal_summary(terminalreporter):
    """Shows how many faults were tried and survived: by a test as many as it records as "tried", else one."""
    tried, survived = collections.Counter(), collections.Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            kinds = [value for name, value in report.user_properties if name == "faults"]
            if kinds and report.when == "call":
                count = sum(value for name, value in report.user_properties if name == "tried") or 1
                tried[kinds[0]] += count
                survived[kinds[0]] += count * (outcome == "passed")
    if tried:
        terminalreporter.section("faults tried and survived")
        for kind in sorted(tried) + ["all"]:
            counts = [sum(c.values()) if kind == "all" else c[kind] for c in (tried, survived)]
            terminalreporter.line("%-48s %5d %5d" % (kind, *counts))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _no_network(request, monkeypatch):
    """Nothing is asked of the network; test_downloads may ask its own server, on this machine."""
    loopback = ("127.0.0.1",) if request.module.__name__ == "test_downloads" else ()

    def guarded(connect):
        def run(self, address):
            if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in loopback:
                raise AssertionError("a connection to %r" % (address,))
            return connect(self, address)

        return run

    def no_lookup(host, *rest, **names):
        if host not in loopback:
            raise AssertionError("a look-up of %r" % host)
        return look_up(host, *rest, **names)

    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", no_lookup)


@pytest.fixture(scope="session", autouse=True)
def _quiet_tensorflow():
    import tensorflow.compat.v1 as tf

    tf.get_logger().setLevel("ERROR")


class _Checkpoints(dict):
    """Prefixes of checkpoints with random weights and Adam's slots, by config; each is made when it is asked for.

    Where tests run in several processes, the first one makes it for all.
    """

    def __init__(self, folder):
        super().__init__()
        self._folder = folder

    def __missing__(self, name):
        import tensorflow.compat.v1 as tf

        from benchmarks.random_checkpoints import save_random_checkpoint
        from lc_music_vae.system import files

        folder = os.path.join(self._folder, name)
        os.makedirs(folder, exist_ok=True)
        prefix = os.path.join(folder, name + ".ckpt")
        with files.locked(folder):
            if not os.path.exists(prefix + ".index"):
                save_random_checkpoint(name, prefix, seed=sum(map(ord, name)))
                tf.reset_default_graph()
        self[name] = prefix
        return prefix


@pytest.fixture(scope="session")
def cut_down(tmp_path_factory):
    """Magenta's configs with small networks: {name: prefix of a checkpoint with random weights and Adam's slots}.

    They stand under their real names, so that commands and registry entries for the published models run as they are.
    """
    from magenta.models.music_vae import configs

    names = ("cat-mel_2bar_big", "hierdec-mel_16bar", "hier-mel_16bar", "cat-drums_2bar_small", "hierdec-trio_16bar")
    originals = {name: configs.CONFIG_MAP[name] for name in names}
    for name in names:
        config = copy.deepcopy(originals[name])
        layers = len(config.hparams.enc_rnn_size), len(config.hparams.dec_rnn_size)
        config.hparams.set_hparam("enc_rnn_size", [24] * layers[0])
        config.hparams.set_hparam("dec_rnn_size", [16] * layers[1])
        config.hparams.set_hparam("z_size", 12)
        configs.CONFIG_MAP[name] = config
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    yield _Checkpoints(str(shared / "cut_down"))
    configs.CONFIG_MAP.update(originals)


@pytest.fixture
def script(capsys):
    """Runs a script in this process: script('midime_train', '--config=...') -> (exit status, stdout, stderr)."""
    import midime_generate
    import midime_train

    mains = {"midime_train": midime_train.main, "midime_generate": midime_generate.main}

    def run(name, *arguments):
        try:
            mains[name]([name] + list(arguments))
            status = 0
        except SystemExit as e:
            status = e.code
        finally:
            # The script set them up for a process of its own.
            for name in ("lc_music_vae", "lc_music_vae.system.results"):
                logger = logging.getLogger(name)
                logger.handlers, logger.propagate = [], True
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def generate(mode, run_dir, output_dir=None, **values):
    """Calls `generate` with values put into their records."""
    from lc_music_vae import options
    from lc_music_vae.generation import generate as generating

    def record(kind, **more):
        names = {field.name for field in dataclasses.fields(kind)}
        return kind(**more, **{name: value for name, value in values.items() if name in names})

    return generating.generate(
        record(options.Request, mode=mode),
        record(options.ModelSource, run_dir=run_dir),
        output_dir,
        sampling=record(options.Sampling),
        sound=record(options.Sound),
        reading=record(options.Reading),
    )


def run_process(*arguments, **kwargs):
    """Runs Python on a script of the checkout, as a user would: CompletedProcess with text."""
    kwargs.setdefault("cwd", REPO)
    return subprocess.run(
        [sys.executable] + list(arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folder of a finished training on the example song, with the checkpoint that ships."""
    import lc_music_vae

    folder = str(tmp_path_factory.mktemp("trained"))
    lc_music_vae.train("lc-cat-mel_2bar_small", EXAMPLE, folder)
    return folder


@pytest.fixture(scope="session")
def model(trained):
    import lc_music_vae

    with lc_music_vae.TrainedModel(trained) as opened:
        yield opened


def melody(notes, qpm=120, program=0, time_signature=(4, 4), instrument=0, name=""):
    """Makes a NoteSequence from (start, end, pitch) in quarters."""
    import note_seq

    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=qpm)
    if time_signature:
        sequence.time_signatures.add(numerator=time_signature[0], denominator=time_signature[1])
    for start, end, pitch in notes:
        sequence.notes.add(
            pitch=pitch,
            velocity=80,
            start_time=start * 60 / qpm,
            end_time=end * 60 / qpm,
            program=program,
            instrument=instrument,
        )
    if name:
        sequence.instrument_infos.add(instrument=instrument, name=name)
    sequence.total_time = max(n[1] for n in notes) * 60 / qpm
    return sequence


@contextlib.contextmanager
def within(seconds):
    """Fails a test whose block hangs."""

    def give_up(number, frame):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def write_midi(sequence, path):
    import note_seq

    note_seq.note_sequence_to_midi_file(sequence, str(path))
    return str(path)


def tune(bars, seed=0):
    """A random melody without rests, `bars` bars of 4/4: [(start, end, pitch)] in quarters."""
    rng = np.random.RandomState(seed)
    notes, at = [], 0.0
    while at < 4 * bars:
        length = min(rng.choice([0.5, 1.0, 1.5]), 4 * bars - at)
        notes.append((at, at + length, int(rng.randint(60, 80))))
        at += length
    return notes


def drum_beat(bars):
    import note_seq

    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    for i in range(bars * 8):
        start = i * 0.25
        sequence.notes.add(pitch=42, velocity=90, start_time=start, end_time=start + 0.1, instrument=9, is_drum=True)
        if i % 4 == 0 or i == 5:
            sequence.notes.add(pitch=36, velocity=90, start_time=start, end_time=start + 3, instrument=9, is_drum=True)
    sequence.total_time = bars * 2
    return sequence


def drum_and_band(bars):
    """Drums, a melody and a bass."""
    band = drum_beat(bars)
    band.MergeFrom(melody(tune(bars), instrument=0))
    band.MergeFrom(melody(tune(bars, 1), instrument=1, program=33))
    return band
