"""`play.html`: a trained model that plays in one page, from the disk, without a server or a network.

The page contains the small VAE's decoder and MusicVAE's, if they are small enough. Else it contains bars that were
decoded at many points, and plays those nearest to where one is. Its code is in `play/`.
"""

import base64
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import note_seq
import numpy as np

from lc_music_vae import base_model
from lc_music_vae.checkpoints import run_dir, run_json, songs_npz
from lc_music_vae.checkpoints.model_files import ModelFiles
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.encoding import broad_part, latents, song_hashes
from lc_music_vae.families import magenta_facts
from lc_music_vae.models import points
from lc_music_vae.models.knobs import Knobs
from lc_music_vae.models.small_vae import SmallVAE
from lc_music_vae.music import drum_kit, measures, metre
from lc_music_vae.music.style import QUARTERS_PER_BAR, Style, bar_of
from lc_music_vae.options import FREEDOM, MAX_PAGE_MB
from lc_music_vae.showing import page, play_model
from lc_music_vae.system import files
from lc_music_vae.trained_model import TrainedModel

PAGE = "play.html"
_MAX_WINDOWS = 600  # on the map
_GRID = 256  # points that are decoded for a page without a decoder
_MAX_HASHES = 50_000  # of the songs' windows: 0.5 MB
_SPARE = 1.2  # knobs and map go beyond what the songs cover by this factor


class Playable(NamedTuple):
    """What the page is made of.

    Attributes:
        config: Name in the registry.
        music_vae: Name of the MusicVAE config.
        small: The small VAE.
        small_weights: Its checkpoint's tensors.
        pretrained: Those of MusicVAE's checkpoint.
        style: Tempo, program and so on that the page begins with.
        latent: Where the songs are in the small latent.
        shards: The latents that it was trained on, as far as they are known.
        moments: What the broad part of its prior is made of; None if not known.
        knobs: What can be turned by name; None if that is not known.
        hashes: Hashes of the songs' windows, uint64 [n]; None if they are not known. See `encoding.song_hashes`.
    """

    config: str
    music_vae: str
    small: SmallVAE
    small_weights: Weights
    pretrained: Weights
    style: Style
    latent: run_json.Latent
    shards: Sequence[str]
    moments: Optional[base_model.Moments]
    knobs: Optional[Knobs]
    hashes: Optional[np.ndarray]

    @property
    def size(self) -> int:
        """Dimensions of the small latent."""
        return self.small.encoded_z_size

    @property
    def span(self) -> Tuple[np.ndarray, np.ndarray]:
        """Where the songs begin and end in each dimension of the small latent, float [size] each."""
        return points.span(self.latent.low, self.latent.high, self.size)

    def effects(self) -> np.ndarray:
        """Returns how far each dimension moves z^: see `points.effects`."""
        low, high = self.span
        return points.effects(self.small.decode, low=low, high=high)


Decode = Callable[[np.ndarray], Sequence[note_seq.NoteSequence]]


class _Windows(NamedTuple):
    """The songs' windows.

    Attributes:
        points: Their points, float [n, size].
        songs: The names of the songs.
        places: For each window its song and its bars, from 1.
        pitches: The lowest and the highest pitch on the piano roll; it grows where notes are beyond, as few are.
    """

    points: np.ndarray
    songs: List[str]
    places: List[Dict[str, Any]]
    pitches: Tuple[int, int]


def of_trained(model: TrainedModel, found: ModelFiles) -> Playable:
    """Returns what the page of a trained model is made of; `found` are its files."""
    shards = run_dir.at(found.run_path).shards() if found.run_path else []
    return Playable(
        found.config,
        found.music_vae,
        model.small,
        Weights(found.small),
        Weights(found.pretrained),
        Style(model.qpm, model.program, model.octaves, model.time_signature),
        found.latent,
        shards,
        broad_part.moments(found.small, shards, model.small.z_size),
        model.knobs,
        song_hashes.read(shards) if shards else _kept_hashes(found),
    )


def _kept_hashes(found: ModelFiles) -> Optional[np.ndarray]:
    kept = songs_npz.find(found.small)
    return None if kept is None else kept.hashes


