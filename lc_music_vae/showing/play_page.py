"""`play.html`: a trained model that plays in one page, from the disk, without a server or a network.

The page contains the small VAE's decoder and MusicVAE's, if they are small enough. Else it contains bars that were
decoded at many points, and plays those nearest to where one is. Its code is in `play/`, one file for each thing it does.
"""

import json
import logging
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import note_seq
import numpy as np

from lc_music_vae.checkpoints import run_dir
from lc_music_vae.checkpoints.model_files import ModelFiles
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.encoding import broad_part, latents
from lc_music_vae.families import magenta_facts
from lc_music_vae.models import points
from lc_music_vae.music import metre
from lc_music_vae.music.style import QUARTERS_PER_BAR, bar_quarters
from lc_music_vae.options import FREEDOM, MAX_PAGE_MB, Sound
from lc_music_vae.showing import page, play_model
from lc_music_vae.system import files
from lc_music_vae.trained_model import TrainedModel

logger = logging.getLogger(__name__)

PAGE = "play.html"
_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "play")
_MAX_WINDOWS = 600  # on the map
_GRID = 256  # points that are decoded for a page without a decoder
_TEMPERATURE = 0.5  # of these
_SPARE = 1.2  # knobs and map go beyond what the songs cover by this factor


class _Windows(NamedTuple):
    """The songs' windows: their points [n, encoded_z_size], names of songs, and for each its song and its bars."""

    points: np.ndarray
    songs: List[str]
    places: List[Dict[str, Any]]
    pitches: Tuple[int, int]


def write(
    path: str,
    found: ModelFiles,
    *,
    sound: Sound = Sound(),
    max_page_mb: float = MAX_PAGE_MB,
    needs_live: bool = False,
) -> bool:
    """Writes the page of a model, and returns whether it decodes by itself.

    Args:
        path: The page; a page of ours there is replaced.
        found: The model's files.
        sound: Tempo and program that the page begins with.
        max_page_mb: The most millions of bytes that MusicVAE's weights may take on the page.
        needs_live: Whether no page is written where it would not decode by itself.

    Raises:
        InputError: The model is damaged, or the page cannot be written.
    """
    page.check(*os.path.split(path))
    weights = Weights(found.pretrained)
    is_live = play_model.is_live(found.music_vae) and play_model.size_mb(weights) <= max_page_mb
    if needs_live and not is_live:
        return False
    with TrainedModel(found, sound=sound) as model:
        content, packed = _content(model, found, weights if is_live else None)
    parts = {
        "STYLE": _source("play.css"),
        "MODEL": page.in_script(content),
        "WEIGHTS": packed,
        "WORKER": _source("decoder.js") + _source("worker.js"),
        "SCRIPT": "".join(map(_source, ("decoder.js", "voices.js", "files.js", "loop.js", "play.js"))),
    }
    with files.replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as f:
        f.write(page.filled(_source("play.html"), parts))
    return is_live


def _source(name: str) -> str:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as f:
        return f.read()


def _content(model: TrainedModel, found: ModelFiles, weights: Optional[Weights]) -> Tuple[Dict[str, Any], str]:
    """Returns the page's data, and the packed weights; without `weights`, points are decoded here."""
    shards = run_dir.at(found.run_path).shards() if found.run_path else []
    windows = _windows(model, shards)
    facts, style = _facts(model, found)
    content: Dict[str, Any] = {
        "about": _about(model, windows),
        "facts": facts,
        "style": style,
        "start": _rounded(model.center),
        "freedom": 0.0,
        "knobs": _knobs(model),
        "map": _map(model, windows.points),
        "songs": windows.songs,
        "windows": [dict(place, point=_rounded(point)) for place, point in zip(windows.places, windows.points)],
        "range": windows.pitches,
    }
    if weights is None:
        content["grid"] = _grid(model, windows.points, steps=facts["played"])
        content["about"] += (
            " Its decoder is too large for a page: this one holds %d places, and plays the nearest." % _GRID
        )
        return content, ""
    small = Weights(found.small)
    arrays, broad = play_model.broad_part(broad_part.moments(found.small, shards, model.small.z_size))
    if broad:
        content["freedom"], facts["broad"] = FREEDOM, broad
    packed = play_model.pack({**play_model.decoder(weights), **play_model.small_decoder(small), **arrays})
    content["layout"] = packed.layout
    return content, packed.text


