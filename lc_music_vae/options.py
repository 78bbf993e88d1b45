"""What travels together: the records that flags become, each with its defaults, its help and its limits in one place.

Flags, the tables in docs/ and the checks come from here. A record is immutable; `dataclasses.replace` makes another.
"""

import dataclasses
import typing
from typing import Any, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.errors import InputError
from lc_music_vae.music.source import ANY, AUTO, MAX_QPM, METRES, MIN_QPM

MAX_SEED = 2**32 - 1
# Also of what is decoded at once: beyond, it is a slip of the keyboard that would fill the memory.
MAX_OUTPUTS = 10000
MAX_STEPS = 10**9
# Of a point of the small latent: N(0, I) has none beyond 10, and of such as 1e39 no decoder makes notes.
MAX_COORDINATE = 1000
MAX_THREADS = 256


class Limits(NamedTuple):
    """What a value must be: from `low` to `high`, or one of `choices`; in words, if these say it better."""

    low: float = float("-inf")
    high: float = float("inf")
    choices: Tuple[str, ...] = ()
    words: str = ""

    def check(self, name: str, value: Any) -> None:
        """Raises an `InputError` that names the argument unless `value` is within them."""
        if self.choices and value not in self.choices:
            raise InputError("--%s=%s must be one of %s" % (name, value, ", ".join(self.choices)))
        if not self.choices and not self.low <= value <= self.high:
            raise InputError("--%s=%s must be %s" % (name, value, self.words or self._words()))

    def _words(self) -> str:
        if self.high == float("inf"):
            return "%g or more" % self.low
        return "from %d to %d" % (self.low, self.high)


def option(default: Any, text: str, limits: Optional[Limits] = None) -> Any:
    """Returns a field of a record: its default, what it is in a sentence, and what its value must be unless None."""
    return dataclasses.field(default=default, metadata={"text": text, "limits": limits})


@dataclasses.dataclass(frozen=True)
class Options:
    """What the records have in common. Raises an `InputError` where a value is not within its limits."""

    def __post_init__(self) -> None:
        """Checks each value that is given."""
        for field in dataclasses.fields(self):
            value, limits = getattr(self, field.name), field.metadata["limits"]
            if value is not None and limits is not None:
                limits.check(field.name, value)

    def given(self) -> Dict[str, Any]:
        """Returns the values that are not the defaults, by name."""
        values = {field.name: (getattr(self, field.name), field.default) for field in dataclasses.fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}


class Flag(NamedTuple):
    """What a flag is defined by: `kind` is str, int, float or bool."""

    name: str
    kind: type
    default: Any
    text: str
    choices: Tuple[str, ...]


def flags_of(record: type, without: Sequence[str] = ()) -> Iterator[Flag]:
    """Yields a flag for each field of a record but those of the names `without`."""
    kinds = typing.get_type_hints(record)
    for field in dataclasses.fields(record):
        if field.name in without:
            continue
        (kind,) = [
            kind for kind in getattr(kinds[field.name], "__args__", (kinds[field.name],)) if kind is not type(None)
        ]
        limits = field.metadata["limits"]
        yield Flag(field.name, kind, field.default, field.metadata["text"], limits.choices if limits else ())


@dataclasses.dataclass(frozen=True)
class ModelSource(Options):
    """Which trained model."""

    run_dir: Optional[str] = option(None, "Folder of a training; everything else about the model is known from there.")
    checkpoint_file: Optional[str] = option(
        None,
        "Instead of --run_dir: the small VAE's bundle ({config}.tar of a training), checkpoint prefix or folder.",
    )
    config: Optional[str] = option(None, "Name of the config in configs.py; needed where the files do not say it.")
    vae_checkpoint_file: Optional[str] = option(
        None,
        "MusicVAE's checkpoint: a .tar or .tar.gz bundle, a prefix, a folder, or the name of a published one, which is "
        "downloaded once. Left out, the one that training used, or the one that ships.",
    )
    vae_config: Optional[str] = option(None, "Name of the MusicVAE config; may be left out.")


