"""A run knows its songs by what is in them: others are refused or added, and what was trained on is never forgotten."""

import os
import shutil

import numpy as np
import pytest
from helpers import SMALL, generate, layers, melody, one_line, state_of, tune, weights_at, write_midi

import lc_music_vae
from lc_music_vae import data
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.checkpoints import run_json
from lc_music_vae.checkpoints import shards as shards_lib
from lc_music_vae.encoding import latents
from lc_music_vae.encoding.nearness import Songs
from lc_music_vae.errors import InputError
from lc_music_vae.models import music_vae
from lc_music_vae.system import files
from lc_music_vae.training import evaluate as evaluating
from lc_music_vae.training import report

SCORE = run_json.Score(1.0, 1, None, 0)

pytestmark = [
    pytest.mark.faults("songs that change between commands"),
    pytest.mark.slow,
    pytest.mark.usefixtures("no_pictures"),
]

SIZES = layers(8)
WINDOWS = 3  # of a song of four bars


def make_songs(folder, names="abc"):
    os.makedirs(str(folder), exist_ok=True)
    for name in names:
        write_midi(melody(tune(4, ord(name))), os.path.join(str(folder), name + ".mid"))
    return str(folder)


def train(run_dir, songs, num_steps, **kwargs):
    return lc_music_vae.train(SMALL, songs, str(run_dir), num_steps=num_steps, **kwargs)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with songs a, b and c, and a run of two steps on them."""
    folder = tmp_path_factory.mktemp("base")
    os.environ["LC_MUSIC_VAE_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    train(folder / "run", make_songs(folder / "songs"), 2, hparams=SIZES)
    return folder


@pytest.fixture
def home(base, tmp_path):
    """A copy of it: the songs' own folder is another now, as after a move."""
    shutil.copytree(str(base / "songs"), str(tmp_path / "songs"))
    shutil.copytree(str(base / "run"), str(tmp_path / "run"))
    return tmp_path


def edit(songs, change):
    """Changes a folder of songs; returns how the difference is said."""
    if change == "added":
        make_songs(songs, "d")
        return "new: d.mid"
    if change == "removed":
        os.remove(os.path.join(songs, "b.mid"))
        return "gone: b.mid"
    if change == "edited":
        write_midi(melody(tune(4, 12345)), os.path.join(songs, "a.mid"))
        return "changed: a.mid"
    if change == "another":
        shutil.rmtree(songs)
        make_songs(songs, "x")
        return "new: x.mid; gone: a.mid, b.mid and 1 more"
    return None


CHANGES = ["added", "removed", "edited", "another"]


def encoded(monkeypatch):
    """Returns a list that grows by the windows of each batch that is encoded."""
    found = []
    encode = music_vae.Encoder.encode
    monkeypatch.setattr(music_vae.Encoder, "encode", lambda self, x, *n: found.append(len(x)) or encode(self, x, *n))
    return found


def songs_in(run):
    records = list(latents.read(run_dir_lib.at(str(run)).shards()))
    return {os.path.basename(record["song"]) for record in records}, len(records)


@pytest.mark.parametrize("num_steps", [2, 3])
@pytest.mark.parametrize("change", CHANGES)
def test_other_songs_are_refused_and_both_are_said(change, num_steps, home, base):
    """At the last step, too, where nothing would be learned of them."""
    songs, run = str(home / "songs"), str(home / "run")
    said = edit(songs, change)
    before = state_of(run)
    error = one_line(train, run, songs, num_steps)
    assert error == (
        "examples_path=%s: other songs than %s was trained on, from %s (%s); give another run_dir, or add_songs "
        "to go on with all of them" % (songs, run, base / "songs", said)
    )
    assert state_of(run) == before


def test_an_edited_song_is_said_to_be_changed(tmp_path):
    before = [shards_lib.File("/s/a.mid", "1"), shards_lib.File("/s/b.mid", "2"), shards_lib.File("/s/b2.mid", "2")]
    now = [shards_lib.File("/s/a.mid", "3"), shards_lib.File("/t/c.mid", "2")]
    other = shards_lib.difference(now, before)
    assert other == ([now[0]], [before[0], before[2]])
    assert other.text() == "changed: a.mid; gone: b2.mid"
    assert not any(shards_lib.difference(before, before[::-1]))
    assert shards_lib.contents(before) == shards_lib.contents(before[::-1]) != shards_lib.contents(before[:2])


