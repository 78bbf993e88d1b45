"""Measures what checkpoints of `cat-mel_2bar_small` give back, and what their prior sounds like.

    python -m tools.base_model.evaluate windows.npz weights.tar ... [--songs=folder ...] [--most=2000]

Windows are encoded to the posterior mean and decoded greedily, by magenta's own model. Of each set of windows (those
held out, and of each folder's songs all distinct ones):

    whole     share of windows that come back as they were
    steps     share of the 32 events that do
    onsets    share of the notes that begin where they did, at their pitch
    KL        of q(z|x) from N(0, I), nats a window

and of samples of the prior, at temperature 0.5, beside the windows to train on:

    entropy   of a window's pitch classes, nats: the mean over windows
    interval, duration   overlap of histograms with the corpus's, from 0 to 1
    notes, pitches   in a window, the mean over windows
"""

import argparse
import sys

import numpy as np

from lc_music_vae import data
from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.models import music_vae
from lc_music_vae.music import examples
from tools.base_model import events, windows

GREEDY, AUDIBLE = 1e-3, 0.5
_BATCH = 128


def windows_of_songs(folder):
    """Returns the distinct windows of each song's melody in a folder, one song after another, int [n, 32]."""
    converter = data.WindowConverter(windows.MUSIC_VAE)
    found = []
    for path in examples.find(folder, "--songs"):
        for song in examples.read(path):
            found += [np.argmax(window.outputs, 1) for window in converter.windows(converter.score(song))]
    return np.array(found).reshape(-1, events.STEPS)


def right(given, heard):
    """Returns the shares of whole windows, of steps and of onsets that are as given: a dict of numbers from 0 to 1.

    Args:
        given: int [n, 32] events.
        heard: The same windows as they came back.
    """
    same, on = given == heard, events.begins(given)
    return {"whole": same.all(1).mean(), "steps": same.mean(), "onsets": same[on].mean()}


def histograms(some):
    """Returns histograms of windows' intervals and durations, each with the sum 1."""
    on = events.begins(some)
    found = {"interval": np.zeros(49), "duration": np.zeros(events.STEPS + 1)}
    for window, begins in zip(some, on):
        at = np.flatnonzero(begins)
        ends = np.flatnonzero(begins | (window == events.OFF))
        stops = [next(iter(ends[ends > start]), events.STEPS) for start in at]
        np.add.at(found["interval"], np.clip(np.diff(window[at]), -24, 24) + 24, 1)
        np.add.at(found["duration"], np.array(stops, int) - at, 1)
    return {name: one / max(one.sum(), 1) for name, one in found.items()}


def entropy(some):
    """Returns the entropy of the pitch classes of each window, in nats, in the mean over windows with notes."""
    found = []
    for window in some:
        counts = np.bincount(window[window >= events.LOWEST] % 12)
        shares = counts[counts > 0] / max(counts.sum(), 1)
        if len(shares):
            found.append(-np.sum(shares * np.log(shares)))
    return float(np.mean(found))


def sound(samples, corpus):
    """Returns what samples sound like beside the corpus, by name."""
    theirs, ours = histograms(samples), histograms(corpus)
    found = {name: float(np.minimum(theirs[name], ours[name]).sum()) for name in theirs}
    notes = [window[window >= events.LOWEST] for window in samples]
    count = {"notes": np.mean([len(n) for n in notes]), "pitches": np.mean([len(set(n.tolist())) for n in notes])}
    return dict(found, entropy=entropy(samples), **count)


class Model:
    """magenta's encoder and decoder with a checkpoint's weights."""

    def __init__(self, path):
        weights = Weights(finding.find(path, "weights"))
        self._encoder = music_vae.Encoder(windows.MUSIC_VAE, weights)
        self._decoder = music_vae.Decoder(windows.MUSIC_VAE, weights, _BATCH)

    def hear(self, some):
        """Returns mean and scale of q(z|x) of windows int [n, 32]."""
        one_hot = np.eye(90, dtype=bool)[some]
        found = [
            self._encoder.encode(list(one_hot[i : i + _BATCH]), [events.STEPS] * len(one_hot[i : i + _BATCH]))
            for i in range(0, len(some), _BATCH)
        ]
        means, scales = zip(*found)
        return np.concatenate(means), np.concatenate(scales)

    def play(self, z, temperature):
        """Returns the windows that latents are decoded to, int [n, 32]."""
        keys = np.stack([np.zeros(len(z), int), np.arange(len(z))], 1)
        return np.argmax(self._decoder.decode(z, temperature, keys), -1)

    def given_back(self, some):
        """Returns the figures of windows int [n, 32], by name."""
        means, scales = self.hear(some)
        kl = 0.5 * (means**2 + scales**2 - 1) - np.log(scales)
        return dict(right(some, self.play(means, GREEDY)), KL=kl.sum(1).mean())

    def samples(self, n):
        """Returns n windows drawn from the prior, int [n, 32]."""
        z = np.random.RandomState(1).standard_normal([n, music_vae.z_size(windows.MUSIC_VAE)])
        return self.play(z.astype(np.float32), AUDIBLE)


def some_of(given, most):
    """Returns at most so many windows, the same ones each time."""
    return given[np.random.RandomState(0).permutation(len(given))[:most]]


def main(argv):
    """Prints a line for each set of windows and each checkpoint."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("windows")
    flags.add_argument("weights", nargs="+")
    flags.add_argument("--songs", action="append", default=[], help="a folder of music files")
    flags.add_argument("--most", type=int, default=2000, help="windows of a set, and samples")
    given = flags.parse_args(argv)
    with np.load(given.windows) as kept:
        corpus, held_out = kept["train"].astype(int), kept["held_out"].astype(int)
    sets = {"held out": held_out, **{folder: windows_of_songs(folder) for folder in given.songs}}
    for path in given.weights:
        model = Model(path)
        print(path)
        for name, some in sets.items():
            some = some_of(some, given.most)
            print("  %-24s %5d windows: %s" % (name, len(some), _in_words(model.given_back(some))))
        print("  %-24s %5d windows: %s" % ("samples", given.most, _in_words(sound(model.samples(given.most), corpus))))
    print("%-26s %5d windows: %s" % ("corpus", given.most, _in_words(sound(some_of(corpus, given.most), corpus))))


def _in_words(found):
    return ", ".join("%s %.3f" % pair for pair in found.items())


if __name__ == "__main__":
    main(sys.argv[1:])
