"""Trains a small VAE over MusicVAE's latents on your songs, or evaluates one.

python midime_train.py --config=lc-cat-mel_2bar_small --examples_path=my_songs/ --run_dir=my_run
"""

import logging

from lc_music_vae.errors import InputError
from lc_music_vae.system import command_line

logger = logging.getLogger("lc_music_vae.midime_train")


def _flags():
    define = command_line.FlagSet("midime_train")
    define.add("config", str, None, "Name of the config in configs.py, such as lc-cat-mel_2bar_small.")
    define.add("run_dir", str, None, "Folder of the run: checkpoints, latents, TensorBoard's events, run.json.")
    define.add("mode", str, "train", "Train, or evaluate the newest checkpoint once.", ["train", "eval"])
    define.add(
        "examples_path",
        str,
        None,
        "A music file (MIDI, MusicXML, ABC), a TFRecord of NoteSequences, a glob, or a folder that is searched "
        "recursively. In eval mode: other songs; left out, those that were trained on.",
    )
    define.add(
        "pretrained_path",
        str,
        None,
        "MusicVAE's checkpoint: a .tar or .tar.gz bundle, a prefix (model/cat-mel_2bar_big.ckpt), a folder, or the "
        "name of a published one (cat-mel_2bar_big), which is downloaded once. Left out, the one that ships with the "
        "toolkit, if the config has one.",
    )
    define.add("num_steps", int, 500, "Global step to train to; training that was stopped goes on.")
    define.add("hparams", str, "", "Overrides of hyperparameters, such as encoded_z_size=8,max_beta=0.5.")
    define.add("eval_num_batches", int, None, "Batches to evaluate; left out, all.")
    define.add("checkpoints_to_keep", int, 5, "Newest checkpoints that are kept.")
    define.add("keep_checkpoint_every_n_hours", float, 1.0, "One checkpoint in so many hours is kept for good.")
    define.add("num_data_threads", int, 2, "Threads that read latents during training.")
    define.add("eval_dir_suffix", str, "", "What is added to the name of the eval folder.")
    define.add(
        "augment",
        bool,
        None,
        "Train on transpositions too, drawn anew at each step: the MusicVAE config's own range, or 5 semitones "
        "either way.",
    )
    define.add("seed", int, None, "Seed of everything random in training. Left out, 0, or as the run began.")
    define.add(
        "melody_track",
        str,
        None,
        "Which track of each song is its melody: auto, all, or a track's number or name. Left out, auto (by name, then "
        "by which sounds alone most), or as the run began.",
    )
    define.add(
        "metre",
        str,
        None,
        "What of the songs is read: any reads all; 4/4 leaves out what is under other time signatures, as Magenta does "
        "(2/2 is as good as 4/4). Left out, any, or as the run began.",
        ["any", "4/4"],
    )
    define.add(
        "add_songs",
        bool,
        False,
        "Go on with the songs of --examples_path and all that the run was trained on before; without it, going on "
        "needs the same songs.",
    )
    return define.values


def _main(flags) -> None:
    from lc_music_vae.training import train as training

    if not flags.run_dir:
        raise InputError("--run_dir is needed: the folder that training writes to")
    if flags.mode == "eval":
        training.evaluate(
            flags.run_dir,
            flags.examples_path,
            flags.eval_num_batches,
            flags.eval_dir_suffix,
            flags.pretrained_path,
            flags.config,
        )
        return
    if not flags.config:
        raise InputError("--config is needed, such as --config=lc-cat-mel_2bar_small")
    if not flags.examples_path:
        raise InputError("--examples_path is needed: a music file, a TFRecord or a folder of songs")
    training.train(
        flags.config,
        flags.examples_path,
        flags.run_dir,
        flags.pretrained_path,
        flags.num_steps,
        flags.hparams,
        flags.augment,
        flags.seed,
        flags.checkpoints_to_keep,
        flags.keep_checkpoint_every_n_hours,
        flags.num_data_threads,
        flags.melody_track,
        flags.metre,
        flags.add_songs,
    )
    logger.info(
        "to hear it: %s", command_line.other_command("midime_train", "midime_generate", "--run_dir=" + flags.run_dir)
    )


def main(argv=None) -> None:
    """Entry point of the console script; `argv` is the process's own unless given."""
    command_line.run("midime_train", __doc__, _flags(), main=_main, argv=argv)


if __name__ == "__main__":
    main()
