"""`play.html`: a trained model that plays in one page, offline. Its code is in `play/`.

The page contains the small VAE's decoder and MusicVAE's, as numbers of 20 bits, and decodes by itself. If they are
larger than the page may be, or of another kind than the page knows, it contains bars that were decoded beforehand.

It says of the songs how many windows they have, where these are in the small latent, and what music made like them gets
(tempo, program, time signature). It contains neither their names nor their notes.
"""

import base64
import contextlib
import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from lc_music_vae import base_model
from lc_music_vae.checkpoints import run_dir
from lc_music_vae.checkpoints.model_files import ModelFiles
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.encoding import broad_part, latents
from lc_music_vae.errors import InputError
from lc_music_vae.models import points
from lc_music_vae.music import metre
from lc_music_vae.music.style import bar_quarters
from lc_music_vae.options import FREEDOM, MAX_PAGE_MB
from lc_music_vae.showing import page
from lc_music_vae.system import cache, files

PLAY = "play.html"
_CODE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "play")
_SMALL, _DECODER = "latent_decoder/", "decoder/"
_UNUSED = "latent_decoder/log_variance"  # points are decoded to the mean of z
_MAX_ON_MAP = 2000  # windows
_DRAWS = 128  # of the broad part; each is used on both sides of its mean
_GRID = 256  # points that are decoded where the decoder itself is not in the page
_LARGEST = 2**19 - 1
_BITS = 20  # with floats of 16, one point of some hundreds has other greedy notes; with these, none of 1,024


class _Part(NamedTuple):
    """Tensors and what the page must know of them: its `facts` are values of the page's JSON."""

    tensors: Dict[str, np.ndarray]
    facts: Dict[str, Any]


def check(folder: str) -> None:
    """Raises an `InputError` if `folder` has a `play.html` that is not from this toolkit."""
    page.check_ours(os.path.join(folder, PLAY))


def write_live(folder: str, found: ModelFiles, *, max_page_mb: float = MAX_PAGE_MB) -> Optional[str]:
    """Writes `play.html` with the decoders in it; returns its path, or None if they do not fit or are of another kind.

    Args:
        folder: Where the page goes.
        found: The model.
        max_page_mb: The most that the weights may take of the page, in MB.

    Raises:
        InputError: A file of the model is damaged, or the page cannot be written.
    """
    pretrained, small = Weights(found.pretrained), Weights(found.small)
    names = _names(small, _SMALL), _names(pretrained, _DECODER)
    floats = sum(int(np.prod(of.shapes[name])) for of, chosen in zip((small, pretrained), names) for name in chosen)
    facts = _window_facts(found.music_vae)
    if not facts["live"] or floats * _BITS / 6 > max_page_mb * 1e6:  # a letter of base64 has six bits
        return None
    tensors = {name: of.get(name) for of, chosen in zip((small, pretrained), names) for name in chosen}
    _, z_size = base_model.sizes_of(small.shapes, found.small.path)
    parts = [_Part(tensors, _melody(facts, found)), _broad(found, z_size), _map(found, small)]
    return _write(folder, parts)


def write(folder: str, found: ModelFiles, *, max_page_mb: float = MAX_PAGE_MB) -> str:
    """Writes `play.html`, with decoded points in it where `write_live` cannot write it; returns its path.

    Raises:
        InputError: A file of the model is damaged, or the page cannot be written.
    """
    path = write_live(folder, found, max_page_mb=max_page_mb)
    if path is not None:
        return path
    from lc_music_vae import data  # these load magenta
    from lc_music_vae.trained_model import TrainedModel

    small = Weights(found.small)
    with TrainedModel(found) as model:
        where = points.prior_samples(_GRID, model.encoded_z_size, 0)
        sequences = model.decode(where)
    ticks = float(data.TICKS_PER_QUARTER)
    decoded = [[[s / ticks, e / ticks, p % 128, p > 127] for s, e, p in data.notes_of(x).tolist()] for x in sequences]
    grid = [{"point": np.round(y, 3).tolist(), "notes": notes} for y, notes in zip(where, decoded)]
    return _write(
        folder,
        [_Part({}, {"grid": grid}), _map(found, small), _Part({}, _length(_window_facts(found.music_vae), found))],
    )


def _names(weights: Weights, scope: str) -> List[str]:
    """Returns the names of the tensors under `scope` that the page needs, in order."""
    return [name for name in sorted(weights.shapes) if name.startswith(scope) and not name.startswith(_UNUSED)]


def _window_facts(music_vae: str) -> Dict[str, Any]:
    """Returns `music_vae.window_facts`. The cache keeps them, because magenta takes seconds to load."""
    kept = os.path.join(cache.cache_dir(), "windows", cache.key(music_vae) + ".json")
    with contextlib.suppress(ValueError, OSError, InputError, KeyError, TypeError):
        known = files.read_json(kept)
        if known["music_vae"] == music_vae:
            return known["facts"]
    from lc_music_vae.models.music_vae import window_facts

    facts = window_facts(music_vae)
    with contextlib.suppress(OSError, InputError):  # a cache that cannot be written only costs time
        files.tidy(os.path.dirname(kept))
        files.write_json(kept, {"music_vae": music_vae, "facts": facts})
    return facts


def _length(facts: Dict[str, Any], found: ModelFiles) -> Dict[str, Any]:
    """Returns how long the bars of a window are, in quarters, as `WindowConverter.to_note_sequences` cuts them."""
    bar = bar_quarters(*map(int, found.style.time_signature.split("/")))
    return {"length": float(metre.whole_bars(bar, facts["quarters"])), "bar": bar}


