"""Trains a small VAE over MusicVAE's latents on your songs, or evaluates one.

python midime_train.py --config=lc-cat-mel_2bar_small --examples_path=my_songs/ --run_dir=my_run
"""

import dataclasses
import logging
from typing import Optional

from lc_music_vae import options
from lc_music_vae.errors import InputError
from lc_music_vae.music import tfds
from lc_music_vae.system import command_line

logger = logging.getLogger("lc_music_vae.midime_train")


def _flags():
    defined = command_line.FlagSet("midime_train")
    defined.add(
        "config",
        str,
        None,
        text="Name of the config in configs.py, such as lc-cat-mel_2bar_small. Left out, the run's own, or "
        "lc-cat-mel_2bar_small.",
    )
    defined.add("run_dir", str, None, text="Folder of the run: checkpoints, latents, TensorBoard's events, run.json.")
    defined.add(
        "mode",
        str,
        "train",
        text="train; eval: evaluate the newest checkpoint once; encode: only encode songs, or a share of them, for a "
        "training that comes later.",
        choices=["train", "eval", "encode"],
    )
    defined.add(
        "examples_path",
        str,
        None,
        text="A music file (MIDI, MusicXML, ABC), a TFRecord of NoteSequences, a glob, or a folder that is searched "
        "recursively. In eval mode: other songs; left out, those that were trained on. "
        "Left out in train mode, those that the run was trained on, or that encode mode has listed.",
    )
    defined.add(
        "tfds_name",
        str,
        None,
        text="In place of --examples_path: a data set as TensorFlow Datasets names it, such as groove/2bar-midionly: "
        "its split train, in eval mode its split validation. It is read from TFDS_DATA_DIR or ~/tensorflow_datasets, "
        "and never downloaded.",
    )
    defined.add(
        "pretrained_path",
        str,
        None,
        text="MusicVAE's checkpoint: a .tar or .tar.gz bundle, a prefix (model/cat-mel_2bar_big.ckpt), a folder, or "
        "a name: of one that ships (cat-mel_2bar_small_folk), or of a published one (cat-mel_2bar_big), which is "
        "downloaded once. Left out, the one that ships with the toolkit, if the config has one.",
    )
    defined.add_all(options.flags_of(options.Training))
    for flag in options.flags_of(options.Reading):
        text = "%s Left out, %s, or as the run began." % (flag.text, flag.default)
        defined.add(flag.name, flag.kind, None, text=text, choices=flag.choices)
    defined.add_all(options.flags_of(options.Evaluation))
    defined.add_all(options.flags_of(options.Encoding))
    return defined.values


def _main(flags) -> None:
    if flags.mode != "encode":
        given = options.from_flags(options.Encoding, flags).given()
        if flags.mode == "train":
            given.pop("add_songs", None)
        _check_taken(flags, given)
    {"train": _train, "eval": _evaluate, "encode": _encode}[flags.mode](flags)


def _examples_path(flags, split: str) -> Optional[str]:
    """Returns the value of --examples_path, or the files of the split that --tfds_name stands for."""
    if flags.tfds_name is None:
        return flags.examples_path
    if flags.examples_path is not None:
        raise InputError(
            "--tfds_name=%s: --examples_path=%s is given, too; leave one of them out"
            % (flags.tfds_name, flags.examples_path)
        )
    found = tfds.find(flags.tfds_name, split)
    logger.info("--tfds_name=%s: --examples_path=%s", flags.tfds_name, found)
    return found


def _train(flags) -> None:
    from lc_music_vae.training import train as training

    training.train(
        flags.config,
        _examples_path(flags, tfds.TRAIN),
        flags.run_dir,
        pretrained_path=flags.pretrained_path,
        options=options.from_flags(options.Training, flags),
        add_songs=flags.add_songs,
        **options.given_flags(options.Reading, flags),
    )
    logger.info(
        "to hear it: %s", command_line.other_command("midime_train", "midime_generate", "--run_dir=" + flags.run_dir)
    )


def _encode(flags) -> None:
    from lc_music_vae.training import encode as encoding

    _check_taken(flags, options.from_flags(options.Evaluation, flags).given())
    encoding.encode(
        flags.config,
        _examples_path(flags, tfds.TRAIN),
        flags.run_dir,
        how=options.from_flags(options.Encoding, flags),
        pretrained_path=flags.pretrained_path,
        options=options.from_flags(options.Training, flags),
        **options.given_flags(options.Reading, flags),
    )


def _check_taken(flags, given) -> None:
    """Refuses given flags, by name, which only another mode takes."""
    for name, value in given.items():
        raise InputError("--%s=%s: mode %s does not take it; leave it out" % (name, value, flags.mode))


def _evaluate(flags) -> None:
    from lc_music_vae.training import evaluate as evaluating

    given = options.from_flags(options.Training, flags).given()
    _check_taken(flags, {**given, **options.given_flags(options.Reading, flags)})
    evaluating.evaluate(
        flags.run_dir,
        _examples_path(flags, tfds.VALIDATION),
        pretrained_path=flags.pretrained_path,
        config=flags.config,
        **dataclasses.asdict(options.from_flags(options.Evaluation, flags)),
    )


def main(argv=None) -> None:
    """Entry point of the console script; `argv` defaults to the arguments of the process."""
    command_line.run("midime_train", __doc__, _flags(), main=_main, argv=argv)


if __name__ == "__main__":
    main()
