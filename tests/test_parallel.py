"""Work in other processes: order, bounds, and how it ends."""

import itertools
import operator
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import EXAMPLE, REPO, TUNES, melody, parent_of, tune, wait_until, workers_of, write_midi, write_tfrecord

from lc_music_vae import configs
from lc_music_vae.checkpoints import shards
from lc_music_vae.checkpoints.shards import MadeWith
from lc_music_vae.encoding import latents, songs
from lc_music_vae.errors import InputError
from lc_music_vae.models import music_vae
from lc_music_vae.system import parallel

SMALL = "cat-mel_2bar_small"


why_lost = "{}: {}".format


def test_results_come_in_order_a_bounded_number_ahead_and_workers_end():
    taken = itertools.count()
    items = (next(taken) for _ in range(1000))
    before = workers_of(os.getpid())  # a reading process may wait for songs
    with parallel.ordered_map(2) as ordered:
        results = ordered(operator.neg, items, why_lost)
        assert next(results) == 0
        assert next(taken) - 1 <= 2 * parallel._AHEAD + 1
        assert len(workers_of(os.getpid()) - before) == 2
        assert len(list(results)) == 999
        assert list(ordered(operator.neg, range(100), why_lost)) == [-i for i in range(100)]
        names = ["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
        names += ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS"]
        assert list(ordered(os.getenv, names, why_lost)) == ["", "1", "1", "1", "1", "3", "ignore"]
        with pytest.raises(InputError, match="^config=x is not known"):
            list(ordered(configs.get_config, ["x"], why_lost))
    assert workers_of(os.getpid()) <= before


@pytest.mark.faults("killed workers")
def test_a_killed_worker_costs_one_item(tmp_path):
    """And not even that, if it does not happen again."""
    kill = "__import__('os').kill(__import__('os').getpid(), 9)"
    once = "__import__('os').path.exists({0!r}) or (open({0!r}, 'w').close(), {1})".format(str(tmp_path / "mark"), kill)
    with parallel.ordered_map(2) as ordered:
        found = list(ordered(eval, ["0", "1", kill] + [str(i) for i in range(3, 40)], why_lost))
        why = kill + ": the process that read it was killed, most likely for want of memory"
        assert found == [0, 1, why] + list(range(3, 40))
        assert list(ordered(eval, [once], why_lost)) == [True]


@pytest.mark.slow
@pytest.mark.faults("killed workers")
@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGINT, 0), (signal.SIGINT, 1), (signal.SIGKILL, 1)])
def test_no_process_outlives_an_interrupt_or_a_kill(number, seconds, tmp_path):
    """Nor is a script without `if __name__ == "__main__"` run again by its workers."""
    path = tmp_path / "unguarded.py"
    path.write_text(
        "import sys, time\nsys.path.insert(0, %r)\nfrom lc_music_vae.system import parallel\nprint('once')\n"
        "with parallel.ordered_map(2) as ordered:\n    list(ordered(time.sleep, [60] * 40, max))\n" % REPO
    )
    process = subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(lambda: len(workers_of(process.pid)) == 2)
    time.sleep(seconds)  # at first workers are still starting
    workers = workers_of(process.pid)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.kill()
    out, error = process.communicate(timeout=10)
    assert out == "once\n"
    assert error.count("Traceback") == (1 if number == signal.SIGINT else 0)  # the script's own, of no worker
    wait_until(lambda: not any(map(parent_of, workers)), 2)


@pytest.fixture
def collection(tmp_path):
    """Files of all kinds, good and bad."""
    paths = [write_midi(melody(tune(3 + seed % 3, seed)), tmp_path / ("%02d.mid" % seed)) for seed in range(9)]
    (tmp_path / "03a.mid").write_bytes(b"MThd and no more")
    (tmp_path / "05a.abc").write_text(TUNES)
    (tmp_path / "06a.xml").write_text("<score-partwise>")
    records = write_tfrecord(tmp_path / "07a.tfrecord", [melody(tune(4, seed)) for seed in range(20, 31)])
    os.truncate(records, os.path.getsize(records) - 20)
    write_tfrecord(tmp_path / "07b.tfrecord", [])
    names = ("03a.mid", "05a.abc", "06a.xml", "07a.tfrecord", "07b.tfrecord")
    return sorted(paths + [str(tmp_path / name) for name in names])


class FirstNotes:
    """An encoder that shows what it was given, at no cost."""

    def __init__(self, *unused):
        pass

    def encode(self, inputs, lengths, controls):
        assert {x.shape[1] for x in controls} == {0}
        means = np.stack([x.argmax(-1) for x in inputs]).astype(np.float32)
        return means, np.arange(len(inputs), dtype=np.float32)[:, None] + means  # the place in the batch, too

    def close(self):
        pass


def test_workers_change_no_byte_of_what_is_written(collection, tmp_path, monkeypatch):
    monkeypatch.setattr(music_vae, "Encoder", FirstNotes)
    monkeypatch.setattr(latents, "_FILES_A_SHARD", 4)
    monkeypatch.setattr(parallel, "_AHEAD", 3)
    found, contents = [], []
    made_with = MadeWith(SMALL, "print", (-1, 0, 2), "auto", "any")
    planned = latents.plan(shards.hashed(collection))
    for workers in (0, 1, 2):
        folder = tmp_path / str(workers)
        found.append(latents.complete(planned, str(folder), made_with, weights=None, workers=workers))
        contents.append({name: (folder / name).read_bytes() for name in sorted(os.listdir(str(folder)))})
    assert len(contents[0]) == 2 * 4
    assert contents[1] == contents[0]
    assert contents[2] == contents[0]
    assert found[1]._replace(shards=()) == found[2]._replace(shards=()) == found[0]._replace(shards=())
    reasons = {os.path.basename(row.path): row.reason for row in found[0].rows if not row.slices}
    assert sorted(reasons) == ["03a.mid", "05a.abc#8", "06a.xml", "07a.tfrecord", "07b.tfrecord"]
    assert "cut off or damaged" in reasons["07a.tfrecord"]
    assert "empty" in reasons["07b.tfrecord"]
    windows = [os.path.basename(record["song"]) for record in latents.read(found[2].shards)]
    assert windows == [os.path.basename(row.path) for row in found[0].rows for _ in range(row.slices)]


def test_workers_are_started_for_many_songs_only(tmp_path, monkeypatch):
    started = []

    def recording(workers):
        started.append(workers)
        return ordered_map(0)

    ordered_map = parallel.ordered_map
    monkeypatch.setattr(parallel, "ordered_map", recording)
    monkeypatch.setattr(parallel, "cores", lambda: 3)
    monkeypatch.setattr(songs, "_SONGS_HERE", 4)
    book = tmp_path / "tunes.abc"
    made_with = MadeWith(SMALL, "print", (0,), "auto", "any")
    for count in (4, 5):
        book.write_text("\n".join("X:%d\nM:4/4\nL:1/1\nK:C\nC|D|E|F|\n" % i for i in range(count)))
        with songs.reading({0: [str(book)]}, made_with, None) as converted:
            assert [song.row.slices for song in converted] == [3] * count
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    with songs.reading({0: [str(book), EXAMPLE]}, made_with, None) as converted:
        assert [song.file for song in converted] == [0] * 5 + [1]
    assert started == [0, 3, 0]
