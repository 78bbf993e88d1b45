"""`run.json`: the record of a training, in its folder and in its bundle. Needs no TensorFlow.

The file may come from an unknown person, or be edited or damaged. So it is read only with `parse`, which checks every
value.
"""

import math
import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from lc_music_vae import hparams
from lc_music_vae.checkpoints import shards
from lc_music_vae.configs import CONFIG_MAP
from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams
from lc_music_vae.music import style
from lc_music_vae.music.style import Style
from lc_music_vae.options import MAX_SEED, METRES, Reading

FORMAT = 1
MIN_EFFECT = 0.4  # of a knob; what is decoded follows a weaker one by chance only
_MAX_KNOBS = 20


class Settings(NamedTuple):
    """The user's choices. A training that is continued keeps all of them.

    Attributes:
        config: Name in the registry.
        music_vae: Name of the MusicVAE config.
        hparams: Hyperparameters of the small VAE.
        augment: Whether the small VAE is trained on transpositions too.
        seed: Seed of all random numbers.
        melody_track: Which track of each song is read.
        metre: Which time signatures are read.
        holdout: Share of each song, its last bars, that is kept out of training.
    """

    config: str
    music_vae: str
    hparams: HParams
    augment: bool
    seed: int
    melody_track: str
    metre: str
    holdout: float = 0.0

    @property
    def reading(self) -> Reading:
        """How songs are read."""
        return Reading(self.melody_track, self.metre)


class Pretrained(NamedTuple):
    """MusicVAE's checkpoint: its path and its `checkpoint.stamp` at training time, and its encoder's fingerprint."""

    path: str
    stamp: List[Union[int, str]]
    fingerprint: str


class Examples(NamedTuple):
    """The songs.

    Attributes:
        path: The value of `--examples_path`.
        windows: Number of their windows.
        shards: Names of the files of their latents, in order; None in runs of 0.1.0, which means all files that exist.
        contents: `shards.contents` of the songs' files; None in runs of 0.1.0.
    """

    path: List[str]
    windows: int
    shards: Optional[List[str]] = None
    contents: Optional[str] = None


class Latent(NamedTuple):
    """Position of the songs in the small latent; None if not known.

    Attributes:
        mean: Mean of the small latents of their windows.
        residual: Root mean square distance between the z of their windows and the small VAE's reconstruction of z.
        low: Where the songs begin in each dimension: the lowest of their windows' means less their scales.
        high: Where they end.
    """

    mean: Optional[List[float]] = None
    residual: Optional[float] = None
    low: Optional[List[float]] = None
    high: Optional[List[float]] = None


class Score(NamedTuple):
    """The score of the bars that were kept out of training; see `training.score`.

    Attributes:
        all: Nats per window, over all windows.
        windows: Number of windows.
        new: Nats per window, over those that are no near-copies of training windows; None if there are none.
        new_windows: Number of these.
    """

    all: float
    windows: int
    new: Optional[float]
    new_windows: int


class Knob(NamedTuple):
    """A knob: where a measure of decoded bars rises in z; see `models.knobs`.

    Attributes:
        name: Its name, as in `music.measures.MEASURES`.
        fit: R^2 of its readings on points that they were not fitted to.
        mean: Mean of the measure over the model's own samples, in its own unit.
        scale: Its standard deviation over them.
        effect: By how many standard deviations the measure rises where the knob's reading rises by one.
        offset: Reading at z = 0, in standard deviations.
        slope: Gradient of the reading, [z_size].
    """

    name: str
    fit: float
    mean: float
    scale: float
    effect: float
    offset: float
    slope: List[float]