def write(path: str, model: Playable, *, decode: Optional[Decode] = None, max_page_mb: float = MAX_PAGE_MB) -> bool:
    """Writes the page of a model, and returns whether it decodes by itself.

    Args:
        path: The page; a page of ours there is replaced.
        model: The model.
        decode: Decodes points of the small latent, for a page that does not decode by itself; without it there is none.
        max_page_mb: The most millions of bytes that MusicVAE's weights may take on the page.

    Raises:
        InputError: There is another file, a value of the model is damaged, or the page cannot be written.
    """
    page.check(*os.path.split(path))
    is_live = play_model.is_live(model.music_vae) and play_model.size_mb(model.pretrained) <= max_page_mb
    if not is_live and decode is None:
        return False
    content, packed = _content(model, None if is_live else decode)
    scripts = ("elements", "decoder", "voices", "files", "loop", "roll", "shelf", "songs", "compose", "play")
    parts = {
        "STYLE": _source("play.css"),
        "MODEL": page.in_script(content),
        "WEIGHTS": packed,
        "WORKER": _source("decoder.js") + _source("worker.js"),
        "SCRIPT": "".join(_source(name + ".js") for name in scripts),
    }
    with files.replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as f:
        f.write(page.filled(_source("play.html"), parts))
    return is_live


def _source(name: str) -> str:
    return page.source("play", name)


def _content(model: Playable, decode: Optional[Decode]) -> Tuple[Dict[str, Any], str]:
    """Returns the page's data, and the packed weights; with `decode`, points are decoded here instead."""
    windows = _windows(model)
    facts, style = _facts(model)
    small = play_model.small_decoder(model.small_weights)
    content: Dict[str, Any] = {
        "key": play_model.key(small),
        "about": _about(model, windows),
        "facts": facts,
        "style": style,
        "start": _rounded(model.latent.mean or np.zeros(model.size)),
        "freedom": 0.0,
        "knobs": _knobs(model),
        "named": [],
        "hashes": None,
        "map": _map(model, windows.points),
        "songs": windows.songs,
        "windows": [dict(place, point=_rounded(point)) for place, point in zip(windows.places, windows.points)],
        "range": windows.pitches,
    }
    if decode is not None:
        content["grid"] = _grid(model, windows.points, decode=decode)
        content["about"] += " Its decoder is too large for a page: this one holds %d places, and plays the nearest."
        content["about"] %= _GRID
        return content, ""
    arrays, broad = play_model.broad_part(model.moments)
    if broad:
        content["freedom"], facts["broad"] = FREEDOM, broad
    if model.hashes is not None and len(model.hashes) <= _MAX_HASHES:
        content["hashes"] = base64.b64encode(model.hashes.astype("<u8").tobytes()).decode("ascii")
    if model.knobs:
        content["named"] = _named_knobs(model.knobs, model.style)
        arrays.update(play_model.knobs(model.knobs))
    packed = play_model.pack({**play_model.decoder(model.pretrained), **small, **arrays})
    content["layout"] = packed.layout
    return content, packed.text


def _facts(model: Playable) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Returns what the decoder's events mean, and how they sound at first."""
    style = model.style
    of = magenta_facts.facts_of(model.music_vae)
    bar = bar_of(style.time_signature)
    quarters = QUARTERS_PER_BAR * of.bars
    lowest = of.pitch_range[0] - 12 * style.octaves if of.pitch_range else 0
    facts = {
        "steps": quarters * of.steps_per_quarter,
        "parts": play_model.parts(model.music_vae),
        "played": int(metre.whole_bars(bar, quarters) * of.steps_per_quarter),
        "first": note_seq.NUM_SPECIAL_MELODY_EVENTS,
        "lowest": lowest,
        "up": 12 * style.octaves,
        "drums": list(of.drum_classes) or None,
        "names": list(map(drum_kit.name, of.drum_classes)),
        "broad": None,
    }
    return facts, {"qpm": style.qpm, "program": style.program, "signature": style.time_signature, "bar": bar}


