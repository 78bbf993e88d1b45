"""The records that hold the values of flags. Each field has its default, its help text and its limits in one place.

Flags, the tables in docs/ and the checks are made from these records. A record is immutable; `dataclasses.replace`
makes a changed copy.
"""

import dataclasses
import numbers
import os
import typing
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from lc_music_vae.errors import InputError
from lc_music_vae.music.source import ANY, AUTO, MAX_QPM, METRES, MIN_QPM

Path = Union[str, "os.PathLike[str]"]
Paths = Union[Path, Sequence[Path]]

MAX_SEED = 2**32 - 1
# Also the limit for the batch size. A larger number is a typing error that would fill the memory.
MAX_OUTPUTS = 10000
MAX_BARS = 512  # of a tune: a quarter of an hour
MAX_STEPS = 10**9
# For a point of the small latent: N(0, I) gives no values beyond 10, and no decoder makes notes of values like 1e39.
MAX_COORDINATE = 1000
MAX_TURN = 5  # of a knob, in standard deviations over a model's samples
MAX_THREADS = 256
MAX_SHARDS = 10_000
BEAM = "beam"  # a value of --runner
FREEDOM = 0.2  # measured: as like the songs as 0, with half of the near-copies
MAX_PAGE_MB = 64.0
REDRAW, ALLOW = "redraw", "allow"  # values of `--copies`
WHOLE = (0.0, 1.0)  # of a song: from its start to its end
FREE, BALANCED, CLOSE = FIDELITIES = ("free", "balanced", "close")


class Limits(NamedTuple):
    """The valid values: from `low` to `high`, or one of `choices`. `words`, if given, describes them in messages."""

    low: float = float("-inf")
    high: float = float("inf")
    choices: Tuple[str, ...] = ()
    words: str = ""

    def check(self, name: str, value: Any) -> None:
        """Raises an `InputError` that names the argument unless `value` is within these limits."""
        if self.choices and value not in self.choices:
            raise InputError("--%s=%s must be one of %s" % (name, value, ", ".join(self.choices)))
        if not self.choices and not self.low <= value <= self.high:
            raise InputError("--%s=%s must be %s" % (name, value, self.words or self._words()))

    def _words(self) -> str:
        if self.high == float("inf"):
            return "%g or more" % self.low
        return "from %d to %d" % (self.low, self.high)


def option(default: Any, text: str, limits: Optional[Limits] = None) -> Any:
    """Returns a field of a record: its default, a sentence about it, and the limits of a value that is not None."""
    return dataclasses.field(default=default, metadata={"text": text, "limits": limits})


# Types accepted for each kind. NumPy's numbers count as Python's, and a Path counts as text. True is not a number.
_KINDS: Dict[type, Tuple[Any, str]] = {
    str: ((str, os.PathLike), "text"),
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    bool: (bool, "True or False"),
    dict: (Mapping, "a dict"),
}


def check_kind(name: str, value: Any, *kinds: type) -> None:
    """Raises an `InputError` that names the argument unless `value` has one of these kinds."""
    right = [isinstance(value, _KINDS[kind][0]) and (kind is bool or not isinstance(value, bool)) for kind in kinds]
    if not any(right):
        raise InputError("--%s=%.60r must be %s" % (name, value, " or ".join(_KINDS[kind][1] for kind in kinds)))


