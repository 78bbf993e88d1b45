"""Trains a model of `models.py` by MusicVAE's objective on windows, and augmented ones.

    python -m tools.base_model.train windows.npz folder [--config=cat-mel_2bar_small] [--steps=20000]
        [--init=weights.tar] [--without=kind ...]

Checkpoints are kept in the folder. The same command goes on from the last one, and ends with the same weights as one
that was not stopped: everything random is a function of seed and step. The loss is the cross-entropy of the events plus
beta times KL(q(z|x) || N(0, I)), as in magenta's `base_model.MusicVAE`. The decoder hears the true event before, but a
fifth of them are events of another window, in place of scheduled sampling. Adam's rate rises for 100 steps and falls on
a cosine; with other --steps, a run that goes on falls to another end. From random weights beta is 0.01 for the first
half of the steps and then rises to --beta; from --init it is --beta at once. --init may be a checkpoint of another of
the models: then all that neither hears nor says events starts from it.
"""

import argparse
import math
import os
import sys
import tempfile
import time
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints.weights import Weights
from tools.base_model import models, network, provenance

WARM_UP, LAST_RATE, FIRST_BETA = 100, 0.04, 0.01
CORRUPTED = 0.2
CLIP = 1.0  # of the gradient's global norm, as magenta's


class Recipe(NamedTuple):
    """What decides the weights, beside the windows."""

    steps: int
    batch: int
    rate: float
    beta: float
    seed: int
    kinds: tuple
    init: str
    bfloat16: bool


def rate_at(step, recipe):
    """Returns Adam's rate at a step."""
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / recipe.steps)))
    return recipe.rate * min(1.0, (step + 1) / WARM_UP) * (LAST_RATE + (1 - LAST_RATE) * fall)


def beta_at(step, recipe):
    """Returns the weight of the KL at a step."""
    if recipe.init:
        return recipe.beta
    return FIRST_BETA + (recipe.beta - FIRST_BETA) * min(1.0, max(0.0, 2.5 * step / recipe.steps - 1.25))


def batch_at(step, corpus, recipe, augment):
    """Returns windows, what the decoder hears, and the noise of a step: functions of the seed and the step."""
    rng = np.random.RandomState([recipe.seed, step])
    made = augment.batch(corpus[rng.randint(0, len(corpus), recipe.batch)], rng, recipe.kinds)
    heard = np.concatenate([np.full([len(made), 1], -1, np.int32), made[:, :-1]], 1)
    wrong = rng.uniform(size=heard.shape) < CORRUPTED
    wrong[:, 0] = False
    heard = np.where(wrong, np.roll(heard, rng.randint(1, len(made)), 0), heard)
    return made, heard, rng.standard_normal([len(made), network.Z_SIZE]).astype(np.float32)


def _shapes(model):
    return {name: tuple(shape) for name, shape in network.shapes(model.of_class).items()}


def _is_of(weights, model):
    return _shapes(model).items() <= weights.shapes.items()


