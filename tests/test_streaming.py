"""Latents that are larger than memory is meant to be are streamed: shuffled well, each window once an epoch."""

import itertools
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from helpers import SMALL, layers

from benchmarks import random_latents
from lc_music_vae.checkpoints.run_json import Settings
from lc_music_vae.configs import get_config
from lc_music_vae.encoding import latents, streaming
from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams, override
from lc_music_vae.options import Training
from lc_music_vae.training import estimator

WINDOWS, Z, SIZE = 3000, 8, 128  # 75 songs of 40 windows


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return random_latents.write(str(tmp_path_factory.mktemp("latents")), WINDOWS, Z, windows_a_file=700)


@pytest.fixture
def _small_pools(found, monkeypatch):
    """Blocks of 20 windows, of which 45 make a pool."""
    record = os.path.getsize(found.shards[0]) // 700
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 20 * record)
    monkeypatch.setattr(streaming, "POOL_BYTES", 900 * record)


def numbered(found):
    """The number of each window, by what is recorded of it."""
    records = itertools.chain.from_iterable(map(tf.io.tf_record_iterator, found.shards))
    numbers = {record: i for i, record in enumerate(records)}
    assert len(numbers) == WINDOWS
    return numbers


def batches(found, steps, seed=0, first_step=0):
    """The numbers of the windows of some batches, [steps, SIZE]."""
    numbers = numbered(found)
    made = streaming.batches(streaming.divided(found.shards), SIZE, seed, first_step=first_step)
    return np.array([[numbers[record] for record in batch] for batch in itertools.islice(made, steps)])


@pytest.mark.usefixtures("_small_pools")
def test_files_are_divided_into_blocks_of_neighbours(found):
    blocks = streaming.divided(found.shards)
    numbers = numbered(found)
    read = [[numbers[record] for record in blocks.read(i)] for i in range(len(blocks.sizes))]
    assert sum(read, []) == list(range(WINDOWS))
    assert [len(block) for block in read] == blocks.windows.tolist()
    assert set(map(len, read)) == {20}  # each of the files holds a whole number of them
    assert blocks.sizes.sum() == sum(map(os.path.getsize, found.shards))


