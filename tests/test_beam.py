"""An Apache Beam pipeline encodes what one process does, byte for byte. Where Beam is not installed, this is said."""

import os
import signal
import subprocess
import sys

import pytest
from helpers import REPO, SMALL, layers, melody, one_line, parent_of, tune, wait_until, write_midi

import lc_music_vae
from lc_music_vae.checkpoints.shards import Row, Shard
from lc_music_vae.encoding import beam, latents

pytestmark = pytest.mark.slow

SONGS = 12
MULTI = "--direct_running_mode=multi_processing --direct_num_workers=2"


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """A folder of songs of 2 to 14 bars, one of a single bar, and a file that is no music."""
    folder = tmp_path_factory.mktemp("collection") / "songs"
    folder.mkdir()
    for i in range(SONGS):
        write_midi(melody(tune(2 + i * 7 % 13, i)), folder / ("%02d.mid" % i))
    write_midi(melody(tune(1, 99)), folder / "short.mid")
    (folder / "broken.mid").write_bytes(b"MThd no music")
    return folder


@pytest.fixture(scope="module")
def whole(collection, tmp_path_factory):
    """The run folder that one process encodes, without Beam."""
    run = tmp_path_factory.mktemp("whole") / "run"
    encode(run, collection, holdout=0.3)
    return run


@pytest.fixture
def _beam():
    pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install --no-deps -r requirements-beam.txt")


@pytest.fixture
def job_service():
    """The address of a job service on this machine."""
    from apache_beam.runners.portability import local_job_service

    service = local_job_service.LocalJobServicer()
    yield "localhost:%d" % service.start_grpc_server()
    service.stop()


def encode(run, collection, **named):
    return lc_music_vae.encode(SMALL, str(collection), str(run), **named)


def content_of(run):
    """The bytes of each file of latents, and of each file beside it."""
    files = [path for name in ("latents", "holdout") for path in (run / name).iterdir() if path.name != "songs.json"]
    # What killed processes leave are folders; training removes them.
    return {path.relative_to(run): path.read_bytes() for path in files if path.is_file()}


@pytest.mark.usefixtures("_beam", "no_pictures")
@pytest.mark.parametrize("beam_args", [None, MULTI])
def test_a_pipeline_makes_what_one_process_makes(beam_args, collection, whole, tmp_path, caplog, monkeypatch):
    """Training then encodes nothing, and its table is the same."""
    with caplog.at_level("INFO"):
        encode(tmp_path / "run", collection, holdout=0.3, runner="beam", beam_args=beam_args)
    windows = sum(1 for _ in latents.read([str(path) for path in (whole / "latents").glob("*.tfrecord")]))
    why = "1 cannot be read, 1 no n bars together within n to n % of it, 1 too short"
    assert "beam: 14 songs read (left out: %s), %d windows, " % (why, windows) in caplog.text
    assert content_of(tmp_path / "run") == content_of(whole)
    monkeypatch.setattr(latents, "_encode", None)
    tables = []
    for run in (tmp_path / "run", whole):
        lc_music_vae.train(None, None, str(run), num_steps=1, hparams=layers(8))
        tables.append((run / "examples.tsv").read_bytes())
    assert tables[0] == tables[1]
    assert tables[0].count(b"\n") == SONGS + 3


@pytest.mark.usefixtures("_beam")
def test_a_job_service_makes_what_one_process_makes(collection, whole, tmp_path, job_service):
    """Workers of the portable runner, in shares, and behind what is there."""
    arguments = "--runner=PortableRunner --job_endpoint=%s --environment_type=LOOPBACK" % job_service
    first = encode(tmp_path / "run", collection, holdout=0.3, shard="1/2", runner="beam", beam_args=arguments)
    before = content_of(tmp_path / "run")
    assert len(before) == 4 * len(first)  # latents and holdout, with their records
    encode(tmp_path / "run", collection, runner="beam", beam_args=arguments)
    assert content_of(tmp_path / "run") == content_of(whole)


@pytest.mark.usefixtures("_beam")
def test_what_goes_wrong_in_a_worker_is_one_line(collection, tmp_path, monkeypatch):
    def changed(songs):
        raise lc_music_vae.InputError("%s changed while it was read" % songs[0].path)

    monkeypatch.setattr(latents, "_check_unchanged", changed)
    error = one_line(encode, tmp_path / "run", collection, runner="beam")
    assert error.endswith(".mid changed while it was read")
    monkeypatch.setattr(latents, "_check_unchanged", lambda songs: 1 / 0)
    error = one_line(encode, tmp_path / "run", collection, runner="beam")
    assert "the pipeline failed (ZeroDivisionError: division by zero" in error


@pytest.mark.every
@pytest.mark.usefixtures("_beam")
def test_two_hundred_songs_in_both_runners(tmp_path):
    """In memory and in four processes: the records, byte for byte, that one process makes without Beam."""
    collection = tmp_path / "songs"
    collection.mkdir()
    for i in range(200):
        write_midi(melody(tune(2 + i * 7 % 13, i)), collection / ("%03d.mid" % i))
    encode(tmp_path / "one", collection, holdout=0.3)
    one = content_of(tmp_path / "one")
    assert len(one) > 4 * 100
    for name, beam_args in (("memory", None), ("processes", MULTI.replace("=2", "=4"))):
        encode(tmp_path / name, collection, holdout=0.3, runner="beam", beam_args=beam_args)
        assert content_of(tmp_path / name) == one


