"""Measures whole tunes against the songs that give their form, and against independent samples set one after another.

form         correlation of the self-similarity matrices of tune and form, off the diagonal (Dice of notes)
windows      by how many nats the personal prior makes a window likelier than MusicVAE's prior does
seams        the same of windows across the seams
copies       windows, seams included, that are near-copies of the song, of all
pitch, dur.  consistency and variance of pitch and duration (Mittal et al. 2021), as the overlapping area of
             neighbouring frames of 4 bars, hop 2, against the song's: 1 is the song's own
home         share of tunes that end on the song's final pitch class
seconds      for the tunes, and for 128 samples

python benchmarks/tunes.py folder [--config=...] [--tunes=10] [--bars=32]
"""

import argparse
import logging
import math
import os
import sys
import tempfile
import time

import numpy as np

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)

FRAME, HOP = 4, 2  # bars
COLUMNS = ["form", "windows", "seams", "copies", "pitch c.", "pitch v.", "dur. c.", "dur. v.", "home", "seconds"]


def cut(model, score):
    """Returns the windows of a song or tune, and those across its seams."""
    bars = model.converter.bars_of(model.time_signature)
    shift = (bars + 1) // 2
    found = [[], []]
    for first in range(len(score.bars) - 1 - bars):
        if first % bars in (0, shift):
            window = model.converter.window(score, score.tracks[0], first)
            found[first % bars != 0] += [] if window is None else [window]
    return found


def overlaps(notes, bar):
    """Returns the overlapping areas of the Gaussians of pitch and of duration in neighbouring frames."""
    found = {1: [], 2: []}
    values = np.stack([notes[:, 0], notes[:, 2], notes[:, 1] - notes[:, 0]], 1).astype(float)
    frames = [
        values[(values[:, 0] >= at) & (values[:, 0] < at + FRAME * bar)]
        for at in np.arange(0, values[-1, 0] - FRAME * bar, HOP * bar)
    ]
    for column, areas in found.items():
        for one, other in zip(frames, frames[1:]):
            if len(one) > 1 and len(other) > 1:
                areas.append(area(one[:, column], other[:, column]))
    return found


def area(one, other):
    """Returns the overlapping area of two Gaussians, from 0 to 1, by their means and variances."""
    scales = [max(some.std(), 0.5) for some in (one, other)]
    x = np.linspace(min(one.min(), other.min()) - 10, max(one.max(), other.max()) + 10, 400)
    curves = [
        np.exp(-(((x - some.mean()) / scale) ** 2) / 2) / scale / math.sqrt(2 * math.pi)
        for some, scale in zip((one, other), scales)
    ]
    return float(np.sum(np.minimum(*curves)) * (x[1] - x[0]))


def framewise(made, of_song):
    """Returns consistency and variance of pitch and duration, each relative to the song's; see Mittal et al. 2021."""
    found = []
    for column in (1, 2):
        for measure in (np.mean, np.var):
            own = measure(of_song[column])
            figures = [max(0.0, 1 - abs(measure(one[column]) - own) / max(own, 1e-9)) for one in made if one[column]]
            found.append(np.mean(figures) if figures else 0.0)
    return found


def figures(model, sequences, song):
    """Returns the figures of tunes, less those that need their form."""
    from lc_music_vae import data
    from lc_music_vae.encoding.nearness import NEAR
    from lc_music_vae.music.source import Song
    from lc_music_vae.music.style import bar_quarters

    bar = round(bar_quarters(*map(int, model.time_signature.split("/"))) * data.TICKS_PER_QUARTER)
    windows, seams, near, overlapping, home = [], [], [], [], []
    reference = overlaps(data.notes_of(song), bar)
    last = max(song.notes, key=lambda note: note.start_time).pitch % 12
    for sequence in sequences:
        found = cut(model, model.converter.score(Song("tune", sequence)))
        windows += found[0]
        seams += found[1]
        near += model._run_songs().nearest([window.notes for window in found[0] + found[1]])
        overlapping.append(overlaps(data.notes_of(sequence), bar))
        home.append(max(sequence.notes, key=lambda note: note.start_time).pitch % 12 == last)
    copies = np.mean([one is not None and one.similarity >= NEAR for one in near])
    return [model.likelihoods(windows).mean(), model.likelihoods(seams).mean(), copies], [
        *framewise(overlapping, reference),
        np.mean(home),
    ]


def rows(model, path, given):
    """Yields the name and figures of the song, of tunes with its form, and of independent samples."""
    from lc_music_vae.music import examples

    song = examples.read_one(path)
    score = model.converter.score(song)
    windows, seams = (model.likelihoods(some).mean() for some in cut(model, score))
    yield "the song", [1, windows, seams] + [float("nan")] * 7
    start = time.time()
    tunes = model.compose(given.bars, given.tunes, form=path)
    seconds = time.time() - start
    form = [correlation(one.likeness, one.own_likeness) for one in tunes.made]
    melody = only_track(score)
    first, rest = figures(model, tunes, melody)
    yield "tunes", [np.mean(form), *first, *rest, seconds]
    start = time.time()
    model.sample(128)
    seconds = time.time() - start
    places = len(tunes.made[0].places)
    samples = model.sample(places * given.tunes)
    joined = [model.joined(samples[i * places : (i + 1) * places], given.bars) for i in range(given.tunes)]
    first, rest = figures(model, joined, melody)
    yield "samples", [0, *first, *rest, seconds]


def only_track(score):
    """Returns the notes of the melody of a song alone, at magenta's tempo."""
    from lc_music_vae import data

    ticks = data.TICKS_PER_QUARTER
    notes = [(round(n.start * ticks), round(n.end * ticks), n.pitch) for n in score.tracks[0].notes]
    return data.to_note_sequence(np.array(notes))


def correlation(one, other):
    """Returns the correlation of two matrices off their diagonals."""
    off = np.triu_indices(len(one), 1)
    return np.corrcoef(one[off], other[off])[0, 1]


def main():
    """Prints three lines for each song."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder")
    arguments.add_argument("--config", default="lc-cat-mel_2bar_small")
    arguments.add_argument("--tunes", type=int, default=10)
    arguments.add_argument("--bars", type=int, default=32)
    given = arguments.parse_args()
    from lc_music_vae.system import light_imports

    light_imports.install()
    import tensorflow.compat.v1 as tf

    tf.logging.set_verbosity(tf.logging.ERROR)
    import lc_music_vae
    from lc_music_vae.errors import InputError
    from lc_music_vae.music import examples

    logging.getLogger("lc_music_vae").setLevel("ERROR")
    print("| song | what | %s |\n|%s" % (" | ".join(COLUMNS), " --- |" * (len(COLUMNS) + 2)))
    for path in examples.find(given.folder):
        name = os.path.basename(path)
        with tempfile.TemporaryDirectory() as folder:
            try:
                lc_music_vae.train(given.config, path, folder)
                with lc_music_vae.TrainedModel(folder, seed=1) as model:
                    for what, found in rows(model, path, given):
                        print("| %s | %s | %s |" % (name, what, " | ".join("%.2f" % x for x in found)))
                        sys.stdout.flush()
            except (InputError, ValueError, OSError) as e:
                print("left out: %s: %s" % (name, e))


if __name__ == "__main__":
    main()