@pytest.mark.usefixtures("_small_pools")
def test_every_window_is_seen_once_an_epoch_in_another_order(found):
    epochs = batches(found, 3 * WINDOWS // SIZE + 1).ravel()[: 3 * WINDOWS].reshape(3, WINDOWS)
    for epoch in epochs:
        assert sorted(epoch) == list(range(WINDOWS))
    for one, other in itertools.combinations(epochs, 2):
        assert (one == other).mean() < 0.01
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
        assert len(np.intersect1d(one[:900], other[:900])) < 450  # the first pools hold other blocks


@pytest.mark.usefixtures("_small_pools")
def test_the_order_is_a_function_of_the_seed_and_the_step(found):
    whole = batches(found, 60, seed=2**32 - 1)
    for first in (1, 7, 23, 24, 47, 59):  # within an epoch, where one ends, and in the third
        assert (batches(found, 60 - first, seed=2**32 - 1, first_step=first) == whole[first:]).all()
    assert (batches(found, 60, seed=1) != whole).mean() > 0.99


@pytest.mark.usefixtures("_small_pools")
def test_a_batch_is_of_songs_from_all_over(found):
    """As many songs as a random choice would have, and the mean number of a window as near to the middle of all."""
    drawn = batches(found, 46)  # two epochs
    songs = [len(set(batch // random_latents.WINDOWS_A_SONG)) for batch in drawn]
    rng = np.random.RandomState(0)
    chosen = [rng.choice(WINDOWS, SIZE, replace=False) // random_latents.WINDOWS_A_SONG for _ in drawn]
    assert np.mean(songs) > 0.55 * np.mean([len(set(batch)) for batch in chosen])
    # A pool is 45 blocks, so its mean is off by that of 45 windows.
    off = np.abs(drawn.mean(1) - WINDOWS / 2)
    assert off.mean() < WINDOWS / 12**0.5 / 45**0.5


HPARAMS = override(HParams(), layers(16) + ",batch_size=%d,learning_rate=0.003" % SIZE)
SETTINGS = Settings(SMALL, get_config(SMALL).music_vae, HPARAMS, False, 0, "auto", "any")


def train(found, folder, steps, first=0):
    """Trains a small VAE; returns its checkpoint and its variables."""
    stretch = estimator.Stretch(0, first, steps)
    estimator.train(found, SETTINGS, Training(num_steps=steps), model_dir=str(folder), steps=stretch)
    prefix = str(folder / ("model.ckpt-%d" % steps))
    reader = tf.train.NewCheckpointReader(prefix)
    weights = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    return prefix, weights


@pytest.mark.slow
@pytest.mark.faults("signals, locks, full disks, what changes or goes")
def test_training_on_a_stream_is_training(found, tmp_path, monkeypatch):
    """It learns as much as with all windows shuffled at once, and goes on to the same weights."""
    whole, shuffled = train(found, tmp_path / "shuffled", 200)
    begun, _ = train(found, tmp_path / "begun", 1)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 8000)
    monkeypatch.setattr(streaming, "POOL_BYTES", 300_000)
    stream, streamed = train(found, tmp_path / "streamed", 200)
    assert any((streamed[name] != shuffled[name]).any() for name in streamed)
    losses = [estimator.evaluate(found, SETTINGS, prefix)["loss"] for prefix in (begun, whole, stream)]
    assert losses[2] - losses[1] < 0.05 * (losses[0] - losses[1])
    train(found, tmp_path / "again", 130)
    _, again = train(found, tmp_path / "again", 200, first=130)
    for name in streamed:
        np.testing.assert_array_equal(streamed[name], again[name])


@pytest.mark.slow
@pytest.mark.usefixtures("_small_pools")
@pytest.mark.faults("signals, locks, full disks, what changes or goes")
@pytest.mark.parametrize("change", ["gone", "cut off"])
def test_a_file_that_goes_while_it_is_streamed_is_named(change, tmp_path, monkeypatch):
    """In one line, where training reads it next."""
    found = random_latents.write(str(tmp_path / "latents"), WINDOWS, Z, windows_a_file=700)
    path, read, calls = found.shards[1], streaming.Blocks.read, []

    def read_and_change(self, block):
        calls.append(block)
        if len(calls) == 100:  # in the second pool
            os.truncate(path, os.path.getsize(path) - 10) if change == "cut off" else os.remove(path)
        return read(self, block)

    monkeypatch.setattr(streaming.Blocks, "read", read_and_change)
    with pytest.raises(InputError, match="%s is damaged or gone" % path):
        train(found, tmp_path / "run", 100)
    assert len(calls) >= 100


@pytest.mark.slow
def test_samples_of_large_collections_are_from_all_over(found, tmp_path, monkeypatch):
    """Moments of 300 of 3,000 windows are near those of all, those of the first 300 are not."""
    every = np.stack([record["mean"][0] for record in latents.read(found.shards)])
    monkeypatch.setattr(latents, "_MAX_MOMENTS", 300)

    def off():
        of = latents.moments(found.shards)
        assert of.windows == 300
        return np.abs(of.mean - every.mean(0)).max()

    of_first = off()
    assert (latents.own_key(found.shards, 50).means == every[:50]).all()
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(streaming, "POOL_BYTES", 300_000)
    assert off() < 0.5 * of_first
    means = latents.own_key(found.shards, 50).means
    numbers = [int(np.flatnonzero((every == mean).all(1))[0]) for mean in means]
    assert np.abs(np.array(numbers) - np.linspace(0, WINDOWS, 50)).max() < 2 * WINDOWS / 50