def _windows(model: Playable) -> _Windows:
    """Returns the songs' windows, in the order of the songs; none where only the small VAE is known."""
    if not model.shards:
        return _Windows(np.zeros([0, model.size]), [], [], (57, 79))
    found = latents.own_key(model.shards, _MAX_WINDOWS)
    means, _ = model.small.encode(found.means)
    names = [os.path.basename(record["song"]) for record in found.records]  # where they lie is nobody's business
    songs = sorted(set(names))
    bars = [[record["first_bar"] + 1, record["last_bar"] + 1] for record in found.records]
    heard = np.concatenate([record["notes"][:, 2] - record["transpositions"][0] for record in found.records])
    low, high = np.percentile(heard, (5, 95)) - 12 * model.style.octaves
    places = [{"song": songs.index(name), "bars": at} for name, at in zip(names, bars)]
    return _Windows(means, songs, places, (int(low) - 2, int(high) + 2))


def _knobs(model: Playable) -> List[Dict[str, Any]]:
    """Returns a knob for each dimension that changes something, the most effective first.

    They reach what the songs cover, and what nearly all samples do.
    """
    chosen = points.moving(model.effects()) or list(range(model.size))
    for_samples = points.span(None, None, model.size)
    low, high = _spread(np.minimum(model.span[0], for_samples[0]), np.maximum(model.span[1], for_samples[1]))
    directions = np.eye(model.size)
    return [
        {"name": "knob %d" % (i + 1), "direction": directions[i].tolist(), "low": low[i], "high": high[i]}
        for i in chosen
    ]


def _named_knobs(knobs: Knobs, style: Style) -> List[Dict[str, Any]]:
    """Returns the named knobs in the order of `play_model.knobs`.

    Of each: its measure's mean, and by how much it rises for a turn of 1, in its unit. That is null where this version
    does not know the measure.
    """
    found = []
    for knob in knobs:
        unit = measures.MEASURES[knob.name].unit if knob.name in measures.MEASURES else None
        # Knobs were measured where the decoder has the notes; the page plays them where the songs do.
        mean = knob.mean - (12 * style.octaves if unit == "pitch" else 0)
        found.append({"name": knob.name, "unit": unit, "mean": mean, "scale": knob.scale})
    return found


def _spread(low: np.ndarray, high: np.ndarray) -> Tuple[List[float], List[float]]:
    middle, half = (low + high) / 2, _SPARE * (high - low) / 2
    return _rounded(middle - half), _rounded(middle + half)


def _map(model: Playable, windows: np.ndarray) -> Dict[str, Any]:
    """Returns the two directions along which the windows vary most, where the middle is, and how far the map goes.

    Without windows, these are the dimensions that change most.
    """
    if len(windows):
        center = windows.mean(0)
        axes = np.linalg.svd(windows - center, full_matrices=True)[2][:2]
        reach = np.abs((windows - center) @ axes.T).max()
    else:
        low, high = model.span
        center = (low + high) / 2
        axes = np.eye(model.size)[np.argsort(-model.effects(), kind="stable")[:2]]
        reach = np.abs((high - center) @ axes.T).max()
    return {"axes": axes.tolist(), "center": _rounded(center), "reach": max(1.0, _SPARE * float(reach))}


def _grid(model: Playable, windows: np.ndarray, *, decode: Decode) -> Dict[str, Any]:
    """Decodes the songs' windows and points between where they begin and end, [_GRID] of them."""
    rng = np.random.RandomState(0)
    own = windows[:: max(1, -(-len(windows) // (_GRID // 2)))]
    spread = rng.uniform(*_spread(*model.span), size=(_GRID - len(own), model.size))
    where = np.concatenate([own, spread]).round(3)
    quarter = 60 / model.style.qpm

    def notes(sequence: note_seq.NoteSequence) -> List[List[int]]:
        return [
            [round(4 * note.start_time / quarter), round(4 * note.end_time / quarter), note.pitch]
            for note in sequence.notes
        ]

    return {"points": where.tolist(), "notes": [notes(one) for one in decode(where)]}


def _about(model: Playable, windows: _Windows) -> str:
    """Returns what the model is, in a sentence: nothing that its bundle does not say, and no path."""
    if not windows.songs:
        return "A model of %s." % model.config
    named = ", ".join(windows.songs[:3]) + (" and %d more" % (len(windows.songs) - 3) if len(windows.songs) > 3 else "")
    return "A model of %s, trained on %s." % (model.config, named)


def _rounded(point: np.ndarray) -> List[float]:
    return [round(float(x), 3) for x in point]
