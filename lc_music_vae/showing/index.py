"""`index.json`: the list of outputs in a folder, run by run, the oldest first. Needs no TensorFlow.

A folder may come from an unknown person, be shared, or be edited by hand. So every value of its index is checked before
it is used, and no name in it may lead out of the folder. Values that are not valid are skipped, with a message. They
stay in the file, as do unknown values, because they belong to the user.
"""

import json
import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.errors import InputError
from lc_music_vae.options import ALLOW, REDRAW
from lc_music_vae.system import files

INDEX = "index.json"
_FORMAT = 1
_MAX_TEXT, _MAX_NAME = 1000, 255
_MAX_INPUTS, _MAX_DIMENSIONS, _MAX_BARS, _MAX_SEMITONES = 10, 10000, 10**6, 127
MAX_MARKS = 200_000  # notes and bars of all outputs on a page, and of anything in the index
_NEEDED = object()  # instead of a default


class _Field(NamedTuple):
    """A value of a record: its check, the description of the check, and the default if it is missing or not valid."""

    is_right: Callable[[Any], bool]
    expected: str
    default: Any = _NEEDED


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 1e9  # false for NaN


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT


def text(value: str) -> str:
    """Returns the text, shortened to the length limit of a record."""
    return value if _is_text(value) else value[: _MAX_TEXT - 1] + "…"


def _is_list(max_length: int, is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) <= max_length and all(map(is_right, value))


def _is_whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_file(ending: str) -> Callable[[Any], bool]:
    """Returns a function that checks whether a value names a file in the index's own folder."""

    def is_file(value: Any) -> bool:
        if not isinstance(value, str) or "\0" in value or not value.lower().endswith(ending):
            return False
        try:
            return len(os.fsencode(value)) <= _MAX_NAME and os.path.basename(value) == value
        except UnicodeError:
            return False

    return is_file


class Heard(NamedTuple):
    """The sound of an output, or of bars that were given.

    Attributes:
        notes: For each note, in order: start and end in seconds, pitch, velocity, whether it is a drum, and its General
            MIDI program unless that is 0.
        bars: The times in seconds at which bars begin, and at which the last bar ends.
    """

    notes: List[List[Any]]
    bars: List[float]

    def size(self) -> int:
        """Returns the number of notes and bars."""
        return len(self.notes) + len(self.bars)

    def for_page(self) -> Dict[str, Any]:
        """Returns what the page needs to show and play it."""
        return {"notes": self.notes, "bars": self.bars, "seconds": self.bars[-1]}


def is_heard(notes: Any, bars: Any) -> bool:
    """Returns whether the values of a `Heard` are right."""
    return (
        isinstance(bars, list)
        and 2 <= len(bars) <= MAX_MARKS
        and all(map(_is_time, bars))
        and _is_list(MAX_MARKS, lambda note: isinstance(note, list) and len(note) in (5, 6) and _is_note(*note))(notes)
    )


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e9


def _is_note(start: Any, end: Any, pitch: Any, velocity: Any, is_drum: Any, program: Any = 0) -> bool:
    times = _is_time(start) and _is_time(end)
    return times and all(type(v) is int and 0 <= v <= 127 for v in (pitch, velocity, program)) and type(is_drum) is bool


def _is_given(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_text(value.get("title"))
        and _is_whole(1, _MAX_INPUTS)(value.get("number"))
        and is_heard(value.get("notes"), value.get("bars"))
    )


def _is_nearest(value: Any) -> bool:
    return isinstance(value, dict) and all(is_right(value.get(name)) for name, is_right in _NEAREST.items())


def _is_same_bar(value: Any) -> bool:
    """Returns whether a value is the number of a bar, the name of a song, and the number of a bar in it."""
    is_bar = _is_whole(1, _MAX_BARS)
    return isinstance(value, list) and len(value) == 3 and _is_text(value[1]) and is_bar(value[0]) and is_bar(value[2])