def test_the_same_songs_under_other_names_are_the_same(home, caplog, monkeypatch):
    os.rename(str(home / "songs" / "a.mid"), str(home / "songs" / "zz.mid"))
    shards = [path.read_bytes() for path in sorted((home / "run" / "latents").iterdir())]
    batches = encoded(monkeypatch)
    with caplog.at_level("INFO"):
        train(home / "run", str(home / "songs"), 2)
        train(home / "run", str(home / "songs"), 3)
    assert caplog.text.count("the songs are those that %s was trained on, under other names" % (home / "run")) == 2
    assert [path.read_bytes() for path in sorted((home / "run" / "latents").iterdir())] == shards
    assert not batches
    assert run_dir_lib.at(str(home / "run")).latest()[1] == 3


@pytest.mark.parametrize("change", CHANGES)
def test_songs_are_added_to_what_was_trained_on(change, home, monkeypatch):
    """No shard is written again, what is gone stays, and the same command goes on."""
    songs, run = str(home / "songs"), home / "run"
    edit(songs, change)
    before = state_of(run / "latents")
    batches = encoded(monkeypatch)
    train(run, songs, 3, add_songs=True)
    new = 0 if change == "removed" else WINDOWS
    assert batches == [new] * bool(new)
    assert before.items() <= state_of(run / "latents").items()
    names, count = songs_in(run)
    assert {"a.mid", "b.mid", "c.mid"} <= names
    assert count == 3 * WINDOWS + new
    recorded = run_dir_lib.at(str(run)).read()
    assert (recorded.examples.windows, recorded.step) == (count, 3)
    train(run, songs, 4, add_songs=True)
    assert batches == [new] * bool(new)
    rows = (run / "examples.tsv").read_text().splitlines()[1:]
    assert len(rows) == 3 + bool(new)


def test_added_songs_need_steps_to_be_learned_in(home):
    make_songs(home / "songs", "d")
    before = state_of(home / "run")
    error = one_line(train, home / "run", str(home / "songs"), 2, add_songs=True)
    assert error == (
        "add_songs: this run is trained to step 2 already, and would learn nothing of what is new; give a larger "
        "num_steps, or num_steps=0"
    )
    assert state_of(home / "run") == before
    train(home / "run", str(home / "songs"), 3, add_songs=True)
    train(home / "run", str(home / "songs"), 3)  # all of them are there: these are its songs


def test_a_first_training_may_be_told_to_add(tmp_path):
    train(tmp_path / "run", make_songs(tmp_path / "songs", "a"), 1, hparams=SIZES, add_songs=True)
    assert songs_in(tmp_path / "run") == ({"a.mid"}, WINDOWS)


