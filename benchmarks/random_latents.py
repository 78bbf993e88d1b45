"""Writes latents of any number of windows, as encoding would, for measurements and tests of training on them.

Songs follow each other as they do in a collection that is sorted: the means of a song's windows lie around the song's
own, and those of neighbouring songs around the mean of their kind. Who reads them in order sees one kind at a time.
"""

import os
from types import SimpleNamespace

import numpy as np

WINDOWS_A_SONG = 40
SONGS_A_KIND = 64
_SCALE = 0.3  # of posteriors


def write(folder, windows, z_size, *, windows_a_file=2560, seed=0):
    """Writes so many windows, and returns their `latents.Latents`. Their posterior means have a variance of about 1."""
    import tensorflow.compat.v1 as tf

    from lc_music_vae.encoding import latents

    os.makedirs(folder, exist_ok=True)
    record = latents._record(_window(), np.full([1, z_size], 1.5), np.full([1, z_size], _SCALE))
    at = record.index(np.full(z_size, 1.5, "<f4").tobytes())
    before, after = record[:at], record[at + 4 * z_size :]
    starts = range(0, windows, windows_a_file)
    paths = [os.path.join(folder, "latents-%05d-of-%05d.tfrecord" % (i, len(starts))) for i in range(len(starts))]
    for path, start in zip(paths, starts):
        with tf.io.TFRecordWriter(path) as writer:
            for mean in _means(np.arange(start, min(start + windows_a_file, windows)), z_size, seed):
                writer.write(before + mean.tobytes() + after)
    return latents.Latents(tuple(paths), windows, z_size, ())


def _means(numbers, z_size, seed):
    """Returns posterior means of neighbouring windows with these numbers, float32 [n, z_size]."""
    songs = numbers // WINDOWS_A_SONG
    kinds = songs // SONGS_A_KIND
    own = np.random.RandomState((seed, 2, numbers[0])).standard_normal((len(numbers), 8 + z_size))
    points = 0.3**0.5 * _of_groups(kinds, 8 + z_size, (seed, 0)) + 0.4**0.5 * _of_groups(songs, 8 + z_size, (seed, 1))
    points += 0.3**0.5 * own
    axes = np.random.RandomState(seed).standard_normal((8, z_size)) / np.sqrt(8)
    return (np.maximum(points[:, :8], -0.5) @ axes + 0.2 * points[:, 8:]).astype("<f4")


def _of_groups(groups, size, key):
    """Returns a standard normal point for each group, [n, size]."""
    unique, at = np.unique(groups, return_inverse=True)
    return np.stack([np.random.RandomState((*key, group)).standard_normal(size) for group in unique])[at]


def _window():
    return SimpleNamespace(
        transpositions=[0],
        length=32,
        controls=[np.zeros([32, 0])],
        song="/songs/a folder of songs/a song of some name.mid",
        track=0,
        first_bar=7,
        last_bar=8,
        repeats=1,
        notes=np.stack([np.arange(16), np.arange(1, 17), np.full(16, 60)], 1),
    )
