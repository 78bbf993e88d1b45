"""The weights of a model in the form that the page that plays it reads: 16 bits each, as base64.

A matrix is stored as whole numbers from -32767 to 32767 and a float32 scale for each row; rows are outputs. Rounding
moves a weight by at most 1/65534 of its row's largest. Measured on 256 points of a model of the small config, greedily:
one of 8,192 steps differs from TensorFlow's (none with float32, one with float16, seven with 8 bits).
"""

import base64
import hashlib
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from magenta.models.music_vae import configs as music_vae_configs
from magenta.models.music_vae import data as music_vae_data
from magenta.models.music_vae import lstm_models

from lc_music_vae import base_model
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.models.knobs import Knobs

_MOST = 32767
_NOTES = "decoder/"  # where the weights of a plain decoder are
_PARTS = "decoder/hierarchical_level_0/"  # and of a hierarchical one: the LSTM over its parts, and that within them
_WITHIN_PARTS = "core_decoder/decoder/"


class Packed(NamedTuple):
    """Arrays as the page reads them.

    Attributes:
        text: The bytes of all arrays, in base64.
        layout: For each array its `name`, its `shape`, and `at`, where its bytes begin.
    """

    text: str
    layout: List[Dict[str, Any]]


def pack(arrays: Dict[str, np.ndarray]) -> Packed:
    """Packs vectors as float32, and matrices as scales of rows and 16-bit numbers; each begins at a multiple of 4."""
    parts: List[bytes] = []
    layout = []
    size = 0
    for name, array in arrays.items():
        if array.ndim == 1:
            part = array.astype("<f4").tobytes()
        else:
            scales = (np.abs(array).max(1) / _MOST).astype("<f4")
            whole = np.rint(array / np.where(scales > 0, scales, 1)[:, np.newaxis]).clip(-_MOST, _MOST)
            part = scales.tobytes() + whole.astype("<i2").tobytes()
        part += bytes(-len(part) % 4)
        layout.append({"name": name, "shape": list(array.shape), "at": size})
        parts.append(part)
        size += len(part)
    return Packed(base64.b64encode(b"".join(parts)).decode("ascii"), layout)


def is_live(music_vae: str) -> bool:
    """Returns whether the page can decode by itself: melodies or drums without controls, from LSTMs of categories."""
    config = music_vae_configs.CONFIG_MAP[music_vae]
    of_notes = config.model.decoder
    if isinstance(of_notes, lstm_models.HierarchicalLstmDecoder):
        if 0 not in of_notes._disable_autoregression or len(of_notes._level_lengths) != 2:
            return False
        of_notes = of_notes._core_decoder
    return (
        type(of_notes) is lstm_models.CategoricalLstmDecoder
        and not config.hparams.residual_decoder
        and isinstance(config.data_converter, (music_vae_data.OneHotMelodyConverter, music_vae_data.DrumsConverter))
        and not config.data_converter.control_depth
    )


def parts(music_vae: str) -> int:
    """Returns how many parts a window is decoded in, each from an embedding of its own."""
    of_parts = music_vae_configs.CONFIG_MAP[music_vae].model.decoder
    return of_parts._level_lengths[0] if isinstance(of_parts, lstm_models.HierarchicalLstmDecoder) else 1


def size_mb(weights: Weights) -> float:
    """Returns the size of MusicVAE's decoder on the page, in millions of bytes."""
    ours = [shape for name, shape in weights.shapes.items() if name.startswith((_NOTES, _WITHIN_PARTS))]
    return 2 * sum(int(np.prod(shape)) for shape in ours) * 4 / 3 / 1e6


