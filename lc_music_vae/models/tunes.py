"""Whole tunes: a path of a song through the small latent, turned, decoded, and joined window by window.

For each distinct window of a form there are several candidates: draws of the decoder at its turned point, each with
noise of the broad part of the prior. Those are chosen that make, summed over the tune,

    log-likelihood of each window and of each window across a seam + ending - w (likeness of two windows - the form's)^2

the greatest. The likelihood is that of the posterior mean of z under the personal prior over MusicVAE's own prior, in
nats; the likeness is Dice's coefficient of their notes, by start and pitch. Near-copies of the songs are left out.
"""

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from lc_music_vae.models import joins, rotation

_CANDIDATES = 16  # of each distinct window
_KEPT = 4  # of these, the likeliest: windows across seams are encoded for each two of them
_FORM = 300.0  # nats: w, for each place of the tune
_HOME = 15.0  # nats that a last note of the song's final pitch class is worth
_FORBIDDEN = -1e6
_MAX_BANS = 20  # choices of which a seam was a copy
_SEARCH = 1  # the last number of the key of the search's starts


class Plan(NamedTuple):
    """What a tune is to be like.

    Attributes:
        places: Which distinct window stands at each place; -1 for a rest.
        path: The point of each distinct window before the path is turned, float [distinct, encoded_z_size].
        likeness: How alike each two distinct windows are to be, float [distinct, distinct]; NaN where it is open.
        home: Pitch class of the last note, or None if it is open.
    """

    places: Sequence[int]
    path: np.ndarray
    likeness: np.ndarray
    home: Optional[int] = None


class Chosen(NamedTuple):
    """The windows of a tune.

    Attributes:
        windows: The decoded window of each distinct one, [distinct, time, output_depth].
        points: Its point in the small latent, float [distinct, encoded_z_size].
        rotation_key: Key of the rotation that turned the path there.
        copies: Number of places and seams that are near-copies of the songs all the same: no choice was without.
    """

    windows: np.ndarray
    points: np.ndarray
    rotation_key: Tuple[int, ...]
    copies: int


class Instrument(NamedTuple):
    """What a model gives to those who compose with it.

    Attributes:
        decode: Decodes points, [n, encoded_z_size], each with the noise of its key, to tensors.
        likelihood: Returns the likelihood of tensors in nats, and very little of one without notes, float [n].
        notes: Returns the onsets of tensors, as `nearness.onsets` numbers them.
        is_copy: Returns whether tensors are near-copies of the songs, in any key; bool [n].
        across: Returns the window across the seam of two tensors.
        ending: Returns a tensor that ends on a pitch class, where it can.
        last_pitch_class: Returns the pitch class of a tensor's last note; None if it has no notes.
    """

    decode: Callable[[np.ndarray, Sequence[Tuple[int, ...]]], np.ndarray]
    likelihood: Callable[[Sequence[np.ndarray]], np.ndarray]
    notes: Callable[[Sequence[np.ndarray]], List[np.ndarray]]
    is_copy: Callable[[Sequence[np.ndarray]], np.ndarray]
    across: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ending: Callable[[np.ndarray, int], np.ndarray]
    last_pitch_class: Callable[[np.ndarray], Optional[int]]


