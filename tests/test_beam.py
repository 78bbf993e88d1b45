"""An Apache Beam pipeline encodes what one process does, byte for byte. Where Beam is not installed, this is said."""

import sys

import pytest
from helpers import SMALL, layers, melody, one_line, tune, write_midi

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
    return {path.relative_to(run): path.read_bytes() for path in files}


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
