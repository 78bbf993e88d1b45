"""Composes whole tunes with a trained model: where their form comes from, what they are improved with, how they end."""

import math
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import note_seq
import numpy as np

from lc_music_vae import base_model, data
from lc_music_vae.encoding import song_forms
from lc_music_vae.encoding.nearness import NEAR, Songs, onsets
from lc_music_vae.encoding.song_hashes import HashedSongs
from lc_music_vae.errors import InputError
from lc_music_vae.models import points, rotation, tunes
from lc_music_vae.models.prior import PersonalPrior
from lc_music_vae.models.small_vae import SmallVAE
from lc_music_vae.music import form as forms
from lc_music_vae.music.likeness import dice
from lc_music_vae.music.source import Song
from lc_music_vae.music.style import Style, bar_of
from lc_music_vae.options import FREEDOM

# Draws of z, and of the small posterior at each, for the likelihood of the many windows that a tune is chosen from.
_Z_DRAWS, _LIKELIHOOD_DRAWS = 2, 8
_SAME = 1e-6  # seconds: times that differ by less are the same
_TOGETHER = 16  # tunes that are composed in the same batches
_VARIED = 0.8  # similarity of a variation of a letter
_UNHEARD = -100.0  # nats of a window without notes
_COLDER = 0.4  # temperature of what is imagined for neighbours, of that of a tune's first draft
_SONGS = 16  # training songs that are looked through for a way on
_LEANT, _FORM, _PATH, _COMPOSED, _VARIATION = range(3, 8)  # the last of a key of noise: what it is for

Key = Tuple[int, int]  # the seed, and the tune's number


class Tune(NamedTuple):
    """How a tune was made: with the form, all that is needed to make it again.

    Attributes:
        form: Name of the song or the letters that gave the form.
        places: Which distinct window stands at each place of the tune; -1 for a rest.
        letters: The letter of each phrase.
        phrase_bars: Length of a phrase in bars.
        num_bars: Length of the tune in bars, those that were given included.
        rotation_key: Key of the rotation that turned the form's path: of `rotation.orthogonal`, or of
            `rotation.leading` where given bars go on.
        latents: The point of each distinct window, float [distinct, encoded_z_size].
        likeness: How alike the form's windows are, float [places, places]; NaN where letters leave it open.
        said: How the form was cut or repeated; "" if it was not.
        copies: Number of its windows, seams included, that are near-copies of the songs.
        song: What of the song gave the form, bar by bar, as the model's music sounds; None if letters did, or if its
            bars are of another length.
    """

    form: str
    places: Sequence[int]
    letters: Sequence[str]
    phrase_bars: int
    num_bars: int
    rotation_key: Sequence[int]
    latents: np.ndarray
    likeness: np.ndarray
    said: str
    copies: int
    song: Optional[note_seq.NoteSequence] = None


class Tunes(list):
    """NoteSequences of whole tunes; `made` says how each was made."""

    def __init__(self, sequences: Iterable[note_seq.NoteSequence], made: Sequence[Tune]):
        super().__init__(sequences)
        self.made = made


class Means(NamedTuple):
    """What a model composes with.

    Attributes:
        converter: Converts windows.
        small: The small VAE.
        broad: The broad part of the personal prior, if the model has one.
        songs: The songs that it learned from, as far as they are known.
        run_path: The run's folder, if it is known.
        style: How its music sounds.
        hear: Returns where windows are in the small latent, and what it leaves out of them; see `TrainedModel.hear`.
        posterior: Returns mean and scale of q(z|x) of encoder inputs and their lengths, [n, z_size] each.
        decode: Decodes points of z at a temperature, each with the noise of its key, to tensors.
        prepare: Loads what decodes, for so many windows at a time, unless something does already.
    """

    converter: data.WindowConverter
    small: SmallVAE
    broad: Optional[base_model.BroadPart]
    songs: Union[Songs, HashedSongs, None]
    run_path: Optional[str]
    style: Style
    hear: Callable[[Sequence[data.Window]], Tuple[np.ndarray, np.ndarray]]
    posterior: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], Tuple[np.ndarray, np.ndarray]]
    decode: Callable[[np.ndarray, float, np.ndarray], np.ndarray]
    prepare: Callable[[int], None]


class _Planned(NamedTuple):
    """A plan, the name of its form, how this was cut or repeated, and the song's windows if a song gave it."""

    plan: tunes.Plan
    name: str
    said: str = ""
    windows: Sequence[data.Window] = ()


