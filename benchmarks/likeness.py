"""Measures how much a personal prior is the person's: each song's model learns its first half, and its second is heard.

Each song of a folder gets a model of its own for each way to make one: this toolkit's defaults, MidiMe's unit variance
as in version 0.1.0, the settings of the earlier Python program and of Magenta.js, and Gaussians in closed form. Beside
them stand MusicVAE's own prior and the song's first half itself. Printed as means over the songs, by kind of song (the
name up to its first `_` or digit):

    score        nats a window by which the second half becomes likelier than under MusicVAE, over all windows and over
                 the new ones (see lc_music_vae/training/score.py)
    overlap      of five histograms (pitch class, interval, duration, onset, notes a window) of samples with those of
                 the second half: their mean, from 0 to 1; of plain draws, and with near-copies drawn again
    copies       share of plain draws that are copies of training windows, and near-copies (0.9 alike or more)
    distinct     share of different draws
    kept         share of draws that are kept where near-copies and repetitions are drawn again
    to, from     distance in MusicVAE's latent of each sample to the nearest window of the second half, and back
    F1           of the notes (start and pitch) of training windows that come back from their small latents

    python benchmarks/likeness.py folder [--config=...] [--samples=200]
"""

import argparse
import collections
import logging
import os
import re
import sys
import tempfile

import numpy as np

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)

TEMPERATURE = 0.5
MIN_WINDOWS = 6  # in each half
AGAIN = 8  # batches of draws, at most, where near-copies are drawn again
COLUMNS = ["score", "new", "overlap", "again", "copies", "near", "distinct", "kept", "to", "from", "F1"]


