"""Measures reading many songs: seconds from files to windows for each number of worker processes, and the memory used.

The files are small MIDI files, all different: two or three tracks, 32 to 64 bars. 0 workers means this process only.
Runs alternate, each in a separate process, and medians are printed. "from start" includes all imports. "reading" starts
when the first song has been read.

    python benchmarks/many_files.py [--files=1000] [--runs=3]
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)
SECONDS_A_SAMPLE = 0.05


def write_songs(folder, count):
    """Writes `count` songs. Each has a track named as the melody and a bass, and every second song has chords."""
    import note_seq
    import numpy as np

    for seed in range(count):
        rng = np.random.RandomState(seed)
        end = 4.0 * rng.randint(32, 65)
        sequence = note_seq.NoteSequence(ticks_per_quarter=220)
        sequence.tempos.add(qpm=120)
        for track, (name, low, lengths, voices) in enumerate(
            [("MELODY", 60, [0.5, 0.5, 1, 1.5], 1), ("", 36, [2], 1), ("", 48, [4], 3)][: 2 + seed % 2]
        ):
            sequence.instrument_infos.add(instrument=track, name=name)
            at = 0.0
            while at < end:
                length = min(rng.choice(lengths), end - at)
                for pitch in low + rng.choice(20, voices, replace=False):
                    sequence.notes.add(
                        pitch=int(pitch), velocity=80, instrument=track, start_time=at / 2, end_time=(at + length) / 2
                    )
                at += length
        sequence.total_time = end / 2
        note_seq.note_sequence_to_midi_file(sequence, os.path.join(folder, "%05d.mid" % seed))


def read(folder, count, workers):
    """Reads the first `count` songs. Prints the seconds since the first song and the number of windows."""
    from lc_music_vae.checkpoints.shards import MadeWith
    from lc_music_vae.encoding import songs
    from lc_music_vae.music import examples

    paths = examples.find(folder)[:count]
    made_with = MadeWith("cat-mel_2bar_small", "", (0,), "auto", "any")
    with songs.reading({0: paths}, made_with, workers) as converted:
        windows = len(next(converted).windows)
        start = time.perf_counter()
        windows += sum(len(song.windows) for song in converted)
        print(json.dumps([time.perf_counter() - start, windows]))


def resident(pid):
    """Returns the resident memory in MB of a process, and of the process with all processes that it started."""
    parents, sizes = {}, {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name) as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(name)] = int(fields[1])
        sizes[int(name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    tree = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in tree} - tree
        if not more:
            return sizes.get(pid, 0.0), sum(sizes.get(member, 0.0) for member in tree)
        tree |= more


def measure(folder, count, workers):
    """Returns seconds from start, seconds of reading, windows, and peak MB of the process and of its process tree."""
    command = [sys.executable, "-W", "ignore", os.path.abspath(__file__), folder, str(count), str(workers)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
    peaks = [0.0, 0.0]
    while process.poll() is None:
        peaks = [max(pair) for pair in zip(peaks, resident(process.pid))]
        time.sleep(SECONDS_A_SAMPLE)
    seconds = time.perf_counter() - start
    return [seconds] + json.loads(process.stdout.read()) + peaks


def main():
    """Prints one row for each number of files and workers."""
    values = dict(argument[2:].split("=") for argument in sys.argv[1:])
    files, runs = int(values.get("files", 1000)), int(values.get("runs", 3))
    counts = [n for n in (10, 100, 1000) if n < files] + [files]
    found = {(count, workers): [] for count in counts for workers in (0, 1, 2)}
    with tempfile.TemporaryDirectory() as folder:
        write_songs(folder, files)
        for _ in range(runs):
            for (count, workers), measured in found.items():
                measured.append(measure(folder, count, workers))
    print("| files | windows | workers | from start s | of one | reading s | of one | peak MB | with workers |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    medians = {key: [statistics.median(column) for column in zip(*measured)] for key, measured in found.items()}
    for (count, workers), (start, reading, windows, alone, tree) in medians.items():
        one = medians[count, 1]
        print(
            "| %d | %d | %d | %.1f | %.2f | %.1f | %.2f | %.0f | %.0f |"
            % (count, windows, workers, start, start / one[0], reading, reading / one[1], alone, tree)
        )


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1][:2] != "--":
        read(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        main()