def test_additions_are_stopped_and_go_on(home, monkeypatch):
    """Songs are encoded, run.json not written yet: what is there is not what was trained on, and used again."""
    make_songs(home / "songs", "de")
    run = home / "run"
    write = report.write
    monkeypatch.setattr(report, "write", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        train(run, str(home / "songs"), 3, add_songs=True)
    monkeypatch.setattr(report, "write", write)
    assert songs_in(run) == ({"a.mid", "b.mid", "c.mid"}, 3 * WINDOWS)
    batches = encoded(monkeypatch)
    train(run, str(home / "songs"), 3, add_songs=True)
    assert not batches
    assert songs_in(run)[1] == 5 * WINDOWS
    make_songs(home / "songs", "f")
    train(run, str(home / "songs"), 4, add_songs=True)
    assert batches == [WINDOWS]
    assert sorted(p.name for p in (run / "latents").glob("*.tfrecord")) == [
        "latents+001-00000-of-00001.tfrecord",
        "latents+002-00000-of-00001.tfrecord",
        "latents-00000-of-00001.tfrecord",
    ]
    names = [os.path.basename(path) for path in run_dir_lib.at(str(run)).shards()]
    assert names[0] == "latents-00000-of-00001.tfrecord"  # in the order in which they came


def test_training_goes_on_to_the_same_weights_wherever_songs_lie(home, base):
    train(home / "run", str(home / "songs"), 4)
    other = shutil.copytree(str(base / "run"), str(home / "other"))
    train(other, str(base / "songs"), 4)
    assert weights_at(home / "run") == weights_at(other)


def without_what_0_1_0_did_not_write(run):
    """Makes a run one of 0.1.0: no list of shards, and JSON beside them without their checksums."""
    path = os.path.join(str(run), "run.json")
    value = files.read_json(path)
    value["examples"] = {"path": value["examples"]["path"], "windows": value["examples"]["windows"], "digest": "0" * 64}
    del value["step"]
    files.write_json(path, value)
    for shard in sorted((run / "latents").glob("*.json")):
        beside = files.read_json(str(shard))
        files.write_json(str(shard), {"made_from": beside["made_from"], "made": beside["made"]})


def test_a_run_of_0_1_0_keeps_what_it_was_trained_on(home, monkeypatch):
    run, songs = home / "run", str(home / "songs")
    without_what_0_1_0_did_not_write(run)
    batches = encoded(monkeypatch)
    edit(songs, "removed")
    assert "(gone: b.mid)" in one_line(train, run, songs, 3)
    make_songs(songs, "d")
    train(run, songs, 3, add_songs=True)
    assert batches == [WINDOWS]
    assert songs_in(run) == ({"a.mid", "b.mid", "c.mid", "d.mid"}, 4 * WINDOWS)


def test_a_run_of_0_1_0_without_latents_takes_what_has_as_many_windows(home, caplog):
    """Which songs it was trained on is recorded nowhere."""
    run, songs = home / "run", str(home / "songs")
    without_what_0_1_0_did_not_write(run)
    shutil.rmtree(str(run / "latents"))
    make_songs(songs, "d")
    error = one_line(train, run, songs, 3)
    assert "gives 12 windows, but %s was trained on 9" % run in error
    error = one_line(train, run, songs, 3)  # what was encoded meanwhile changes nothing
    assert "gives 12 windows, but %s was trained on 9" % run in error
    os.remove(os.path.join(songs, "d.mid"))
    with caplog.at_level("INFO"):
        train(run, songs, 3)
    assert "does not say which songs it was trained on" in caplog.text


@pytest.mark.parametrize("change", ["same"] + CHANGES)
@pytest.mark.parametrize("named", [False, True])
def test_evaluating_never_touches_what_training_learns_from(change, named, base, home, caplog, monkeypatch):
    songs, run = str(home / "songs"), home / "run"
    value = files.read_json(str(run / "run.json"))
    value["examples"]["path"] = [songs]
    files.write_json(str(run / "run.json"), value)
    edit(songs, change)
    before = state_of(run)
    batches = encoded(monkeypatch)
    monkeypatch.setattr(evaluating, "_show", lambda *a: (SCORE, {}))  # pictures are slow, and not looked at here
    with caplog.at_level("INFO"):
        found = lc_music_vae.evaluate(str(run), songs if named else None)
    assert before.items() <= state_of(run).items()
    others = named and change != "same"
    if not others:
        assert not batches
        assert "%d distinct windows from 3 songs" % (3 * WINDOWS) in caplog.text
        assert found["loss"] == lc_music_vae.evaluate(str(run))["loss"]
    assert os.path.exists(str(run / "eval" / "latents")) == others
    assert os.path.exists(str(run / "eval" / "examples.tsv")) == others
    said = "the songs on disk are others than %s was trained on" % run
    assert (said in caplog.text) == (change != "same" and not named)


def test_evaluating_says_what_is_other_though_nothing_is_left(home, caplog):
    run = home / "run"
    value = files.read_json(str(run / "run.json"))
    value["examples"]["path"] = [str(home / "nowhere")]
    files.write_json(str(run / "run.json"), value)
    lc_music_vae.evaluate(str(run))
    assert "(gone: a.mid, b.mid and 1 more); it is evaluated on those that it was trained on" in caplog.text


@pytest.mark.parametrize("suffix", ["/../x", "../../x", "/", "\0"])
def test_an_evaluation_is_of_a_folder_in_the_run(home, suffix):
    before = state_of(home)
    message = "eval_dir_suffix=%s must be part of a folder's name" % suffix
    assert one_line(lc_music_vae.evaluate, str(home / "run"), eval_dir_suffix=suffix) == str(InputError(message))
    assert state_of(home) == before


def test_copies_of_a_song_that_is_gone_are_named(home):
    """Whichever song the weights learned from: the first, one that was added, one that is there no more."""
    songs, run = str(home / "songs"), home / "run"
    edit(songs, "another")
    train(run, songs, 3, add_songs=True)
    shutil.rmtree(songs)
    shards = run_dir_lib.at(str(run)).shards()
    for name in "abcx":
        first_bars = melody([(start, min(end, 8), pitch) for start, end, pitch in tune(4, ord(name)) if start < 8])
        (found,) = Songs.read(shards).nearest([data.notes_of(first_bars)])
        assert (found.copy, os.path.basename(found.song)) == (True, name + ".mid")


def shard_of(run):
    return str(run / "latents" / "latents-00000-of-00001.tfrecord")


def flip(path):
    with open(path, "r+b") as f:
        f.seek(1000)
        byte = f.read(1)
        f.seek(1000)
        f.write(bytes([byte[0] ^ 1]))


SHARD_DAMAGES = {
    "cut to nothing": lambda shard: os.truncate(shard, 0),
    "cut off": lambda shard: os.truncate(shard, 5000),
    "a byte flipped": flip,
    "gone": os.remove,
    "JSON gone": lambda shard: os.remove(shard + ".json"),
    "JSON cut off": lambda shard: os.truncate(shard + ".json", 100),
    "JSON empty": lambda shard: os.truncate(shard + ".json", 0),
    "JSON of another": lambda shard: files.write_json(shard + ".json", {"made_from": {}, "made": [1, 2]}),
    "JSON a list": lambda shard: files.write_json(shard + ".json", []),
    "folder gone": lambda shard: shutil.rmtree(os.path.dirname(shard)),
}


@pytest.mark.parametrize(
    ("damage", "older"),
    [(damage, False) for damage in SHARD_DAMAGES]
    + [(damage, True) for damage in ("cut to nothing", "cut off", "gone", "JSON cut off")],
)
@pytest.mark.faults("damaged run folders, and files that are not its own")
def test_a_damaged_shard_is_said_and_encoded_again(damage, older, home, monkeypatch, caplog):
    """Training does it, at the last step too; evaluating and generating say so in one line."""
    songs, run = str(home / "songs"), home / "run"
    if older:
        without_what_0_1_0_did_not_write(run)
    whole = list(latents.read([shard_of(run)]))
    SHARD_DAMAGES[damage](shard_of(run))
    before = state_of(run)
    error = one_line(lc_music_vae.evaluate, str(run))
    unknown = older and ("JSON" in damage or damage == "folder gone")  # which of the latents it was
    where = str(run / "latents") if unknown else shard_of(run)
    assert error.startswith(where)
    assert "train with the same command (with a larger num_steps or not)" in error
    if damage not in ("a byte flipped", "cut off" if older else ""):
        # Of a shard of the right size only what is read is checked there.
        said = one_line(generate, "sample", str(run), num_outputs=1, output_dir=str(home / "out"))
        bundle = run / (SMALL + ".tar")
        assert said == error + "; midime_generate checkpoint_file=%s needs nothing else" % bundle
    assert before.items() <= state_of(run).items()
    batches = encoded(monkeypatch)
    train(run, songs, 2)
    assert batches == [3 * WINDOWS]
    assert [record["notes"].tolist() for record in latents.read([shard_of(run)])] == [
        record["notes"].tolist() for record in whole
    ]
    np.testing.assert_array_equal([r["mean"] for r in latents.read([shard_of(run)])], [r["mean"] for r in whole])
    monkeypatch.setattr(evaluating, "_show", lambda *a: (SCORE, {}))
    lc_music_vae.evaluate(str(run))
    assert songs_in(run) == ({"a.mid", "b.mid", "c.mid"}, 3 * WINDOWS)


@pytest.mark.parametrize("damage", ["cut off", "JSON gone", "folder gone"])
@pytest.mark.faults("damaged run folders, and files that are not its own")
def test_a_damaged_shard_of_songs_that_are_gone_is_one_line(damage, home):
    songs, run = str(home / "songs"), home / "run"
    value = files.read_json(shard_of(run) + ".json")
    value["made_from"]["files"] = [
        [path.replace("base", "gone"), sha256] for path, sha256 in value["made_from"]["files"]
    ]
    files.write_json(shard_of(run) + ".json", value)
    edit(songs, "another")
    SHARD_DAMAGES[damage](shard_of(run))
    recorded = (run / "run.json").read_bytes()
    for add_songs in (False, True):
        error = one_line(train, run, songs, 3, add_songs=add_songs)
        assert str(run / "latents") in error or "other songs than" in error
        assert (run / "run.json").read_bytes() == recorded


def test_latents_of_an_older_encoding_are_made_again_from_the_same_songs_only(home, monkeypatch):
    songs, run = str(home / "songs"), home / "run"
    path = shard_of(run) + ".json"
    value = files.read_json(path)
    value["made_from"]["format"] = 1
    files.write_json(path, value)
    assert shard_of(run) in one_line(lc_music_vae.evaluate, str(run))
    batches = encoded(monkeypatch)
    train(run, songs, 3)
    assert batches == [3 * WINDOWS]
    assert files.read_json(path)["made_from"]["format"] == shards_lib.FORMAT


def as_format_2(shard, reason, folder):
    """Makes a shard's record one of format 2, which said `reason` of each song, and of songs in `folder`."""
    value = files.read_json(shard + ".json")
    windows, rows, *counts = value["made"]
    value["made"] = [windows, [[path, slices, melody, reason] for path, slices, melody, _ in rows], *counts[:3]]
    value["made_from"]["format"] = 2
    names = [(os.path.basename(path), sha256) for path, sha256 in value["made_from"]["files"]]
    value["made_from"]["files"] = [(os.path.join(folder, name), sha256) for name, sha256 in names]
    files.write_json(shard + ".json", value)


@pytest.mark.parametrize(
    ("reason", "change", "encodes"),
    [
        ("", None, []),  # of 4/4 the windows are the same
        ("3/4: windows start at its bars and are cut by sixteenths", None, [3 * WINDOWS]),
        ("3/4: windows start at its bars and are cut by sixteenths", "another", [WINDOWS]),  # of the new song alone
    ],
)
def test_windows_of_an_older_version_are_read_and_made_again_where_they_differ(
    reason, change, encodes, home, monkeypatch, caplog
):
    songs, run = str(home / "songs"), home / "run"
    as_format_2(shard_of(run), reason, songs)
    monkeypatch.setattr(evaluating, "_show", lambda *a: (SCORE, {}))
    lc_music_vae.evaluate(str(run))
    edit(songs, change)
    batches = encoded(monkeypatch)
    with caplog.at_level("INFO"):
        train(run, songs, 3, add_songs=change is not None)
    assert batches == encodes
    said = [message for message in caplog.messages if "made by an older version" in message]
    ends = {
        None: "its songs are encoded again, in whole bars",
        "another": "are gone or changed; kept as it is",
    }
    assert [message.endswith(ends[change]) for message in said] == ([True] if reason else [])
    assert files.read_json(shard_of(run) + ".json")["made_from"]["format"] == (3 if reason and not change else 2)


@pytest.mark.faults("damaged run folders, and files that are not its own")
def test_a_home_is_trained_in_and_all_that_was_there_stays(tmp_path):
    """Byte for byte, and with its times; training and evaluating and generating only add."""
    home = tmp_path / "home"
    for name in (
        ".zcompdump-vm-5.8",
        ".bash_history.1",
        ".lock",
        ".cache.1/kept",
        ".config/x.tmp",
        "Music/mine.tfrecord",
    ):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    for name in (
        "latents-of-mine.tfrecord",
        "train.py",
        "checkpoint",
        "model.ckpt-1.index",
        ".run.json.77",
        "a.tempstate1",
    ):
        (home / name).write_bytes(name.encode())
    (home / ".lc_music_vae").mkdir()
    make_songs(home / "songs", "ab")
    before = state_of(home)
    contents = {path: files.sha256(path) for path in before}
    train(home, str(home / "songs"), 1, hparams=SIZES)
    train(home, str(home / "songs"), 2)
    lc_music_vae.evaluate(str(home))
    generate("sample", str(home), num_outputs=1)
    assert before.items() <= state_of(home).items()
    assert {path: files.sha256(path) for path in before} == contents
    assert (home / ".lc_music_vae").is_dir()


@pytest.mark.faults("damaged run folders, and files that are not its own")
@pytest.mark.parametrize(
    "there", ["train/model.ckpt-5.index", "latents/mine", "examples.tsv", "training.png", SMALL + ".tar"]
)
def test_what_is_somebody_elses_is_refused_before_anything_is_written(there, tmp_path):
    theirs = tmp_path / "run" / there
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    songs = make_songs(tmp_path / "songs", "a")
    before = state_of(tmp_path)
    error = one_line(train, tmp_path / "run", songs, 1, hparams=SIZES)
    name = there.split("/")[0]
    assert error.startswith("run_dir=%s: %s there, which no run.json accounts for" % (tmp_path / "run", name))
    assert state_of(tmp_path) == before
