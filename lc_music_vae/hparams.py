"""Hyperparameters of the small VAE: their defaults, their ranges, and how `--hparams` overrides them."""

import difflib
import math
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Tuple, Union

from lc_music_vae.errors import InputError

LEARNED, UNIT = "learned", "unit"  # the values of decoder_variance
# What hyperparameters were before they could be chosen: for the records of older runs.
BEFORE: Dict[str, Any] = {"decoder_variance": UNIT}


class HParams(NamedTuple):
    """Hyperparameters of the small VAE and its training.

    Attributes:
        encoded_z_size: Number of dimensions of the small latent z'.
        latent_encoder_layers: Sizes of the hidden layers from z to z', with relu.
        latent_decoder_layers: Sizes of the hidden layers from z' to z, with relu.
        learning_rate: Adam's learning rate at step 0.
        decay_rate: At each step, the distance of the learning rate from `min_learning_rate` is multiplied by this.
        min_learning_rate: Value that the learning rate decays to.
        max_beta: Final weight of the KL term.
        beta_rate: beta = max_beta * (1 - beta_rate ** (step + 1)); with 0, beta is constant.
        grad_clip: Global norm that gradients are clipped to; 0 means no clipping.
        batch_size: Number of windows in a step; 0 means all of them, up to 512.
        decoder_variance: `learned`: the decoder gives a variance for each dimension of z; `unit`: 1, as in MidiMe.
    """

    encoded_z_size: int = 4
    latent_encoder_layers: Tuple[int, ...] = (512, 256, 64)
    latent_decoder_layers: Tuple[int, ...] = (64, 256, 512)
    learning_rate: float = 0.001
    decay_rate: float = 1.0
    min_learning_rate: float = 0.00001
    max_beta: float = 1.0
    beta_rate: float = 0.0
    grad_clip: float = 0.0
    batch_size: int = 0
    decoder_variance: str = LEARNED

    def text(self) -> str:
        """Returns the values as `--hparams` takes them."""
        values = ((k, v if isinstance(v, tuple) else (v,)) for k, v in self._asdict().items())
        return ",".join("%s=%s" % (name, ",".join(map(str, numbers))) for name, numbers in values)


class _Range(NamedTuple):
    contains: Callable[[Any], bool]
    words: str


def _between(low: float, high: float, words: str) -> _Range:
    return _Range(lambda x: low <= x <= high, words)


# Larger values are typing errors that would fill the memory: MusicVAE's own z has 512 dimensions.
_MAX_SIZE, _MAX_LAYERS = 8192, 16
_TINY = 5e-324  # the smallest number above 0
_LAYER_SIZES = _Range(
    lambda x: 0 < len(x) <= _MAX_LAYERS and min(x) > 0 and max(x) <= _MAX_SIZE,
    "one or more sizes above 0: at most %d, up to %d" % (_MAX_LAYERS, _MAX_SIZE),
)
_RANGES: Dict[str, _Range] = {
    "encoded_z_size": _between(1, 1024, "above 0 and at most 1024"),
    "latent_encoder_layers": _LAYER_SIZES,
    "latent_decoder_layers": _LAYER_SIZES,
    "learning_rate": _between(_TINY, 10, "above 0 and at most 10"),
    "decay_rate": _between(_TINY, 1, "above 0 and at most 1"),
    "min_learning_rate": _between(0, 10, "0 or more and at most 10"),
    "max_beta": _between(0, 1e6, "0 or more and at most 1000000"),
    "beta_rate": _Range(lambda x: 0 <= x < 1, "0 or more and below 1"),
    "grad_clip": _between(0, 1e30, "0 or more and at most 1e30"),
    "batch_size": _between(0, 100000, "0 or more and at most 100000"),
    "decoder_variance": _Range(lambda x: x in (LEARNED, UNIT), "%s or %s" % (LEARNED, UNIT)),
}