def _is_tune(value: Any) -> bool:
    return isinstance(value, dict) and all(is_right(value.get(name)) for name, is_right in _TUNE.items())


_TUNE = {
    "form": _is_text,
    "letters": _is_list(_MAX_DIMENSIONS, _is_text),
    "phrase_bars": _is_whole(1, _MAX_BARS),
    "num_bars": _is_whole(1, _MAX_BARS),
    "places": _is_list(_MAX_DIMENSIONS, _is_whole(-1, _MAX_DIMENSIONS)),
    "rotation_key": _is_list(_MAX_INPUTS, _is_whole(0, 2**32 - 1)),
    "latents": _is_list(_MAX_DIMENSIONS, _is_list(_MAX_DIMENSIONS, _is_number)),
}
_NEAREST = {
    "song": _is_text,
    "bars": lambda value: _is_list(2, _is_whole(1, _MAX_BARS))(value) and len(value) == 2,
    "similarity": _is_share,
    "copy": lambda value: type(value) is bool,
    "semitones": lambda value: value is None or _is_whole(-_MAX_SEMITONES, _MAX_SEMITONES)(value),  # not in 0.1.0
}
_OUTPUT = {
    "file": _Field(_is_file(".mid"), "the name of a .mid file in this folder"),
    "title": _Field(_is_text, "a text"),
    "latent": _Field(_is_list(_MAX_DIMENSIONS, _is_number), "numbers", None),
    "nearest": _Field(_is_nearest, "a song, its bars, a similarity and whether it is a copy", None),
    "audio": _Field(_is_file(".wav"), "the name of a .wav file in this folder", None),
    "detail": _Field(_is_list(_MAX_INPUTS, _is_share), "numbers from 0 to 1", None),
    "flag": _Field(_is_text, "a text", None),
    "same_bars": _Field(_is_list(_MAX_DIMENSIONS, _is_same_bar), "bars, songs and their bars", None),
    "tune": _Field(_is_tune, "a form, its letters, phrases, places and latents, and the key of a rotation", None),
}
_RUN = {
    "mode": _Field(_is_text, "a text"),
    "config": _Field(_is_text, "a text"),
    "written": _Field(
        lambda value: isinstance(value, str) and re.match(r"[0-9]{4}(-[0-9]{2}){2}_[0-9]{6}\Z", value) is not None,
        "a time as in 2026-11-22_231500",
    ),
    "seed": _Field(_is_whole(0, 2**32 - 1), "a whole number from 0 to 4294967295", None),
    "temperature": _Field(_is_number, "a number", None),
    "outputs": _Field(lambda value: isinstance(value, list), "a list"),
    "inputs": _Field(_is_list(_MAX_INPUTS, _is_text), "names", ()),
    "given": _Field(_is_list(_MAX_DIMENSIONS, _is_given), "titles, numbers, notes and bars", ()),
    "similarity": _Field(_is_share, "a number from 0 to 1", None),
    "detail": _Field(_is_share, "a number from 0 to 1", None),
    "freedom": _Field(_is_share, "a number from 0 to 1", None),
    "knobs": _Field(_is_text, "a text", None),
    "along": _Field(_is_text, "a text", None),
    "chords": _Field(_is_text, "a text", None),
    "control_midi": _Field(_is_text, "a text", None),
    "copies": _Field(lambda value: value in (REDRAW, ALLOW), "%s or %s" % (REDRAW, ALLOW), None),
    "num_bars": _Field(_is_whole(1, _MAX_BARS), "a number of bars", None),
    "form": _Field(_is_text, "a text", None),
    "picture": _Field(_is_file(".png"), "the name of a .png file in this folder", None),
}


