"""Measures how much of given bars is in what becomes of them: by song and metre, on bars that the model has not seen.

Each song of a folder gets a model of its first half; bars of its second half are given to each mode. F1 is that of the
notes, by start and pitch, of what was given and what came of it.

    MusicVAE     F1 of the bars with MusicVAE's own reconstruction of them: the most that there can be
    s = 1 ... 0  F1 of the bars with variations of this similarity
    before       the same at 1 and at 0.8 without the residual, as in version 0.1.0
    samples      F1 of the bars with samples of the model, drawn as in version 0.1.0, at freedom 0
    ends         F1 of both ends of interpolations with MusicVAE's reconstruction of the bars given
    step         share of the notes that change from one of eight steps to the next: the mean, and that of the step at
                 which most changes, in the mean over interpolations
    back         share of steps that are less like the end, or more like the start, than the step before by 0.05
    song         F1 of the second half's bars with a reconstruction that keeps no detail, and with one that keeps all

    python benchmarks/faithful.py folder [--config=...] [--bars=16]
"""

import argparse
import collections
import logging
import os
import sys
import tempfile

import numpy as np

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)

SIMILARITIES = (1.0, 0.8, 0.5, 0.2, 0.0)
VARIATIONS = 4  # of each of the bars, at each similarity
STEPS = 8
MIN_WINDOWS = 6  # in each half
TEMPERATURE = 0.5
COLUMNS = (
    ["MusicVAE"]
    + ["s = %g" % s for s in SIMILARITIES]
    + ["before 1", "before 0.8", "samples", "ends", "step", "most", "back", "song 0", "song 1"]
)


def windows_of(model, path, most):
    """Returns at most so many distinct windows of a song's second half, spread over it."""
    from lc_music_vae.music import examples

    (song,) = examples.read(path)
    found = model.converter.windows(model.converter.score(song), part=(0.5, 1.0))
    return [found[i] for i in sorted(set(np.linspace(0, len(found) - 1, most).astype(int).tolist()))]


