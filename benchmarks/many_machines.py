"""Measures what encoding a collection costs, by the number of workers, and reckons it for workers that are not here.

Measured on this machine: the throughput of one process and of two, each with a share of the songs, on a core of its
own; what a song costs before it is read (it is found, its bytes are hashed, its line is written to the list and read);
what a piece costs, however small it is; and what training does with each piece before it begins.

Reckoned from this, for many workers: where the time goes, and which limit comes first.

    python benchmarks/many_machines.py [--songs=600] [--collection=10000000] [--workers=1000] [--windows_a_second=80]

`windows_a_second` is that of the large model on a worker; it is measured by `side_by_side.py`.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)
CONFIG = "lc-cat-mel_2bar_small"
SMALL_PIECES = 200
LISTED = 300_000  # songs of a list that is made up


def command(songs, run, shard):
    """Returns the command that encodes a share."""
    flags = ["--mode=encode", "--config=" + CONFIG, "--examples_path=" + songs, "--run_dir=" + run, "--shard=" + shard]
    return [sys.executable, "-W", "ignore", os.path.join(REPO, "midime_train.py"), *flags, "--log=ERROR"]


def encode(songs, run, workers):
    """Encodes all songs by processes with a core each, at the same time; returns seconds, and the processor's."""
    cores = sorted(os.sched_getaffinity(0))
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    processes = []
    for i in range(workers):
        pinned = ["taskset", "-c", str(cores[i % len(cores)])]
        shard = "%d/%d" % (i + 1, workers)
        environment = dict(os.environ, TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")
        processes.append(
            subprocess.Popen(pinned + command(songs, run, shard), stdout=subprocess.DEVNULL, env=environment)
        )
    if any(process.wait() for process in processes):
        sys.exit("encoding failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds(work):
    """Returns the seconds of a function, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def costs(songs, scratch):
    """Returns the seconds of a song or a piece, by what is done with it."""
    from lc_music_vae.checkpoints import shards, song_list
    from lc_music_vae.encoding import latents
    from lc_music_vae.music import examples

    found_in, paths = seconds(lambda: examples.find(songs))
    hashed_in, _ = seconds(lambda: shards.hashed(paths))
    a_piece, run = of_small_pieces(songs, scratch)
    listed = song_list.read(os.path.join(run, "latents", song_list.NAME))
    pieces = latents.plan_listed(listed)
    made_with = shards.read_record(os.path.join(run, "latents", pieces[0].name)).made_with
    checked_in, _ = seconds(lambda: latents.complete(pieces, os.path.join(run, "latents"), made_with, weights=None))
    many = [shards.File("/songs/a folder/a song of some name %08d.mid" % i, "%064x" % i) for i in range(LISTED)]
    path = os.path.join(scratch, "list.json")
    divided_in, divided = seconds(lambda: song_list.divided(many))
    written_in, _ = seconds(lambda: song_list.write_first(path, listed._replace(pieces=divided)))
    read_in, large = seconds(lambda: song_list.read(path))
    shares_in, _ = seconds(lambda: large.shares(1000))
    return {
        "find it": found_in / len(paths),
        "hash it": hashed_in / len(paths),
        "list it": (divided_in + written_in) / LISTED,
        "read the list": (read_in + shares_in) / LISTED,
        "check it before training": checked_in / SMALL_PIECES,
        "bytes of the list": os.path.getsize(path) / LISTED,
        "a piece, however small": a_piece,
    }


def of_small_pieces(songs, scratch):
    """Returns the seconds that a piece costs (200 songs as 200 pieces, less the same as 4), and the run with the 4."""
    from unittest import mock

    import lc_music_vae
    from lc_music_vae.checkpoints import song_list

    few = os.path.join(scratch, "few")
    os.makedirs(few)
    for name in sorted(os.listdir(songs))[:SMALL_PIECES]:
        shutil.copy(os.path.join(songs, name), few)
    lc_music_vae.encode(CONFIG, few, os.path.join(scratch, "warm"), shard="1/100")
    took = []
    for number, parts in ((0, 1 << 20), (1, 1)):
        with mock.patch.object(song_list, "_PARTS", parts):
            run = os.path.join(scratch, "pieces%d" % number)
            took.append(seconds(lambda run=run: lc_music_vae.encode(CONFIG, few, run))[0])
    return (took[0] - took[1]) / (SMALL_PIECES - -(-SMALL_PIECES // 64)), run


def reckoned(cost, *, windows, songs, workers, rate):
    """Prints where the time of many workers goes.

    Assumptions: songs and machines like those measured; songs have as many windows, and workers a shared folder that is
    as fast as this disk for each of them. Every worker reads the list; one makes it.
    """
    from lc_music_vae.checkpoints import song_list

    total = windows * songs
    pieces = songs / 64
    rows = [
        ("find and hash all songs, once, by the first worker", songs * (cost["find it"] + cost["hash it"])),
        ("write the list", songs * cost["list it"]),
        ("read the list, by each worker at once", songs * cost["read the list"]),
        ("encode %.0f million windows, a share of each" % (total / 1e6), total / workers / rate),
        ("begin and end %.0f pieces, a share of each" % pieces, pieces / workers * cost["a piece, however small"]),
        ("wait for the slowest share, which has 6 %% more (docs/limits.md)", 0.06 * total / workers / rate),
        ("check all files before training, by the one that trains", songs * cost["check it before training"]),
    ]
    print("\n| %d songs, %d workers of %.0f windows a second | hours |" % (songs, workers, rate))
    print("| --- | --- |")
    for what, took in rows:
        print("| %s | %.2f |" % (what.replace("%%", "%"), took / 3600))
    print("| one worker alone, encoding | %.0f |" % (total / rate / 3600))
    size, most = songs * cost["bytes of the list"], song_list._MAX_JSON
    print("\nThe list has %.2f GB; it may have %.2f." % (size / 1e9, most / 1e9))


def main():
    """Prints three tables."""
    values = dict(argument[2:].split("=") for argument in sys.argv[1:])
    count = int(values.get("songs", 600))
    from benchmarks import many_files
    from lc_music_vae.checkpoints import shards

    with tempfile.TemporaryDirectory() as scratch:
        songs = os.path.join(scratch, "songs")
        os.makedirs(songs)
        many_files.write_songs(songs, count)
        runs = [os.path.join(scratch, "run%d" % workers) for workers in (1, 2)]
        took = [encode(songs, run, workers) for workers, run in zip((1, 2), runs)]
        folder = os.path.join(runs[0], "latents")
        records = [shards.read_record(os.path.join(folder, n)) for n in os.listdir(folder) if n.endswith(".tfrecord")]
        windows = sum(record.made.windows for record in records)
        print("| workers | songs | windows | seconds | windows a second | of one | the processors' seconds |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for workers, (total, cpu) in zip((1, 2), took):
            row = workers, count, windows, total, windows / total, took[0][0] / total, cpu
            print("| %d | %d | %d | %.1f | %.0f | %.2f | %.1f |" % row)
        sys.stdout.flush()
        cost = costs(songs, scratch)
        print("\n| of a song | ms |\n| --- | --- |")
        for what, took_of in cost.items():
            if "bytes" not in what:
                print("| %s | %.3f |" % (what, 1000 * took_of))
        reckoned(
            cost,
            windows=windows / count,
            songs=int(values.get("collection", 10_000_000)),
            workers=int(values.get("workers", 1000)),
            rate=float(values.get("windows_a_second", 80)),
        )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