def _read(fields: Dict[str, _Field], value: Any, where: str, faults: List[str]) -> Optional[Dict[str, Any]]:
    """Returns the `fields` of `value`, or None if it is not such a record. Adds a text to `faults` for each error."""
    if not isinstance(value, dict):
        faults.append("%s is %.60r, not an object" % (where, value))
        return None
    found = {}
    for name, field in fields.items():
        given = value.get(name)
        if given is None and name not in value and field.default is _NEEDED:
            faults.append("%s has no %s" % (where, name))
            return None
        if field.is_right(given):
            found[name] = given
            continue
        if given is not None or field.default is _NEEDED:
            faults.append("%s has %s=%.60r, not %s" % (where, name, given, field.expected))
        if field.default is _NEEDED:
            return None
        found[name] = field.default
    return found


def _known(record: Any) -> Dict[str, Any]:
    """Returns a record's values, without optional ones that are not set."""
    return {key: v for key, v in record._asdict().items() if v is not None or key not in record._field_defaults}


class GivenRecord(NamedTuple):
    """Bars that a run was given.

    Attributes:
        title: What they are, such as "bars 5-6 of song.mid".
        number: Which input they are, from 1.
        heard: Their sound.
    """

    title: str
    number: int
    heard: Heard

    @classmethod
    def read(cls, value: Dict[str, Any]) -> "GivenRecord":
        """Returns the record in a checked value of the index."""
        return cls(value["title"], value["number"], Heard(value["notes"], value["bars"]))

    def to_json(self) -> Dict[str, Any]:
        """Returns the record as the index has it."""
        return {"title": self.title, "number": self.number, **self.heard._asdict()}


class OutputRecord(NamedTuple):
    """An output in the index.

    Attributes:
        file: Name of its MIDI file.
        title: Its title.
        latent: The point of the small latent that it was decoded from, if there is one.
        nearest: The training window that is nearest to it, as a dict of `nearness.Nearest`, if known.
        audio: Name of its sound file, if there is one.
        detail: How much of what the small latent leaves out of each of the run's inputs is in it; None if nothing is.
        same_bars: Its bars that are bars of songs, note for note: number of the bar, the song, and its bar there.
        flag: The flag that takes these bars, if they are bars to choose from.
        tune: How it was composed, if it is a whole tune: see `composer.Tune`.
    """

    file: str
    title: str
    latent: Optional[List[float]]
    nearest: Optional[Dict[str, Any]]
    audio: Optional[str] = None
    detail: Optional[List[float]] = None
    same_bars: Optional[Sequence[Any]] = None
    flag: Optional[str] = None
    tune: Optional[Dict[str, Any]] = None

    @classmethod
    def read(cls, value: Any, where: str, faults: List[str]) -> Optional["OutputRecord"]:
        """Returns the record in a value of the index, or None; adds to `faults` what of it is not right."""
        found = _read(_OUTPUT, value, where, faults)
        if found and found["nearest"]:
            found["nearest"] = {name: found["nearest"].get(name) for name in _NEAREST}
        return None if found is None else cls(**found)

    def to_json(self) -> Dict[str, Any]:
        """Returns the record as the index has it."""
        return _known(self)


