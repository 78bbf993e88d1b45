"""Generates MIDI files with a small VAE that midime_train.py trained.

python midime_generate.py --run_dir=my_run --mode=sample --num_outputs=8
"""

from absl import flags

from lc_music_vae import command_line

FLAGS = flags.FLAGS

flags.DEFINE_string("run_dir", None, "Folder of a training; everything else about the model is known from there.")
flags.DEFINE_string(
    "checkpoint_file",
    None,
    "Instead of --run_dir: the small VAE's bundle ({config}.tar of a training), checkpoint prefix or folder.",
)
flags.DEFINE_string("config", None, "Name of the config in configs.py; needed where the files do not say it.")
flags.DEFINE_string(
    "vae_checkpoint_file",
    None,
    "MusicVAE's checkpoint: a .tar or .tar.gz bundle, a prefix or a folder. Left out, the one that training used, or "
    "the one that ships.",
)
flags.DEFINE_string("vae_config", None, "Name of the MusicVAE config; may be left out.")
flags.DEFINE_enum(
    "mode",
    "sample",
    ["sample", "interpolate", "reconstruct"],
    "New bars in the songs' manner; the way between two bars; or a whole song as the model hears it.",
)
flags.DEFINE_string("input_midi_1", None, "Start of an interpolation, or the song to reconstruct.")
flags.DEFINE_string("input_midi_2", None, "End of an interpolation.")
flags.DEFINE_string("input_bars_1", None, "Bars of --input_midi_1 to take, from 1, such as 5-6.")
flags.DEFINE_string("input_bars_2", None, "Bars of --input_midi_2 to take, from 1, such as 5-6.")
flags.DEFINE_integer("num_outputs", 8, "Samples, or steps of an interpolation, both ends included.")
flags.DEFINE_string("output_dir", None, "Folder to write to. Left out, the folder `generated` in --run_dir.")
flags.DEFINE_integer("max_batch_size", 64, "The most windows that are decoded at once; lower it to save memory.")
flags.DEFINE_float("temperature", 0.5, "How freely the decoder chooses notes: above 0; lower is plainer.")
flags.DEFINE_integer("seed", None, "Seed of everything random: the same files again. Left out, one is drawn and said.")
command_line.define_common_flags()


def _main() -> None:
    from lc_music_vae import generating

    generating.generate(
        FLAGS.mode,
        FLAGS.run_dir,
        FLAGS.checkpoint_file,
        FLAGS.config,
        FLAGS.vae_checkpoint_file,
        FLAGS.vae_config,
        FLAGS.input_midi_1,
        FLAGS.input_midi_2,
        FLAGS.input_bars_1,
        FLAGS.input_bars_2,
        FLAGS.num_outputs,
        FLAGS.output_dir,
        FLAGS.max_batch_size,
        FLAGS.temperature,
        FLAGS.seed,
    )


def main() -> None:
    """Entry point of the console script."""
    command_line.run("midime_generate", __doc__, _main)


if __name__ == "__main__":
    main()
