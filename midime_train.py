"""Trains a small VAE over MusicVAE's latents on your songs, or evaluates one.

python midime_train.py --config=lc-cat-mel_2bar_small --examples_path=my_songs/ --run_dir=my_run
"""

from absl import flags

from lc_music_vae import command_line
from lc_music_vae.errors import InputError

FLAGS = flags.FLAGS

flags.DEFINE_string("config", None, "Name of the config in configs.py, such as lc-cat-mel_2bar_small.")
flags.DEFINE_string("run_dir", None, "Folder of the run: checkpoints, latents, TensorBoard's events, run.json.")
flags.DEFINE_enum("mode", "train", ["train", "eval"], "Train, or evaluate the newest checkpoint once.")
flags.DEFINE_string(
    "examples_path",
    None,
    "A music file (MIDI, MusicXML), a TFRecord of NoteSequences, a glob, or a folder that is searched recursively. "
    "In eval mode: other songs; left out, those that were trained on.",
)
flags.DEFINE_string(
    "pretrained_path",
    None,
    "MusicVAE's checkpoint: a .tar or .tar.gz bundle, a prefix (model/cat-mel_2bar_big.ckpt) or a folder. Left out, "
    "the one that ships with the toolkit, if the config has one.",
)
flags.DEFINE_integer("num_steps", 500, "Global step to train to; training that was stopped goes on.")
flags.DEFINE_string("hparams", "", "Overrides of hyperparameters, such as encoded_z_size=8,max_beta=0.5.")
flags.DEFINE_integer("eval_num_batches", None, "Batches to evaluate; left out, all.")
flags.DEFINE_integer("checkpoints_to_keep", 5, "Newest checkpoints that are kept.")
flags.DEFINE_float("keep_checkpoint_every_n_hours", 1.0, "One checkpoint in so many hours is kept for good.")
flags.DEFINE_integer("num_data_threads", 2, "Threads that read latents during training.")
flags.DEFINE_string("eval_dir_suffix", "", "What is added to the name of the eval folder.")
flags.DEFINE_boolean(
    "augment",
    None,
    "Train on transpositions too, drawn anew at each step: the MusicVAE config's own range, or 5 semitones either way.",
)
flags.DEFINE_integer("seed", None, "Seed of everything random in training. Left out, 0, or as the run began.")
command_line.define_common_flags()


def _main() -> None:
    from lc_music_vae import training

    if not FLAGS.run_dir:
        raise InputError("--run_dir is needed: the folder that training writes to")
    if FLAGS.mode == "eval":
        training.evaluate(
            FLAGS.run_dir,
            FLAGS.examples_path,
            FLAGS.eval_num_batches,
            FLAGS.eval_dir_suffix,
            FLAGS.pretrained_path,
            FLAGS.config,
        )
        return
    if not FLAGS.config:
        raise InputError("--config is needed, such as --config=lc-cat-mel_2bar_small")
    if not FLAGS.examples_path:
        raise InputError("--examples_path is needed: a music file, a TFRecord or a folder of songs")
    training.train(
        FLAGS.config,
        FLAGS.examples_path,
        FLAGS.run_dir,
        FLAGS.pretrained_path,
        FLAGS.num_steps,
        FLAGS.hparams,
        FLAGS.augment,
        FLAGS.seed,
        FLAGS.checkpoints_to_keep,
        FLAGS.keep_checkpoint_every_n_hours,
        FLAGS.num_data_threads,
    )


def main() -> None:
    """Entry point of the console script."""
    command_line.run("midime_train", __doc__, _main)


if __name__ == "__main__":
    main()