class RunJson(NamedTuple):
    """All values of `run.json`.

    Attributes:
        settings: The user's choices.
        pretrained: MusicVAE's checkpoint.
        examples: The songs.
        music: Their commonest tempo, program and so on.
        latent: Their position in the small latent.
        step: The global step that training started from, or, when it has finished, that it has reached.
        learned: The global step of the last training that finished; 0 if none has.
        score: The score of the bars that were kept out; None if there are none.
        knobs: The knobs of the model, the best fitting first; None in runs from before there were knobs.
    """

    settings: Settings
    pretrained: Pretrained
    examples: Examples
    music: Style
    latent: Latent = Latent()
    step: int = 0
    learned: int = 0
    score: Optional[Score] = None
    knobs: Optional[List[Knob]] = None

    def to_json(self) -> Dict[str, Any]:
        """Returns the JSON value that `parse` reads."""
        value: Dict[str, Any] = dict(self.settings._asdict(), format=FORMAT, step=self.step, learned=self.learned)
        value["hparams"] = self.settings.hparams._asdict()
        for name in ("pretrained", "examples", "music", "latent"):
            value[name] = {k: v for k, v in getattr(self, name)._asdict().items() if v is not None}
        if self.score is not None:
            value["score"] = self.score._asdict()
        if self.knobs is not None:
            value["knobs"] = [knob._asdict() for knob in self.knobs]
        return value


class _Field(NamedTuple):
    """The check of a value, its description in words, and the default for older runs that do not have it, if any."""

    is_right: Callable[[Any], bool]
    words: str
    required: bool = True
    default: Any = None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9


