"""Generates MIDI files with a small VAE that midime_train.py trained.

python midime_generate.py --run_dir=my_run --mode=sample --num_outputs=8
"""

from lc_music_vae.system import command_line


def _flags():
    define = command_line.new_flags()
    define.string("run_dir", None, "Folder of a training; everything else about the model is known from there.")
    define.string(
        "checkpoint_file",
        None,
        "Instead of --run_dir: the small VAE's bundle ({config}.tar of a training), checkpoint prefix or folder.",
    )
    define.string("config", None, "Name of the config in configs.py; needed where the files do not say it.")
    define.string(
        "vae_checkpoint_file",
        None,
        "MusicVAE's checkpoint: a .tar or .tar.gz bundle, a prefix, a folder, or the name of a published one, which is "
        "downloaded once. Left out, the one that training used, or the one that ships.",
    )
    define.string("vae_config", None, "Name of the MusicVAE config; may be left out.")
    define.enum(
        "mode",
        "sample",
        ["sample", "interpolate", "reconstruct", "similar", "walk"],
        "New bars in the songs' manner; the way between two bars; a whole song as the model hears it; variations of "
        "given bars; or what each dimension of the small latent does.",
    )
    define.string("input_midi_1", None, "Start of an interpolation, the bars to vary, or the song to reconstruct.")
    define.string("input_midi_2", None, "End of an interpolation.")
    define.string("input_bars_1", None, "Bars of --input_midi_1 to take, from 1, such as 5-6.")
    define.string("input_bars_2", None, "Bars of --input_midi_2 to take, from 1, such as 5-6.")
    define.number("similarity", 0.8, "How near variations stay to the input: from 0, any bars of the songs, to 1.")
    define.string(
        "latent",
        None,
        "A point of the small latent, such as 0.3,-1,0,2: to sample at, to walk around, or in place of --input_midi_1.",
    )
    define.string("latent_2", None, "The same, in place of --input_midi_2.")
    define.integer(
        "num_outputs",
        None,
        "Samples or variations, or steps of an interpolation or of each dimension's walk, both ends included. Left "
        "out, 8; 1 at --latent.",
    )
    define.string("output_dir", None, "Folder to write to. Left out, the folder `generated` in --run_dir.")
    define.integer("max_batch_size", 64, "The most windows that are decoded at once; lower it to save memory.")
    define.number("temperature", 0.5, "How freely the decoder chooses notes: above 0; lower is plainer.")
    define.integer("seed", None, "Seed of everything random: the same files again. Left out, one is drawn and said.")
    define.number("qpm", None, "Tempo of what is written, in quarters a minute. Left out, that of the songs.")
    define.integer("program", None, "General MIDI program of melodies, from 0. Left out, that of the songs.")
    define.string(
        "melody_track",
        "auto",
        "Which track of an input is its melody: auto, all, or a track's number or name. Auto goes by name, then by "
        "which sounds alone most.",
    )
    define.boolean(
        "audio",
        False,
        "Also render each output as WAV: by FluidSynth where it is installed, else by note-seq's plain synthesiser.",
    )
    define.enum(
        "metre",
        "any",
        ["any", "4/4"],
        "What of an input is read: any reads all; 4/4 leaves out what is under other time signatures.",
    )
    return define.values


def _main(flags) -> None:
    from lc_music_vae.generation import generate as generating

    generating.generate(
        flags.mode,
        flags.run_dir,
        flags.checkpoint_file,
        flags.config,
        flags.vae_checkpoint_file,
        flags.vae_config,
        flags.input_midi_1,
        flags.input_midi_2,
        flags.input_bars_1,
        flags.input_bars_2,
        flags.num_outputs,
        flags.output_dir,
        flags.max_batch_size,
        flags.temperature,
        flags.seed,
        flags.qpm,
        flags.program,
        flags.melody_track,
        flags.metre,
        flags.similarity,
        flags.latent,
        flags.latent_2,
        flags.audio,
    )


def main(argv=None) -> None:
    """Entry point of the console script; `argv` is the process's own unless given."""
    stopped = "no file is half-written, and the same command begins anew"
    command_line.run("midime_generate", __doc__, _flags(), _main, argv, stopped)


if __name__ == "__main__":
    main()