def _melody(facts: Dict[str, Any], found: ModelFiles) -> Dict[str, Any]:
    """Returns how the decoder's outputs become notes, at the songs' own pitches."""
    return {**_length(facts, found), **facts, "lowest": facts["lowest"] - 12 * found.style.octaves}


def _broad(found: ModelFiles, z_size: int) -> _Part:
    """Returns draws of the broad part of the prior, around their means; nothing if it is not known."""
    shards = run_dir.at(found.run_path).shards() if found.run_path else []
    broad = broad_part.find(found.small, shards, z_size)
    if broad is None:
        return _Part({}, {"broad": None})
    draws, around = broad.sample(np.random.RandomState(0).standard_normal((_DRAWS, z_size + 1)))
    means, of = np.unique(around, axis=0, return_inverse=True)
    facts = {"of": of.ravel().tolist(), "freedom": FREEDOM}
    return _Part({"broad_mean": means, "broad_away": draws - around}, {"broad": facts})


def _map(found: ModelFiles, small: Weights) -> _Part:
    """Returns where the songs' windows are in the small latent, and the two directions that show most of it."""
    size = base_model.sizes_of(small.shapes, found.small.path)[0].encoded_z_size
    shards = run_dir.at(found.run_path).shards() if found.run_path else []
    windows: Sequence[Tuple[np.ndarray, int]] = []
    if shards:
        own = latents.own_key(shards, _MAX_ON_MAP)
        windows = list(zip(_encoded(own.means, small), [record["first_bar"] + 1 for record in own.records]))
    center = np.array(found.latent.mean or np.zeros(size))
    low, high = points.span(found.latent.low, found.latent.high, size)
    spread = np.array([where for where, _ in windows]) if windows else np.diag(high - low) + center
    axes = np.linalg.svd(spread - spread.mean(0), full_matrices=True)[2][:2]
    style = found.style
    facts = {
        "config": found.config,
        "center": _rounded(center),
        "low": _rounded(low),
        "high": _rounded(high),
        "axes": [_rounded(axis) for axis in axes],
        "windows": [{"point": _rounded(where), "bar": int(bar)} for where, bar in windows],
        "knobs": [],
        "qpm": style.qpm,
        "program": style.program,
        "time_signature": style.time_signature,
    }
    return _Part({}, facts)


def _rounded(numbers: np.ndarray) -> List[float]:
    return np.round(np.asarray(numbers, np.float64), 4).tolist()


def _encoded(z: np.ndarray, small: Weights) -> np.ndarray:
    """Returns the mean of q(z'|z), as `LatentVAE.encode` does: without a session, this takes no time."""
    layers = sorted(name[:-7] for name in small.shapes if name.startswith("latent_encoder/layer") and "kernel" in name)
    for layer in sorted(layers, key=lambda name: int(name.split("layer")[-1])):
        z = np.maximum(z @ small.get(layer + "/kernel") + small.get(layer + "/bias"), 0)
    return z @ small.get("latent_encoder/mu/kernel") + small.get("latent_encoder/mu/bias")


def _write(folder: str, parts: Sequence[_Part]) -> str:
    tensors = {name: tensor for part in parts for name, tensor in part.tensors.items()}
    facts = {name: fact for part in parts for name, fact in part.facts.items()}
    whole = {name: _whole(tensor) for name, tensor in tensors.items()}
    facts["tensors"] = [[name, list(numbers.shape), unit] for name, (numbers, unit) in whole.items()]
    packed = base64.b64encode(b"".join(_packed(numbers) for numbers, _ in whole.values())).decode("ascii")
    # Without a `<`, no text can end the script element that contains the JSON.
    model = json.dumps(facts, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    contents = {"STYLE": _code("play.css"), "MODEL": model, "WEIGHTS": packed}
    contents["WORKER"] = _code("decoder.js") + _code("worker.js")
    contents["SCRIPT"] = _code("sound.js") + _code("midi.js") + _code("play.js")
    head, *rest = _code("play.html").split("@@")
    path = os.path.join(folder, PLAY)
    with files.replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as f:
        f.write(head)
        for i, part in enumerate(rest):  # name, text, name, text ...: what was put in is not searched again
            f.write(part if i % 2 else contents[part])
    return path


def _whole(tensor: np.ndarray) -> Tuple[np.ndarray, float]:
    """Returns a tensor as whole numbers of 20 bits, and the unit that they are multiples of.

    Raises:
        InputError: It has NaN or infinity.
    """
    largest = float(np.abs(tensor).max())
    if not np.isfinite(largest):
        raise InputError("%s cannot hold this model: its weights have NaN or infinity" % PLAY)
    unit = (largest or 1.0) / _LARGEST
    return np.rint(tensor / unit).astype(np.int32), unit


def _packed(numbers: np.ndarray) -> bytes:
    """Returns the upper 16 bits of each number, little-endian, and after them the lower 4 bits, two numbers a byte."""
    low = np.pad(numbers.ravel() & 15, (0, numbers.size % 2), mode="constant").astype(np.uint8)
    return (numbers.ravel() >> 4).astype("<i2").tobytes() + (low[::2] | low[1::2] << 4).tobytes()


def _code(name: str) -> str:
    with open(os.path.join(_CODE, name), encoding="utf-8") as f:
        return f.read()