def _assignments(given: Union[str, Mapping[str, Any]]) -> List[Tuple[str, List[str]]]:
    """Splits 'a=1,b=2,3' into [('a', ['1']), ('b', ['2', '3'])]; Magenta's b=[2,3] and a dict give the same."""
    if isinstance(given, Mapping):
        several = {name: value if isinstance(value, (list, tuple)) else [value] for name, value in given.items()}
        return [(name, [str(one) for one in values]) for name, values in several.items()]
    found: List[Tuple[str, List[str]]] = []
    for part in given.replace("[", "").replace("]", "").split(","):
        name, equals, value = part.partition("=")
        if equals:
            found.append((name.strip(), [value.strip()]))
        elif found and part.strip():
            found[-1][1].append(part.strip())
        elif part.strip():
            raise InputError("--hparams: expected name=value, found %r" % part.strip())
    return found


def _value(name: str, values: List[str], default: Any) -> Any:
    value = ",".join(values) if isinstance(default, str) else _numbers(name, values, default)
    if not _RANGES[name].contains(value):
        raise InputError("--hparams: %s=%s must be %s" % (name, ",".join(values), _RANGES[name].words))
    return value


def _numbers(name: str, values: List[str], default: Any) -> Any:
    kind = int if isinstance(default, (int, tuple)) else float
    try:
        numbers = [kind(v) for v in values if math.isfinite(float(v))]
    except (ValueError, OverflowError):
        numbers = []
    several = isinstance(default, tuple)
    if not numbers or len(numbers) != len(values) or (len(numbers) > 1 and not several):
        expected = "%s number%s" % ("whole" if kind is int else "finite", "s" if several else "")
        raise InputError("--hparams: %s=%s is not %s%s" % (name, ",".join(values), "" if several else "a ", expected))
    return tuple(numbers) if several else numbers[0]


def override(hparams: HParams, given: Union[str, Mapping[str, Any], None]) -> HParams:
    """Returns `hparams` with the values given by `--hparams`, such as 'encoded_z_size=8,max_beta=0.5'.

    Args:
        hparams: Hyperparameters before the override.
        given: The value of `--hparams`, or a dict such as {"encoded_z_size": 8, "latent_encoder_layers": (512, 128)}.

    Raises:
        InputError: A name is unknown (the most similar one is suggested), or a value has the wrong type or is out of
            range.
    """
    values = {}
    for name, strings in _assignments(given or ""):
        if name not in HParams._fields:
            near = difflib.get_close_matches(str(name), HParams._fields, 1)
            hint = "did you mean %s?" % near[0] if near else "known: " + ", ".join(HParams._fields)
            raise InputError("--hparams: unknown name %r; %s" % (name, hint))
        values[name] = _value(name, strings, getattr(HParams(), name))
    result = hparams._replace(**values)
    if result.min_learning_rate > result.learning_rate:
        raise InputError(
            "--hparams: learning_rate=%g is below min_learning_rate=%g; lower that too"
            % (result.learning_rate, result.min_learning_rate)
        )
    return result


def checker(name: str) -> Callable[[Any], bool]:
    """Returns a function that says whether a value read from JSON is valid for the hyperparameter."""
    default = getattr(HParams(), name)

    def is_right(value: Any) -> bool:
        if isinstance(default, str):
            return isinstance(value, str) and _RANGES[name].contains(value)
        several = isinstance(default, tuple)
        numbers = value if several else [value]
        # In Python, bool is a subclass of int. A float may be written without a decimal point.
        kinds = (float, int) if isinstance(default, float) else (int,)
        return (
            isinstance(numbers, (list, tuple))
            and all(type(number) in kinds and abs(number) < math.inf for number in numbers)
            and _RANGES[name].contains(value)
        )

    return is_right


def words(name: str) -> str:
    """Returns the hyperparameter's range in words."""
    return _RANGES[name].words


def from_json(values: Dict[str, Any]) -> HParams:
    """Rebuilds hyperparameters from `HParams(...)._asdict()` that was stored as JSON; check it with `checker` first."""
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in HParams._fields}
    return HParams(**known)