def dice(notes: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """Returns how alike windows are, from 0 to 1, float [n, m]; two without notes are alike.

    Args:
        notes: Onsets of n windows, each without repeats.
        others: Onsets of m windows.
    """
    every = np.unique(np.concatenate([*notes, *others, [0]]))
    has = [np.stack([np.isin(every, one) for one in some]).astype(np.float32) for some in (notes, others)]
    sizes = has[0].sum(1)[:, np.newaxis] + has[1].sum(1)
    return np.where(sizes > 0, 2 * (has[0] @ has[1].T) / np.maximum(sizes, 1), 1.0)


def compose(plan: Plan, by: Instrument, key: Sequence[int]) -> Chosen:
    """Composes a tune; it is a function of the plan, the instrument and the key."""
    rotation_key = tuple(key)
    points = rotation.turned(plan.path, rotation.orthogonal(plan.path.shape[1], rotation_key))
    distinct, size = len(points), _CANDIDATES
    # A candidate's noise is the same for all windows of a tune: so equal and near points give equal and near notes.
    keys = [(*key, k) for _ in points for k in range(size)]
    tensors = by.decode(np.repeat(points, size, 0), keys)
    ends_well = np.zeros(len(tensors))
    last = plan.places[-1]
    if plan.home is not None and last >= 0:
        for i in range(last * size, (last + 1) * size):
            if list(plan.places).count(last) == 1:
                tensors[i] = by.ending(tensors[i], plan.home)
            ends_well[i] = by.last_pitch_class(tensors[i]) == plan.home
    counts = np.bincount([place for place in plan.places if place >= 0], minlength=distinct)
    alone = by.likelihood(tensors).reshape(distinct, size) * counts[:, np.newaxis]
    alone += _HOME * ends_well.reshape(distinct, size)
    alone[by.is_copy(tensors).reshape(distinct, size)] += _FORBIDDEN
    kept = np.argsort(-alone, axis=1, kind="stable")[:, :_KEPT]
    alone = np.take_along_axis(alone, kept, 1)
    tensors = tensors[(kept + np.arange(distinct)[:, np.newaxis] * size).ravel()]
    pairs = _alike(plan, by.notes(tensors), counts)
    seams = _seams(plan.places)
    _add_seams(pairs, seams, tensors, by)
    for _ in range(_MAX_BANS):
        chosen, _ = joins.best(alone, pairs, [*key, _SEARCH])
        windows = tensors.reshape(distinct, _KEPT, *tensors.shape[1:])[np.arange(distinct), chosen]
        copied = by.is_copy([by.across(windows[a], windows[b]) for a, b in seams]) if seams else np.zeros(0, bool)
        if not copied.any():
            break
        for (a, b), is_copy in zip(seams, copied):
            pairs[a, b][chosen[a], chosen[b]] += _FORBIDDEN * is_copy
    bad = int((alone[np.arange(distinct), chosen] < _FORBIDDEN / 2).sum() + copied.sum())
    return Chosen(windows, points, rotation_key, bad)


def _seams(places: Sequence[int]) -> Dict[Tuple[int, int], int]:
    """Returns how often each distinct window is followed by each other; what is beside a rest is no seam."""
    found: Dict[Tuple[int, int], int] = {}
    for a, b in zip(places, places[1:]):
        if a >= 0 and b >= 0:
            found[a, b] = found.get((a, b), 0) + 1
    return found


def _alike(plan: Plan, notes: Sequence[np.ndarray], counts: np.ndarray) -> joins.Pairs:
    """Returns what candidates are worth as they are as alike as the form's windows."""
    distinct = len(counts)
    size = len(notes) // distinct
    found: joins.Pairs = {}
    for a in range(distinct):
        for b in range(a + 1, distinct):
            if not np.isnan(plan.likeness[a, b]):
                alike = dice(notes[a * size : (a + 1) * size], notes[b * size : (b + 1) * size])
                weight = _FORM * counts[a] * counts[b] / counts.sum()
                found[a, b] = -weight * (alike - plan.likeness[a, b]) ** 2
    return found


def _add_seams(pairs: joins.Pairs, seams: Dict[Tuple[int, int], int], tensors: np.ndarray, by: Instrument) -> None:
    """Adds what candidates are worth beside each other; the windows across all seams are encoded together."""
    size = _KEPT
    across = [
        by.across(tensors[a * size + k], tensors[b * size + m])
        for a, b in seams
        for k in range(size)
        for m in range(size)
    ]
    if not across:
        return
    worth = by.likelihood(across).reshape(-1, size, size)
    for ((a, b), count), nats in zip(seams.items(), worth):
        pairs[a, b] = pairs.get((a, b), np.zeros([size, size])) + count * nats


def self_similarity(places: Sequence[int], notes: Sequence[np.ndarray]) -> np.ndarray:
    """Returns how alike the windows at each two places are, float [places, places]; rests are alike."""
    alike = dice([*notes, np.zeros(0, int)], [*notes, np.zeros(0, int)])
    return alike[np.ix_(places, places)]
