"""Composes whole tunes with a model: candidates for each window of a form, and the choice among them.

For each different window of a form, several candidates are decoded. Each is scored by how much likelier it is under the
personal model than under MusicVAE. So is what straddles two windows, its second half and the first half of the next:
windows are decoded one by one, and the seam between two is what would give that away.
"""

from typing import Callable, List, NamedTuple, Optional, Sequence

import numpy as np

from lc_music_vae import base_model
from lc_music_vae.encoding.nearness import NEAR
from lc_music_vae.models import tunes
from lc_music_vae.models.tunes import Form

CANDIDATES = 5  # of each window, at first
_MAX_ROUNDS = 4  # of candidates, where all of a window's are near-copies
_NEAR_COPY = 1000.0  # nats: what a near-copy of the songs counts less
_HOME = 5.0  # nats: what an ending on the form's last pitch class counts more
_ROTATED, _LEANT, _DECODED = 4, 5, 6  # the last number of a key: what its noise is for; trained_model has 1 to 3


class Voice(NamedTuple):
    """What composing needs of a model.

    Attributes:
        sharp: Maps points of the small latent, [n, size], to z^, [n, z_size].
        broad: The broad part of its prior, or None if it is not known.
        freedom: How far z^ leans to it; see `base_model.leant`.
        decode: Maps z and keys of the noise, [n, 4], to tensors, [n, time, depth].
        gain: Returns by how many nats windows are likelier under the model than under MusicVAE, [n], from tensors.
        similarity: Returns the similarity of windows to the songs, [n], from tensors.
        last_pitch_class: Returns the pitch class of a window's last note, or None, from its tensor.
        steps: How many steps of a window are its bars.
    """

    sharp: Callable[[np.ndarray], np.ndarray]
    broad: Optional[base_model.BroadPart]
    freedom: float
    decode: Callable[[np.ndarray, np.ndarray], np.ndarray]
    gain: Callable[[np.ndarray], np.ndarray]
    similarity: Callable[[np.ndarray], np.ndarray]
    last_pitch_class: Callable[[np.ndarray], Optional[int]]
    steps: int


class Tune(NamedTuple):
    """A tune.

    Attributes:
        windows: Tensor of each of its windows, in order; None for silence.
        points: Their points in the small latent, float [number of different windows, size].
        gain: The mean gain of its windows as they are played, in nats.
        seam_gain: That of what straddles two windows.
        near_copies: Number of different windows for which there were only near-copies of the songs.
    """

    windows: List[Optional[np.ndarray]]
    points: np.ndarray
    gain: float
    seam_gain: float
    near_copies: int


def compose(voice: Voice, form: Form, key: Sequence[int], *, home: Optional[int] = None) -> Tune:
    """Composes one tune on a form.

    Args:
        voice: The model.
        form: The form.
        key: Whole numbers, of which the tune is a function.
        home: Pitch class that the tune should end on, if there is one.
    """
    points = form.path @ tunes.rotation(form.path.shape[1], [*key, _ROTATED])
    tensors, fits, near = _candidates(voice, points, key)
    seams = form.seams()
    if home is not None and form.places[-1] >= 0:
        last = form.places[-1]
        fits[last] += [_HOME * (voice.last_pitch_class(tensor) == home) for tensor in tensors[last]]
    joins = _joins(voice, tensors, seams)
    chosen = tunes.choose(fits - _NEAR_COPY * near, seams, joins)
    windows = [None if place < 0 else tensors[place, chosen[place]] for place in form.places]
    played = [place for place in form.places if place >= 0]
    at = {seam: i for i, seam in enumerate(seams)}
    crossed = [at[seam] for seam in zip(form.places, form.places[1:]) if seam in at]
    return Tune(
        windows,
        points,
        gain=float(np.mean([fits[place, chosen[place]] for place in played])),
        seam_gain=float(np.mean([joins[i, chosen[seams[i][0]], chosen[seams[i][1]]] for i in crossed] or [0.0])),
        near_copies=int(np.sum(near[np.arange(len(near)), chosen])),
    )


def _candidates(voice: Voice, points: np.ndarray, key: Sequence[int]):
    """Returns candidates [windows, candidates, time, depth], their gains, and whether they are near-copies.

    Candidates of the same number share their noise: where points are near to each other, so is what they become.
    """
    sharp = voice.sharp(points)
    rounds: List[np.ndarray] = []
    gains: List[np.ndarray] = []
    near: List[np.ndarray] = []
    for number in range(_MAX_ROUNDS):
        made = [_decoded(voice, sharp, [*key, CANDIDATES * number + i]) for i in range(CANDIDATES)]
        block = np.stack(made, 1)
        flat = block.reshape(-1, *block.shape[2:])
        rounds.append(block)
        gains.append(voice.gain(flat).reshape(block.shape[:2]))
        near.append((voice.similarity(flat) >= NEAR).reshape(block.shape[:2]))
        if not np.concatenate(near, 1).all(1).any():
            break
    return (np.concatenate(parts, 1) for parts in (rounds, gains, near))


def _decoded(voice: Voice, sharp: np.ndarray, key: Sequence[int]) -> np.ndarray:
    z = sharp
    if voice.broad is not None:
        noise = np.random.RandomState([*key, _LEANT]).standard_normal(sharp.shape[1] + 1)
        draws, means = voice.broad.sample(np.tile(noise, (len(sharp), 1)))
        z = base_model.leant(sharp, draws, means, freedom=voice.freedom)
    return voice.decode(z, np.array([[*key, _DECODED]] * len(z)))


def _joins(voice: Voice, tensors: np.ndarray, seams: Sequence[tunes.Pair]) -> np.ndarray:
    """Returns the gains of what straddles the candidates of windows that follow each other, [seams, first, second]."""
    count = tensors.shape[1]
    if not seams:
        return np.zeros([0, count, count])
    firsts = np.concatenate([np.repeat(tensors[first], count, 0) for first, _ in seams])
    seconds = np.concatenate([np.tile(tensors[second], (count, 1, 1)) for _, second in seams])
    return voice.gain(tunes.straddling(firsts, seconds, voice.steps)).reshape(len(seams), count, count)