def _is_text(longest: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and len(value) <= longest


def _is_path(value: Any) -> bool:
    try:
        return len(os.fsencode(value)) < 4096 and "\0" not in value
    except (TypeError, UnicodeError):
        return False


def _is_of_a_stamp(value: Any) -> bool:
    return type(value) is int or _is_text(99)(value)


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and re.match("[0-9a-f]{64}$", value) is not None


def _is_score(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != set(Score._fields):
        return False
    numbers = (value["all"],) if value["new"] is None else (value["all"], value["new"])
    return all(map(_is_number, numbers)) and all(type(value[name]) is int for name in ("windows", "new_windows"))


def _is_knob(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != set(Knob._fields):
        return False
    name, effect = value["name"], value["effect"]
    is_named = isinstance(name, str) and re.match(r"[a-z]{1,20}\Z", name) is not None
    numbers = all(_is_number(value[field]) for field in ("fit", "mean", "scale", "effect", "offset"))
    return is_named and numbers and effect >= MIN_EFFECT and _is_list(_is_number)(value["slope"])


def _are_knobs(value: Any) -> bool:
    return _is_list(_is_knob)(value) and len({knob["name"] for knob in value}) == len(value) <= _MAX_KNOBS


def _is_list(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_right, value))


def _whole(low: int, high: float, **older) -> _Field:
    words = "a whole number from %d to %d" % (low, high) if high < math.inf else "a whole number, %d or more" % low
    return _Field(lambda value: type(value) is int and low <= value <= high, words, **older)


_SHA256 = "a SHA-256 in hexadecimal"
_OLDER = {"required": False}
_FIELDS: Dict[Tuple[str, ...], _Field] = {
    ("config",): _Field(_is_text(99), "a config's name"),
    ("music_vae",): _Field(_is_text(99), "a MusicVAE config's name"),
    ("augment",): _Field(lambda v: isinstance(v, bool), "true or false"),
    ("seed",): _whole(0, MAX_SEED),
    ("melody_track",): _Field(_is_text(1000), "a track's name or number"),
    ("metre",): _Field(lambda v: v in METRES, " or ".join('"%s"' % one for one in METRES), False, "any"),
    ("pretrained", "path"): _Field(_is_path, "a path"),
    ("pretrained", "stamp"): _Field(_is_list(_is_of_a_stamp), "a list of numbers and texts"),
    ("pretrained", "fingerprint"): _Field(_is_sha256, _SHA256),
    ("examples", "path"): _Field(_is_list(_is_path), "a list of paths"),
    ("examples", "windows"): _whole(1, math.inf),
    ("examples", "shards"): _Field(_is_list(shards.is_name), "a list of names of files in latents/", **_OLDER),
    ("examples", "contents"): _Field(_is_sha256, _SHA256, **_OLDER),
    ("music", "qpm"): _Field(lambda v: _is_number(v) and v > 0, "a number above 0"),
    ("music", "program"): _whole(0, 127),
    ("music", "octaves"): _whole(-10, 10, required=False, default=0),
    ("music", "time_signature"): _Field(
        lambda v: isinstance(v, str) and style.is_written(v), 'a time signature, such as "6/8"', False, style.COMMON
    ),
    ("latent", "mean"): _Field(_is_list(_is_number), "a list of numbers", **_OLDER),
    ("latent", "low"): _Field(_is_list(_is_number), "a list of numbers", **_OLDER),
    ("latent", "high"): _Field(_is_list(_is_number), "a list of numbers", **_OLDER),
    ("latent", "residual"): _Field(lambda v: _is_number(v) and v >= 0, "0 or more", **_OLDER),
    ("step",): _whole(0, math.inf, required=False, default=0),
    ("learned",): _whole(0, math.inf, required=False),
    ("holdout",): _Field(lambda v: _is_number(v) and 0 <= v <= 0.9, "a number from 0 to 0.9", False, 0.0),
    ("score",): _Field(_is_score, "a score: all, windows, new and new_windows", False),
    ("knobs",): _Field(_are_knobs, "a list of knobs: name, fit, mean, scale, effect, offset and slope", False),
}
_FIELDS.update(
    (("hparams", name), _Field(hparams.checker(name), hparams.words(name), False, hparams.BEFORE.get(name, default)))
    for name, default in HParams()._asdict().items()
)


def parse(value: Any, path: str) -> RunJson:
    """Returns the contents of a run.json.

    Args:
        value: The decoded JSON.
        path: The run.json, or the bundle that contains it, for error messages.

    Raises:
        InputError: It is from another version of the toolkit, or a value in it is not valid.
    """
    if not isinstance(value, dict) or value.get("format") != FORMAT or isinstance(value["format"], bool):
        found = value.get("format") if isinstance(value, dict) else None
        raise InputError(
            "%s: written by another version of lc_music_vae (format %.20s, not %d), or by another program; give "
            "another folder or file" % (path, found, FORMAT)
        )
    found = {names: _checked(value, names, field, path) for names, field in _FIELDS.items()}
    parts: Dict[str, Dict[str, Any]] = {"": {}}
    for names, one in found.items():
        parts.setdefault("".join(names[:-1]), {})[names[-1]] = one
    of_hparams = hparams.from_json(parts["hparams"])
    step, learned, score, knobs = (parts[""].pop(name) for name in ("step", "learned", "score", "knobs"))
    settings = Settings(hparams=of_hparams, **parts[""])
    known = CONFIG_MAP.get(settings.config)
    if known is not None and known.music_vae != settings.music_vae:
        raise _damaged(path, ("music_vae",), settings.music_vae, "%s as its config" % known.music_vae)
    return RunJson(
        settings,
        Pretrained(**parts["pretrained"]),
        Examples(**parts["examples"]),
        Style(**parts["music"]),
        Latent(**parts["latent"]),
        step,
        step if learned is None else learned,  # in older runs
        None if score is None else Score(**score),
        None if knobs is None else [Knob(**knob) for knob in knobs],
    )


def _checked(value: Dict[str, Any], names: Tuple[str, ...], field: _Field, path: str) -> Any:
    """Returns the value at `names`, or the default for older runs that do not have it."""
    outer: Any = value.get(names[0])
    if len(names) > 1 and not isinstance(outer, dict):
        if outer is not None or names[0] != "latent":
            raise _damaged(path, names, outer, field.words)
        outer = {}
    found = outer.get(names[1]) if len(names) > 1 else outer
    if found is None and not field.required:
        return field.default
    if not field.is_right(found):
        raise _damaged(path, names, found, field.words)
    return found


def _damaged(path: str, names: Tuple[str, ...], value: Any, words: str) -> InputError:
    return InputError(
        "%s: its run.json says %s=%.60r, not %s; it is damaged, or no model of this toolkit: restore it, or train again"
        % (path, ".".join(names), value, words)
    )
