"""Trains a small VAE as the older programs do: the frozen encoder runs at every step of training.

`side_by_side.py` compares the toolkit with this simple method. It encodes with the same function as the toolkit.

    python benchmarks/in_the_loop.py song.mid checkpoint folder [steps [windows a step]]
"""

import os
import sys

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)


def main():
    """Trains a small VAE over cat-mel_2bar_big and saves it to `folder`."""
    import numpy as np
    import tensorflow.compat.v1 as tf

    from lc_music_vae import data
    from lc_music_vae.checkpoints import finding
    from lc_music_vae.checkpoints.weights import Weights
    from lc_music_vae.hparams import HParams
    from lc_music_vae.models import music_vae
    from lc_music_vae.music import examples
    from lc_music_vae.training import estimator

    song, checkpoint, folder = sys.argv[1:4]
    steps, size = (int(argument) for argument in (sys.argv[4:] + ["200", "32"])[:2])
    name = "cat-mel_2bar_big"
    converter = data.WindowConverter(name)
    windows = converter.windows(converter.score(next(examples.read(song))))
    encoder = music_vae.Encoder(name, Weights(finding.find(checkpoint, "checkpoint")))
    rng = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        features = {key: tf.placeholder(tf.float32, [None, 1, 512]) for key in ("mean", "scale")}
        one = dict(features, num_transpositions=tf.ones([tf.shape(features["mean"])[0]], tf.int64))
        spec = estimator.model_fn_builder(HParams(), 512, 0)(one, None, tf.estimator.ModeKeys.TRAIN)
        session.run(tf.global_variables_initializer())
        for _ in range(steps):
            batch = [windows[i] for i in rng.randint(len(windows), size=size)]
            mean, scale = encoder.encode([w.inputs[0] for w in batch], [w.length for w in batch])
            feeds = {features["mean"]: mean[:, np.newaxis], features["scale"]: scale[:, np.newaxis]}
            session.run(spec.train_op, feeds)
        tf.train.Saver().save(session, os.path.join(folder, "model.ckpt"))


if __name__ == "__main__":
    main()
