"""Songs and run folders at addresses, on a file system that Beam knows and this machine does not: as on paths."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from helpers import REPO, SMALL, half_written, layers, melody, one_line, tune, write_midi

import lc_music_vae
from lc_music_vae.checkpoints import finding, shards
from lc_music_vae.encoding import beam, latents
from lc_music_vae.system import addresses

pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install --no-deps -r requirements-beam.txt")
shelf = pytest.importorskip("shelf")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures")]

SONGS = 8
SONGS_AT, RUN_AT = "shelf://box/songs", "shelf://box/run"
MULTI = "--direct_running_mode=multi_processing --direct_num_workers=2 --beam_plugins=shelf"


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """A folder with a folder in it: songs, one of a single bar, a tunebook, a file that is no music, and a text."""
    folder = tmp_path_factory.mktemp("collection") / "songs"
    (folder / "more [*]").mkdir(parents=True)
    for i in range(SONGS):
        write_midi(melody(tune(4 + i * 5 % 9, i)), folder / ("more [*]" if i % 3 == 2 else "") / ("%02d é.mid" % i))
    write_midi(melody(tune(1, 99)), folder / "short.mid")
    (folder / "two.abc").write_text("".join("X:%d\nM:4/4\nL:1/4\nK:C\n" % i + "CDEF|" * 4 + "\n\n" for i in (1, 2)))
    (folder / "broken.mid").write_bytes(b"MThd no music")
    (folder / "text.txt").write_bytes(b"")
    (folder / ".hidden.mid").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def whole(collection, tmp_path_factory):
    """The run folder that one process encodes, without Beam and addresses."""
    run = tmp_path_factory.mktemp("whole") / "run"
    lc_music_vae.encode(SMALL, str(collection), str(run), holdout=0.3)
    return run


@pytest.fixture
def _shelf(collection, tmp_path, monkeypatch):
    """The songs on the shelf."""
    (tmp_path / "shelf").mkdir()
    monkeypatch.setenv(shelf.FOLDER, str(tmp_path / "shelf"))
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(shelf.__file__))
    for path in collection.rglob("*.*"):
        shutil.copy(str(path), shelf.path_of(addresses.join(SONGS_AT, str(path.relative_to(collection)))))


def encode(songs=SONGS_AT, run=RUN_AT, **named):
    return lc_music_vae.encode(SMALL, songs, run, runner="beam", **named)


def taken_down(folder):
    """Copies the run folder from the shelf, as `gsutil cp -r` does; returns the copy."""
    for name in os.listdir(os.environ[shelf.FOLDER]):
        there = "shelf://" + name.replace("%", "/")
        if there.startswith(RUN_AT):
            path = str(folder) + there[len(RUN_AT) :]
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy(shelf.path_of(there), path)
    return folder


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, content):
    with open(path, "wb") as f:
        f.write(content)


def all_there():
    """What is on the shelf: the bytes of each file, and when it was written."""
    folder = os.environ[shelf.FOLDER]
    paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    return {path: (read(path), os.stat(path).st_mtime_ns) for path in paths}


def records_of(run, name):
    """Every record of a run's latents but the song's name; that by itself; and the tables of their pieces."""
    paths = sorted(str(path) for path in (run / name).glob("*.tfrecord"))
    found = [{k: getattr(v, "tolist", lambda v=v: v)() for k, v in one.items()} for one in latents.read(paths)]
    tables = [shards.read_record(path).made for path in paths]
    return [record.pop("song") for record in found], found, tables


@pytest.mark.usefixtures("_shelf")
@pytest.mark.parametrize("beam_args", [None, MULTI])
def test_what_is_encoded_at_an_address_is_copied_and_trained_on(beam_args, collection, whole, tmp_path, monkeypatch):
    """The latents are those of the same songs on this machine, bit for bit; but a song's name is its address."""

    def renamed(text):
        return text.replace(SONGS_AT + "/", str(collection) + "/")

    made = encode(holdout=0.3, beam_args=beam_args)
    assert made[0] == RUN_AT + "/latents/" + sorted(path.name for path in (whole / "latents").glob("*.tfrecord"))[0]
    run = taken_down(tmp_path / "run")
    assert not list(run.rglob("*scratch*"))
    for name in ("latents", "holdout"):
        assert sorted(p.name for p in (run / name).iterdir()) == sorted(p.name for p in (whole / name).iterdir())
        (names, found, tables), (names_here, found_here, tables_here) = (records_of(one, name) for one in (run, whole))
        assert found == found_here
        assert len(found) > SONGS
        assert names[0].startswith(SONGS_AT)
        assert list(map(renamed, names)) == names_here
        rows = [[[renamed(str(part)) for part in row] for row in table.rows] for table in tables]
        assert rows == [[[str(part) for part in row] for row in table.rows] for table in tables_here]
        assert [table._replace(rows=[]) for table in tables] == [table._replace(rows=[]) for table in tables_here]
    monkeypatch.setattr(latents, "_encode", None)
    shutil.rmtree(os.environ[shelf.FOLDER])
    for one in (run, whole):
        lc_music_vae.train(None, None, str(one), num_steps=1, hparams=layers(8))
    assert renamed((run / "examples.tsv").read_text()) == (whole / "examples.tsv").read_text()
    lc_music_vae.train(SMALL, SONGS_AT, str(run), num_steps=2, hparams=layers(8))
    lc_music_vae.evaluate(str(run))