def _facts(model: TrainedModel, found: ModelFiles) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Returns what the decoder's events mean, and how they sound at first."""
    of = magenta_facts.facts_of(found.music_vae)
    bar = bar_quarters(*map(int, model.time_signature.split("/")))
    quarters = QUARTERS_PER_BAR * of.bars
    lowest = of.pitch_range[0] - 12 * model.octaves if of.pitch_range else 0
    facts = {
        "steps": quarters * of.steps_per_quarter,
        "played": int(metre.whole_bars(bar, quarters) * of.steps_per_quarter),
        "first": note_seq.NUM_SPECIAL_MELODY_EVENTS,
        "lowest": lowest,
        "broad": None,
    }
    return facts, {"qpm": model.qpm, "program": model.program, "signature": model.time_signature, "bar": bar}


def _windows(model: TrainedModel, shards: Sequence[str]) -> _Windows:
    """Returns the songs' windows, in the order of the songs; none where only the small VAE is known."""
    if not shards:
        return _Windows(np.zeros([0, model.encoded_z_size]), [], [], (57, 79))
    found = latents.own_key(shards, _MAX_WINDOWS)
    means, _ = model.small.encode(found.means)
    names = [os.path.basename(record["song"]) for record in found.records]  # where they lie is nobody's business
    songs = sorted(set(names))
    bars = [[record["first_bar"] + 1, record["last_bar"] + 1] for record in found.records]
    heard = np.concatenate([record["notes"][:, 2] - record["transpositions"][0] for record in found.records])
    heard = heard - 12 * model.octaves
    places = [{"song": songs.index(name), "bars": at} for name, at in zip(names, bars)]
    return _Windows(means, songs, places, (int(heard.min()) - 2, int(heard.max()) + 2))


def _knobs(model: TrainedModel) -> List[Dict[str, Any]]:
    """Returns a knob for each dimension that changes something, the most effective first."""
    chosen = points.moving(model.effects()) or list(range(model.encoded_z_size))
    low, high = _spread(model.low, model.high)
    directions = np.eye(model.encoded_z_size)
    return [
        {"name": "knob %d" % (i + 1), "direction": directions[i].tolist(), "low": low[i], "high": high[i]}
        for i in chosen
    ]


def _spread(low: np.ndarray, high: np.ndarray) -> Tuple[List[float], List[float]]:
    middle, half = (low + high) / 2, _SPARE * (high - low) / 2
    return _rounded(middle - half), _rounded(middle + half)


def _map(model: TrainedModel, windows: np.ndarray) -> Dict[str, Any]:
    """Returns the two directions along which the windows vary most, where the middle is, and how far the map goes.

    Without windows, these are the dimensions that change most.
    """
    if len(windows):
        center = windows.mean(0)
        axes = np.linalg.svd(windows - center, full_matrices=True)[2][:2]
        reach = np.abs((windows - center) @ axes.T).max()
    else:
        center = (model.low + model.high) / 2
        axes = np.eye(model.encoded_z_size)[np.argsort(-model.effects(), kind="stable")[:2]]
        reach = np.abs((model.high - center) @ axes.T).max()
    return {"axes": axes.tolist(), "center": _rounded(center), "reach": max(1.0, _SPARE * float(reach))}


def _grid(model: TrainedModel, windows: np.ndarray, *, steps: int) -> Dict[str, Any]:
    """Decodes the songs' windows and points between where they begin and end, [_GRID] of them."""
    rng = np.random.RandomState(0)
    own = windows[:: max(1, -(-len(windows) // (_GRID // 2)))]
    spread = rng.uniform(*_spread(model.low, model.high), size=(_GRID - len(own), model.encoded_z_size))
    where = np.concatenate([own, spread]).round(3)
    quarter = 60 / model.qpm

    def notes(sequence: note_seq.NoteSequence) -> List[List[int]]:
        return [
            [round(4 * note.start_time / quarter), min(steps, round(4 * note.end_time / quarter)), note.pitch]
            for note in sequence.notes
        ]

    return {"points": where.tolist(), "notes": [notes(one) for one in model.decode(where, _TEMPERATURE)]}


def _about(model: TrainedModel, windows: _Windows) -> str:
    """Returns what the model is, in a sentence: nothing that its bundle does not say, and no path."""
    if not windows.songs:
        return "A model of %s." % model.config
    named = ", ".join(windows.songs[:3]) + (" and %d more" % (len(windows.songs) - 3) if len(windows.songs) > 3 else "")
    return "A model of %s, trained on %s." % (model.config, named)


def _rounded(point: np.ndarray) -> List[float]:
    return [round(float(x), 3) for x in point]