@dataclasses.dataclass(frozen=True)
class Reading(Options):
    """How songs are read."""

    melody_track: str = option(
        AUTO,
        "Which track of a song is its melody: auto, all, or a track's number or name. Auto goes by name, then by which "
        "sounds alone most.",
    )
    metre: str = option(
        ANY,
        "What of a song is read: any reads all; 4/4 leaves out what is under other time signatures, as Magenta does "
        "(2/2 is as good as 4/4).",
        Limits(choices=METRES),
    )


@dataclasses.dataclass(frozen=True)
class Sound(Options):
    """How outputs sound."""

    qpm: Optional[float] = option(
        None,
        "Tempo of what is written, in quarters a minute. Left out, that of the songs.",
        Limits(MIN_QPM, MAX_QPM, words="from %d to %d quarters a minute" % (MIN_QPM, MAX_QPM)),
    )
    program: Optional[int] = option(
        None, "General MIDI program of melodies, from 0. Left out, that of the songs.", Limits(0, 127)
    )
    audio: bool = option(
        False,
        "Also render each output as WAV: by FluidSynth where it is installed, else by note-seq's plain synthesiser.",
    )


@dataclasses.dataclass(frozen=True)
class Sampling(Options):
    """How points are drawn and decoded."""

    temperature: float = option(
        0.5,
        "How freely the decoder chooses notes: above 0; lower is plainer.",
        # Beyond, float32 makes NaN of what the decoder draws from.
        Limits(1e-6, 1e6, words="a number above 0; 0.001 is as good as none"),
    )
    seed: Optional[int] = option(
        None,
        "Seed of everything random: the same files again. Left out, one is drawn and said.",
        Limits(0, MAX_SEED),
    )
    max_batch_size: int = option(
        64, "The most windows that are decoded at once; lower it to save memory.", Limits(1, MAX_OUTPUTS)
    )


@dataclasses.dataclass(frozen=True)
class Request(Options):
    """What is to be made: a mode, and what that mode takes."""

    mode: str = option("sample", "")
    input_midi_1: Optional[str] = option(
        None, "Start of an interpolation, the bars to vary, or the song to reconstruct."
    )
    input_midi_2: Optional[str] = option(None, "End of an interpolation.")
    input_bars_1: Optional[str] = option(None, "Bars of --input_midi_1 to take, from 1, such as 5-6.")
    input_bars_2: Optional[str] = option(None, "Bars of --input_midi_2 to take, from 1, such as 5-6.")
    similarity: Optional[float] = option(
        None, "How near variations stay to the input: from 0, any bars of the songs, to 1. Left out, 0.8.", Limits(0, 1)
    )
    latent: Optional[str] = option(
        None,
        "A point of the small latent, such as 0.3,-1,0,2: to sample at, to walk around, or in place of --input_midi_1.",
    )
    latent_2: Optional[str] = option(None, "The same, in place of --input_midi_2.")
    num_outputs: Optional[int] = option(
        None,
        "Samples or variations, or steps of an interpolation or of each dimension's walk, both ends included. Left "
        "out, 8; 1 at --latent.",
        Limits(1, MAX_OUTPUTS),
    )


@dataclasses.dataclass(frozen=True)
class Training(Options):
    """How training is done."""

    num_steps: int = option(500, "Global step to train to; training that was stopped goes on.", Limits(1, MAX_STEPS))
    hparams: str = option("", "Overrides of hyperparameters, such as encoded_z_size=8,max_beta=0.5.")
    augment: Optional[bool] = option(
        None,
        "Train on transpositions too, drawn anew at each step: the MusicVAE config's own range, or 5 semitones either "
        "way. Left out, no, or as the run began.",
    )
    seed: Optional[int] = option(
        None, "Seed of everything random in training. Left out, 0, or as the run began.", Limits(0, MAX_SEED)
    )
    checkpoints_to_keep: int = option(5, "Newest checkpoints that are kept.", Limits(1, MAX_STEPS))
    keep_checkpoint_every_n_hours: float = option(
        1.0, "One checkpoint in so many hours is kept for good.", Limits(0, MAX_STEPS)
    )
    num_data_threads: int = option(2, "Threads that read latents during training.", Limits(1, MAX_THREADS))


def from_flags(record: type, values: Any) -> Any:
    """Returns the record whose fields are the parsed flags of the same names; what is None is left at its default."""
    given = {field.name: getattr(values, field.name) for field in dataclasses.fields(record)}
    return record(**{name: value for name, value in given.items() if value is not None})
