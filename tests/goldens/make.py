"""Writes posterior.npz and losses.json, which both platforms are held to; run it with TensorFlow 1.15.

`run_tf1` and `run_tf2` are runs of version 0.1.0 on either platform, after ten steps; step_20.npz is what it made of
them in ten more. They are not made again.
"""

import os
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, REPO)
EXAMPLE = os.path.join(REPO, "examples", "ode_to_joy.mid")
CONFIG = "lc-cat-mel_2bar_small"


def posterior():
    """Returns mean and scale of q(z|x) and the greedily decoded steps of the example's first 8 windows."""
    from lc_music_vae import data
    from lc_music_vae.checkpoints import finding
    from lc_music_vae.checkpoints.weights import Weights
    from lc_music_vae.configs import CONFIG_MAP
    from lc_music_vae.models import music_vae
    from lc_music_vae.music import examples

    converter = data.WindowConverter("cat-mel_2bar_small")
    windows = converter.windows(converter.score(next(examples.read(EXAMPLE))))[:8]
    weights = Weights(finding.shipped(CONFIG_MAP[CONFIG].shipped[0].file))
    encoder = music_vae.Encoder("cat-mel_2bar_small", weights)
    mean, scale = encoder.encode([w.inputs[0] for w in windows], [w.length for w in windows])
    decoder = music_vae.Decoder("cat-mel_2bar_small", weights, 8)
    steps = decoder.decode(mean, 1e-3, np.arange(8)[:, np.newaxis]).argmax(-1).astype(np.uint8)
    return {"mean": mean, "scale": scale, "steps": steps}


def losses(num_steps=20):
    """Returns the loss at each of the first steps of training on the example with the defaults."""
    import lc_music_vae
    from lc_music_vae.training import summaries

    with tempfile.TemporaryDirectory() as run_dir:
        lc_music_vae.train(CONFIG, EXAMPLE, run_dir, num_steps=num_steps)
        found = summaries.read_scalars(os.path.join(run_dir, "train"))["loss"]
    return [found[step] for step in sorted(found)]


def weights_of(run_dir):
    """Returns the small VAE's variables at the newest checkpoint, by name."""
    from lc_music_vae.checkpoints import finding
    from lc_music_vae.checkpoints.weights import Weights

    weights = Weights(finding.find(os.path.join(run_dir, "train"), "--run_dir"))
    return {name: weights.get(name) for name in weights.shapes}


if __name__ == "__main__":
    from lc_music_vae.system import files

    np.savez(os.path.join(HERE, "posterior.npz"), **posterior())
    files.write_json(os.path.join(HERE, "losses.json"), losses())
