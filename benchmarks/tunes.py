"""Measures whole tunes: does a tune have the form of its song, do its windows go together, and is anything copied?

Each song of a folder gets a model of its own, and tunes on its own form. Beside them stand as many windows of
independent samples, and the song itself. Printed for each song, and as means over the songs:

    form         correlation of the self-similarity matrices of tune and song: for each two windows, the share of notes
                 that both have (Dice's coefficient, by start and pitch)
    windows      by how many nats a window is likelier under the personal model than under MusicVAE
    seams        the same for what straddles two windows: the second half of one and the first half of the next
    half way     how far the seams have come from those of independent samples (0) to those of the song (1)
    copies       share of windows, those across seams included, that are near-copies of training windows, in any key
    pitch C, V   consistency and variance of pitch over frames of four bars, every two bars, against those of the song:
                 1 if neighbouring frames overlap as much, and as evenly, as the song's
    length C, V  the same for lengths of notes
    home         share of tunes that end on the pitch class that the song ends on

All is measured on the notes of a tune, encoded again. Source of consistency and variance: Mittal, Engel, Hawthorne,
Simon, "Symbolic Music Generation with Diffusion Models" (ISMIR 2021), section 5.1.

    python benchmarks/tunes.py folder [--config=...] [--tunes=10] [--bars=32]
"""

import argparse
import os
import sys
import tempfile
import time

import numpy as np

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)

FRAME, HOP = 4, 2  # bars
DRAWS = 4  # of z, per window
COLUMNS = ("form", "windows", "seams", "half way", "copies", "pitch C", "pitch V", "length C", "length V", "home")
TIMED_TUNES = 8


class Heard:
    """The windows of some music, from bar to bar, as the model hears them.

    Attributes:
        windows: The window from every bar in which a note starts.
        starts: The bar that each begins with, from 0.
        last: The last note's pitch class.
    """

    def __init__(self, model, sequence, num_bars, *, is_song=False):
        from lc_music_vae.music.source import Song

        score = model.converter.score(Song("music", sequence))
        track = score.tracks[0]
        first = int(np.searchsorted(score.bars, track.notes[0].start, "right")) - 1 if is_song else 0
        bars = range(first, min(first + num_bars, len(score.bars) - 1))
        full = [bar for bar in bars if model.converter.last_bar(score, bar) in bars]
        found = [(bar - first, model.converter.window(score, track, bar)) for bar in full]
        self.windows = [window for _, window in found if window is not None]
        self.starts = np.array([bar for bar, window in found if window is not None])
        self.track = [(n.start, n.end - n.start, n.pitch) for n in track.notes]
        self.bars = [float(score.bars[bar]) for bar in bars] + [float(score.bars[bars[-1] + 1])]
        self.last = track.notes[-1].pitch % 12


def gains(model, windows):
    """Returns by how many nats each window is likelier under the personal model than under MusicVAE, [n]."""
    from lc_music_vae import base_model
    from lc_music_vae.models.prior import PersonalPrior

    model.hear(windows[:1])  # so that the encoder is there
    mean, scale = model._encoder.encode([w.inputs[0] for w in windows], [w.length for w in windows])
    noise = np.random.RandomState(0).standard_normal((DRAWS, *mean.shape))
    z = (mean + scale * noise).reshape(-1, mean.shape[1]).astype(np.float32)
    prior = PersonalPrior(model.small, model._broad_part())
    return np.mean((prior.log_prob(z) - base_model.log_standard_normal(z)).reshape(DRAWS, -1), 0)


def alike(notes):
    """Returns how alike each two windows are, [n, n]."""
    from lc_music_vae.encoding.nearness import onsets
    from lc_music_vae.music.likeness import dice

    found = [np.unique(onsets(one)) for one in notes]
    return dice(found, found)


def correlation(some, others):
    """Returns the correlation of two self-similarity matrices without their diagonals; NaN if one says nothing."""
    above = np.triu_indices(len(some), 1)
    if np.ptp(some[above]) == 0 or np.ptp(others[above]) == 0:
        return np.nan
    return float(np.corrcoef(some[above], others[above])[0, 1])


def overlapping_area(some, others, least):
    """Returns the area under both of two normal densities with the moments of two sets of numbers.

    Args:
        some: The numbers, two or more.
        others: The others.
        least: The smallest standard deviation, as equal numbers have none.
    """
    means, widths = zip(*((np.mean(x), max(np.std(x), least)) for x in (some, others)))
    at = np.linspace(min(means) - 5 * max(widths), max(means) + 5 * max(widths), 2001)
    densities = [np.exp(-(((at - m) / w) ** 2) / 2) / (w * np.sqrt(2 * np.pi)) for m, w in zip(means, widths)]
    return float(np.minimum(*densities).sum() * (at[1] - at[0]))


def areas(heard, column, least):
    """Returns the overlapping areas of frames that follow each other, of lengths (1) or pitches (2)."""
    edges = [(heard.bars[i], heard.bars[i + FRAME]) for i in range(0, len(heard.bars) - FRAME, HOP)]
    frames = [[note[column] for note in heard.track if start <= note[0] < end] for start, end in edges]
    return [overlapping_area(a, b, least) for a, b in zip(frames, frames[1:]) if min(len(a), len(b)) > 1]