class Trainer:
    """The graph that trains a model, in its own session.

    Attributes:
        step: Number of steps done.
    """

    def __init__(self, model, recipe, threads):
        self._model, self._recipe = model, recipe
        self._graph = tf.Graph()
        with self._graph.as_default():
            self.trained = network.variables(model.of_class, recipe.seed)
            self._events = tf.placeholder(tf.int32, [None, network.STEPS])
            self._heard = tf.placeholder(tf.int32, [None, network.STEPS])
            self._noise = tf.placeholder(tf.float32, [None, network.Z_SIZE])
            self._rate, self._beta = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
            made = network.build(
                self.trained,
                model.of_class,
                self._events,
                inputs=self._heard,
                noise=self._noise,
                products=tf.bfloat16 if recipe.bfloat16 else tf.float32,
            )
            parts = tf.reduce_mean(made.cross_entropy), tf.reduce_mean(made.kl)
            right = tf.equal(tf.argmax(made.logits, -1, output_type=tf.int32), self._events)
            self._seen = [*parts, tf.reduce_mean(tf.cast(right, tf.float32))]
            optimizer = tf.train.AdamOptimizer(self._rate)
            of = sorted(self.trained)
            gradients = tf.gradients(parts[0] + self._beta * parts[1], [self.trained[name] for name in of])
            clipped, _ = tf.clip_by_global_norm(gradients, CLIP)
            self._counter = tf.train.get_or_create_global_step()
            pairs = [(gradient, self.trained[name]) for gradient, name in zip(clipped, of)]
            self._train = optimizer.apply_gradients(pairs, self._counter)
            self._saver = tf.train.Saver(max_to_keep=3)
            self._for_users = tf.train.Saver([*self.trained.values(), self._counter])  # magenta restores the step, too
            config = tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1)
            self._session = tf.Session(config=config)
            self._session.run(tf.global_variables_initializer())
        self.step = 0

    def start(self, folder):
        """Goes on from the folder's last checkpoint, or starts from the recipe's weights."""
        latest = tf.train.latest_checkpoint(folder)
        if latest:
            with self._graph.as_default():
                self._saver.restore(self._session, latest)
        elif self._recipe.init:
            weights = Weights(finding.find(self._recipe.init, "--init"))
            fits = [model for model in models.ALL.values() if _is_of(weights, model)]
            if not fits:
                weights.check(_shapes(self._model), self._model.music_vae)
            weights.check_finite()
            with self._graph.as_default():
                for name, variable in self.trained.items():
                    fresh = self._session.run(variable)
                    variable.load(network.begun(name, fresh, weights.get(name)), self._session)
        self.step = int(self._session.run(self._counter))

    def train(self, corpus):
        """Does one step; returns cross-entropy, KL in nats and the share of right events of its batch."""
        made, heard, noise = batch_at(self.step, corpus, self._recipe, self._model.augment)
        feeds = {self._events: made, self._heard: heard, self._noise: noise}
        feeds.update({self._rate: rate_at(self.step, self._recipe), self._beta: beta_at(self.step, self._recipe)})
        seen, _ = self._session.run([self._seen, self._train], feeds)
        if not np.isfinite(seen).all():
            raise SystemExit("step %d: the loss is not finite; take a lower --rate" % self.step)
        self.step += 1
        return seen

    def save(self, folder):
        """Saves everything that going on needs."""
        with self._graph.as_default():
            self._saver.save(self._session, os.path.join(folder, "model.ckpt"), self._counter, write_meta_graph=False)

    def save_weights(self, prefix):
        """Saves the trained variables alone, under magenta's names."""
        with self._graph.as_default():
            self._for_users.save(self._session, prefix, write_meta_graph=False, write_state=False)


def main(argv):
    """Trains."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("windows")
    flags.add_argument("folder")
    flags.add_argument("--config", default=models.MELODY.music_vae, choices=sorted(models.ALL))
    flags.add_argument("--steps", type=int, default=20000)
    flags.add_argument("--batch", type=int, default=128)
    flags.add_argument("--rate", type=float, default=1e-3)
    flags.add_argument("--beta", type=float, default=0.15)
    flags.add_argument("--seed", type=int, default=1)
    flags.add_argument("--init", default="", help="a checkpoint to start from, of any of the models")
    flags.add_argument("--without", action="append", default=[], help="a kind to switch off")
    flags.add_argument("--bfloat16", action="store_true", help="products in half the bits: faster with AMX")
    flags.add_argument("--threads", type=int, default=2)
    flags.add_argument("--save_every", type=int, default=200)
    given = flags.parse_args(argv)
    model = models.ALL[given.config]
    if not set(given.without) <= set(model.augment.ALL):
        flags.error("--without must be of %s" % ", ".join(model.augment.ALL))
    kinds = tuple(kind for kind in model.augment.ALL if kind not in given.without)
    recipe = Recipe(
        given.steps, given.batch, given.rate, given.beta, given.seed, kinds, init=given.init, bfloat16=given.bfloat16
    )
    os.makedirs(given.folder, exist_ok=True)
    with np.load(given.windows) as kept:
        corpus = kept["train"]
    trainer = Trainer(model, recipe, given.threads)
    trainer.start(given.folder)
    provenance.start(given.folder, trainer.step, recipe._asdict())
    seen, begun = [], time.time()
    while trainer.step < recipe.steps:
        seen.append(trainer.train(corpus))
        if trainer.step % given.save_every == 0 or trainer.step == recipe.steps:
            trainer.save(given.folder)
        if trainer.step % 50 == 0 or trainer.step == recipe.steps:
            line = (trainer.step, *np.mean(seen, 0), (time.time() - begun) / len(seen))
            print("step %d: cross-entropy %.3f nats, KL %.1f nats, events %.4f; %.2f s a step" % line, flush=True)
            seen, begun = [], time.time()
    bundle = os.path.join(given.folder, model.music_vae + ".tar")
    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, model.music_vae + ".ckpt")
        trainer.save_weights(prefix)
        provenance.bundle(prefix, bundle)
    provenance.write(bundle, given.windows)


if __name__ == "__main__":
    main(sys.argv[1:])
