"""Same in, same out: with a seed and so many threads, two processes make the same weights and the same music."""

import json
import os

import pytest
import tensorflow.compat.v1 as tf
from helpers import EXAMPLE, run_process

from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.system import files

pytestmark = pytest.mark.slow

CODE = """
import json, os, sys
import midime_generate, midime_train
for script, *flags in json.loads(sys.argv[1]):
    {"train": midime_train, "generate": midime_generate}[script].main([script] + flags)
print(len(os.listdir("/proc/self/task")))
"""


def made(folder, threads, seed):
    """Trains in batches, samples and walks; returns weights, digests of files, and how many threads there were."""
    run = "--run_dir=%s" % (folder / "run")
    seed = "--seed=%d" % seed
    train = ["train", "--config=lc-cat-mel_2bar_small", "--examples_path=" + EXAMPLE, run, seed, "--num_steps=40"]
    sample = ["generate", run, seed, "--num_outputs=6", "--temperature=1", "--output_dir=%s" % (folder / "sample")]
    walk = ["generate", run, seed, "--mode=walk", "--num_outputs=3", "--output_dir=%s" % (folder / "walk")]
    environment = dict(os.environ, TF_NUM_INTRAOP_THREADS=str(threads), TF_NUM_INTEROP_THREADS=str(threads))
    commands = [train + ["--hparams=batch_size=4"], sample, walk]
    done = run_process("-W", "ignore", "-c", CODE, json.dumps(commands), env=environment)
    assert done.returncode == 0, done.stderr
    reader = tf.train.NewCheckpointReader(run_dir_lib.at(str(folder / "run")).latest()[0])
    weights = {name: reader.get_tensor(name).tobytes() for name in reader.get_variable_to_shape_map()}
    digests = [
        files.sha256(str(path))
        for name in ("sample", "walk")
        for path in sorted((folder / name).iterdir())
        if path.suffix in (".mid", ".png")
    ]
    assert len(digests) == 6 + 1 + 4 * 3 + 1
    return weights, digests, int(done.stdout.split()[-1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return {
        key: made(tmp_path_factory.mktemp("run"), *key[:2])
        for key in ((1, 5, "a"), (1, 5, "b"), (2, 5, "a"), (2, 5, "b"), (1, 6, "a"))
    }


@pytest.mark.parametrize("threads", [1, 2])
def test_two_processes_make_the_same(runs, threads):
    (weights, digests, _), (weights_again, digests_again, _) = runs[threads, 5, "a"], runs[threads, 5, "b"]
    assert weights == weights_again
    assert digests == digests_again


def test_another_seed_makes_something_else(runs):
    (weights, digests, _), (others, other_digests, _) = runs[1, 5, "a"], runs[1, 6, "a"]
    assert weights.keys() == others.keys()
    assert sum(weights[name] == others[name] for name in weights) < len(weights) // 4
    assert digests != other_digests


def test_so_many_threads_there_were(runs):
    assert runs[1, 5, "a"][2] < runs[2, 5, "a"][2]