def _plain(value: Any) -> Any:
    """Returns a value in a form that JSON supports."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    return value


def path_of(name: str, value: Any) -> str:
    """Returns a text or `Path` as a path; raises an `InputError` that names the argument for any other value."""
    if not isinstance(value, (str, os.PathLike)) or "\0" in os.fsdecode(value):
        raise InputError("--%s=%.60r must be a path" % (name, value))
    return os.fsdecode(value)


def paths_of(name: str, value: Any) -> List[str]:
    """Returns one or several paths as a list; see `path_of`."""
    several = isinstance(value, (list, tuple, set, frozenset)) or hasattr(value, "__next__")
    return [path_of(name, one) for one in (value if several else [value])]


def _kinds(record: type) -> Dict[str, List[type]]:
    """Returns the types that are accepted for each field, without None."""
    hints = typing.get_type_hints(record)
    found = {name: getattr(hint, "__args__", None) or (hint,) for name, hint in hints.items()}
    return {name: [kind for kind in kinds if kind is not type(None)] for name, kinds in found.items()}


@dataclasses.dataclass(frozen=True)
class Options:
    """Base class of the records. Raises an `InputError` if a value has the wrong kind or is outside its limits."""

    def __post_init__(self) -> None:
        """Checks each value that is given."""
        kinds = _kinds(type(self))
        for field in dataclasses.fields(self):
            value, limits = getattr(self, field.name), field.metadata["limits"]
            if value is None and field.default is None:
                continue
            check_kind(field.name, value, *kinds[field.name])
            object.__setattr__(self, field.name, _plain(value))
            if limits is not None:
                limits.check(field.name, value)

    def given(self) -> Dict[str, Any]:
        """Returns the values that are not the defaults, by name."""
        values = {field.name: (getattr(self, field.name), field.default) for field in dataclasses.fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}


class Flag(NamedTuple):
    """The definition of a flag; `kind` is str, int, float or bool."""

    name: str
    kind: type
    default: Any
    text: str
    choices: Tuple[str, ...]


def flags_of(record: type, without: Sequence[str] = ()) -> Iterator[Flag]:
    """Yields a flag for each field of a record except those in `without`; uses the first kind of each field."""
    kinds = _kinds(record)
    for field in dataclasses.fields(record):
        if field.name not in without:
            limits = field.metadata["limits"]
            choices = limits.choices if limits else ()
            yield Flag(field.name, kinds[field.name][0], field.default, field.metadata["text"], choices)


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
        "MusicVAE's checkpoint: a .tar or .tar.gz bundle, a prefix, a folder, or a name: of one that ships, or of a "
        "published one, which is downloaded once. Left out, the one that training used, or the one that ships.",
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
        # Outside these limits, the distribution that the decoder samples from becomes NaN in float32.
        Limits(1e-6, 1e6, words="a number above 0; 0.001 is as good as none"),
    )
    seed: Optional[int] = option(
        None,
        "Seed of everything random: the same files again. Left out, one is drawn and said.",
        Limits(0, MAX_SEED),
    )
    max_batch_size: int = option(
        64,
        "The most windows in a batch; lower it to save memory. Of a small MusicVAE each core decodes a batch.",
        Limits(1, MAX_OUTPUTS),
    )


@dataclasses.dataclass(frozen=True)
class Request(Options):
    """What to generate: a mode and its options."""

    mode: str = option("sample", "")
    input_midi_1: Optional[str] = option(
        None, "Start of an interpolation, the bars to vary or to go on from, or the song to reconstruct."
    )
    input_midi_2: Optional[str] = option(None, "End of an interpolation.")
    input_bars_1: Optional[str] = option(
        None,
        "Bars of --input_midi_1 to take, from 1, such as 5-6. Left out, those that are most like its others; to go on "
        "from, its last eight.",
    )
    input_bars_2: Optional[str] = option(None, "Bars of --input_midi_2 to take, from 1, such as 5-6.")
    list_bars: bool = option(
        False, "Write all bars that could be taken of the inputs, to hear and choose from, and nothing else."
    )
    similarity: Optional[float] = option(
        None, "How near variations stay to the input: from 0, any bars of the songs, to 1. Left out, 0.8.", Limits(0, 1)
    )
    detail: Optional[float] = option(
        None,
        "How much of what the small latent leaves out of a song its reconstruction keeps: from 0, what the small VAE "
        "hears, to 1, what MusicVAE hears. Left out, 0.",
        Limits(0, 1),
    )
    latent: Optional[str] = option(
        None,
        "A point of the small latent, such as 0.3,-1,0,2: to sample at, to walk around, or in place of --input_midi_1.",
    )
    latent_2: Optional[str] = option(None, "The same, in place of --input_midi_2.")
    dimensions: Optional[str] = option(
        None,
        "Dimensions of the small latent to walk along, from 1, such as 2,1, or all. Left out, those that change "
        "something, in order of their effect.",
    )
    chords: Optional[str] = option(
        None,
        "Chords to decode with, for configs that are controlled by chords, such as C G Am F: each equally long in the "
        "bars of an output; where an output has one chord alone, outputs take them in turn. Left out, those of the "
        "first input.",
    )
    control_midi: Optional[str] = option(
        None,
        "A music file whose chords or drum hits to decode with, for configs that need some: those of the bars that are "
        "most like its others. Left out, those of the first input.",
    )
    num_bars: Optional[int] = option(
        None,
        "Length of a tune, in bars (left out, 32), or of what comes after given bars (16). In mode similar, so many "
        "bars of a whole tune are varied.",
        Limits(1, MAX_BARS),
    )
    form: Optional[str] = option(
        None,
        "What gives a tune its form: a music file, the name of a training song, or letters such as AABA, of which A' "
        "varies A. Left out, one of the training songs is drawn for each tune, and given bars go on as the one that is "
        "nearest to them.",
    )
    num_outputs: Optional[int] = option(
        None,
        "Samples, variations or tunes, or steps of an interpolation or of each dimension's walk, both ends included. "
        "Left out, 8; 1 at --latent.",
        Limits(1, MAX_OUTPUTS),
    )

    freedom: Optional[float] = option(
        None,
        "How far samples lean from what the songs do to what they might do: from 0, bars most like theirs, to 1, draws "
        "of the broad part of the prior. Left out, 0.2.",
        Limits(0, 1),
    )
    knobs: Optional[str] = option(
        None,
        "Knobs to turn, such as density=1.5,register=-1, in standard deviations over the model's own samples: where "
        "samples lie, or how far variations go from the bars given. Training says which knobs a model has, of density, "
        "register, range, syncopation, leaps, rests and repetition.",
    )
    along: Optional[str] = option(None, "The knob that a walk turns, from -2 to 2, in place of the small latent.")
    copies: str = option(
        REDRAW,
        "Samples that are empty, nearly a copy of bars of the songs (0.9 alike or more), or the same as another one: "
        "redraw draws others; allow keeps them. At --latent they are kept.",
        Limits(choices=(REDRAW, ALLOW)),
    )
    max_page_mb: float = option(
        MAX_PAGE_MB,
        "The most megabytes that a decoder may take on the page that plays the model. A larger one, or one that "
        "makes neither melodies nor plain drums, stays out; the page then holds bars decoded at many points.",
        Limits(0, words="0 or more"),
    )


@dataclasses.dataclass(frozen=True)
class Training(Options):
    """How training is done."""

    num_steps: int = option(
        0,
        "Global step to train to; training that was stopped goes on. With 0, training ends by itself, where it makes "
        "what it was not trained on hardly any likelier.",
        Limits(0, MAX_STEPS),
    )
    fidelity: Optional[str] = option(
        None,
        "With --num_steps=0, which way to lean: free learns the songs' manner and ends early; close goes on until the "
        "model gives their bars back, and makes more copies. Left out, balanced.",
        Limits(choices=FIDELITIES),
    )
    hparams: Union[str, dict] = option("", "Overrides of hyperparameters, such as encoded_z_size=8,max_beta=0.5.")
    augment: Optional[bool] = option(
        None,
        "Train on transpositions too, drawn again at each step: the MusicVAE config's own range, or 5 semitones either "
        "way. Left out, no, or as the run began.",
    )
    holdout: Optional[float] = option(
        None,
        "Share of each song, its last bars, that is kept out of training and scored at its end: how much likelier the "
        "model makes them than MusicVAE does. Left out, 0, or as the run began.",
        Limits(0, 0.9, words="from 0 to 0.9"),
    )
    seed: Optional[int] = option(
        None, "Seed of everything random in training. Left out, 0, or as the run began.", Limits(0, MAX_SEED)
    )
    checkpoints_to_keep: int = option(5, "Newest checkpoints that are kept.", Limits(1, MAX_STEPS))
    keep_checkpoint_every_n_hours: float = option(
        1.0, "One checkpoint in so many hours is kept for good.", Limits(0, MAX_STEPS)
    )
    num_data_threads: int = option(2, "Threads that read latents during training.", Limits(1, MAX_THREADS))


@dataclasses.dataclass(frozen=True)
class Evaluation(Options):
    """How evaluation is done."""

    eval_num_batches: Optional[int] = option(None, "Batches to evaluate; left out, all.", Limits(1, MAX_STEPS))
    eval_dir_suffix: str = option("", "What is added to the name of the eval folder.")


@dataclasses.dataclass(frozen=True)
class Encoding(Options):
    """Which songs are encoded, and by what."""

    add_songs: bool = option(
        False,
        "Go on with the songs of --examples_path and all that the run was trained on before; without it, going on "
        "needs the same songs. In encode mode: encode what is new to the run, for a training with --add_songs.",
    )
    shard: Optional[str] = option(
        None,
        "In encode mode: the share of the songs to encode, such as 3/16, so that several machines encode a collection "
        "into one --run_dir. Left out, all songs.",
    )
    runner: Optional[str] = option(
        None,
        "In encode mode: what runs the encoding. beam is an Apache Beam pipeline (requirements-beam.txt). Left out, "
        "this machine's processes.",
        Limits(choices=(BEAM,)),
    )
    beam_args: Optional[str] = option(
        None,
        "Arguments of Beam's own with --runner=beam, such as "
        "'--direct_running_mode=multi_processing --direct_num_workers=2'. Left out, its DirectRunner in one process.",
    )


def names_of(record: type) -> List[str]:
    """Returns the names of a record's fields, in order."""
    return [field.name for field in dataclasses.fields(record)]


def given_flags(record: type, values: Any) -> Dict[str, Any]:
    """Returns, by name, the parsed flags that are fields of a record and are not None."""
    given = {name: getattr(values, name) for name in names_of(record)}
    return {name: value for name, value in given.items() if value is not None}


def from_flags(record: type, values: Any) -> Any:
    """Returns a record with the values of the parsed flags of the same names; a flag that is None keeps the default."""
    return record(**given_flags(record, values))
