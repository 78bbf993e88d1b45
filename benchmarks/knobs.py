"""Measures how well outputs follow knobs: each song of a folder gets a model, and each knob of it is turned.

Each knob is set to -2, -1, 0, 1 and 2 standard deviations at the same samples, which the fit has not seen. Printed for
each knob, as means over the songs that have it:

    songs       how many of the songs' models offer it
    fit         R^2 of its readings on points that were left out of the fit
    spearman    correlation of the knob with what is measured in the outputs, over all outputs; and the lowest of a song
    shift       the same where the knob shifts points by so much (as in variations) in place of setting them
    change      standard deviations by which its measure rises for 1 of the knob
    others      the largest change of another knob's measure, as a share of this: the mean over songs, the largest

    python benchmarks/knobs.py folder [--config=...] [--samples=64]
"""

import argparse
import collections
import logging
import os
import sys
import tempfile
import time

import numpy as np

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)
VALUES = (-2.0, -1.0, 0.0, 1.0, 2.0)


def turned(model, name, samples, *, shift):
    """Returns what each knob's measure is for each value of one knob, in standard deviations: [values, samples, k].

    Args:
        model: The `TrainedModel`.
        name: The knob.
        samples: Number of samples for each value.
        shift: Whether points are shifted by the values, or set to them.
    """
    from lc_music_vae import data
    from lc_music_vae.models import knobs as knobs_lib
    from lc_music_vae.music import measures

    grid = measures.grid_of(model.converter.quarters, data.TICKS_PER_QUARTER, model.time_signature)
    found = []
    for value in VALUES:
        model._drawn = 0  # the same samples again
        turn = {"knobs": {name: value}}
        if shift:
            setter = knobs_lib.Knobs.set
            knobs_lib.Knobs.set = lambda self, z, values: z + self.shift(values)
        try:
            music = model.sample(samples, copies="allow", **turn)
        finally:
            if shift:
                knobs_lib.Knobs.set = setter
        heard = model.heard(music)
        rows = [[measures.MEASURES[k.name].of(notes, grid) for k in model.knobs] for notes in heard]
        means, scales = (np.array([getattr(k, part) for k in model.knobs]) for part in ("mean", "scale"))
        found.append(np.nan_to_num((np.array(rows) - means) / scales))
    return np.array(found)


def figures(model, samples):
    """Yields the name and the figures of each knob of a model."""
    from scipy import stats

    for i, knob in enumerate(model.knobs):
        row = {"fit": knob.fit}
        for column, shift in (("spearman", False), ("shift", True)):
            measured = turned(model, knob.name, samples, shift=shift)
            row[column] = stats.spearmanr(np.repeat(VALUES, samples), measured[:, :, i].ravel())[0]
            if not shift:
                change = np.polyfit(VALUES, measured.mean(1), 1)[0]
                row["change"] = change[i]
                row["others"] = max((abs(c) for k, c in enumerate(change) if k != i), default=0.0) / abs(change[i])
        yield knob.name, row


def main():
    """Prints the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder")
    arguments.add_argument("--config", default="lc-cat-mel_2bar_small")
    arguments.add_argument("--samples", type=int, default=64)
    given = arguments.parse_args()
    from lc_music_vae.system import light_imports

    light_imports.install()
    import tensorflow.compat.v1 as tf

    tf.logging.set_verbosity(tf.logging.ERROR)
    import lc_music_vae
    from lc_music_vae.music import examples
    from lc_music_vae.training import knobs

    logging.getLogger("lc_music_vae").setLevel("ERROR")
    spent, of_model = [], knobs.of_model

    def timed(*arguments, **named):
        start = time.perf_counter()
        found = of_model(*arguments, **named)
        spent.append(time.perf_counter() - start)
        return found

    knobs.of_model = timed
    rows = collections.defaultdict(list)
    for path in examples.find(given.folder):
        with tempfile.TemporaryDirectory() as folder:
            lc_music_vae.train(given.config, path, folder)
            with lc_music_vae.TrainedModel(folder, seed=1) as model:
                print("%s: %s" % (os.path.basename(path), ", ".join(model.knobs.names) or "none"), file=sys.stderr)
                for name, row in figures(model, given.samples):
                    rows[name].append(row)
    print("| knob | songs | fit | spearman | lowest | shift | change | others | largest |")
    print("|%s" % (" --- |" * 9))
    for name, found in sorted(rows.items(), key=lambda item: -len(item[1])):
        of = {column: [row[column] for row in found] for column in found[0]}
        cells = [of["fit"], of["spearman"], None, of["shift"], of["change"], of["others"], None]
        shown = ["" if one is None else "%.2f" % np.mean(one) for one in cells]
        shown[2], shown[6] = "%.2f" % min(of["spearman"]), "%.2f" % max(of["others"])
        print("| %s |" % " | ".join([name, str(len(found)), *shown]))
    print("\nfinding them takes %.2f s (median of %d models)" % (np.median(spent), len(spent)))


if __name__ == "__main__":
    main()