@pytest.mark.usefixtures("_shelf")
def test_nothing_is_encoded_twice_and_what_was_killed_is_made_again(monkeypatch):
    """In shares; after a piece without its record, one whose file is cut off, and one whose record is."""
    first = encode(shard="1/2")
    before = all_there()
    assert len([path for path in before if path.endswith(".tfrecord")]) == len(first)
    everything = encode()
    after = all_there()
    assert {path: after[path] for path in before} == before
    assert set(first) < set(everything)
    encode(songs=None)
    assert all_there() == after
    os.remove(shelf.path_of(everything[0] + ".json"))
    os.truncate(shelf.path_of(everything[1]), 10)
    os.truncate(shelf.path_of(everything[2] + ".json"), 10)
    encode(songs=None)
    again = all_there()
    assert {path: of[0] for path, of in again.items()} == {path: of[0] for path, of in after.items()}
    written = {path for path in again if again[path][1] != after[path][1]}
    assert written == {shelf.path_of(path + end) for path in everything[:3] for end in ("", ".json")}


# Encodes, and is killed before a file gets its own name.
KILLED = """
import os, signal, shelf, lc_music_vae
rename, left = shelf.Shelf.rename, [%d]
def killed(self, *given):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(self, *given)
shelf.Shelf.rename = killed
lc_music_vae.encode(%r, %r, %r, runner="beam")
"""


@pytest.mark.usefixtures("_shelf")
@pytest.mark.faults("signals, locks, full disks, what changes or goes")
def test_kills_leave_no_half_of_a_file(tmp_path, record_property):
    """Before the list of songs, a piece's latents, and a piece's record. What they leave is removed from the copy."""
    for number in (1, 4, 6):
        done = subprocess.run([sys.executable, "-c", KILLED % (number, SMALL, SONGS_AT, RUN_AT)], cwd=REPO)
        assert done.returncode == -signal.SIGKILL
    record_property("tried", 3)
    before = {path: content for path, content in all_there().items() if "scratch" not in path}
    made = encode()
    after = all_there()
    assert sum(path.endswith(".tfrecord.json") for path in before) == 3
    assert all(after[path] == before[path] for path in before if path + ".json" in before or path.endswith(".json"))
    encode(run="shelf://box/other")
    for path in made:
        whole_file = shelf.path_of(path.replace(RUN_AT, "shelf://box/other"))
        assert after[shelf.path_of(path)][0] == all_there()[whole_file][0]
    run = taken_down(tmp_path / "run")
    assert len(half_written(str(run))) == 3
    lc_music_vae.train(None, None, str(run), num_steps=1, hparams=layers(8))
    assert not half_written(str(run))


@pytest.mark.usefixtures("_shelf")
@pytest.mark.faults("signals, locks, full disks, what changes or goes")
def test_a_song_that_goes_or_changes_is_one_line(tmp_path):
    made = encode(shard="1/20")
    song = SONGS_AT + "/more [*]/02 é.mid"
    path = shelf.path_of(song)
    content = read(path)
    said = "which it is made from, is gone or changed; put that back, or take another run_dir"
    for change in (lambda: os.remove(path), lambda: write(path, content + b"\0")):
        change()
        error = one_line(encode)
        assert error.startswith(RUN_AT + "/latents/latents-")
        assert error.endswith("%s, %s" % (song, said))
    write(path, content)
    assert len(encode()) > len(made)


