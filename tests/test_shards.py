"""A collection is encoded in shares, on any machines in any order: the songs are listed once, and no bit differs."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import LOCK, REPO, SMALL, half_written, layers, melody, one_line, run_process, state_of, tune, write_midi

import lc_music_vae
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.checkpoints import song_list
from lc_music_vae.checkpoints.shards import File
from lc_music_vae.checkpoints.song_list import Share, SongList
from lc_music_vae.encoding import latents, songs
from lc_music_vae.models import music_vae
from lc_music_vae.system import files

SIZES = layers(8)
SONGS = 60


def listed(pieces, num_shares=16):
    return SongList(["/songs"], SMALL, False, 0.0, "auto", "any", "f" * 64, num_shares, tuple(pieces))


def a_collection(folder, number):
    """Files as large as songs are: most are small, some are symphonies; the large ones come last."""
    sizes = np.sort(8000 * np.random.RandomState(7).lognormal(size=number)).astype(int)
    found = []
    for i, size in enumerate(sizes):
        path = str(folder / ("%05d.mid" % i))
        with open(path, "wb") as f:
            f.truncate(int(size))
        found.append(File(path, "%064d" % i))
    return found


@pytest.mark.parametrize("number", [1, 5, 60, 3000, 20000])
def test_songs_are_divided_into_pieces_of_neighbours(number, tmp_path, monkeypatch):
    drawn = np.random.RandomState(0).randint(200, 50000, number)
    sizes = {"/%05d.mid" % i: int(size) for i, size in enumerate(drawn)}
    monkeypatch.setattr(os.path, "getsize", sizes.__getitem__)
    given = [File(path, "") for path in sizes]
    pieces = song_list.divided(given)
    assert [song for piece in pieces for song in piece.songs] == given
    assert pieces == song_list.divided(given)
    assert max(len(piece.songs) for piece in pieces) <= 64
    most = max(max(sizes.values()) / 8 + 1, sum(size // 8 + 1 for size in sizes.values()) / 256)
    assert max(piece.work for piece in pieces) <= most


@pytest.mark.parametrize("total", [1, 2, 3, 16, 100])
def test_each_piece_is_in_one_share_and_shares_are_even(total, tmp_path):
    """Even in notes, not in files: where large songs are together, as many files are far from as much work."""
    given = a_collection(tmp_path, 3000)
    found = listed(song_list.divided(given))
    shares = found.shares(total)
    assert sorted(i for share in shares for i in share) == list(range(len(found.pieces)))
    assert all(share == sorted(share) for share in shares)
    assert shares == found.shares(total)
    work = [sum(os.path.getsize(song.path) for i in share for song in found.pieces[i].songs) for share in shares]
    largest = max(sum(os.path.getsize(song.path) for song in piece.songs) for piece in found.pieces)
    assert max(work) < 1.001 * (sum(work) / total + largest)
    assert largest < 1.001 * sum(work) / 100
    if total == 16:
        by_count = [sum(os.path.getsize(song.path) for song in given[i : i + 188]) for i in range(0, 3000, 188)]
        assert max(by_count) > 3 * sum(work) / total


def test_shares_are_even_in_windows_though_a_folder_has_more_of_them_for_its_size(monkeypatch):
    """As many plain tunes as songs with five times the bytes a window, each kind in a folder of its own."""
    draw = np.random.RandomState(0)
    windows = {"/%d/%05d.mid" % (i // 10000, i): int(1 + 40 * draw.lognormal(0, 0.7)) for i in range(20000)}
    sizes = {path: count * (60, 300)[int(path[1])] for path, count in windows.items()}
    monkeypatch.setattr(os.path, "getsize", sizes.__getitem__)
    found = listed(song_list.divided([File(path, "") for path in windows]))
    for total, most in ((4, 1.03), (16, 1.1)):
        counts = [
            sum(windows[song.path] for i in share for song in found.pieces[i].songs) for share in found.shares(total)
        ]
        assert max(counts) < most * sum(counts) / total


def test_a_musicxml_file_is_no_more_work_than_its_notes(tmp_path):
    """A note takes 8 bytes of MIDI, 28 of a NoteSequence and 250 of MusicXML."""
    for name, size in (("a.mid", 8000), ("b.tfrecord", 28000), ("c.xml", 250000), ("d.XML", 250000)):
        (tmp_path / name).write_bytes(bytes(size))
    given = [File(str(path), "") for path in sorted(tmp_path.iterdir())]
    assert [piece.work for piece in song_list.divided(given + [File("/gone.mid", "")])] == [1001] * 4 + [1]


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "1/0", "-1/4", "1/4/2", "a/b", "1/10001", "", "1/4 ", "1.0/4"])
def test_what_is_no_share_is_one_line(text):
    error = one_line(song_list.share_of, text)
    assert error == "shard=%s must be a share of the songs, such as 3/16: from 1/16 to 16/16, of at most 10000" % text


def test_shares_are_read_and_said():
    assert song_list.share_of("3/16") == Share(3, 16)
    found = listed(song_list.divided([File("/%d.mid" % i, "") for i in range(40)]), 20)
    assert found.shares_with([0, 20, 3]) == "1/20, 4/20"
    assert found.shares_with(range(40)).endswith("8/20 and 12 more")


def test_the_first_list_stays_and_comes_back_as_it_was(tmp_path):
    path = str(tmp_path / "latents" / "songs.json")
    strange = File("/so\udcffngs/é\n.mid", "a" * 64)
    first, second = listed(song_list.divided([strange, File("/b.mid", "")])), listed(song_list.divided([strange]))
    song_list.write_first(path, first)
    song_list.write_first(path, second)
    assert song_list.read(path) == first
    assert os.listdir(os.path.dirname(path)) == ["songs.json"]


DAMAGES = {
    "another format": lambda value: value.update(format=2),
    "no songs": lambda value: value.update(pieces=[]),
    "an empty piece": lambda value: value["pieces"].append([3, []]),
    "a song without a hash": lambda value: value["pieces"][0][1].append(["/x.mid"]),
    "a number for a path": lambda value: value["pieces"][0][1].append([1, "f"]),
    "work below nothing": lambda value: value["pieces"].append([-1, [["/x.mid", "f"]]]),
    "no shares": lambda value: value.update(num_shares=0),
    "true for a share": lambda value: value.update(holdout=True),
    "another metre": lambda value: value.update(metre="7/8"),
    "a field more": lambda value: value.update(x=1),
    "a field less": lambda value: value.pop("config"),
}


@pytest.mark.parametrize("damage", [*DAMAGES, "cut off", "a list", "empty"])
@pytest.mark.faults("damaged run folders, and files that are not its own")
def test_a_damaged_list_is_one_line(damage, tmp_path):
    path = str(tmp_path / "songs.json")
    song_list.write_first(path, listed(song_list.divided([File("/a.mid", "f")])))
    value = files.read_json(path)
    if damage in DAMAGES:
        DAMAGES[damage](value)
        files.write_json(path, value)
    else:
        (tmp_path / "songs.json").write_text({"cut off": '{"format": 1,', "a list": "[]", "empty": ""}[damage])
    assert one_line(song_list.read, path).startswith("%s is damaged, or from another version; put it back" % path)


# What follows encodes.


def make_songs(folder, numbers):
    os.makedirs(str(folder), exist_ok=True)
    for i in numbers:
        write_midi(melody(tune(2 + i * 7 % 13, i)), folder / ("%02d.mid" % i))


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """A folder of songs of 2 to 14 bars."""
    folder = tmp_path_factory.mktemp("collection") / "songs"
    make_songs(folder, range(SONGS))
    return folder


def encode(run, collection, shard=None, **named):
    return lc_music_vae.encode(SMALL, collection and str(collection), str(run), shard=shard, **named)


def train(run, collection, num_steps=1, **named):
    return lc_music_vae.train(SMALL, collection and str(collection), str(run), num_steps=num_steps, **named)


def content_of(run, but=("songs.json",)):
    """The bytes of each file of latents, and of each file beside it."""
    folder = os.path.join(str(run), "latents")
    return {name: open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder) if name not in but}


@pytest.fixture(scope="module")
def whole(collection, tmp_path_factory):
    """The run folder that one process encodes."""
    os.environ["LC_MUSIC_VAE_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    run = tmp_path_factory.mktemp("whole") / "run"
    encode(run, collection)
    return run


def batches_of(monkeypatch):
    """Returns a list that grows by the windows of each batch that is encoded."""
    found = []
    encode = music_vae.Encoder.encode
    monkeypatch.setattr(music_vae.Encoder, "encode", lambda self, x, *n: found.append(len(x)) or encode(self, x, *n))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("workers", [False, pytest.param(True, marks=pytest.mark.every)])
def test_four_shards_in_any_order_are_what_one_process_makes(workers, collection, whole, tmp_path, monkeypatch):
    """Bit for bit; with worker processes, too."""
    if workers:
        monkeypatch.setattr(songs, "_SONGS_HERE", 2)
    batches = batches_of(monkeypatch)
    order = (4, 2, 3, 1) if workers else (3, 1, 4, 2)
    run = tmp_path / "run"
    made = [path for number in order for path in encode(run, collection, "%d/4" % number)]
    assert len(made) == len(set(made)) == SONGS
    assert content_of(run) == content_of(whole)
    assert len(batches) == SONGS


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_training_on_shards_encodes_nothing_and_has_the_table_of_a_plain_one(
    collection, whole, tmp_path, monkeypatch, caplog
):
    run = tmp_path / "run"
    shutil.copytree(str(whole), str(run))
    batches = batches_of(monkeypatch)
    train(run, collection, hparams=SIZES)
    assert not batches
    assert "not encoded yet" not in caplog.text
    train(tmp_path / "plain", collection, hparams=SIZES)
    tables = [(path / "examples.tsv").read_bytes() for path in (run, tmp_path / "plain")]
    assert tables[0] == tables[1]
    assert tables[0].count(b"\n") == SONGS + 1
    # Plain training encodes the same windows in other batches, in which sums are rounded in another order.
    pairs = zip(*(latents.read(run_dir_lib.at(str(path)).shards()) for path in (run, tmp_path / "plain")))
    for ours, plain in pairs:
        assert ours["mean"] == pytest.approx(plain["mean"], abs=1e-5)
        assert ours["scale"] == pytest.approx(plain["scale"], abs=1e-5)
        for name in ("song", "track", "first_bar", "last_bar", "repeats", "transpositions"):
            assert ours[name] == plain[name]
        assert (ours["notes"] == plain["notes"]).all()


@pytest.mark.slow
def test_shares_are_even_in_windows(collection, whole):
    found = run_dir_lib.at(str(whole)).listed()
    rows = {path: sum(1 for _ in latents.read([path])) for path in encode(whole, collection)}
    windows = [sum(list(rows.values())[i] for i in share) for share in found.shares(4)]
    assert max(windows) < 1.1 * sum(windows) / 4


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_training_names_what_is_missing_and_encodes_that_alone(collection, whole, tmp_path, monkeypatch, caplog):
    run = tmp_path / "run"
    with caplog.at_level("INFO"):
        encode(run, collection, "2/4")
        encode(run, collection, "4/4")
        assert caplog.text.count("still to encode: --shard=1/4, 3/4\n") == 1
        before, batches = state_of(run / "latents"), batches_of(monkeypatch)
        train(run, collection, hparams=SIZES)
    missing = sum(len(run_dir_lib.at(str(run)).listed().shares(4)[i]) for i in (0, 2))
    said = "of %s, %d of 60 songs are not encoded yet, or not whole, those of --shard=1/4, 3/4; they are encoded now"
    assert said % (run / "latents", missing) in caplog.text
    assert len(batches) == missing
    assert before.items() <= state_of(run / "latents").items()
    assert content_of(run) == content_of(whole)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.faults("songs that change between commands")
def test_files_come_and_go_and_all_shards_agree(collection, tmp_path, monkeypatch):
    """The list is of the songs that were there at first. What was encoded is not needed any more."""
    songs = shutil.copytree(str(collection), str(tmp_path / "songs"))
    run = tmp_path / "run"
    encode(run, songs, "1/2")
    found = run_dir_lib.at(str(run)).listed()
    make_songs(tmp_path / "songs", [90, 91])
    for song in found.pieces[found.shares(2)[0][0]].songs:
        os.remove(song.path)
    encode(run, songs, "2/2")
    assert run_dir_lib.at(str(run)).listed() == found
    batches = batches_of(monkeypatch)
    train(run, songs, hparams=SIZES)
    train(run, songs, 2)  # the same command goes on, though the folder holds other songs
    train(run, None, 3)
    assert not batches
    assert len({record["song"] for record in latents.read(run_dir_lib.at(str(run)).shards())}) == SONGS
    train(run, songs, 4, add_songs=True)
    assert len(batches) == 1
    assert len({record["song"] for record in latents.read(run_dir_lib.at(str(run)).shards())}) == SONGS + 2
    train(run, None, 5)  # and goes on with what it has, without being told where that was
    assert len({record["song"] for record in latents.read(run_dir_lib.at(str(run)).shards())}) == SONGS + 2
    assert "examples_path is needed" in one_line(train, run, None, 6, add_songs=True)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_songs_are_added_in_shares(tmp_path, monkeypatch, caplog):
    """Only what is new is listed and encoded, once; training learns from the windows that one command would add."""
    caplog.set_level("INFO")
    songs, run, plain = (tmp_path / name for name in ("songs", "run", "plain"))
    make_songs(songs, range(3))
    train(run, songs, hparams=SIZES)
    shutil.copytree(str(run), str(plain))
    make_songs(songs, range(3, 8))
    batches = batches_of(monkeypatch)
    encode(run, songs, "2/2", add_songs=True)
    assert "still to encode: --shard=1/2\n" in caplog.text
    shutil.copytree(str(songs), str(tmp_path / "kept"))
    make_songs(songs, [8])  # it comes too late for the list
    encode(run, None, "1/2", add_songs=True)
    assert "all songs are encoded; now train, with the same run_dir and add_songs" in caplog.text.replace("--", "")
    made = [name for name in sorted(content_of(run)) if "+001-" in name and name.endswith(".tfrecord")]
    assert [os.path.basename(song) for song in songs_of(run, addition=1)] == ["%02d.mid" % i for i in range(3, 8)]
    assert (len(made), len(batches)) == (5, 5)
    train(run, None, 2, add_songs=True)
    assert len(batches) == 5
    train(plain, tmp_path / "kept", 2, add_songs=True)
    tables = [(path / "examples.tsv").read_text().replace("kept", "songs") for path in (run, plain)]
    assert tables[0] == tables[1]
    for ours, other in zip(*(latents.read(run_dir_lib.at(str(path)).shards()) for path in (run, plain))):
        assert ours["mean"] == pytest.approx(other["mean"], abs=1e-5)
        assert (ours["notes"] == other["notes"]).all()
    encode(run, songs, add_songs=True)  # the next addition has a list of its own
    assert [os.path.basename(song) for song in songs_of(run, addition=2)] == ["08.mid"]
    train(run, songs, 3, add_songs=True)
    before = state_of(run / "latents")
    assert encode(run, songs, "1/2", add_songs=True) == []
    assert "was trained on all of these songs; there is nothing to encode" in caplog.text
    assert state_of(run / "latents") == before


def songs_of(run, addition):
    return [song.path for song in run_dir_lib.at(str(run)).listed(addition).songs]


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.faults("songs that change between commands")
def test_what_is_missing_of_an_addition_is_named_and_encoded_and_what_contradicts_it_refused(
    tmp_path, monkeypatch, caplog
):
    songs, run = tmp_path / "songs", tmp_path / "run"
    make_songs(songs, range(3))
    train(run, songs, hparams=SIZES, metre="4/4")
    make_songs(tmp_path / "more", range(3, 8))
    encode(run, tmp_path / "more", "1/4", add_songs=True)
    where = os.path.join(str(run), "latents", "songs+001.json")
    for call in (encode, train):
        error = one_line(call, run, songs, add_songs=True)
        said = "examples_path=%s: %s lists the songs of %s; give that, or another run_dir"
        assert error == said % (songs, where, tmp_path / "more")
        assert "metre=any contradicts" in one_line(call, run, None, add_songs=True, metre="any")
    assert "trained already; add_songs encodes other songs for it" in one_line(encode, run, songs)
    train(run, songs, 2)  # without it, its own songs are all there is
    assert "are not encoded yet" not in caplog.text
    before, batches = state_of(run / "latents"), batches_of(monkeypatch)
    train(run, None, 3, add_songs=True)
    missing = 5 - len(run_dir_lib.at(str(run)).listed(1).shares(4)[0])
    said = (
        "of %s, %d of 5 songs are not encoded yet, or not whole, those of --shard=2/4, 3/4, 4/4; they are encoded now"
    )
    assert said % (run / "latents", missing) in caplog.text
    assert len(batches) == missing
    assert before.items() <= state_of(run / "latents").items()


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.faults("songs that change between commands")
@pytest.mark.parametrize("change", ["gone", "changed"])
def test_a_song_that_goes_before_it_is_encoded_is_named_before_anything_is_encoded(
    change, collection, tmp_path, monkeypatch
):
    songs = shutil.copytree(str(collection), str(tmp_path / "songs"))
    run = tmp_path / "run"
    encode(run, songs, "1/2")
    found = run_dir_lib.at(str(run)).listed()
    path = found.pieces[found.shares(2)[1][-1]].songs[0].path
    os.remove(path)
    if change == "changed":
        write_midi(melody(tune(4, 1234)), path)
    batches = batches_of(monkeypatch)
    said = "is to be made, and %s, which it is made from, is gone or changed; put that back" % path
    assert said in one_line(encode, run, songs, "2/2")
    assert said in one_line(train, run, songs, hparams=SIZES)
    assert not batches
    shutil.copy(str(collection / os.path.basename(path)), path)
    encode(run, songs, "2/2")
    assert len(batches) == len(found.shares(2)[1])


@pytest.mark.slow
def test_any_number_of_shares_works_on_one_list_and_nothing_is_encoded_twice(collection, whole, tmp_path, monkeypatch):
    batches = batches_of(monkeypatch)
    for shard in ("1/2", "1/3", "3/3", "1/2", None, None):
        encode(tmp_path / "run", collection, shard)
    assert len(batches) == SONGS
    assert content_of(tmp_path / "run") == content_of(whole)
    assert encode(tmp_path / "run", collection, "61/61") == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_folders_of_several_machines_are_copied_together(tmp_path, monkeypatch):
    """Each has made its own list, which is the same; hidden files are not copied."""
    collection = tmp_path / "songs"
    make_songs(collection, range(8))
    for number in (1, 2):
        encode(tmp_path / str(number), collection, "%d/2" % number, holdout=0.3, augment=True)
    lists = [files.read_json(str(tmp_path / str(number) / "latents" / "songs.json")) for number in (1, 2)]
    assert lists[0] == lists[1]
    together = tmp_path / "together"
    for folder in ("latents", "holdout"):
        os.makedirs(str(together / folder))
        for number in (1, 2):
            for path in (tmp_path / str(number) / folder).iterdir():
                shutil.copy(str(path), str(together / folder))
    batches = batches_of(monkeypatch)
    train(together, collection, hparams=SIZES)
    assert not batches
    settings = run_dir_lib.at(str(together)).read().settings
    assert (settings.holdout, settings.augment) == (0.3, True)
    encode(tmp_path / "one", collection, holdout=0.3, augment=True)
    assert content_of(together) == content_of(tmp_path / "one")


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_what_other_shares_did_not_begin_with_is_refused(collection, whole, tmp_path, small_checkpoints):
    run = shutil.copytree(str(whole), str(tmp_path / "run"))
    os.remove(os.path.join(run, LOCK))
    before, where = state_of(run), os.path.join(run, "latents", "songs.json")
    for call in (encode, train):
        for name, value, was in (("metre", "4/4", "any"), ("holdout", 0.2, 0.0), ("augment", True, False)):
            said = "%s=%s contradicts %s, which was begun with %s=%s" % (name, value, where, name, was)
            assert one_line(call, run, collection, **{name: value}) == said
        other = one_line(call, run, collection.parent)
        said = "examples_path=%s: %s lists the songs of %s; give that, or another run_dir"
        assert other == said % (collection.parent, where, collection)
        weights = os.path.join(str(tmp_path), "other.ckpt")
        changed_weights(weights)
        said = "holds other weights than those that the other songs of run_dir are encoded with"
        assert said in one_line(call, run, collection, pretrained_path=weights)
    assert "add_songs: %s is not trained on yet" % where in one_line(train, run, collection, add_songs=True)
    assert "num_steps=3: mode encode does not take it" in one_line(encode, run, collection, num_steps=3)
    assert {path: state for path, state in state_of(run).items() if not path.endswith(LOCK)} == before
    train(run, collection, hparams=SIZES)
    assert "trained already" in one_line(encode, run, collection)


def changed_weights(prefix):
    from benchmarks.random_checkpoints import save_random_checkpoint

    save_random_checkpoint("cat-mel_2bar_small", prefix, seed=1)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_musicvae_s_weights_that_change_meanwhile_are_said(collection, tmp_path, monkeypatch):
    weights, began = str(tmp_path / "weights.ckpt"), music_vae.Encoder.encode
    changed_weights(weights)

    def encode_and_touch(self, *given):
        os.utime(weights + ".index", (1, 1))
        return began(self, *given)

    monkeypatch.setattr(music_vae.Encoder, "encode", encode_and_touch)
    error = one_line(encode, tmp_path / "run", collection, "1/16", pretrained_path=weights)
    assert error == "pretrained_path=%s changed while it was read; give the same command again" % weights


@pytest.mark.slow
def test_latents_of_somebody_else_are_left_alone(collection, tmp_path):
    (tmp_path / "latents").mkdir()
    (tmp_path / "latents" / "mine").write_text("x")
    assert "latents there, which no run.json accounts for" in one_line(encode, tmp_path, collection)
    assert sorted(os.listdir(str(tmp_path))) == ["latents"]


def command(run, collection, shard):
    arguments = ["--mode=encode", "--config=" + SMALL, "--examples_path=%s" % collection, "--run_dir=%s" % run]
    return [sys.executable, os.path.join(REPO, "midime_train.py"), *arguments, "--shard=" + shard]


def kill(shard, run, collection, *, times, seconds):
    """Starts to encode a share, and kills that after a random part of some seconds; so many times."""
    rng = np.random.RandomState(times)
    for _ in range(times):
        process = subprocess.Popen(command(run, collection, shard), stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.4, 1) * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.faults("signals, locks, full disks, what changes or goes")
def test_a_shard_that_is_killed_five_times_ends_with_the_same_bytes(collection, whole, tmp_path, record_property):
    run = tmp_path / "run"
    began = time.monotonic()
    subprocess.run(command(tmp_path / "timed", collection, "1/2"), check=True, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    kill("1/2", run, collection, times=5, seconds=seconds)
    record_property("tried", 5)
    for shard in ("1/2", "2/2"):
        subprocess.run(command(run, collection, shard), check=True, stderr=subprocess.DEVNULL)
    train(run, collection, hparams=SIZES)
    assert content_of(run) == content_of(whole)
    assert not half_written(run)


@pytest.mark.slow
@pytest.mark.every
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.faults("signals, locks, full disks, what changes or goes")
def test_two_hundred_songs_in_four_processes_one_of_them_killed_ten_times(tmp_path, record_property):
    collection, run = tmp_path / "songs", tmp_path / "run"
    make_songs(collection, range(200))
    began = time.monotonic()
    subprocess.run(command(tmp_path / "one", collection, "1/1"), check=True, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    others = [subprocess.Popen(command(run, collection, "%d/4" % i), stderr=subprocess.DEVNULL) for i in (1, 2, 3)]
    kill("4/4", run, collection, times=10, seconds=seconds)
    record_property("tried", 10)
    assert [process.wait() for process in others] == [0, 0, 0]
    subprocess.run(command(run, collection, "4/4"), check=True, stderr=subprocess.DEVNULL)
    train(run, collection, hparams=SIZES)  # which removes what the killed left half-written
    assert content_of(run) == content_of(tmp_path / "one")
    assert not half_written(run)


@pytest.mark.slow
@pytest.mark.faults("two commands on one run folder")
def test_two_that_take_the_same_shard_do_no_harm(collection, whole, tmp_path):
    run = tmp_path / "run"
    both = [subprocess.Popen(command(run, collection, shard), stderr=subprocess.PIPE) for shard in ("1/1", "1/1")]
    errors = [process.communicate()[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert content_of(run) == content_of(whole)
    assert not half_written(run)


@pytest.mark.slow
@pytest.mark.faults("two commands on one run folder")
def test_of_two_that_begin_at_once_with_other_flags_one_is_refused(collection, tmp_path, monkeypatch):
    run, write = tmp_path / "run", song_list.write_first

    def too_late(path, value):
        write(path, value._replace(metre="4/4"))  # another process was quicker
        write(path, value)

    monkeypatch.setattr(song_list, "write_first", too_late)
    assert "metre=any contradicts" in one_line(encode, run, collection, metre="any")
    monkeypatch.undo()
    encode(run, collection, "1/60")
    assert run_dir_lib.at(str(run)).listed().metre == "4/4"


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.faults("damaged run folders, and files that are not its own")
def test_a_damaged_piece_is_encoded_again_and_no_other(collection, whole, tmp_path, monkeypatch, caplog):
    run = shutil.copytree(str(whole), str(tmp_path / "run"))
    path = encode(run, collection, "2/3")[4]
    os.truncate(path, 100)
    batches = batches_of(monkeypatch)
    encode(run, collection, "1/3")
    assert not batches
    train(run, collection, hparams=SIZES)
    assert "%s is damaged or gone; its songs are encoded again" % path in caplog.text
    assert len(batches) == 1
    assert content_of(run) == content_of(whole)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_the_command_refuses_what_a_mode_does_not_take(script, collection, tmp_path):
    common = ["--examples_path=%s" % collection, "--run_dir=%s" % (tmp_path / "run")]
    for mode, flag in (
        ("train", "--shard=1/2"),
        ("eval", "--shard=1/2"),
        ("eval", "--add_songs"),
        ("encode", "--eval_num_batches=3"),
        ("encode", "--hparams=max_beta=1"),
    ):
        status, _, error = script("midime_train", "--mode=" + mode, flag, *common)
        assert status == 1
        assert "%s" % flag.split("=")[0] in error
        assert "mode %s does not take it; leave it out" % mode in error
    bad = run_process("midime_train.py", "--mode=encode", "--shard=5/4", *common)
    assert (bad.returncode, len(bad.stderr.splitlines())) == (1, 1)
    assert not os.path.exists(str(tmp_path / "run"))