def against(found, expected):
    """Returns consistency and variance: 1 less the relative distance of mean and variance, 0 at least."""
    pairs = [(np.mean(found), np.mean(expected)), (np.var(found), np.var(expected))]
    return [max(0.0, 1 - abs(a - b) / b) if b else np.nan for a, b in pairs]


def measure(model, sequence, song, likeness):
    """Returns the figures of a tune beside the song that gave its form.

    Args:
        model: The model of the song.
        sequence: The tune.
        song: The `Heard` song.
        likeness: How alike the windows at each two places of the form are.
    """
    bars = model.converter.bars_of(model.time_signature)
    heard = sequence if isinstance(sequence, Heard) else Heard(model, sequence, bars * len(likeness))
    worth = gains(model, heard.windows)
    near = model.nearest(model.converter.heard(heard.windows))
    whole = [i for i, at in enumerate(heard.starts) if at % bars == 0]
    places = heard.starts[whole] // bars
    row = {
        "form": correlation(alike([heard.windows[i].notes for i in whole]), likeness[np.ix_(places, places)]),
        "windows": worth[whole].mean(),
        "seams": worth[heard.starts % bars == (bars + 1) // 2].mean() if bars > 1 else np.nan,
        "copies": np.mean([one is not None and one.similarity >= 0.9 for one in near]),
        "home": float(heard.last == song.last),
    }
    for name, column, least in (("length", 1, 0.25), ("pitch", 2, 0.5)):
        row[name + " C"], row[name + " V"] = against(*(areas(one, column, least) for one in (heard, song)))
    return row


def rows(model, path, num_bars, num_tunes):
    """Returns the figures of the song, of independent samples and of tunes, by name."""
    from lc_music_vae.composer import joined
    from lc_music_vae.music import examples
    from lc_music_vae.music.style import bar_of

    song = Heard(model, examples.read_one(path).note_sequence, num_bars, is_song=True)
    made = model.compose(num_bars, num_tunes, form=path, seed=1)
    likeness = made.made[0].likeness
    found = {"the song": [dict(measure(model, song, song, likeness), form=1.0)]}
    bar = 60 / model.qpm * bar_of(model.time_signature)
    window = bar * model.converter.bars_of(model.time_signature)
    samples = [joined(model.sample(len(likeness)), window, num_bars * bar) for _ in range(num_tunes)]
    for name, sequences in (("samples", samples), ("tunes", made)):
        found[name] = [measure(model, sequence, song, likeness) for sequence in sequences]
    means = {}
    for name, figures in found.items():
        means[name] = {key: float(np.nanmean([row[key] for row in figures])) for key in figures[0]}
    low, high = means["samples"]["seams"], means["the song"]["seams"]
    for one in means.values():
        one["half way"] = (one["seams"] - low) / (high - low)
    return means


def seconds(model, path, num_bars):
    """Returns how long tunes take, and as many windows of samples; both with all that is needed loaded."""
    windows = TIMED_TUNES * num_bars // model.converter.bars_of(model.time_signature)
    taken = []
    for make in (lambda: model.compose(num_bars, TIMED_TUNES, form=path, seed=2), lambda: model.sample(windows)):
        start = time.perf_counter()
        make()
        taken.append(time.perf_counter() - start)
    return taken


def show(title, means):
    """Prints a table."""
    print("\n%s\n\n| what | %s |\n|%s" % (title, " | ".join(COLUMNS), " --- |" * (len(COLUMNS) + 1)))
    for name, row in means.items():
        shown = ["%.1f" % row[c] if c in ("windows", "seams") else "%.2f" % row[c] for c in COLUMNS]
        print("| %s | %s |" % (name, " | ".join(shown)))
    sys.stdout.flush()


def main():
    """Measures each song of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--config", default="lc-cat-mel_2bar_small")
    parser.add_argument("--tunes", type=int, default=10)
    parser.add_argument("--bars", type=int, default=32)
    parser.add_argument("--runs", help="folder of trainings that are kept, one for each song; left out, none is")
    arguments = parser.parse_args()
    import lc_music_vae
    from lc_music_vae.music import examples

    every = []
    with tempfile.TemporaryDirectory() as scratch:
        for path in examples.find(arguments.folder):
            name = os.path.splitext(os.path.basename(path))[0]
            run_dir = os.path.join(arguments.runs or scratch, name)
            if not os.path.exists(os.path.join(run_dir, arguments.config + ".tar")):
                lc_music_vae.train(arguments.config, path, run_dir)
            with lc_music_vae.TrainedModel(run_dir, seed=1) as model:
                every.append(rows(model, path, arguments.bars, arguments.tunes))
                show(name, every[-1])
                tunes, samples = seconds(model, path, arguments.bars)
                print("\n%d tunes: %.1f s; samples of as many windows: %.1f s" % (TIMED_TUNES, tunes, samples))
    means = {what: {c: float(np.nanmean([one[what][c] for one in every])) for c in COLUMNS} for what in every[0]}
    show("Means over %d songs" % len(every), means)


if __name__ == "__main__":
    main()