@pytest.mark.usefixtures("_shelf")
def test_only_one_of_both_is_at_an_address(collection, whole, tmp_path, monkeypatch):
    """Songs on paths give the very bytes; of songs at addresses, encoding goes on without naming them."""
    monkeypatch.chdir(tmp_path)
    encode(str(collection), holdout=0.3)
    run = taken_down(tmp_path / "copy")
    for name in ("latents", "holdout"):
        for path in (whole / name).glob("latents*"):
            assert (run / name / path.name).read_bytes() == path.read_bytes()
    made = encode(run="here", shard="1/2")
    assert made[0].startswith(str(tmp_path / "here" / "latents"))
    everything = encode(songs=None, run="here")
    assert set(made) < set(everything)
    assert all(shards.read_record(path).is_of(path) for path in everything)


@pytest.mark.usefixtures("_shelf")
@pytest.mark.parametrize("run_at", [RUN_AT, "run"])
def test_songs_are_added_to_a_trained_run(run_at, collection, tmp_path, monkeypatch):
    """From an address, to a run that lies at one or here: what is new to it, in shares, without naming them again."""
    monkeypatch.chdir(tmp_path)
    known = ["00 é.mid", "01 é.mid"]
    shutil.copytree(str(collection), "known", ignore=lambda _, names: set(names) - set(known))
    lc_music_vae.train(SMALL, "known", "run", num_steps=1, hparams=layers(8))
    before = [(path, path.read_bytes()) for path in (tmp_path / "run" / "latents").iterdir()]
    if run_at == RUN_AT:
        for path in [tmp_path / "run" / "run.json", *(path for path, _ in before)]:
            shutil.copy(str(path), shelf.path_of(RUN_AT + "/" + str(path.relative_to(tmp_path / "run"))))
    assert "trained already; add_songs encodes other songs for it" in one_line(encode, run=run_at)
    encode(run=run_at, shard="1/2", add_songs=True)
    encode(None, run=run_at, shard="2/2", add_songs=True)
    monkeypatch.setattr(latents, "_encode", None)
    run = taken_down(tmp_path / "run")
    shutil.rmtree(os.environ[shelf.FOLDER])
    lc_music_vae.train(None, None, str(run), num_steps=2, add_songs=True)
    rows = (run / "examples.tsv").read_text().splitlines()[1:]
    assert [row.startswith(SONGS_AT) for row in rows] == [False] * 2 + [True] * (
        SONGS - 2 + 4
    )  # two of a tunebook, a bar, and what is no music
    assert all(path.read_bytes() == content for path, content in before)
    lc_music_vae.train(None, None, str(run), num_steps=3)


@pytest.mark.usefixtures("_shelf")
@pytest.mark.parametrize("beam_args", [None, MULTI])
def test_musicvae_is_at_an_address(beam_args, collection, whole, tmp_path):
    """Workers fetch it from there, and check that it is what the songs are to be encoded with."""
    shipped = os.path.join(finding.SHIPPED, "cat-mel_2bar_small_folk2.tar")
    shutil.copy(shipped, shelf.path_of("shelf://box/weights.tar"))
    named = {"run": str(tmp_path / "run"), "beam_args": beam_args, "holdout": 0.3}
    encode(str(collection), pretrained_path="shelf://box/weights.tar", **named)
    for path in (whole / "latents").glob("latents*"):
        assert (tmp_path / "run" / "latents" / path.name).read_bytes() == path.read_bytes()
    error = one_line(encode, str(collection), pretrained_path="shelf://box/none.tar", **named)
    assert error == "pretrained_path=shelf://box/none.tar: no such file there; give the address of a .tar bundle"
    write(shelf.path_of("shelf://box/bad.tar"), b"no weights")
    error = one_line(encode, str(collection), pretrained_path="shelf://box/bad.tar", **named)
    assert error.startswith("pretrained_path=shelf://box/bad.tar")
    assert str(tmp_path) not in error