class _Stretch(NamedTuple):
    """Where a song goes on from what is much like some given bars.

    Attributes:
        song: The song.
        path: The point of each of its distinct windows, float [distinct, encoded_z_size].
        at: The place that is like the last window given.
        far: Mean squared distance of its windows up to there from those given.
    """

    song: song_forms.SongForm
    path: np.ndarray
    at: int
    far: float


class Composer:
    """Composes with a model's means; see `models.tunes`.

    Args:
        means: What the model composes with.
        temperature: Softmax temperature of the decoder.
        turn: What knobs add to every z, [z_size]. The prior moves with it, so it costs no likelihood.
    """

    def __init__(self, means: Means, temperature: float, turn: Union[np.ndarray, float] = 0.0):
        self._by = means
        self._turn = turn
        self._converter = means.converter
        self._signature = means.style.time_signature
        self._steps = means.converter.bar_steps(self._signature) * means.converter.bars_of(self._signature)
        self._temperature = temperature

    def compose(self, num_bars: int, n: int, *, form: Optional[str], seed: int) -> Tunes:
        """Returns n tunes of so many bars, each a function of the seed and its number; see `TrainedModel.compose`."""
        made: List[Tuple[note_seq.NoteSequence, Tune]] = []
        for keys in _batches(n, seed):
            made += self._made(self._plans(form, self._windows_of(num_bars), keys=keys), num_bars, keys)
        return _tunes(made)

    def go_on(
        self, given: song_forms.SongForm, num_bars: int, n: int, *, form: Optional[str], homes: Sequence[int], seed: int
    ) -> Tunes:
        """Returns n tunes that begin with given windows and go on for so many bars; see `TrainedModel.go_on`.

        Args:
            given: The windows, each at one place.
            num_bars: Number of bars after them.
            n: Number of tunes.
            form: The song whose way is gone on; None to look through training songs for that which is nearest.
            homes: Pitch classes to end on.
            seed: Seed of everything random.
        """
        at, _ = self._by.hear(given.windows)
        songs = song_forms.some(form, self._by.run_path, [seed, 0, _FORM], most=_SONGS)
        num_windows = self._windows_of(num_bars)
        stretches = [self._nearest(song_forms.of_song(self._converter, song), given, at, num_windows) for song in songs]
        stretch = min(stretches, key=lambda one: one.far)
        made: List[Tuple[note_seq.NoteSequence, Tune]] = []
        for keys in _batches(n, seed):
            planned = [self._plan_on(given, at, stretch, num_windows, homes=homes, key=key) for key in keys]
            made += self._made(planned, num_bars, keys, given=len(given.places))
        return _tunes(made)

    def vary(
        self, given: song_forms.SongForm, num_bars: int, n: int, *, similarity: float, seed: int
    ) -> List[note_seq.NoteSequence]:
        """Returns n variations of the first bars of a tune: the same path, all of it moved by one draw each.

        Args:
            given: The tune.
            num_bars: Number of its bars.
            n: Number of variations.
            similarity: How near they stay to it; see `TrainedModel.similar`.
            seed: Seed of everything random.
        """
        places = given.places[: self._windows_of(num_bars)]
        means, residuals = self._by.hear(given.windows)
        kept = points.kept(similarity)
        made = []
        for i in range(n):
            noise = points.prior_samples(1, means.shape[1], _mixed(seed, _VARIATION), first=i)
            z = self._by.small.decode(kept * means + (1 - similarity) * noise) + kept * residuals
            # The noise of the decoder is the same for all windows of a tune: those that are alike stay so.
            keys = np.array([[seed, i, _VARIATION]] * len(z))
            windows = self._by.decode(z, self._temperature, keys)
            made.append(self._joined(windows, places, min(num_bars, self._bars_of(len(places)))))
        return made

    def _windows_of(self, num_bars: int) -> int:
        return -(-num_bars // self._bars_of(1))

    def _bars_of(self, num_windows: int) -> int:
        return num_windows * self._converter.bars_of(self._signature)

    @property
    def _phrase(self) -> int:
        """The length of a phrase in windows."""
        return max(1, forms.PHRASE_BARS // self._bars_of(1))

    def _made(
        self, planned: Sequence[_Planned], num_bars: int, keys: Sequence[Key], *, given: int = 0
    ) -> List[Tuple[note_seq.NoteSequence, Tune]]:
        """Returns the tunes of plans: so many bars, after some windows that are given."""
        instrument = self._instrument()
        left = num_bars - self._bars_of(self._windows_of(num_bars) - 1)
        ends_early = left * self._converter.bar_steps(self._signature) <= instrument.seam
        plans = [one.plan._replace(ends_early=ends_early) for one in planned]
        self._by.prepare(sum(map(tunes.pairs_at_once, plans)))
        chosen = tunes.compose(plans, instrument, [(*key, _COMPOSED) for key in keys])
        num_bars += self._bars_of(given)
        made = []
        for (plan, name, said, windows), one in zip(planned, chosen):
            tune = Tune(
                form=name,
                places=plan.places,
                letters=forms.letters_of(plan.places, self._phrase),
                phrase_bars=self._bars_of(self._phrase),
                num_bars=num_bars,
                rotation_key=one.rotation_key,
                latents=one.points,
                likeness=_at_places(plan.likeness, plan.places),
                said=said,
                copies=one.copies,
                song=self._song(windows, plan.places, num_bars),
            )
            held = [pair in one.held for pair in zip(plan.places, plan.places[1:])]
            made.append((self._joined(one.windows, plan.places, num_bars, held=held), tune))
        return made

    def _joined(
        self, windows: np.ndarray, places: Sequence[int], num_bars: int, *, held: Sequence[bool] = ()
    ) -> note_seq.NoteSequence:
        parts = [*self._sequences(windows), note_seq.NoteSequence()]  # the last is for rests
        bar = bar_of(self._signature) * 60 / self._by.style.qpm
        window = bar * self._converter.bars_of(self._signature)
        return joined([parts[place] for place in places], window, num_bars * bar, held=held)

    def _song(
        self, windows: Sequence[data.Window], places: Sequence[int], num_bars: int
    ) -> Optional[note_seq.NoteSequence]:
        """Returns `Tune.song` of a song's distinct windows."""
        if not windows or any(window.time_signature != self._signature for window in windows):
            return None
        return self._joined(np.stack([window.outputs for window in windows]), places, num_bars)

    def _nearest(
        self, song: song_forms.SongForm, given: song_forms.SongForm, at: np.ndarray, num_windows: int
    ) -> _Stretch:
        """Returns up to where a song is most like given windows, of the places after which enough follows.

        Args:
            song: The song.
            given: The windows.
            at: Their points.
            num_windows: How many are to follow; half of the song's are enough.
        """
        path, _ = self._by.hear(song.windows)
        follow = max(1, min(num_windows, len(song.places) // 2))
        found = []
        for place in range(max(1, len(song.places) - follow)):
            pairs = song.aligned(place, given)
            if song.places[place] != forms.REST and pairs:
                far = np.mean([np.sum((path[theirs] - at[own]) ** 2) for theirs, own in pairs])
                found.append(_Stretch(song, path, place, float(far)))
        return min(found, key=lambda one: one.far)

    def _plan_on(
        self,
        given: song_forms.SongForm,
        at: np.ndarray,
        stretch: _Stretch,
        num_windows: int,
        *,
        homes: Sequence[int],
        key: Key,
    ) -> _Planned:
        """Returns the plan of a tune that begins with given windows, which stay, and goes on as a song does.

        Where the song comes back to what stands beside given windows, the tune comes back to these.
        """
        song, count = stretch.song, len(given.windows)
        rests = given.rests_at_end()
        after = song.places[stretch.at + 1 + rests :] or song.places
        after, said = forms.fitted(after, num_windows, self._phrase)
        beside: Dict[int, int] = {}
        for window, own in song.aligned(stretch.at, given):
            beside.setdefault(window, own)
        new = sorted(set(after) - {forms.REST, *beside})
        number = {**beside, **{window: count + i for i, window in enumerate(new)}}
        theirs = [song.windows[i] for i in (*beside, *new)]
        numbers = [number[i] for i in (*beside, *new)]

        # Halves that the song's windows share with those beside given ones are halves of these.
        halves = [(2 * i, 2 * i + 1) for i in range(count)]
        of_song = song_forms.halves(self._converter, theirs)
        known: Dict[int, int] = {}
        for own, pair in zip(beside.values(), of_song):
            for half, mine in zip(pair, halves[own]):
                known.setdefault(half, mine)
        for pair in of_song[len(beside) :]:
            for half in pair:
                known.setdefault(half, 2 * count + half)
            halves.append((known[pair[0]], known[pair[1]]))
        near = song_forms.near(of_song, theirs, self._seam_ticks(theirs))
        notes = [np.unique(onsets(window.notes)) for window in theirs]
        likeness = np.full([len(halves)] * 2, np.nan)
        likeness[np.ix_(numbers, numbers)] = dice(notes, notes)
        theirs_last, own_last = song.aligned(stretch.at, given)[0]
        turn = rotation.leading(stretch.path[theirs_last], at[own_last], (*key, _COMPOSED))
        plan = tunes.Plan(
            places=[*given.places, *(place if place == forms.REST else number[place] for place in after)],
            halves=halves,
            path=np.concatenate([at, stretch.path[new] @ turn]),
            likeness=likeness,
            near={known[half]: known[other] for half, other in near.items() if known[half] >= 2 * count},
            homes=homes,
            given=[window.outputs for window in given.windows],
            is_turned=True,
        )
        return _Planned(plan, song.name, said)

    def _seam_ticks(self, windows: Sequence[data.Window]) -> int:
        """Returns where the second halves of windows begin, in ticks."""
        steps = self._converter.seam(windows[0].time_signature)
        return steps * data.TICKS_PER_QUARTER // self._converter.steps_per_quarter

    def _plans(self, form: Optional[str], num_windows: int, *, keys: Sequence[Key]) -> List[_Planned]:
        """Returns the plan of each tune."""
        if form is not None and forms.is_letters(form) and not song_forms.is_file(form):
            return [self._plan_of_letters(form, num_windows, key) for key in keys]
        drawn = [
            song_forms.find(form, self._by.run_path, [*key, _FORM]) for key in (keys if form is None else keys[:1])
        ]
        plans = {name: self._plan_of_song(song, num_windows) for name, song in {one.name: one for one in drawn}.items()}
        return [plans[song.name] for song in (drawn if form is None else drawn * len(keys))]

    def _plan_of_letters(self, letters: str, num_windows: int, key: Key) -> _Planned:
        places, varied = forms.of_letters(letters, num_windows)
        size = max(places) + 1
        path = points.samples([(i, 0) for i in range(size)], self._by.small.encoded_z_size, _mixed(*key, _PATH))
        for new, old in varied.items():
            path[new] = points.similar(path[old], 1, _VARIED, seed=_mixed(*key, _PATH), first=new)[0]
        likeness = np.where(np.eye(size) > 0, 1.0, np.nan)
        halves = [(2 * i, 2 * i + 1) for i in range(size)]
        return _Planned(tunes.Plan(places, halves, path, likeness, homes=self._homes()), letters)

    def _plan_of_song(self, of: Song, num_windows: int) -> _Planned:
        song = song_forms.of_song(self._converter, of)
        places, said = forms.fitted(song.places, num_windows, self._phrase)
        used = sorted(set(places) - {forms.REST})
        if not used:
            raise InputError("--form=%s: its first %d windows are rests; ask for more bars" % (song.name, num_windows))
        windows = [song.windows[i] for i in used]
        path, _ = self._by.hear(windows)
        notes = [np.unique(onsets(window.notes)) for window in windows]
        home = song.home()
        halves = song_forms.halves(self._converter, windows)
        plan = tunes.Plan(
            places=[place if place == forms.REST else used.index(place) for place in places],
            halves=halves,
            path=path,
            likeness=dice(notes, notes),
            near=song_forms.near(halves, windows, self._seam_ticks(windows)),
            homes=[] if home is None else [home],
        )
        return _Planned(plan, song.name, said, windows)

    def _homes(self) -> List[int]:
        """Returns the pitch classes that the songs end on; none if the songs are not known, or have none."""
        is_known = isinstance(self._by.songs, Songs) and self._converter.reads == "melody"
        return song_forms.homes(self._by.songs.table) if is_known else []  # type: ignore[union-attr]

    def _instrument(self) -> tunes.Instrument:
        return tunes.Instrument(
            decode=lambda where, keys: self._decode(where, keys, self._temperature),
            hear=self._hear,
            imagine=lambda z, keys: self._decode(self._by.small.encode(z)[0], keys, _COLDER * self._temperature),
            onsets=self._onsets,
            is_copy=self._is_copy,
            end=lambda half, homes: self._converter.ended(half, homes, self._signature),
            cut=self._converter.cut,
            seam=self._converter.seam(self._signature),
            last=self._steps,
        )

    def _decode(self, where: np.ndarray, keys: np.ndarray, temperature: float) -> np.ndarray:
        """Decodes points of the small latent as samples are decoded, each with the noise of its key."""
        z = self._by.small.decode(where)
        if self._by.broad is not None:
            noise = np.stack([np.random.RandomState([*key, _LEANT]).standard_normal(z.shape[1] + 1) for key in keys])
            z = base_model.leant(z, *self._by.broad.sample(noise), freedom=FREEDOM)
        return self._by.decode(z + self._turn, temperature, keys)

    def _hear(self, tensors: Sequence[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
        """Returns how much likelier windows are under the personal prior than under MusicVAE's, and where they are."""
        small = self._by.small
        inputs = [self._converter.as_input(one) for one in tensors]
        known = [(i, *one) for i, one in enumerate(inputs) if one is not None]
        nats, where = np.full(len(inputs), _UNHEARD), np.zeros([len(inputs), small.z_size])
        if known:
            numbers = [one[0] for one in known]
            mean, scale = self._by.posterior([one[1] for one in known], [one[2] for one in known])
            mean = mean - self._turn
            where[numbers] = mean
            noise = np.random.RandomState(0).standard_normal([_Z_DRAWS, mean.shape[1]])  # the same for all
            draws = np.concatenate([mean + scale * one for one in noise]).astype(np.float32)
            log_prob = small.log_prob if self._by.broad is None else PersonalPrior(small, self._by.broad).log_prob
            found = log_prob(draws, draws=_LIKELIHOOD_DRAWS, same_noise=True) - base_model.log_standard_normal(draws)
            nats[numbers] = found.reshape(_Z_DRAWS, -1).mean(0)
        return nats, where

    def _is_copy(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        if self._by.songs is None:
            return np.zeros(len(tensors), bool)
        notes = self._starts(tensors)
        if isinstance(self._by.songs, Songs):
            return np.array([one is not None and one.similarity >= NEAR for one in self._by.songs.nearest(notes)])
        return self._by.songs.similarities(notes) >= NEAR

    def _onsets(self, tensors: Sequence[np.ndarray]) -> List[np.ndarray]:
        """Returns the onsets of decoded windows, each without repeats."""
        return [np.unique(onsets(notes)) for notes in self._starts(tensors)]

    def _starts(self, tensors: Sequence[np.ndarray]) -> List[np.ndarray]:
        """Returns the notes of decoded windows' bars, of which where they start and their pitches are true."""
        started = [self._converter.started(one[: self._steps]) for one in tensors]
        return self._heard(tensors) if any(one is None for one in started) else started

    def _heard(self, tensors: Sequence[np.ndarray]) -> List[np.ndarray]:
        """Returns the notes of decoded windows at MusicVAE's own pitches."""
        octaves = 12 * self._by.style.octaves
        return [self._converter.notes_of(sequence) + [0, 0, octaves] for sequence in self._sequences(np.stack(tensors))]

    def _sequences(self, tensors: np.ndarray) -> List[note_seq.NoteSequence]:
        return self._converter.to_note_sequences(tensors, self._by.style)


def _batches(n: int, seed: int) -> Iterator[List[Key]]:
    """Yields the keys of n tunes, as many as are composed together."""
    for first in range(0, n, _TOGETHER):
        yield [(seed, i) for i in range(first, min(first + _TOGETHER, n))]


def _tunes(made: Sequence[Tuple[note_seq.NoteSequence, Tune]]) -> Tunes:
    return Tunes([sequence for sequence, _ in made], [tune for _, tune in made])


def joined(
    parts: Sequence[note_seq.NoteSequence], window: float, total: float, *, held: Sequence[bool] = ()
) -> note_seq.NoteSequence:
    """Returns windows of one model, one after another, as one NoteSequence.

    Args:
        parts: The windows.
        window: Length of a window in seconds.
        total: Length of all in seconds.
        held: For each window but the last, whether a note that lasts to its end is held to the first of the next.
    """
    whole = note_seq.NoteSequence()
    whole.CopyFrom(next((part for part in parts if part.notes), parts[0]))
    del whole.notes[:]
    whole.total_time = total
    for i, part in enumerate(parts):
        if any(held[i - 1 : i]) and part.notes and whole.notes:
            last, first = whole.notes[-1], i * window + min(note.start_time for note in part.notes)
            if math.isclose(last.end_time, i * window, abs_tol=_SAME):  # else a rest is held
                last.end_time = min(first, total)
        for note in part.notes:
            if note.start_time + i * window < total:
                added = whole.notes.add()
                added.CopyFrom(note)
                added.start_time += i * window
                added.end_time = min(note.end_time + i * window, total)
    return whole


def _at_places(likeness: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """Returns how alike the windows at each two places are, from that of the distinct windows; a rest is like rests."""
    with_rest = np.pad(likeness, (0, 1), "constant")
    with_rest[-1, -1] = 1
    return with_rest[np.ix_(places, places)]


def _mixed(*key: int) -> int:
    """Returns one seed for several numbers."""
    return int(np.random.RandomState(list(key)).randint(2**31))
