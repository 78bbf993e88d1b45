"""Measures what checkpoints of a model of `models.py` give back, and what their prior sounds like.

    python -m tools.base_model.evaluate windows.npz weights.tar ... [--config=cat-mel_2bar_small] [--songs=folder ...]
        [--most=2000]

Windows are encoded to the posterior mean and decoded greedily, by magenta's own model. Of each set of windows (those
that windows.npz holds out, and of each folder's songs all distinct ones):

    whole     share of windows that come back as they were
    steps     share of the 32 events that do
    onsets    share of the notes that begin where they did, at their pitch
    hits      of drums: F1 of what is hit in which sixteenth
    KL        of q(z|x) from N(0, I), nats a window

and of samples of the prior, at temperature 0.5, beside the windows to train on, what `melody_figures.sound` or
`drum_figures.sound` says.
"""

import argparse
import sys

import numpy as np

from lc_music_vae import data
from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.models import music_vae
from lc_music_vae.music import examples
from tools.base_model import models

GREEDY, AUDIBLE = 1e-3, 0.5
_BATCH, STEPS = 128, 32


def windows_of_songs(folder, music_vae):
    """Returns the distinct windows that a config reads of each song in a folder, song after song, int [n, 32]."""
    converter = data.WindowConverter(music_vae)
    found = []
    for path in examples.find(folder, "--songs"):
        for song in examples.read(path):
            found += [np.argmax(window.outputs, 1) for window in converter.windows(converter.score(song))]
    return np.array(found, int).reshape(-1, STEPS)


class Model:
    """magenta's encoder and decoder of one of `models.py` with a checkpoint's weights."""

    def __init__(self, model, path):
        weights = Weights(finding.find(path, "weights"))
        self._model = model
        self._encoder = music_vae.Encoder(model.music_vae, weights)
        self._decoder = music_vae.Decoder(model.music_vae, weights, _BATCH)

    def hear(self, some):
        """Returns mean and scale of q(z|x) of windows int [n, 32]."""
        inputs = self._model.of_class[some]
        found = [
            self._encoder.encode(list(inputs[i : i + _BATCH]), [STEPS] * len(inputs[i : i + _BATCH]))
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
        return dict(self._model.figures.right(some, self.play(means, GREEDY)), KL=kl.sum(1).mean())

    def samples(self, n):
        """Returns n windows drawn from the prior, int [n, 32]."""
        z = np.random.RandomState(1).standard_normal([n, music_vae.z_size(self._model.music_vae)])
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
    flags.add_argument("--config", default=models.MELODY.music_vae, choices=sorted(models.ALL))
    given = flags.parse_args(argv)
    model = models.ALL[given.config]
    with np.load(given.windows) as kept:
        corpus = kept["train"].astype(int)
        sets = {name: kept[name].astype(int) for name in kept.files if name not in ("train", "made_of")}
    sets.update({folder: windows_of_songs(folder, model.music_vae) for folder in given.songs})
    for path in given.weights:
        trained = Model(model, path)
        print(path)
        for name, some in sets.items():
            some = some_of(some, given.most)
            print("  %-24s %5d windows: %s" % (name, len(some), _in_words(trained.given_back(some))))
        sound = model.figures.sound(trained.samples(given.most), corpus)
        print("  %-24s %5d windows: %s" % ("samples", given.most, _in_words(sound)))
    sound = model.figures.sound(some_of(corpus, given.most), corpus)
    print("%-26s %5d windows: %s" % ("corpus", given.most, _in_words(sound)))


def _in_words(found):
    return ", ".join("%s %.3f" % pair for pair in found.items())


if __name__ == "__main__":
    main(sys.argv[1:])