def histograms(windows):
    """Returns five histograms of windows' notes, each with the sum 1: what `overlap` compares."""
    found = [np.zeros(size) for size in (12, 49, 33, 32, 33)]
    for notes in windows:
        steps = np.clip(notes[:, 0] // 6, 0, 31)
        np.add.at(found[0], notes[:, 2] % 12, 1)
        np.add.at(found[1], np.clip(np.diff(notes[:, 2]) + 24, 0, 48), 1)
        np.add.at(found[2], np.clip((notes[:, 1] - notes[:, 0]) // 6, 0, 32), 1)
        np.add.at(found[3], steps, 1)
        found[4][min(len(notes), 32)] += 1
    return [one / max(one.sum(), 1) for one in found]


def overlap(some, others):
    """Returns the mean overlap of the five histograms: 1 if they are equal."""
    return float(np.mean([np.minimum(a, b).sum() for a, b in zip(histograms(some), histograms(others))]))


def starts(notes):
    """Returns the set of starts and pitches of notes."""
    return frozenset(map(tuple, notes[:, [0, 2]].tolist()))


class Song:
    """A song's two halves, and MusicVAE for them."""

    def __init__(self, path, config, folder):
        import lc_music_vae
        from lc_music_vae import configs, data
        from lc_music_vae.checkpoints import run_dir
        from lc_music_vae.checkpoints.weights import Weights
        from lc_music_vae.encoding import latents, nearness
        from lc_music_vae.models import music_vae

        self.run_dir = os.path.join(folder, "ours")
        lc_music_vae.train(config, path, self.run_dir, holdout=0.5)
        self.run = run_dir.at(self.run_dir)
        self.found = latents.load(self.run.kept(self.run.read()))
        held_out = [os.path.join(self.run.holdout, one) for one in sorted(os.listdir(self.run.holdout))]
        self.first = latents.own_key(self.found.shards, 10**6)
        self.second = latents.own_key([one for one in held_out if one.endswith(".tfrecord")], 10**6)
        self.notes = [record["notes"] for record in self.first.records]
        self.heard = [r["notes"] for r in self.second.records for _ in range(r["repeats"])]
        self.songs = nearness.Songs.read(self.found.shards)
        from lc_music_vae.checkpoints import model_files
        from lc_music_vae.options import ModelSource

        name = configs.get_config(config).music_vae
        weights = Weights(model_files.find(ModelSource(run_dir=self.run_dir)).pretrained)
        self.converter = data.WindowConverter(name)
        self.encoder = music_vae.Encoder(name, weights)
        self.decoder = music_vae.Decoder(name, weights, 64)
        self.decoded = 0

    def decode(self, z, temperature=TEMPERATURE):
        """Returns the notes that z is decoded to."""
        keys = np.array([[1, self.decoded + i] for i in range(len(z))])
        self.decoded += len(z)
        from lc_music_vae import data

        tensors = self.decoder.decode(z.astype(np.float32), temperature, keys)
        return [data.notes_of(sequence) for sequence in self.converter.to_note_sequences(tensors)]

    def encode(self, windows):
        """Returns the posterior means of windows that have notes."""
        from lc_music_vae import data
        from lc_music_vae.music.source import Song as Given

        found = []
        for notes in windows:
            score = self.converter.score(Given("sample", data.to_note_sequence(notes))) if len(notes) else None
            candidates = self.converter.candidates(score) if score is not None and score.tracks else []
            found += candidates[:1]
        return self.encoder.encode([w.inputs[0] for w in found], [w.length for w in found])[0]

    def close(self):
        """Frees MusicVAE."""
        self.encoder.close()
        self.decoder.close()


def measure(song, draw, *, log_prob=None, again=(), samples=200):
    """Returns a row: the figures of one way to make a personal prior.

    Args:
        song: The `Song`.
        draw: Maps a number n and a seed to n draws of z.
        log_prob: Maps z to log p(z), or None.
        again: The mean F1 of reconstructions, if there are any.
        samples: Number of samples.
    """
    from lc_music_vae.encoding.nearness import NEAR
    from lc_music_vae.training import score

    row = {}
    if log_prob is not None:
        made = score.score(log_prob, song.second, song.found.shards)
        row["score"], row["new"] = made.mean(), made.mean_of_new()
    kept, seen, drawn = [], set(), 0
    for batch in range(AGAIN):
        windows = song.decode(draw(samples, batch))
        near = song.songs.similarities(windows)
        if batch == 0:
            copies = {notes.tobytes() for notes in song.notes}
            row["overlap"] = overlap(windows, song.heard)
            row["copies"] = np.mean([notes.tobytes() in copies for notes in windows])
            row["near"] = np.mean(near >= NEAR)
            row["distinct"] = len({starts(notes) for notes in windows}) / samples
        for notes, similarity in zip(windows, near):
            drawn += 1
            if len(notes) and similarity < NEAR and starts(notes) not in seen:
                seen.add(starts(notes))
                kept.append(notes)
            if len(kept) == samples:
                break
        if len(kept) == samples:
            break
    row["kept"], row["again"] = len(kept) / drawn, overlap(kept, song.heard)
    z, held_out = song.encode(kept), song.second.means
    apart = np.linalg.norm(z[:, np.newaxis] - held_out[np.newaxis], axis=2)
    row["to"], row["from"] = apart.min(1).mean(), apart.min(0).mean()
    row.update(again)
    return row


def small_vae_row(song, prefix, *, mixed, freedom=0.0, samples=200):
    """Returns the row of a trained small VAE.

    Args:
        song: The `Song`.
        prefix: Its checkpoint.
        mixed: Whether its score is that of the mixture with the broad part, or its own alone.
        freedom: How far samples lean to the broad part.
        samples: Number of samples.
    """
    from lc_music_vae import base_model
    from lc_music_vae.checkpoints import finding
    from lc_music_vae.encoding import latents, nearness
    from lc_music_vae.models.prior import DRAWS, PersonalPrior
    from lc_music_vae.models.small_vae import SmallVAE

    small = SmallVAE(finding.find(prefix, "checkpoint"))
    broad = base_model.BroadPart(latents.moments(song.found.shards))

    def draw(n, seed):
        rng = np.random.RandomState([7, seed])
        z = small.decode(rng.standard_normal((n, small.encoded_z_size)))
        drawn, means = broad.sample(rng.standard_normal((n, z.shape[1] + 1)))
        return base_model.leant(z, drawn, means, freedom=freedom)

    means, _ = small.encode(song.first.means)
    again = {"F1": nearness.f1(zip(song.decode(small.decode(means), 1e-3), song.notes))}
    alone = lambda z: small.log_prob(z, draws=DRAWS)  # noqa: E731
    log_prob = PersonalPrior(small, broad).log_prob if mixed else alone
    row = measure(song, draw, log_prob=log_prob, again=again, samples=samples)
    small.close()
    return row


def retrained(song, name, *, hparams, steps, windows=None, fixed=False):
    """Trains a small VAE with other settings on the same latents; returns its checkpoint.

    Args:
        song: The `Song`.
        name: Folder for it.
        hparams: Its hyperparameters.
        steps: Number of steps.
        windows: How many windows it sees, drawn at random; None means all.
        fixed: Whether z is the posterior mean at each step, in place of a fresh draw.
    """
    import tensorflow.compat.v1 as tf

    from lc_music_vae.checkpoints import finding
    from lc_music_vae.encoding import latents
    from lc_music_vae.options import Training
    from lc_music_vae.training import estimator

    folder = os.path.join(os.path.dirname(song.run_dir), name)
    os.makedirs(folder)
    records = [one for path in song.found.shards for one in latents._records(path)]
    if windows is not None and windows < len(records):
        records = [records[i] for i in np.random.RandomState(0).choice(len(records), windows, replace=False)]
    shard = os.path.join(folder, "windows.tfrecord")
    with latents.writing_records(shard) as writer:
        for record in records:
            example = tf.train.Example.FromString(record)
            if fixed:
                scale = example.features.feature["scale"].float_list.value
                scale[:] = [0.0] * len(scale)
            writer.write(example.SerializeToString())
    found = song.found._replace(shards=(shard,), num_windows=len(records))
    settings = song.run.read().settings._replace(hparams=hparams)
    train_dir = os.path.join(folder, "train")
    last = estimator.Stretch(0, 0, steps)
    estimator.train(found, settings, Training(num_steps=steps), model_dir=train_dir, steps=last)
    return finding.find(train_dir, "checkpoint").prefix


def gaussian_rows(song, samples):
    """Yields the rows of Gaussians in closed form, with eight pseudo-windows, and of MusicVAE's own prior."""
    pseudo = 8
    mean, scale = (x.astype(np.float64) for x in (song.first.means, song.first.scales))
    n, size = mean.shape
    center = mean.sum(0) / (n + pseudo)
    away = mean - center
    noise = ((scale**2).sum(0) + pseudo) / (n + pseudo)
    full = away.T @ away / (n + pseudo) + np.diag(noise)
    _, lengths, axes = np.linalg.svd(mean - mean.mean(0), full_matrices=False)
    four = min(4, n - 1)
    spread = lengths[:four] / np.sqrt(n + pseudo)
    rest = away - (away @ axes[:four].T) @ axes[:four]
    of_axes = (axes[:four].T * spread**2) @ axes[:four] + np.diag(noise + np.mean(rest**2, 0))

    def log_gaussian(covariance):
        factor = np.linalg.cholesky(covariance)
        volume = np.log(np.diag(factor)).sum() + size * np.log(2 * np.pi) / 2
        return lambda z: -np.sum(np.linalg.solve(factor, (z - center).T) ** 2, 0) / 2 - volume

    def draws(make):
        return lambda k, seed: make(np.random.RandomState([8, seed]), k)

    def on_axes(rng, k):
        return center + (rng.standard_normal((k, four)) * spread) @ axes[:four]

    all_axes = lengths / np.sqrt(n + pseudo)

    def on_all(rng, k):
        return center + (rng.standard_normal((k, len(all_axes))) * all_axes) @ axes

    common = {"samples": samples}
    yield "Gaussian on four axes", measure(song, draws(on_axes), log_prob=log_gaussian(of_axes), **common)
    yield "Gaussian on all axes", measure(song, draws(on_all), log_prob=log_gaussian(full), **common)
    own = draws(lambda rng, k: rng.standard_normal((k, size)))
    yield "MusicVAE's prior", dict(measure(song, own, **common), score=0.0, new=0.0)


def ceiling(song):
    """Returns the row of the song's first half."""
    apart = np.linalg.norm(song.first.means[:, np.newaxis] - song.second.means[np.newaxis], axis=2)
    return {"overlap": overlap(song.notes, song.heard), "to": apart.min(1).mean(), "from": apart.min(0).mean()}


def rows(song, samples):
    """Yields the name and figures of each way to make a personal prior."""
    from lc_music_vae.hparams import HParams

    prefix, _ = song.run.latest()
    for freedom in (0.0, 0.2, 0.5):
        name = "ours, --freedom=%g" % freedom
        yield name, small_vae_row(song, prefix, mixed=True, freedom=freedom, samples=samples)
    wide = {"latent_encoder_layers": (1024, 256, 64), "latent_decoder_layers": (64, 256, 1024)}
    unit = HParams(decoder_variance="unit", **wide)
    unit_prefix = retrained(song, "unit", hparams=unit, steps=500)
    yield "unit variance, 500 steps (0.1.0)", small_vae_row(song, unit_prefix, mixed=False, samples=samples)
    midime = unit._replace(batch_size=2, max_beta=0.5, beta_rate=0.99999, decay_rate=0.9999, grad_clip=1.0)
    midime_prefix = retrained(song, "midime", hparams=midime, steps=200, windows=5)
    yield "midiMe's settings", small_vae_row(song, midime_prefix, mixed=False, samples=samples)
    js_prefix = retrained(song, "js", hparams=unit, steps=100, fixed=True)
    yield "Magenta.js's settings", small_vae_row(song, js_prefix, mixed=False, samples=samples)
    yield from gaussian_rows(song, samples)
    yield "the song's first half", ceiling(song)


def table(kind, found):
    """Prints the means over the songs of a kind."""
    songs = max(map(len, found.values()))
    print("\n%s: %d song%s\n" % (kind, songs, "" if songs == 1 else "s"))
    print("| %s |" % " | ".join(["prior", *COLUMNS]))
    print("|%s" % (" --- |" * (len(COLUMNS) + 1)))
    for name, figures in found.items():
        cells = []
        for column in COLUMNS:
            values = [row[column] for row in figures if row.get(column) is not None]
            percent = column in ("copies", "near", "distinct", "kept")
            shown = "%.1f" if column in ("score", "new", "to", "from") else "%.0f %%" if percent else "%.3f"
            cells.append(shown % (np.mean(values) * (100 if percent else 1)) if values else "")
        print("| %s |" % " | ".join([name, *cells]))
    sys.stdout.flush()


def ahead(found):
    """Prints on how many songs the score is ahead of the better Gaussian's."""
    gaussians = [found[name] for name in found if name.startswith("Gaussian")]
    ours = next(iter(found.values()))
    best = [max(rows, key=lambda row: row["score"]) for rows in zip(*gaussians)]
    gains = [a["score"] - b["score"] for a, b in zip(ours, best)]
    new = [a["new"] - b["new"] for a, b in zip(ours, best) if a["new"] is not None]
    text = "ahead of the better Gaussian on %d of %d songs, by %.1f nats a window; by %.1f over the new ones"
    print("\n" + text % (sum(gain > 0 for gain in gains), len(gains), np.mean(gains), np.mean(new)))


def main():
    """Prints a table for each kind of song, one for all, and what was left out."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder")
    arguments.add_argument("--config", default="lc-cat-mel_2bar_small")
    arguments.add_argument("--samples", type=int, default=200)
    given = arguments.parse_args()
    from lc_music_vae.system import light_imports

    light_imports.install()
    import tensorflow.compat.v1 as tf

    tf.logging.set_verbosity(tf.logging.ERROR)
    from lc_music_vae.errors import InputError
    from lc_music_vae.music import examples

    logging.getLogger("lc_music_vae").setLevel("ERROR")
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    left_out = []
    for path in examples.find(given.folder):
        with tempfile.TemporaryDirectory() as folder:
            try:
                song = Song(path, given.config, folder)
            except (InputError, OSError) as e:
                left_out.append("%s: %s" % (os.path.basename(path), e))
                continue
            windows = len(song.first.means), len(song.second.means)
            if min(windows) < MIN_WINDOWS:
                left_out.append("%s: %d and %d windows in its halves" % (os.path.basename(path), *windows))
            else:
                kind = re.match(r"[^_\d]*", os.path.basename(path)).group() or "songs"
                for name, row in rows(song, given.samples):
                    found[kind][name].append(row)
                    found["all"][name].append(row)
                print("%s: %d and %d windows" % (os.path.basename(path), *windows), file=sys.stderr)
            song.close()
    kinds = sorted(set(found) - {"all"})
    for kind in kinds + ["all"] if len(kinds) > 1 else kinds:
        table(kind, found[kind])
        ahead(found[kind])
    print("\nleft out: %d songs" % len(left_out))
    for line in left_out:
        print("  " + line)


if __name__ == "__main__":
    main()
