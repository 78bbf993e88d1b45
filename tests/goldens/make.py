"""Writes the goldens. They were made once, and are what both platforms are held to.

python tests/goldens/make.py     with TensorFlow 1.15: posterior.npz, losses.json, run_tf1/
python tests/goldens/make.py     with TensorFlow 2.15: run_tf2/ alone
"""

import os
import shutil
import sys
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, REPO)
EXAMPLE = os.path.join(REPO, "examples", "ode_to_joy.mid")
CONFIG = "lc-cat-mel_2bar_small"
# Small layers keep the checkpoints in the repository small.
SMALL = "latent_encoder_layers=16,latent_decoder_layers=16"


def posterior():
    """Returns mean and scale of q(z|x) and the greedily decoded steps of the example's first 8 windows."""
    from lc_music_vae import data
    from lc_music_vae.checkpoints import finding
    from lc_music_vae.checkpoints.weights import Weights
    from lc_music_vae.models import music_vae
    from lc_music_vae.music import examples

    converter = data.WindowConverter("cat-mel_2bar_small")
    windows = converter.windows(converter.score(next(examples.read(EXAMPLE))))[:8]
    weights = Weights(finding.shipped("cat-mel_2bar_small_folk.tar"))
    encoder = music_vae.Encoder("cat-mel_2bar_small", weights)
    mean, scale = encoder.encode([w.inputs[0] for w in windows], [w.length for w in windows])
    decoder = music_vae.Decoder("cat-mel_2bar_small", weights, 8)
    steps = decoder.decode(mean, temperature=1e-3).argmax(-1).astype(np.uint8)
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


def run_to(folder):
    """Trains 10 steps, keeps what a run needs to go on, and adds the weights that step 20 has here."""
    import lc_music_vae
    from lc_music_vae.system import files

    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as run_dir:
        lc_music_vae.train(CONFIG, EXAMPLE, run_dir, num_steps=10, hparams=SMALL, checkpoints_to_keep=1)
        os.makedirs(os.path.join(folder, "train"))
        for name in os.listdir(os.path.join(run_dir, "train")):
            if name.startswith(("model.ckpt-10", "checkpoint")):
                shutil.copy(os.path.join(run_dir, "train", name), os.path.join(folder, "train", name))
        run = files.read_json(os.path.join(run_dir, "run.json"))
        # Where this machine kept them is nobody's business.
        run["pretrained"]["path"] = "cat-mel_2bar_small_folk.tar"
        run["examples"]["path"] = ["ode_to_joy.mid"]
        files.write_json(os.path.join(folder, "run.json"), run)
        lc_music_vae.train(CONFIG, EXAMPLE, run_dir, num_steps=20)
        np.savez(
            os.path.join(folder, "step_20.npz"), **{k.replace("/", "|"): v for k, v in weights_of(run_dir).items()}
        )


if __name__ == "__main__":
    first_platform = tf.__version__.startswith("1.")
    if first_platform:
        from lc_music_vae.system import files

        np.savez(os.path.join(HERE, "posterior.npz"), **posterior())
        files.write_json(os.path.join(HERE, "losses.json"), losses())
    run_to(os.path.join(HERE, "run_tf1" if first_platform else "run_tf2"))