@pytest.mark.usefixtures("_shelf")
def test_a_checkpoint_that_ships_is_that_of_the_workers_own_package(collection, whole, tmp_path, monkeypatch):
    """Which lies elsewhere than where the command's does."""
    work = beam._music_vae

    def of_a_package_elsewhere(made_with, checkpoint):
        there = str(tmp_path / "elsewhere" / os.path.basename(checkpoint.path))
        return work(made_with, checkpoint)._replace(checkpoint=checkpoint._replace(path=there, bundle=there, run=None))

    monkeypatch.setattr(beam, "_music_vae", of_a_package_elsewhere)
    encode(str(collection), str(tmp_path / "run"), holdout=0.3)
    for path in (whole / "latents").glob("latents*"):
        assert (tmp_path / "run" / "latents" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.usefixtures("_shelf")
def test_other_weights_on_a_worker_are_refused(collection, tmp_path, monkeypatch):
    """The same path, or a shipped name, may be another file on another machine."""
    shutil.copy(os.path.join(finding.SHIPPED, "cat-mel_2bar_small_folk2.tar"), str(tmp_path / "weights.tar"))
    work = beam._music_vae

    def with_others(made_with, checkpoint):
        shutil.copy(os.path.join(finding.SHIPPED, "cat-mel_2bar_small_folk.tar"), str(tmp_path / "weights.tar"))
        return work(made_with, checkpoint)

    monkeypatch.setattr(beam, "_music_vae", with_others)
    weights = str(tmp_path / "weights.tar")
    error = one_line(encode, str(collection), str(tmp_path / "run"), pretrained_path=weights)
    assert error == (
        "pretrained_path=%s holds other weights on a worker than where the command was given; give each machine the "
        "same" % weights
    )
    assert not list((tmp_path / "run" / "latents").glob("*.tfrecord"))


@pytest.mark.usefixtures("_shelf")
def test_what_is_wrong_with_an_address_is_one_line(collection, tmp_path, monkeypatch):
    error = one_line(encode, run="gs://bucket/run")
    assert error == (
        "run_dir=gs://bucket/run: Beam reaches gs:// with packages that are not installed; pip install "
        "'apache-beam[gcp]', of the version in requirements-beam.txt, on each worker too"
    )
    error = one_line(encode, songs="hdfs://songs")
    assert error == "examples_path=hdfs://songs cannot be reached (hdfs_host is not set)"
    assert "nothing://x cannot be reached (Unable to get filesystem" in one_line(encode, run="nothing://x")
    empty = one_line(encode, songs="shelf://box/nothing")
    assert empty.startswith("examples_path=shelf://box/nothing: no music file in this folder; looked for .mid")
    is_text = one_line(encode, songs=SONGS_AT + "/broken.mid/no")
    assert "no music file" in is_text
    alone = "is an address, which only mode=encode with runner=beam takes; copy what is there to this machine"
    assert alone in one_line(lc_music_vae.encode, SMALL, SONGS_AT, str(tmp_path / "run"))
    assert alone in one_line(lc_music_vae.encode, SMALL, str(collection), RUN_AT)
    assert alone in one_line(lc_music_vae.train, SMALL, str(collection), RUN_AT)
    assert alone in one_line(lc_music_vae.evaluate, RUN_AT)
    here = str(tmp_path / "run"), "gs://bucket/weights.tar"
    assert alone in one_line(lc_music_vae.encode, SMALL, str(collection), here[0], pretrained_path=here[1])
    unknown = one_line(encode, beam_args="--beam_plugins=no_such_module")
    assert "no module called no_such_module can be imported" in unknown
    assert not all_there().keys() - set(filter(lambda path: "songs" in path, all_there()))
    assert os.listdir(str(tmp_path)) == ["shelf"]


@pytest.mark.usefixtures("_shelf")
def test_what_other_commands_did_there_is_respected(collection):
    """Other flags than the list's, and latents without a list."""
    encode(shard="1/20", metre="4/4")
    error = one_line(encode, metre="any")
    assert error.startswith("metre=any contradicts %s/latents/songs.json, which was begun with" % RUN_AT)
    assert "lists the songs of %s; give that" % SONGS_AT in one_line(encode, songs="shelf://box")
    path = shelf.path_of(RUN_AT + "/latents/songs.json")
    write(path, read(path)[:100])
    assert one_line(encode).startswith(RUN_AT + "/latents/songs.json is damaged")
    os.remove(path)
    assert "latents there, without a list of songs, would be overwritten" in one_line(encode)


@pytest.mark.usefixtures("_shelf")
def test_one_file_and_globs(collection):
    """Of one file, its kind is looked at, as of a path."""
    write(shelf.path_of("shelf://box/notes.txt"), b"not music, but text")
    error = one_line(encode, songs="shelf://box/notes.txt")
    assert error.startswith("examples_path=shelf://box/notes.txt: the file looks like neither MIDI, MusicXML, ABC nor")
    assert len(encode(songs=SONGS_AT + "/*.mid", run="shelf://box/1")) > 1
    assert len(encode(songs=SONGS_AT + "/00 é.mid", run="shelf://box/2")) == 1