def likeness(model, windows, music):
    """Returns the F1 of windows with music made of them: as much of each, one after another."""
    from lc_music_vae.encoding.nearness import f1

    heard = model.heard(music)
    each = len(heard) // len(windows)
    return f1((windows[i // each].notes, notes) for i, notes in enumerate(heard))


def variations(model, windows):
    """Yields the name and F1 of what becomes of windows at each similarity."""
    from lc_music_vae.models import points

    means, residuals = model.hear(windows)
    yield "MusicVAE", likeness(model, windows, model.decode(means, TEMPERATURE, residual=residuals))
    for similarity in SIMILARITIES:
        where = np.concatenate(
            [points.similar(y, VARIATIONS, similarity, seed=1, first=VARIATIONS * i) for i, y in enumerate(means)]
        )
        kept = points.kept(similarity) * np.repeat(residuals, VARIATIONS, 0)
        yield "s = %g" % similarity, likeness(model, windows, model.decode(where, TEMPERATURE, residual=kept))
        if similarity in (1.0, 0.8):
            yield "before %g" % similarity, likeness(model, windows, model.decode(where, TEMPERATURE))
    where = points.prior_samples(VARIATIONS * len(windows), model.encoded_z_size, 2)
    yield "samples", likeness(model, windows, model.decode(where, TEMPERATURE))


def interpolations(model, windows):
    """Yields the name and figure of interpolations from each window to the one half of the windows away."""
    from lc_music_vae.encoding.nearness import f1

    means, residuals = model.hear(windows)
    own = model.heard(model.decode(means, 1e-3, residual=residuals))
    ends, steps, back = [], [], []
    for i in range(len(windows)):
        pair = [i, (i + len(windows) // 2) % len(windows)]
        music, _ = model.between(means[pair], residuals[pair], STEPS, temperature=1e-3)
        heard = model.heard(music)
        ends += [(own[pair[0]], heard[0]), (own[pair[1]], heard[-1])]
        music, _ = model.between(means[pair], residuals[pair], STEPS, temperature=TEMPERATURE)
        heard = model.heard(music)
        steps.append([1 - f1([two]) for two in zip(heard, heard[1:])])
        to_end, to_start = ([f1([(notes, heard[at])]) for notes in heard] for at in (-1, 0))
        back.append((np.diff(to_end) < -0.05) | (np.diff(to_start) > 0.05))
    yield "ends", f1(ends)
    yield "step", np.mean(steps)
    yield "most", np.mean(steps, 0).max()
    yield "back", np.mean(back)


def reconstructions(model, path):
    """Yields the name and F1 of the bars of a song's second half with their reconstructions, one after another."""
    from lc_music_vae import data
    from lc_music_vae.encoding.nearness import f1
    from lc_music_vae.music import examples

    (song,) = examples.read(path)
    score = model.converter.score(song)
    middle = score.bars[len(score.bars) // 2]
    placed = [place for place in model.converter.consecutive(score, score.tracks[0]) if place[0].start >= middle]
    placed = [(at, window) for at, window in placed if window is not None]
    means, residuals = model.hear([window for _, window in placed])
    for detail in (0.0, 1.0):
        heard = model.heard(model.decode(means, TEMPERATURE, residual=detail * residuals))
        pairs = []
        for (at, window), notes in zip(placed, heard):
            ticks = (at.end - at.start) * data.TICKS_PER_QUARTER
            pairs.append([some[some[:, 0] < ticks] for some in (window.notes, notes)])
        yield "song %g" % detail, f1(pairs)


def rows(model, path, bars):
    """Returns the figures of a song."""
    windows = windows_of(model, path, bars)
    if len(windows) < MIN_WINDOWS:
        raise ValueError("%d windows in its second half" % len(windows))
    found = dict(variations(model, windows))
    found.update(interpolations(model, windows))
    found.update(reconstructions(model, path))
    return windows[0].time_signature, found


def table(kind, found):
    """Prints the means over some songs."""
    print("\n%s: %d song%s\n" % (kind, len(found), "" if len(found) == 1 else "s"))
    print("| %s |\n|%s" % (" | ".join(COLUMNS), " --- |" * len(COLUMNS)))
    print("| %s |" % " | ".join("%.2f" % np.mean([row[column] for row in found]) for column in COLUMNS))
    sys.stdout.flush()


def main():
    """Prints a line for each song, a table for each time signature, and what was left out."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder")
    arguments.add_argument("--config", default="lc-cat-mel_2bar_small")
    arguments.add_argument("--bars", type=int, default=16, help="windows of each song's second half")
    given = arguments.parse_args()
    from lc_music_vae.system import light_imports

    light_imports.install()
    import tensorflow.compat.v1 as tf

    tf.logging.set_verbosity(tf.logging.ERROR)
    import lc_music_vae
    from lc_music_vae.errors import InputError
    from lc_music_vae.music import examples

    logging.getLogger("lc_music_vae").setLevel("ERROR")
    found, left_out = collections.defaultdict(list), []
    print("| song | %s |\n|%s" % (" | ".join(COLUMNS), " --- |" * (len(COLUMNS) + 1)))
    for path in examples.find(given.folder):
        with tempfile.TemporaryDirectory() as folder:
            try:
                lc_music_vae.train(given.config, path, folder, holdout=0.5)
                with lc_music_vae.TrainedModel(folder, seed=1) as model:
                    metre, row = rows(model, path, given.bars)
            except (InputError, ValueError, OSError) as e:
                left_out.append("%s: %s" % (os.path.basename(path), e))
                continue
        found[metre].append(row)
        print("| %s | %s |" % (os.path.basename(path), " | ".join("%.2f" % row[column] for column in COLUMNS)))
        sys.stdout.flush()
    for metre in sorted(found):
        table(metre, found[metre])
    print("\nleft out: %d songs" % len(left_out))
    for line in left_out:
        print("  " + line)


if __name__ == "__main__":
    main()
