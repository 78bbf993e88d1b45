"""What the tests share: songs, cut-down MusicVAEs with their checkpoints, and the scripts as functions."""

import collections
import contextlib
import copy
import logging
import os
import signal
import socket
import sys

import pytest

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)  # this checkout's package, whatever is installed
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

from helpers import AWKWARD, EXAMPLE, PNG, a_run, an_output, drum_beat, melody, tune, write_midi  # noqa: E402

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell started this in the background: commands that the tests stop with SIGINT would be deaf to it as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Who uses one of these trains, or loads a MusicVAE.
_SLOW_FIXTURES = {"trained", "model", "small_checkpoints", "cut_down", "script"}


def pytest_addoption(parser):
    parser.addoption("--fast", action="store_true", help="leave out tests that train, load a model or take seconds")
    parser.addoption("--every", action="store_true", help="run the tests of every MusicVAE, which take minutes, too")


def pytest_collection_modifyitems(config, items):
    def is_left_out(item):
        is_slow = item.get_closest_marker("slow") or _SLOW_FIXTURES.intersection(item.fixturenames)
        is_one_of_many = item.get_closest_marker("every") and not config.getoption("--every")
        return is_one_of_many or config.getoption("--fast") and is_slow

    left_out = [item for item in items if is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


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


@contextlib.contextmanager
def _small_networks():
    """Magenta's configs have small networks, under their real names; all but the one whose checkpoint ships."""
    from magenta.models.music_vae import configs

    originals = {name: config for name, config in configs.CONFIG_MAP.items() if name != "cat-mel_2bar_small"}
    for name, original in originals.items():
        config = copy.deepcopy(original)
        layers = len(config.hparams.enc_rnn_size), len(config.hparams.dec_rnn_size)
        config.hparams.set_hparam("enc_rnn_size", [24] * layers[0])
        config.hparams.set_hparam("dec_rnn_size", [16] * layers[1])
        config.hparams.set_hparam("z_size", 12)
        configs.CONFIG_MAP[name] = config
    try:
        yield
    finally:
        configs.CONFIG_MAP.update(originals)


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
        with files.locked(folder), _small_networks():
            if not os.path.exists(prefix + ".index"):
                save_random_checkpoint(name, prefix, seed=sum(map(ord, name)))
                tf.reset_default_graph()
        self[name] = prefix
        return prefix


@pytest.fixture(scope="session")
def small_checkpoints(tmp_path_factory):
    """Checkpoints of Magenta's configs with small networks: {name: prefix}, with random weights and Adam's slots."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return _Checkpoints(str(shared / "cut_down"))


@pytest.fixture
def cut_down(small_checkpoints):
    """The same, and as long as the test runs Magenta's configs are those of the small networks.

    They stand under their real names, so that commands and registry entries for the published models run as they are.
    """
    with _small_networks():
        yield small_checkpoints


@pytest.fixture
def no_pictures(monkeypatch):
    """Trains in half of the time: pictures, pages and knobs take the other, and are looked at elsewhere."""
    from lc_music_vae.checkpoints import run_json
    from lc_music_vae.training import looking_back
    from lc_music_vae.training import train as training

    nothing = looking_back.LookedBack(run_json.Latent(), None, [])
    monkeypatch.setattr(looking_back, "look_back", lambda *a, **k: nothing)
    monkeypatch.setattr(training, "_write_play_page", lambda *a, **k: False)


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


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folder of a finished training on the example song, with the checkpoint that ships."""
    import lc_music_vae

    folder = str(tmp_path_factory.mktemp("trained"))
    lc_music_vae.train("lc-cat-mel_2bar_small", EXAMPLE, folder, num_steps=500)
    return folder


@pytest.fixture(scope="session")
def model(trained):
    import lc_music_vae

    with lc_music_vae.TrainedModel(trained) as opened:
        yield opened


@pytest.fixture
def three_runs(tmp_path):
    """A folder of three runs that were generated: samples, drums, and one whose names are awkward."""
    from lc_music_vae.showing import page
    from lc_music_vae.system import files

    nearest = {"song": "ode_to_joy.mid", "bars": [5, 6], "similarity": 0.83, "copy": False}
    awkward = AWKWARD.replace("/", "") + ".mid"
    runs = [
        a_run(
            "a",
            [
                an_output("a0.mid", title="000", latent=[0.1, -1.2, 0.3, 2.0], nearest=nearest),
                an_output("a1.mid", title="001", nearest=dict(nearest, similarity=1.0, copy=True)),
            ],
        ),
        a_run(
            "b",
            [an_output("b.mid", audio="b.wav")],
            seed=2,
            written="2026-11-23_090807",
            inputs=["x.mid"],
            similarity=0.8,
        ),
        a_run("c", [an_output(awkward, title=AWKWARD, nearest=dict(nearest, song=AWKWARD))], mode="reconstruct"),
    ]
    write_midi(melody(tune(2, 1)), tmp_path / "a0.mid")
    write_midi(melody([(0, 1, 69), (1, 2.5, 60), (7, 7.5, 64)], qpm=90), tmp_path / "a1.mid")
    write_midi(drum_beat(2), tmp_path / "b.mid")
    write_midi(melody(tune(3, 2), time_signature=(3, 4)), tmp_path / awkward)
    (tmp_path / "b.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    for name in "abc":
        (tmp_path / (name + ".png")).write_bytes(PNG)
    files.write_json(str(tmp_path / page.INDEX), {"format": 1, "runs": runs})
    return tmp_path