def workers_of(command):
    """The processes of a pipeline that encode, of the process of a command."""
    found = []
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        parent = parent_of(pid)
        try:
            with open("/proc/%d/cmdline" % pid) as f:
                words = f.read().split("\0")
        except OSError:  # it has ended
            continue
        # Those that a shell has started, too, but not the shells.
        if words[0] == sys.executable and any(word.endswith("sdk_worker_main") for word in words):
            found += [pid] if command in (parent, parent and parent_of(parent)) else []
    return sorted(found)


@pytest.mark.usefixtures("_beam")
@pytest.mark.skipif(not os.path.isdir("/proc"), reason="finds processes in /proc")
@pytest.mark.faults("signals, locks, full disks, what changes or goes")
@pytest.mark.parametrize(("pieces", "killed"), [(0, 1), (2, 1), (2, 2)])
def test_a_worker_that_is_killed_ends_the_pipeline_in_one_line(pieces, killed, collection, whole, tmp_path):
    """Beam alone would wait for ever. Nothing that is encoded is lost, and the same command goes on."""
    run = tmp_path / "run"
    script = [sys.executable, "-W", "ignore", os.path.join(REPO, "midime_train.py"), "--mode=encode", "--holdout=0.3"]
    script += ["--config=" + SMALL, "--examples_path=%s" % collection, "--run_dir=%s" % run, "--runner=beam"]
    command = subprocess.Popen([*script, "--beam_args=" + MULTI], stderr=subprocess.PIPE, universal_newlines=True)
    try:
        wait_until(lambda: len(list(run.glob("latents/*.tfrecord.json"))) >= pieces, 120)
        wait_until(lambda: len(workers_of(command.pid)) == 2, 60)
        for worker in workers_of(command.pid)[:killed]:
            os.kill(worker, signal.SIGKILL)
        said = command.communicate(timeout=120)[1]
    finally:
        command.kill()
    assert command.returncode == 1
    assert "a worker of the pipeline has ended" in said.splitlines()[-1]
    assert said.splitlines()[-1].endswith("what is encoded is kept, and the same command goes on")
    assert sys.version_info < (3, 8) or "Traceback" not in said
    before = {path: os.stat(str(path)).st_mtime_ns for path in run.glob("latents/*.json")}
    assert len(before) >= pieces
    encode(run, collection, runner="beam")
    assert content_of(run) == content_of(whole)
    assert {path: os.stat(str(path)).st_mtime_ns for path in before} == before


@pytest.mark.usefixtures("_beam")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--nonsense=3", "beam_args=--nonsense=3: Beam knows no argument called nonsense"),
        (
            "--direct_num_workers=x",
            "beam_args=--direct_num_workers=x: Beam does not take them (argument direct_num_workers: invalid int "
            "value: 'x')",
        ),
        ("'", "beam_args=': Beam does not take them (No closing quotation)"),
    ],
)
def test_arguments_that_beam_does_not_take_are_said(arguments, said, collection, tmp_path):
    assert one_line(encode, tmp_path / "run", collection, runner="beam", beam_args=arguments) == said
    assert not (tmp_path / "run").exists()


def test_without_beam_its_runner_says_what_to_install_and_nothing_else_needs_it(collection, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    error = one_line(encode, tmp_path / "run", collection, runner="beam")
    assert error.startswith("runner=beam needs Apache Beam")
    assert error.endswith("install what is in requirements-beam.txt")
    assert not (tmp_path / "run").exists()
    error = one_line(encode, tmp_path / "run", collection, beam_args="--direct_num_workers=2")
    assert error == "beam_args=--direct_num_workers=2 is for runner=beam; leave it out, or give that"
    assert len(encode(tmp_path / "run", collection, shard="1/7")) == 2


def test_a_job_service_that_takes_longer_than_beam_waits_is_said():
    """What Beam raises is an error of a connection, whose text has several lines and whose last is a bracket."""

    class BrokenError(Exception):
        def __str__(self):
            return '<RPC that terminated with:\n\tstatus = X\n\tdetails = "%s"\n\tdebug = "UNKNOWN"\n>' % self.args[0]

    assert "give beam_args=--job_server_timeout=86400" in str(beam._failed(BrokenError("Deadline Exceeded")))
    assert "the pipeline failed (no such port); log=DEBUG says more" in str(beam._failed(BrokenError("no such port")))


def test_counters_are_few():
    """What is of one song alone is not in their names."""
    rows = [
        Row("/a.mid", 0, "", "too short: 1 of 2 bars; --config=lc-x would read it"),
        Row("/b.mid", 0, "", "too short: 0 of 2 bars"),
        Row("/c.mid", 0, "", "/c.mid: not a MIDI file"),
        Row("/d.mid", 0, "", "no 2 bars of 4/4"),
        Row("/e.mid", 3, "1", "3 bars of 3/4"),
    ]
    assert beam._counted(Shard(3, rows, {}, {}, {}, {})) == {
        "songs read": 5,
        "windows": 3,
        "songs left out: too short": 2,
        "songs left out: cannot be read": 1,
        "songs left out: no n bars of n/n": 1,
    }