def decoder(weights: Weights) -> Dict[str, np.ndarray]:
    """Returns MusicVAE's decoder, each kernel as [outputs, inputs], cut at what it is multiplied with."""
    within = _NOTES if _NOTES + "output_projection/bias" in weights.shapes else _WITHIN_PARTS
    events = weights.shapes[within + "output_projection/bias"][0]
    arrays = _lstm(weights, "notes", within + "multi_rnn_cell/")
    inputs = arrays.pop("notes/0/below")
    arrays["notes/0/event"] = inputs[:, :events].T  # a row for each event: it is looked up, not multiplied
    arrays["notes/0/embedding"] = inputs[:, events:]
    arrays.update(_layer(weights, "notes/start", within + "z_to_initial_state"))
    arrays.update(_layer(weights, "notes/out", within + "output_projection"))
    if within == _WITHIN_PARTS:
        arrays.update(_lstm(weights, "parts", _PARTS))
        del arrays["parts/0/below"]  # its only input is always 0
        arrays.update(_layer(weights, "parts/start", _PARTS + "initial_state"))
    return arrays


def _lstm(weights: Weights, ours: str, theirs: str) -> Dict[str, np.ndarray]:
    """Returns the arrays of an LSTM's cells. A cell's kernel is [inputs and state, 4 units]."""
    arrays: Dict[str, np.ndarray] = {}
    cells = [name for name in weights.shapes if name.startswith(theirs) and name.endswith("lstm_cell/kernel")]
    for layer, name in enumerate(sorted(cells)):
        kernel = weights.get(name)
        inputs = len(kernel) - kernel.shape[1] // 4
        arrays["%s/%d/below" % (ours, layer)] = kernel[:inputs].T
        arrays["%s/%d/state" % (ours, layer)] = kernel[inputs:].T
        arrays["%s/%d/bias" % (ours, layer)] = weights.get(name[: -len("kernel")] + "bias")
    return arrays


def small_decoder(weights: Weights) -> Dict[str, np.ndarray]:
    """Returns the part of the small VAE that makes z^ of z'."""
    arrays: Dict[str, np.ndarray] = {}
    layer = 0
    while "latent_decoder/layer%d/kernel" % layer in weights.shapes:
        arrays.update(_layer(weights, "small%d" % layer, "latent_decoder/layer%d" % layer))
        layer += 1
    arrays.update(_layer(weights, "small", "latent_decoder/mu"))
    return arrays


def _layer(weights: Weights, ours: str, theirs: str) -> Dict[str, np.ndarray]:
    return {ours + "/kernel": weights.get(theirs + "/kernel").T, ours + "/bias": weights.get(theirs + "/bias")}


def broad_part(of: Optional[base_model.Moments]) -> Tuple[Dict[str, np.ndarray], Optional[Dict[str, Any]]]:
    """Returns the arrays and the facts that the page draws the broad part of the prior with.

    Its Gaussians have covariances n / (n + b) (S + away away^T + diag(variance + b / n)), where S is the covariance of
    the songs' means. A factor of S serves for all of them, and nothing of it is left out: its rank is below n.
    """
    if of is None:
        return {}, None
    values, vectors = np.linalg.eigh(of.covariance)
    kept = values > 1e-6 * values.max()
    factor = vectors[:, kept] * np.sqrt(values[kept])
    arrays = {"broad/mean": of.mean, "broad/variance": of.variance, "broad/factor": factor}
    return arrays, {"windows": of.windows, "pseudo": base_model.PSEUDO_WINDOWS}


def knobs(of: Knobs) -> Dict[str, np.ndarray]:
    """Returns what turns knobs in z and reads them there, in their order; see `models.knobs`."""
    moves = [of.shift({name: 1.0}) for name in of.names]
    return {
        "knobs/move": np.transpose(moves),
        "knobs/slope": np.array([knob.slope for knob in of]),
        "knobs/bias": np.array([knob.offset for knob in of]),
    }


def key(arrays: Dict[str, np.ndarray]) -> str:
    """Returns what tells a model from others, of 16 letters: browsers keep what is liked of a model under it."""
    content = b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays.values())
    return hashlib.sha256(content).hexdigest()[:16]
