"""Whole tunes: the path of a form through the small latent, turned, decoded, and improved until all goes together.

A tune is a chain of halves of windows. Each two neighbours are a window to MusicVAE: those that were decoded together,
and those to the left and the right of a seam. First every window is decoded at its turned point. Then, in rounds, two
neighbours are replaced by what the small VAE makes of them, wherever that raises

    log-likelihood of every two neighbours - w (likeness of two windows - likeness of the form's)^2

The likelihood is that under the personal prior over MusicVAE's own, in nats; that of seams counts more. The likeness is
Dice's coefficient of notes, by start and pitch. Halves that are the same in the form are one half here, wherever they
stand, so they stay the same. What would be nearly a copy of the songs is not taken. Needs only NumPy.

What the small VAE makes of two neighbours is a draw from about where they are likely; to do so in turn for windows and
for seams is Gibbs sampling in which only improvements are kept. Source of the sampler: Geman, Geman, "Stochastic
Relaxation, Gibbs Distributions, and the Bayesian Restoration of Images" (1984).
"""

from typing import (
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

import numpy as np

from lc_music_vae.models import rotation

_ROUNDS = 20
_TRIED = 2  # of what is imagined for two neighbours, that nearest to the form: encoding it takes most of the time
_MAX_ROUNDS = 30  # of a tune in which there are near-copies
_FORM = 500.0  # nats: w, for each place of a tune
_SEAM = 3.0  # what a nat of a seam is worth, in nats of a window: what lies across seams gives a tune away
_UNLIKELY = 10  # percentile of a tune's windows
_COPY = 1000.0  # nats that a near-copy of the songs costs: more than anything is worth
_ORDER = 1  # the last number of a key of noise: which neighbours are replaced
_UNPLAYED = -1

Pair = Tuple[int, int]
Halves = Dict[int, np.ndarray]  # by their numbers


class _Change(NamedTuple):
    """New halves, and by how many nats they alone bring a tune nearer to its form."""

    halves: Halves
    nearer: float


class Plan(NamedTuple):
    """What a tune is to be like.

    Attributes:
        places: Which distinct window stands at each place; -1 for a rest.
        halves: The numbers of the two halves of each distinct window. Halves of a number are the same.
        path: The point of each distinct window before the path is turned, float [distinct, encoded_z_size].
        likeness: How alike each two distinct windows are to be, float [distinct, distinct]; NaN where it is open.
        near: For some halves, an earlier one that is much like it: it begins as the same.
        homes: Pitch classes that the last note may have; empty if they are open.
        ends_early: Whether the tune ends with the first half of the last window.
        given: Windows that stay as they are, [n, time, output_depth]: those of the first distinct windows.
        is_turned: Whether the path is turned already; else it is turned at random, about its own mean.
    """

    places: Sequence[int]
    halves: Sequence[Pair]
    path: np.ndarray
    likeness: np.ndarray
    near: Mapping[int, int] = {}
    homes: Sequence[int] = ()
    ends_early: bool = False
    given: Sequence[np.ndarray] = ()
    is_turned: bool = False

    def turned(self, key: Sequence[int]) -> np.ndarray:
        """Returns the path after it is turned, which depends on the key only."""
        if self.is_turned:
            return self.path
        return rotation.turned(self.path, rotation.orthogonal(self.path.shape[1], key))


class Chosen(NamedTuple):
    """The windows of a tune.

    Attributes:
        windows: Each distinct window, [distinct, time, output_depth].
        points: The point of the small latent that it was first decoded from, float [distinct, encoded_z_size].
        rotation_key: Key of the rotation that turned the path there.
        copies: Number of distinct windows, and of seams, that are near-copies of the songs all the same.
        held: The distinct windows, two by two, between which a note is held over the seam.
    """

    windows: np.ndarray
    points: np.ndarray
    rotation_key: Tuple[int, ...]
    copies: int
    held: FrozenSet[Pair]


class Instrument(NamedTuple):
    """What a model gives to those who compose with it.

    Attributes:
        decode: Decodes points, [n, encoded_z_size], each with the noise of its key, to tensors.
        hear: Returns the likelihood of tensors in nats, float [n], and where they are in MusicVAE's z, [n, z_size].
        imagine: Decodes what the small VAE makes of points of z, each with the noise of its key.
        onsets: Returns the onsets of tensors, each without repeats, as `nearness.onsets` numbers them.
        is_copy: Returns whether tensors are near-copies of the songs, in any key; bool [n].
        end: Returns a half that ends on one of some pitch classes.
        cut: Returns a first half before which no note is held: one that begins with a rest says so.
        seam: Where the second half of a window begins, in steps.
        last: Where its bars end. What is left of a window is their beginning again.
    """

    decode: Callable[[np.ndarray, np.ndarray], np.ndarray]
    hear: Callable[[Sequence[np.ndarray]], Tuple[np.ndarray, np.ndarray]]
    imagine: Callable[[np.ndarray, np.ndarray], np.ndarray]
    onsets: Callable[[Sequence[np.ndarray]], List[np.ndarray]]
    is_copy: Callable[[Sequence[np.ndarray]], np.ndarray]
    end: Callable[[np.ndarray, Sequence[int]], np.ndarray]
    cut: Callable[[np.ndarray], np.ndarray]
    seam: int
    last: int


def _alike(some: FrozenSet[int], others: FrozenSet[int]) -> float:
    """Returns `dice` of two windows."""
    size = len(some) + len(others)
    return 2 * len(some & others) / size if size else 1.0


class _Ear:
    """What is known of windows, each heard once."""

    def __init__(self, by: Instrument):
        self.by = by
        self._nats: Dict[bytes, float] = {}
        self._z: Dict[bytes, np.ndarray] = {}
        self._onsets: Dict[bytes, FrozenSet[int]] = {}
        self._copies: Dict[bytes, bool] = {}

    def listen(self, windows: Sequence[np.ndarray]) -> None:
        """Hears all of these that were not heard before, together."""
        new = {window.tobytes(): window for window in windows}
        new = {key: window for key, window in new.items() if key not in self._nats}
        if new:
            nats, z = self.by.hear(list(new.values()))
            self._nats.update(zip(new, nats.tolist()))
            self._z.update(zip(new, z))

    def nats(self, window: np.ndarray) -> float:
        """Returns the likelihood of a window that was heard."""
        return self._nats[window.tobytes()]

    def z(self, window: np.ndarray) -> np.ndarray:
        """Returns where it is in MusicVAE's latent."""
        return self._z[window.tobytes()]

    def onsets(self, windows: Sequence[np.ndarray]) -> List[FrozenSet[int]]:
        """Returns the onsets of windows."""
        new = {window.tobytes(): window for window in windows if window.tobytes() not in self._onsets}
        if new:
            found = self.by.onsets(list(new.values()))
            self._onsets.update((key, frozenset(some.tolist())) for key, some in zip(new, found))
        return [self._onsets[window.tobytes()] for window in windows]

    def copies(self, windows: Sequence[np.ndarray]) -> int:
        """Returns how many of the windows are near-copies."""
        new = {window.tobytes(): window for window in windows if window.tobytes() not in self._copies}
        if new:
            self._copies.update(zip(new, self.by.is_copy(list(new.values())).tolist()))
        return sum(self._copies[window.tobytes()] for window in windows)


class _Draft:
    """A tune while it is improved: its halves, and what they are worth beside each other."""

    def __init__(self, plan: Plan, ear: _Ear, windows: np.ndarray):
        self._plan, self._by, self._ear = plan, ear.by, ear
        self.halves: Halves = {}
        last = plan.places[-1]
        self._last = plan.halves[last][0 if plan.ends_early else 1] if last >= 0 else _UNPLAYED
        self._given = {number for numbers in plan.halves[: len(plan.given)] for number in numbers}
        windows = [*plan.given, *windows[len(plan.given) :]]
        for numbers, window in zip(plan.halves, windows):
            for number, half in zip(numbers, (window[: self._by.seam], window[self._by.seam : self._by.last])):
                self.halves.setdefault(number, self.halves.get(plan.near.get(number, _UNPLAYED), half))
        self._again = np.arange(len(windows[0])) % self._by.last  # what is left of a window is its beginning again
        self.halves = self._ended(self.halves)
        self._windows = set(plan.halves)
        self.pairs = {p: n * (1 if p in self._windows else _SEAM) for p, n in _neighbours(plan).items()}
        self._beside = _beside(self.pairs)
        played = [place for place in plan.places if place >= 0]
        counts = np.bincount(played, minlength=len(plan.halves))
        self._weights = np.where(np.isnan(plan.likeness), 0, _FORM * np.outer(counts, counts) / len(played)).tolist()
        self._likeness = np.nan_to_num(plan.likeness).tolist()
        # The windows as they are, and what was heard of them.
        self._now: Dict[Pair, np.ndarray] = {}
        self._nats: Dict[Pair, float] = {}
        self._onsets = self._onsets_with({})
        self._alike = [[_alike(some, others) for others in self._onsets] for some in self._onsets]

    def _ended(self, halves: Halves) -> Halves:
        """Returns these halves; the last of the tune, if it is one of them, so that it ends."""
        if self._last not in halves or self._last in self._given or not self._plan.homes:
            return halves
        return {**halves, self._last: self._by.end(halves[self._last], self._plan.homes)}

    def window(self, pair: Pair, new: Optional[Halves] = None) -> np.ndarray:
        """Returns the window of two neighbours, with new halves in place of some."""
        if not new and pair in self._now:
            return self._now[pair]
        first, second = ((new or {}).get(number, self.halves[number]) for number in pair)
        window = self._joined(first, second if pair in self._windows else self._by.cut(second))
        if not new:
            self._now[pair] = window
        return window

    def nats(self, pair: Pair) -> float:
        """Returns the likelihood of the window of two neighbours, which must have been heard."""
        if pair not in self._nats:
            self._nats[pair] = self._ear.nats(self.window(pair))
        return self._nats[pair]

    def _joined(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.concatenate([first, second])[self._again]

    def replacements(self, pair: Pair, window: np.ndarray) -> List[_Change]:
        """Returns what is to be tried in place of two neighbours: both halves of a window and each alone.

        Of these, those nearest to the form.
        """
        seam = len(self.halves[pair[0]])
        first, second = {pair[0]: window[:seam]}, {pair[1]: window[seam : self._by.last]}
        every = [new for new in ({**first, **second}, first, second) if self._given.isdisjoint(new)]
        changes = [_Change(new, self._nearer_to_form(new)) for new in map(self._ended, every)]
        return sorted(changes, key=lambda change: change.nearer, reverse=True)[:_TRIED]

    def beside(self, numbers: Iterable[int]) -> Set[Pair]:
        """Returns the pairs of neighbours that hold one of these halves."""
        return set().union(*(self._beside.get(number, ()) for number in numbers))

    def disjoint(self, random: np.random.RandomState) -> List[Pair]:
        """Draws pairs of neighbours none of which changes what another is worth; what is given is not drawn."""
        every = [pair for pair in self.pairs if not self._given.issuperset(pair)]
        return _disjoint([every[i] for i in random.permutation(len(every))], self._beside)

    def after(self, new: Halves) -> List[np.ndarray]:
        """Returns the windows that new halves change, with them."""
        return [self.window(one, new) for one in sorted(self.beside(new))]

    def telling(self, new: Halves) -> List[np.ndarray]:
        """Returns the window that says most of what new halves are worth: the seam that is likely now."""
        return [self.window(self._by_weight(new)[0], new)]

    def is_promising(self, change: _Change) -> bool:
        """Returns whether new halves may make the tune better, by the telling window, which must have been heard.

        What is less likely now than nine tenths of the tune would become as likely as that; the rest would stay. So a
        third of the windows need not be heard, for nothing that can be measured.
        """
        usual = float(np.percentile([self.nats(pair) for pair in self.pairs], _UNLIKELY))
        new = change.halves
        first, *others = self._by_weight(new)
        hoped = self.pairs[first] * (self._ear.nats(self.window(first, new)) - self.nats(first))
        hoped += sum(self.pairs[pair] * max(0.0, usual - self.nats(pair)) for pair in others)
        hoped += _COPY * self._ear.copies([self.window(pair) for pair in (first, *others)])
        return hoped + max(0.0, change.nearer) > 0

    def _by_weight(self, new: Halves) -> List[Pair]:
        """Returns the pairs beside new halves, those that count most first."""
        return sorted(self.beside(new), key=lambda pair: (-self.pairs[pair], -self.nats(pair), pair))

    def take(self, every: Sequence[Halves]) -> None:
        """Takes those of some new halves that make the tune best, if any makes it better."""
        best, chosen = 0.0, None
        for gain, new in sorted(((self._gain(new), new) for new in every), key=lambda one: one[0], reverse=True):
            if gain > best:  # looking for copies takes time
                gain -= _COPY * self._ear.copies(self.after(new))
                best, chosen = max((best, chosen), (gain, new), key=lambda one: one[0])
        if chosen is not None:
            self.halves.update(chosen)
            for pair in self.beside(chosen):
                self._now.pop(pair, None)
                self._nats.pop(pair, None)
            self._onsets = self._onsets_with(chosen)
            self._alike = [[_alike(some, others) for others in self._onsets] for some in self._onsets]

    def _gain(self, new: Halves) -> float:
        """Returns by how many nats the tune is better with these halves, if none of them makes a near-copy."""
        beside = sorted(self.beside(new))
        after = [self._ear.nats(self.window(pair, new)) for pair in beside]
        gain = sum(self.pairs[pair] * (heard - self.nats(pair)) for pair, heard in zip(beside, after))
        gain += _COPY * self._ear.copies([self.window(pair) for pair in beside])
        return gain + self._nearer_to_form(new)

    def _onsets_with(self, new: Halves) -> List[FrozenSet[int]]:
        """Returns the onsets of each distinct window with these halves."""
        changed = [i for i, pair in enumerate(self._plan.halves) if not new or not new.keys().isdisjoint(pair)]
        found = self._ear.onsets([self.window(self._plan.halves[i], new) for i in changed])
        onsets = list(self._onsets) if new else [frozenset()] * len(self._plan.halves)
        for i, some in zip(changed, found):
            onsets[i] = some
        return onsets

    def _nearer_to_form(self, new: Halves) -> float:
        """Returns by how many nats windows are as alike as the form's, with these halves, more than without."""
        before, after = self._onsets, self._onsets_with(new)
        changed = [i for i in range(len(after)) if after[i] is not before[i]]
        gain = 0.0
        for i in changed:
            of_i = zip(range(len(after)), self._weights[i], self._likeness[i], self._alike[i])
            for j, weight, wanted, was in of_i:
                if weight and (j not in changed or j > i):
                    now = _alike(after[i], after[j])
                    gain += weight * ((was - wanted) ** 2 - (now - wanted) ** 2)
        return gain

    def held(self) -> Iterator[Tuple[Pair, np.ndarray]]:
        """Yields the seams over which a note can be held, and what is there then."""
        for first, second in self.pairs:
            window = self._joined(self.halves[first], self.halves[second])
            if not np.array_equal(window, self.window((first, second))):
                yield (first, second), window

    def chosen(self, points: np.ndarray, key: Sequence[int]) -> Chosen:
        """Returns the tune as it is; the windows with held notes must have been heard."""
        longer = {p for p, window in self.held() if self._ear.nats(window) > self.nats(p)}
        seams = [(a, b) for a, b in zip(self._plan.places, self._plan.places[1:]) if min(a, b) >= 0]
        held = [(a, b) for a, b in seams if (self._plan.halves[a][1], self._plan.halves[b][0]) in longer]
        windows = np.stack([self.window(pair) for pair in self._plan.halves])
        return Chosen(windows, points, tuple(key), self.copies(), frozenset(held))

    def copies(self) -> int:
        """Returns how many pairs of neighbours are near-copies, but for what is given."""
        return self._ear.copies([self.window(pair) for pair in self.pairs if not self._given.issuperset(pair)])


def _neighbours(plan: Plan) -> Dict[Pair, int]:
    """Returns how often each two halves follow each other; what is beside a rest has no neighbour there."""
    found: Dict[Pair, int] = {}
    before = _UNPLAYED
    for place in plan.places:
        here = plan.halves[place] if place >= 0 else (_UNPLAYED, _UNPLAYED)
        for pair in ((before, here[0]), here):
            if _UNPLAYED not in pair:
                found[pair] = found.get(pair, 0) + 1
        before = here[1]
    return found


def _beside(pairs: Iterable[Pair]) -> Dict[int, Set[Pair]]:
    """Returns the pairs that hold each half."""
    found: Dict[int, Set[Pair]] = {}
    for pair in pairs:
        for number in pair:
            found.setdefault(number, set()).add(pair)
    return found


def _disjoint(pairs: Iterable[Pair], beside: Mapping[int, Set[Pair]]) -> List[Pair]:
    """Returns, one after another, the pairs that change nothing of what those before them change."""
    taken: Set[Pair] = set()
    found = []
    for pair in pairs:
        near = beside[pair[0]] | beside[pair[1]]
        if not taken & near:
            taken |= near
            found.append(pair)
    return found


def pairs_at_once(plan: Plan) -> int:
    """Returns about how many pairs of neighbours of a tune are replaced in a round."""
    pairs = _neighbours(plan)
    return len(_disjoint(pairs, _beside(pairs)))


def compose(plans: Sequence[Plan], by: Instrument, keys: Sequence[Sequence[int]]) -> List[Chosen]:
    """Composes tunes, each a function of its plan and key; together, as batches of windows are faster than windows.

    Args:
        plans: What each is to be like.
        by: What they are composed with.
        keys: A key of noise for each: whole numbers from 0 to 2^32 - 1.
    """
    paths = [plan.turned(key) for plan, key in zip(plans, keys)]
    # The noise is the same for all windows of a tune: equal and near points give equal and near notes.
    noise = [[*key, 0, 0] for path, key in zip(paths, keys) for _ in path]
    edges = np.cumsum([len(path) for path in paths])[:-1]
    drafts = np.split(by.decode(np.concatenate(paths), np.array(noise)), edges)
    ear = _Ear(by)
    made = [_Draft(plan, ear, windows) for plan, windows in zip(plans, drafts)]
    ear.listen([draft.window(pair) for draft in made for pair in draft.pairs])
    orders = [np.random.RandomState([*key, _ORDER]) for key in keys]
    for number in range(1, _MAX_ROUNDS + 1):
        going_on = [i for i, draft in enumerate(made) if number <= _ROUNDS or draft.copies()]
        chosen = [(i, pair) for i in going_on for pair in made[i].disjoint(orders[i])]
        if not chosen:
            break
        z = np.stack([ear.z(made[i].window(pair)) for i, pair in chosen])
        imagined = by.imagine(z, np.array([[*keys[i], number, pair[0], 0] for i, pair in chosen]))
        tried = [(made[i], made[i].replacements(pair, window)) for (i, pair), window in zip(chosen, imagined)]
        ear.listen([window for draft, changes in tried for one in changes for window in draft.telling(one.halves)])
        kept = [(draft, [one.halves for one in changes if draft.is_promising(one)]) for draft, changes in tried]
        ear.listen([window for draft, every in kept for new in every for window in draft.after(new)])
        for draft, every in kept:
            draft.take(every)
    ear.listen([window for draft in made for _, window in draft.held()])
    return [draft.chosen(path, key) for draft, path, key in zip(made, paths, keys)]