class RunRecord(NamedTuple):
    """A run in the index.

    Attributes:
        mode: The generate mode.
        config: Name in the registry.
        written: Time of writing, as in the names of its files.
        outputs: Its outputs, in order.
        seed: Seed of all its random numbers, if it has any.
        temperature: Softmax temperature of the decoder, if anything was decoded.
        inputs: The inputs that it was made from.
        given: The bars of these inputs that it was made from.
        similarity: The requested similarity to the inputs, if there was one.
        picture: Name of its sheet of piano rolls.
        detail: How much a reconstruction keeps of what the small latent leaves out: the value of `--detail`.
        freedom: How far samples lean to the broad part of the prior: the value of `--freedom`.
        copies: Whether near-copies of the songs were drawn again, if it is samples: the value of `--copies`.
        knobs: The knobs that were turned, and how far: the value of `--knobs`.
        along: The knob that a walk turned: the value of `--along`.
        chords: The chords that it was decoded with, if they were given: the value of `--chords`.
        control_midi: The file that its chords or hits are from, if one was given: its name.
        num_bars: Length of its tunes, if it is tunes: the value of `--num_bars`.
        form: What gave these their form, if it was said: the value of `--form`, without folders.
    """

    mode: str
    config: str
    written: str
    outputs: Sequence[OutputRecord]
    seed: Optional[int] = None
    temperature: Optional[float] = None
    inputs: Sequence[str] = ()
    similarity: Optional[float] = None
    picture: Optional[str] = None
    detail: Optional[float] = None
    freedom: Optional[float] = None
    copies: Optional[str] = None
    num_bars: Optional[int] = None
    form: Optional[str] = None
    given: Sequence[GivenRecord] = ()
    knobs: Optional[str] = None
    along: Optional[str] = None
    chords: Optional[str] = None
    control_midi: Optional[str] = None

    @classmethod
    def read(cls, value: Any, where: str, faults: List[str]) -> Optional["RunRecord"]:
        """Returns the record in a value of the index, or None; adds to `faults` what of it is not right."""
        found = _read(_RUN, value, where, faults)
        if found is None:
            return None
        listed = enumerate(found["outputs"], 1)
        outputs = [OutputRecord.read(output, "%s, output %d" % (where, i), faults) for i, output in listed]
        given = [GivenRecord.read(one) for one in found["given"]]
        return cls(**dict(found, outputs=[output for output in outputs if output], given=given))

    def to_json(self) -> Dict[str, Any]:
        """Returns the record as the index has it."""
        outputs = [output.to_json() for output in self.outputs]
        return dict(_known(self), outputs=outputs, given=[one.to_json() for one in self.given])


def _content(folder: str) -> Dict[str, Any]:
    """Returns the JSON of a folder's index, or of an empty index if there is none.

    Raises:
        InputError: It is not an index of this toolkit.
    """
    path = os.path.join(folder, INDEX)
    advice = "move it away or choose another --output_dir"
    try:
        content = {} if os.path.islink(path) else files.read_json(path)  # writing replaces the link, not its target
    except ValueError:
        content = {}
    except OSError as e:
        raise InputError("%s: cannot be read (%s); %s" % (path, e.strerror, advice)) from e
    if content is None:
        return {"format": _FORMAT, "runs": []}
    if not isinstance(content, dict) or content.get("format") != _FORMAT or not isinstance(content.get("runs"), list):
        raise InputError("%s: not an index of generated files; %s" % (path, advice))
    return content


def check(folder: str) -> None:
    """Raises an `InputError` if `folder` has an `index.json` that is not from this toolkit."""
    _content(folder)


def read(folder: str) -> Tuple[List[RunRecord], List[str]]:
    """Reads the index of a folder.

    Returns:
        The runs that it lists, the oldest first; and one text for each value that is not valid and was skipped.

    Raises:
        InputError: It is not an index of this toolkit.
    """
    faults: List[str] = []
    where = os.path.join(folder, INDEX) + ": run %d"
    runs = [RunRecord.read(run, where % i, faults) for i, run in enumerate(_content(folder)["runs"], 1)]
    return [run for run in runs if run], faults


def add(folder: str, run: RunRecord) -> None:
    """Adds one run to the index. All other contents of the index stay as they are.

    Raises:
        InputError: It is not an index of this toolkit, or cannot be written.
    """
    content = _content(folder)
    content["runs"].append(run.to_json())
    with files.replacing(os.path.join(folder, INDEX)) as temporary, open(temporary, "w", encoding="utf-8") as f:
        # One output per line, with the fast encoder. With `indent`, Python needs seconds for 10,000 outputs.
        f.write(_lines(content, "runs", lambda run: _lines(run, "outputs", _line)) + "\n")


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _lines(value: Any, key: str, write: Callable[[Any], str]) -> str:
    """Returns an object as JSON. The items of its list `key` come last, each on its own line."""
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        return _line(value)
    rest = _line({name: other for name, other in value.items() if name != key})[1:-1]
    return "{%s%s: [\n%s\n]}" % (rest and rest + ", ", _line(key), ",\n".join(map(write, value[key])))
