"""Generates MIDI files with a small VAE that midime_train.py trained.

python midime_generate.py --run_dir=my_run --mode=sample --num_outputs=8
"""

from lc_music_vae import options
from lc_music_vae.generation.modes import MODES
from lc_music_vae.system import command_line, cores


def _flags():
    defined = command_line.FlagSet("midime_generate")
    defined.add_all(options.flags_of(options.ModelSource))
    modes = "; ".join("%s: %s" % (mode.name, mode.text) for mode in MODES.values())
    defined.add("mode", str, "sample", text="What to make. %s." % modes, choices=list(MODES))
    defined.add_all(options.flags_of(options.Request, without=["mode"]))
    defined.add("output_dir", str, None, text="Folder to write to. Left out, the folder `generated` in --run_dir.")
    for record in (options.Sampling, options.Sound, options.Reading):
        defined.add_all(options.flags_of(record))
    return defined.values


def _main(flags) -> None:
    from lc_music_vae.generation import generate

    generate.generate(
        options.from_flags(options.Request, flags),
        options.from_flags(options.ModelSource, flags),
        flags.output_dir,
        sampling=options.from_flags(options.Sampling, flags),
        sound=options.from_flags(options.Sound, flags),
        reading=options.from_flags(options.Reading, flags),
    )


def main(argv=None) -> None:
    """Entry point of the console script; `argv` defaults to the arguments of the process."""
    if argv is None:
        cores.claim()  # the process is ours
    stopped = "no file is half-written, and the same command starts again"
    command_line.run("midime_generate", __doc__, _flags(), main=_main, argv=argv, when_stopped=stopped)


if __name__ == "__main__":
    main()
