"""The class for notebooks: a trained small VAE between the encoder and the decoder of its MusicVAE."""

import logging
import os
from typing import Any, Callable, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import note_seq
import numpy as np

from lc_music_vae import base_model, data
from lc_music_vae.checkpoints import model_files, run_dir, songs_npz
from lc_music_vae.checkpoints.model_files import ModelFiles
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.composer import Composer, Means, Tunes
from lc_music_vae.encoding import broad_part, song_forms
from lc_music_vae.encoding.nearness import NEAR, Nearest, Songs, f1, onsets
from lc_music_vae.encoding.same_bars import SameBar, SongBars
from lc_music_vae.encoding.song_hashes import HashedSongs
from lc_music_vae.errors import InputError
from lc_music_vae.models import knobs as knobs_lib
from lc_music_vae.models import music_vae, points, redraw, sessions
from lc_music_vae.models.knobs import Knobs
from lc_music_vae.models.prior import DRAWS, PersonalPrior
from lc_music_vae.models.small_vae import SmallVAE
from lc_music_vae.music import chords, examples
from lc_music_vae.music import form as forms
from lc_music_vae.music.likeness import dice
from lc_music_vae.music.source import MAX_QPM, MIN_QPM, Song
from lc_music_vae.music.style import Style, bar_of
from lc_music_vae.options import (
    ALLOW,
    FREEDOM,
    MAX_BARS,
    MAX_COORDINATE,
    MAX_OUTPUTS,
    REDRAW,
    Limits,
    ModelSource,
    Reading,
    Request,
    Sampling,
    Sound,
)
from lc_music_vae.system import results

logger = logging.getLogger(__name__)

NoteSequences = Union[note_seq.NoteSequence, Sequence[note_seq.NoteSequence]]
AnySong = Union[str, "os.PathLike[str]", note_seq.NoteSequence, Song]

_Lean = Callable[[np.ndarray, Sequence[redraw.Drawn]], np.ndarray]  # moves z^ of samples, by which of them they are

# Fixed cost of a batch, in windows of a large batch: cat-mel_2bar_big decodes 5 windows in 0.7 s and 64 in 2.6 s.
_WINDOWS_A_BATCH = 16
_LEAST = 8  # windows: that is worth a core
_MAX_FINER = 4  # points that are decoded for each of an interpolation
# What is said where a config decodes with controls, and none are given.
_NEEDED = {
    chords.CHORDS: '%s decodes with chords: give --chords="C G Am F" or so, or --control_midi, a music file with some',
    chords.HITS: "%s decodes with hits: give --control_midi, a music file whose drums say what is hit when",
}
_SAMPLED, _DECODED, _LEANT = range(1, 4)  # the last of a key of noise: what it is for; the composer has others


def even_batch(n: int, most: int, at_once: int = 1) -> int:
    """Returns the batch size for n windows: as few batches of at most `most` windows as possible, least padding.

    If several are decoded at once, it is a batch for each, unless one would be smaller than `_LEAST`.
    """
    batches = -(-n // most)
    batches = max(batches, min(-(-batches // at_once) * at_once, n // _LEAST))
    return -(-n // batches)


def _cost(n: int, batch_size: int, at_once: int) -> int:
    """Returns the cost of decoding n windows, so many batches of `batch_size` at once, in windows of a large batch."""
    return -(-n // (at_once * batch_size)) * (_WINDOWS_A_BATCH + batch_size)


def _believed(qpm: float, name: str) -> float:
    """Returns the tempo for decoding: the `qpm` that training recorded, clipped to the valid range."""
    believed = min(max(qpm, MIN_QPM), MAX_QPM)
    if believed != qpm:
        logger.warning("%s has songs of %g quarters a minute; %d are taken", name, qpm, believed)
    return believed


class Music(list):
    """NoteSequences that a model made, and the point that each of them comes from.

    Attributes:
        latents: The points of the small latent that they were decoded from, float [n, encoded_z_size].
    """

    def __init__(
        self,
        sequences: Iterable[note_seq.NoteSequence],
        latents: np.ndarray,
        find_nearest: Callable[[Sequence[note_seq.NoteSequence]], Optional[List[Optional[Nearest]]]],
    ):
        super().__init__(sequences)
        self.latents = latents
        self._find_nearest = find_nearest
        self._nearest: Optional[List[Optional[Nearest]]] = None

    @property
    def nearest(self) -> List[Optional[Nearest]]:
        """For each NoteSequence, the nearest training window and whether it is a copy of it; computed on first use.

        An item is None if the songs are not available, as with a bundle, or if they share no note with it.
        """
        if self._nearest is None:
            self._nearest = self._find_nearest(self) or [None] * len(self)
        return self._nearest


class TrainedModel:
    """A small VAE that was trained on some songs, and the MusicVAE around it.

    Example:
        >>> with TrainedModel("my_run", seed=1) as model:
        ...     samples = model.sample(8)
        ...     samples.latents[0], samples.nearest[0]
        ...     varied = model.similar(samples[0], 4)
        ...     song = model.reconstruct("song.mid")

    MusicVAE's encoder and decoder are each loaded when first needed. The decoder is loaded again if another batch size
    would take less than half the time. `seed` controls everything random: two models with the same seed return the
    same notes for the same calls in the same order. A repeated call on one model draws new points.

    Args:
        model: Folder of a training run, or a small VAE's bundle (`{config}.tar`) or checkpoint prefix. It can also be
            an `options.ModelSource`, which gives more details, or a model found by `model_files.find`.
        seed: Seed of everything random.
        max_batch_size: The largest number of windows in a batch.
        sound: How outputs sound; by default, like the songs that the model was trained on.
        reading: How songs are read.

    Attributes:
        config: Name in the registry.
        converter: The `data.WindowConverter` that cuts songs for this model.
        small: The `SmallVAE` alone, without MusicVAE.
        encoded_z_size: Number of dimensions of the small latent.
        center: Mean position of the songs' windows in the small latent, or zero if it is not known.
            float [encoded_z_size].
        low: Where the songs begin in each dimension of the small latent, float [encoded_z_size].
        high: Where they end.
        qpm: Tempo of decoded music.
        program: Program of decoded melodies.
        time_signature: Time signature of decoded music, such as "6/8"; it has whole bars of this.
        controls: What decodes with these where a call gives no other ones: chords or hits, float [time, control_depth],
            or [k, time, control_depth], which outputs take in turn. None at first; see `WindowConverter.controls`.
        knobs: What can be turned by name, the best fitting first; see `models.knobs`. None if it was trained before
            there were knobs.

    Raises:
        InputError: The files are missing, damaged, or not from the same model.
    """

    def __init__(
        self,
        model: Union[str, "os.PathLike[str]", ModelSource, ModelFiles],
        seed: int = 0,
        *,
        max_batch_size: int = 64,
        sound: Sound = Sound(),
        reading: Reading = Reading(),
    ):
        Sampling(seed=seed, max_batch_size=max_batch_size)  # checks both
        found = model if isinstance(model, ModelFiles) else model_files.find(_source(model))
        self._found = found
        self._closed = False
        self.config = found.config
        self.converter = data.WindowConverter(found.music_vae, reading)
        if sound.program is not None and self.converter.reads != "melody":
            said = "--program=%d: what %s makes has its own programs; leave it out"
            raise InputError(said % (sound.program, found.config))
        self._music_vae = found.music_vae
        self._max_batch_size = max_batch_size
        self._seed = seed
        self._drawn = 0  # number of points drawn so far
        self._decoded = 0  # number of points decoded so far with noise of their own
        self._sound = sound
        self._name = "%s=%s" % (found.small.flag, found.small.path)
        self.qpm = _believed(found.style.qpm, self._name) if sound.qpm is None else sound.qpm
        self.program = found.style.program if sound.program is None else sound.program
        self.octaves = found.style.octaves
        self.time_signature = found.style.time_signature
        self.controls: Optional[np.ndarray] = None
        self._encoder: Optional[music_vae.Encoder] = None
        self._decoder: Optional[music_vae.Decoder] = None
        self._songs: Optional[Songs] = None
        self._broad: Optional[base_model.BroadPart] = None
        self._song_bars: Optional[SongBars] = None
        self._hashed_songs: Optional[HashedSongs] = None
        self._weights = Weights(found.pretrained)
        if found.fingerprint:
            self._weights.check_encoder(found.fingerprint, found.small.path)
        self._at_once = sessions.batches_at_once(self._weights)
        sessions.begin(self._at_once)
        self.small = _load_small(found)
        self.encoded_z_size = self.small.encoded_z_size
        self.center = np.array(found.latent.mean or np.zeros(self.encoded_z_size))
        self.low, self.high = points.span(found.latent.low, found.latent.high, self.encoded_z_size)
        for name, value in (("mean", self.center), ("low", self.low), ("high", self.high)):
            if value.shape != (self.encoded_z_size,):
                raise InputError(
                    "%s=%s: its run.json says latent.%s of %d dimensions, but its small latent has %d; it is damaged"
                    % (found.small.flag, found.small.path, name, value.size, self.encoded_z_size)
                )
        self._residual = found.latent.residual
        self.knobs = self._find_knobs()
        expected = music_vae.z_size(found.music_vae)
        if self.small.z_size != expected:
            raise InputError(
                "%s=%s is over a z of %d dimensions, but --config=%s has %d; give the config it was trained with"
                % (found.small.flag, found.small.path, self.small.z_size, self.config, expected)
            )

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ""
        return "<TrainedModel %s (%s), a small latent of %d numbers%s>" % (
            self._found.small.path,
            self.config,
            self.encoded_z_size,
            state,
        )

    def __enter__(self) -> "TrainedModel":
        return self

    def __exit__(self, *unused) -> None:
        self.close()

    def close(self) -> None:
        """Frees the TensorFlow sessions and their weights; the model cannot be used afterwards."""
        self._closed = True
        for part in (self._encoder, self._decoder, self.small):
            if part is not None:
                part.close()
        self._encoder = self._decoder = None

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("this model is closed; open another TrainedModel")

    def _find_knobs(self) -> Optional[Knobs]:
        if self._found.knobs is None:
            return None
        try:
            return Knobs(self._found.knobs, self.small.z_size)
        except (ValueError, np.linalg.LinAlgError) as e:
            raise InputError("%s: the knobs in its run.json are damaged (%s); restore it" % (self._name, e)) from e

    def knobs_for(self, values: Mapping[str, float]) -> Knobs:
        """Returns the knobs of this model, after a check that they can be turned to these values, by name.

        Raises:
            InputError: The model has no such knob, or a value is not usable.
        """
        values = knobs_lib.checked(values)
        if self.knobs is None:
            raise InputError(knobs_lib.BEFORE % self._name)
        knobs_lib.check_offered(values, self.knobs.names)
        return self.knobs

    def _draw(self, n: int) -> int:
        """Counts n more points as drawn, and returns how many were drawn before."""
        Limits(1, MAX_OUTPUTS).check("n", n)
        first = self._drawn
        self._drawn += n
        return first

    def sample(
        self,
        n: int,
        temperature: float = 0.5,
        *,
        copies: str = REDRAW,
        freedom: Optional[float] = None,
        knobs: Optional[Mapping[str, float]] = None,
    ) -> Music:
        """Returns n NoteSequences decoded from z' ~ N(0, I).

        Sample i is the first of its own stream of draws, at most 32, that has notes, is less than 0.9 similar to every
        training window, and does not start the same notes as an earlier sample of this call. If none is right, it is
        the one least like the songs, and a warning says so. The first draw has a z' that is a function of (seed, i),
        where i counts all that this model has drawn.

        Args:
            n: Number of samples.
            temperature: Softmax temperature of the decoder, above 0.
            copies: "redraw", or "allow" for the first draw of each stream.
            freedom: How far samples lean to the broad part of the prior, from 0 to 1: see `base_model.leant`. None
                means 0.2, or 0 if the broad part is not known, as in bundles of version 0.1.0.
            knobs: Where samples lie, by name, such as {"density": 1.5}: in standard deviations from the mean of the
                model's own samples. What is not named is left as it is drawn.

        Raises:
            InputError: A value is not usable, or the record of the songs is damaged.
        """
        Request(copies=copies, freedom=freedom)  # checks both
        Sampling(temperature=temperature)  # so does this
        self._check_open()
        songs = None if copies == ALLOW else self._known_songs()
        self._controls(None)  # checks that they are there
        lean = self._turning(self._leaning(freedom), knobs)
        first = self._draw(n)
        decoder = self._decoder_for(n)

        def draw(wanted: Sequence[redraw.Drawn]) -> List[redraw.Candidate]:
            made = self._samples([(first + i, number) for i, number in wanted], temperature, decoder, lean=lean)
            heard = self.heard([sequence for sequence, _ in made])
            similarities = np.zeros(len(made)) if songs is None else songs.similarities(heard)
            notes = [np.unique(onsets(one)).tobytes() for one in heard]
            return [redraw.Candidate(*parts) for parts in zip(made, notes, similarities)]

        def room(points_needed: int) -> int:
            at_once = decoder.batch_size * decoder.at_once
            return -(-points_needed // at_once) * at_once

        if copies == ALLOW:
            made = self._samples([(first + i, 0) for i in range(n)], temperature, decoder, lean=lean)
        else:
            outcome = redraw.choose(n, draw, near=NEAR, room=room)
            self._say_redrawn(outcome, songs)
            made = [candidate.value for candidate in outcome.outputs]
        return Music([sequence for sequence, _ in made], np.stack([point for _, point in made]), self.nearest)

    def _samples(
        self,
        drawn: Sequence[redraw.Drawn],
        temperature: float,
        decoder: music_vae.Decoder,
        *,
        lean: _Lean,
    ) -> List[Tuple[note_seq.NoteSequence, np.ndarray]]:
        """Returns samples and their points; both depend only on the seed and a pair: sample, draw of its stream."""
        where = points.samples(drawn, self.encoded_z_size, self._seed)
        keys = np.array([[self._seed, sample, draw, _SAMPLED] for sample, draw in drawn])
        z = lean(self.small.decode(where), drawn)
        controls = _in_turn(self._controls(None), [sample for sample, _ in drawn])
        tensors = decoder.decode(z, temperature, keys, controls=controls)
        return list(zip(self._sequences(tensors, controls), where))

    def _controls(self, given: Optional[np.ndarray]) -> Optional[np.ndarray]:
        """Returns the controls to decode with, [k, time, control_depth]; None if the config needs none.

        Raises:
            InputError: It needs some, and there are none, or of another shape.
        """
        depth, kind = self.converter.control_depth, self.converter.controls
        controls = self.controls if given is None else given
        if controls is None and not depth:
            return None
        if controls is None:
            raise InputError(_NEEDED[kind] % self.config)
        controls = np.asarray(controls, np.float32)
        controls = controls[np.newaxis] if controls.ndim == 2 else controls
        shape = 0, self.converter.steps, depth
        if controls.ndim != 3 or controls.shape[1:] != shape[1:] or not len(controls) or not depth:
            expected = "expected [%d, %d]" % shape[1:] if depth else "%s needs none" % self.config
            raise InputError("controls of shape %s; %s" % (list(controls.shape[1:]), expected))
        return controls

    def _own_controls(self, windows: Sequence[data.Window]) -> Optional[np.ndarray]:
        """Returns `controls` where they are set, else those of windows; None if the config needs none."""
        if self.controls is not None or not self.converter.control_depth:
            return None
        return np.stack([window.controls[0] for window in windows])

    def _leaning(self, freedom: Optional[float]) -> _Lean:
        """Returns the function that moves z^ of samples towards draws of the broad part of the prior.

        Raises:
            InputError: A freedom above 0 was given, and nothing is known of the broad part.
        """
        broad = None if freedom == 0 else self._broad_part()
        if broad is None and freedom:
            raise InputError(
                "--freedom=%g: %s says nothing of its songs' latents; leave it out" % (freedom, self._name)
            )
        if broad is None:
            return lambda z, drawn: z
        known, share = broad, FREEDOM if freedom is None else freedom

        def lean(z: np.ndarray, drawn: Sequence[redraw.Drawn]) -> np.ndarray:
            noise = [
                np.random.RandomState([self._seed, *pair, _LEANT]).standard_normal(z.shape[1] + 1) for pair in drawn
            ]
            return base_model.leant(z, *known.sample(np.stack(noise)), freedom=share)

        return lean

    def _turning(self, lean: _Lean, values: Optional[Mapping[str, float]]) -> _Lean:
        """Returns a function that turns what `lean` returns to the values of knobs."""
        if not values:
            return lean
        turned, knobs = values, self.knobs_for(values)
        return lambda z, drawn: knobs.set(lean(z, drawn), turned)

    def _broad_part(self) -> Optional[base_model.BroadPart]:
        """Returns the broad part of the prior; None if it is not known, as in bundles of version 0.1.0."""
        if self._broad is None:
            shards = run_dir.at(self._found.run_path).shards() if self._found.run_path else []
            self._broad = broad_part.find(self._found.small, shards, self.small.z_size)
        return self._broad

    def _say_redrawn(self, outcome: redraw.Outcome, songs: Union[Songs, HashedSongs, None]) -> None:
        meaning = "%g alike or more" % NEAR
        if songs is None:
            logger.info("which samples are copies of the songs is not known: %s says nothing of its songs", self._name)
        elif isinstance(songs, HashedSongs):
            meaning += ", of which the model alone knows those that are one note away; --run_dir finds all"
        said = outcome.in_words(meaning)
        if said:
            logger.info("drawn again: %s", said)
        for i in outcome.failed:
            similarity = outcome.outputs[i].similarity
            logger.warning(
                "%03d: none of %d draws is new; kept is the one least like the songs (%.0f %% alike); a higher "
                "--temperature may help",
                i,
                redraw.MAX_DRAWS,
                100 * similarity,
            )

    def encode(self, note_sequences: NoteSequences) -> Tuple[np.ndarray, np.ndarray]:
        """Encodes NoteSequences to the small latent; each must contain exactly one window.

        Returns:
            Mean and scale of q(z'|z), where z is the posterior mean of q(z|x); float32 [n, encoded_z_size] each.

        Raises:
            InputError: A NoteSequence contains no window, or several.
        """
        given = [note_sequences] if isinstance(note_sequences, note_seq.NoteSequence) else list(note_sequences)
        if not given:
            raise InputError("no NoteSequence to encode; give one or more")
        return self.encode_windows([self._only_window(i, ns) for i, ns in enumerate(given)])

    def encode_windows(self, windows: Sequence[data.Window]) -> Tuple[np.ndarray, np.ndarray]:
        """Encodes windows that are already cut; see `encode`."""
        return self.small.encode(self._encode_to_z(windows))

    def _encode_to_z(self, windows: Sequence[data.Window]) -> np.ndarray:
        controls = [w.controls[0] for w in windows]
        return self._posterior([w.inputs[0] for w in windows], [w.length for w in windows], controls)[0]

    def _posterior(
        self,
        inputs: Sequence[np.ndarray],
        lengths: Sequence[np.ndarray],
        controls: Optional[Sequence[np.ndarray]] = None,
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Returns mean and scale of q(z|x), [n, z_size] each."""
        self._check_open()
        if self._encoder is None:
            self._encoder = music_vae.Encoder(self._music_vae, self._weights, at_once=self._at_once)
        return self._encoder.encode(inputs, lengths, controls)

    def distances(self, windows: Sequence[data.Window]) -> Optional[np.ndarray]:
        """Returns how far windows are from what the small latent can represent, relative to the training songs.

        Returns:
            float [n]: the distance of each window's z from its reconstruction, as a multiple of the root mean square
            of this distance over the training songs. None if training did not record it. Measured on nine songs: their
            own windows have 0.5 to 1.9, and windows of other songs mostly have more than 2.
        """
        _, residuals = self.hear(windows)
        return self.how_far(residuals)

    def how_far(self, residuals: np.ndarray) -> Optional[np.ndarray]:
        """Returns `distances` of windows from their residuals, [n, z_size]."""
        return None if self._residual is None else np.linalg.norm(residuals, axis=1) / self._residual

    def likelihoods(self, windows: Sequence[data.Window]) -> np.ndarray:
        """Returns how much likelier the model makes windows than MusicVAE does: float [n], in nats.

        It is log p(z) - log N(z; 0, I) at the mean of q(z|x), where p is the personal prior.
        """
        return self._nats(self._encode_to_z(windows), DRAWS)

    def _nats(self, z: np.ndarray, draws: int, *, same_noise: bool = False) -> np.ndarray:
        broad = self._broad_part()
        log_prob = self.small.log_prob if broad is None else PersonalPrior(self.small, broad).log_prob
        return log_prob(z, draws=draws, same_noise=same_noise) - base_model.log_standard_normal(z)

    def hear(self, windows: Sequence[data.Window]) -> Tuple[np.ndarray, np.ndarray]:
        """Returns where windows are in the small latent, and what it leaves out of them.

        Returns:
            Means y of q(z'|z), [n, encoded_z_size], and residuals z - z^(y), [n, z_size], where z is the posterior
            mean of q(z|x).
        """
        z = self._encode_to_z(windows)
        means, _ = self.small.encode(z)
        return means, z - self.small.decode(means)

    def decode(
        self,
        z_small: Union[np.ndarray, Sequence],
        temperature: float = 0.5,
        controls: Optional[np.ndarray] = None,
        *,
        residual: Optional[np.ndarray] = None,
    ) -> Music:
        """Decodes points of the small latent.

        Args:
            z_small: float [n, encoded_z_size].
            temperature: Softmax temperature of the decoder, above 0.
            controls: Chords or hits, if the config needs some: float [time, control_depth] or [k, time, control_depth];
                of these k, the points take one each, in turn. None takes the model's own `controls`.
            residual: What is added to their z, float [n, z_size], or [1, z_size] for all of them: what the small latent
                leaves out; see `hear`.

        Returns:
            n NoteSequences of one window each, with the songs' tempo, program, octave and time signature, cut to whole
            bars; chords that they are decoded with are annotated.

        Raises:
            InputError: There are no points, they or the residual have the wrong size or values that are too large, or
                the small VAE is not usable.
        """
        where = self._points(z_small)
        decoded = self._decode(where, temperature, residual, controls=controls)
        return Music(self._sequences(*decoded), where, self.nearest)

    def _points(self, z_small: Union[np.ndarray, Sequence]) -> np.ndarray:
        expected = "expected [n, %d]: n points of the small latent, one or more" % self.encoded_z_size
        try:
            where = np.array(z_small, np.float64)
        except (TypeError, ValueError):
            raise InputError("z_small is no array of numbers; " + expected) from None
        if where.ndim != 2 or where.shape[1] != self.encoded_z_size or not len(where):
            raise InputError("z_small of shape %s; %s" % (list(where.shape), expected))
        if not (np.abs(where) <= MAX_COORDINATE).all():  # also false for NaN
            raise InputError("z_small has NaN or numbers beyond %d; few points of songs are beyond 3" % MAX_COORDINATE)
        return where

    def heard(self, sequences: Sequence[note_seq.NoteSequence]) -> List[np.ndarray]:
        """Returns the notes of outputs at MusicVAE's own pitches, as they are stored for the training windows."""
        return [self.converter.notes_of(sequence) + [0, 0, 12 * self.octaves] for sequence in sequences]

    def nearest(self, sequences: Sequence[note_seq.NoteSequence]) -> Optional[List[Optional[Nearest]]]:
        """Returns the training window that each output of this model is nearest to, or None if it shares no note.

        Without the run's folder the songs are not known, and the result is None.
        """
        songs = self._run_songs()
        return None if songs is None else songs.nearest(self.heard(sequences))

    def same_bars(self, sequences: Sequence[note_seq.NoteSequence]) -> List[List[SameBar]]:
        """Returns, for each output of this model, which of its bars are bars of the songs, note for note.

        Raises:
            InputError: The songs are not known, because the model was not found by its run's folder.
        """
        songs = self._run_songs()
        if songs is None:
            raise InputError("%s says nothing of its songs' bars; give --run_dir" % self._name)
        if self._song_bars is None:
            bar = bar_of(self.time_signature)
            self._song_bars = SongBars(songs.table, round(bar * data.TICKS_PER_QUARTER))
        return self._song_bars.in_outputs(self.heard(sequences))

    def _run_songs(self) -> Optional[Songs]:
        """Returns the songs in the run's folder; None if the model was not found by this folder."""
        if self._songs is None and self._found.run_path:
            shards = run_dir.at(self._found.run_path).shards()
            self._songs = Songs.read(shards) if shards else None
        return self._songs

    def _known_songs(self) -> Union[Songs, HashedSongs, None]:
        """Returns the songs as far as they are known: in the run's folder, else as hashes beside the small VAE."""
        songs = self._run_songs()
        if songs is not None:
            return songs
        if self._hashed_songs is None:
            kept = songs_npz.find(self._found.small)
            self._hashed_songs = None if kept is None or kept.hashes is None else HashedSongs(kept.hashes)
        return self._hashed_songs

    def _decode(
        self,
        z_small: np.ndarray,
        temperature: float,
        residual: Optional[np.ndarray] = None,
        *,
        same_noise: bool = False,
        controls: Optional[np.ndarray] = None,
    ) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        """Decodes points of the small latent to tensors, [n, time, output_depth], with noise that is not used yet.

        The noise is the points' own, or the same for all.

        Returns:
            The tensors, and what they were decoded with, [n, time, control_depth]; None if that is nothing.
        """
        self._check_open()
        Sampling(temperature=temperature)  # checks it
        z = self.small.decode(z_small)
        if residual is not None:
            z = z + _added(residual, z.shape)
        controls = _in_turn(self._controls(controls), range(len(z)))
        keys = [[self._seed, self._decoded + (0 if same_noise else i), 0, _DECODED] for i in range(len(z))]
        self._decoded += len(z)
        return self._decoder_for(len(z)).decode(z, temperature, np.array(keys), controls=controls), controls

    def _decoder_for(self, n: int) -> music_vae.Decoder:
        """Returns the decoder, loaded again if it needs more than twice the time for n points that another would."""
        batch_size = even_batch(n, self._max_batch_size, self._at_once)
        decoder, self._decoder = self._decoder, None
        if decoder and _cost(n, decoder.batch_size, decoder.at_once) > 2 * _cost(n, batch_size, decoder.at_once):
            decoder.close()  # before the new one is loaded: its weights are most of what is in memory
            decoder = None
        self._decoder = decoder or music_vae.Decoder(
            self._music_vae, self._weights, batch_size, seed=self._seed, at_once=self._at_once
        )
        return self._decoder

    def _sequences(self, tensors: np.ndarray, controls: Optional[np.ndarray]) -> List[note_seq.NoteSequence]:
        """Returns decoded windows as NoteSequences that sound like the songs, with the chords among their controls."""
        return self.converter.to_note_sequences(tensors, self._style(), controls=controls)

    def _style(self) -> Style:
        return Style(self.qpm, self.program, self.octaves, self.time_signature)

    def similar(
        self,
        note_sequence: note_seq.NoteSequence,
        n: int,
        similarity: float = 0.8,
        *,
        temperature: float = 0.5,
        knobs: Optional[Mapping[str, float]] = None,
    ) -> Music:
        """Returns n variations of a window: similarity 0 gives music like the songs, 1 what MusicVAE hears.

        Args:
            note_sequence: The window.
            n: Number of variations.
            similarity: How near they stay to the window.
            temperature: Softmax temperature of the decoder, above 0.
            knobs: How far they go from it, by name, such as {"density": 1.5}: in standard deviations over the model's
                own samples.
        """
        Request(similarity=similarity)  # checks it
        turn = self.knobs_for(knobs).shift(knobs) if knobs else 0.0
        window = self._only_window(0, note_sequence)
        means, residuals = self.hear([window])
        where = points.similar(means[0], n, similarity, seed=self._seed, first=self._draw(n))
        kept, controls = points.kept(similarity) * residuals + turn, self._own_controls([window])
        return self.decode(where, temperature, controls, residual=kept)

    def effects(self) -> np.ndarray:
        """Returns how far each dimension of the small latent moves MusicVAE's z over what the songs cover.

        Returns:
            float [encoded_z_size]; see `points.effects`.
        """
        return points.effects(self.small.decode, low=self.low, high=self.high)

    def walk(self, num_steps: int, temperature: float = 0.5) -> List[Music]:
        """Moves each dimension of the small latent over what the songs cover, with the others at the songs' mean.

        Returns:
            For each dimension, `num_steps` NoteSequences.
        """
        Limits(1, MAX_OUTPUTS).check("num_steps", num_steps)
        way = points.walk(self.center, num_steps, low=self.low, high=self.high)
        flat = self.decode(way.reshape(-1, self.encoded_z_size), temperature)
        starts = range(0, len(flat), num_steps)
        return [Music(flat[i : i + num_steps], flat.latents[i : i + num_steps], self.nearest) for i in starts]

    def interpolate(
        self, start: note_seq.NoteSequence, end: note_seq.NoteSequence, num_steps: int, *, temperature: float = 0.5
    ) -> Music:
        """Returns `num_steps` NoteSequences on the way from one window to another, including both ends; see `between`.

        What the small latent leaves out of the two windows goes along, so the ends are what MusicVAE hears in them.
        """
        windows = [self._only_window(i, ns) for i, ns in enumerate((start, end))]
        means, residuals = self.hear(windows)
        controls = self._own_controls(windows[:1])
        return self.between(means, residuals, num_steps, temperature=temperature, controls=controls)[0]

    def between(
        self,
        ends: Union[np.ndarray, Sequence],
        residuals: Optional[np.ndarray],
        num_steps: int,
        *,
        temperature: float = 0.5,
        controls: Optional[np.ndarray] = None,
    ) -> Tuple[Music, np.ndarray]:
        """Decodes points on the way from one point to another: the great circle in the small latent.

        Steps are as small as can be in what one hears, and none goes back: the way is decoded at up to four times as
        many points, all with the same noise, and those are taken between which no step changes many notes; see
        `points.smoothest`.

        Args:
            ends: The two points, float [2, encoded_z_size].
            residuals: What the small latent leaves out of each, float [2, z_size], or None. It goes over from the one
                to the other in a straight line.
            num_steps: Number of points, both ends included.
            temperature: Softmax temperature of the decoder, above 0.
            controls: Of all points; see `decode`.

        Returns:
            The music, and how far along the way each is, from 0 to 1: float [num_steps].
        """
        Limits(1, MAX_OUTPUTS).check("num_steps", num_steps)
        first, last = self._points(ends)
        times = max(1, min(_MAX_FINER, self._max_batch_size // num_steps))
        t = np.linspace(0, 1, times * (num_steps - 1) + 1)
        way = points.slerp(first, last, len(t))
        residual = None if residuals is None else points.between(residuals[0], residuals[1], len(t))
        sequences = self._sequences(*self._decode(way, temperature, residual, same_noise=True, controls=controls))
        if times > 1 and num_steps > 1:
            heard = self.heard(sequences)
            starts = [np.unique(onsets(notes)) for notes in heard]
            chosen = points.smoothest(1 - dice(starts, starts), num_steps)
            t, way, sequences = t[chosen], way[chosen], [sequences[i] for i in chosen]
        return Music(sequences, way, self.nearest), t

    def compose(
        self,
        num_bars: int,
        n: int = 1,
        *,
        form: Optional[str] = None,
        seed: Optional[int] = None,
        temperature: float = 0.5,
        knobs: Optional[Mapping[str, float]] = None,
    ) -> Tunes:
        """Composes n whole tunes that repeat, vary and end as a song does; see `models.tunes`.

        Args:
            num_bars: Length of each tune in bars.
            n: Number of tunes.
            form: What gives the form: a music file, the name of a training song, or letters such as AABA; of these A'
                is a variation of A. None draws one of the training songs for each tune.
            seed: Seed of everything random; None takes the model's.
            temperature: Softmax temperature of the decoder, above 0.
            knobs: How far tunes lie from those of the model, by name, such as {"density": 1.5}: in standard deviations
                over its own samples.

        Raises:
            InputError: A value is not usable, or there is no such song.
        """
        self._check_whole(num_bars, n, temperature)
        turn = self.knobs_for(knobs).shift(knobs) if knobs else 0.0
        composer = Composer(self._means(), temperature, turn)
        return composer.compose(num_bars, n, form=form, seed=self._seed if seed is None else seed)

    def go_on(
        self,
        song: AnySong,
        num_bars: int,
        n: int = 1,
        *,
        bars: Optional[Tuple[int, int]] = None,
        form: Optional[str] = None,
        temperature: float = 0.5,
    ) -> Tunes:
        """Returns n tunes that begin with given bars and go on for so many more, in the tempo and program of these.

        They go on as a song does from where it is most like the given bars: its path from there is turned so that it
        begins where these end. Where that song comes back to what was beside the given bars, the tune comes back to
        these.

        Args:
            song: The song with the bars: a NoteSequence, or the path of a music file with one song.
            num_bars: Number of bars after them.
            n: Number of tunes.
            bars: First and last bar to go on from, from 1; None for the song's last eight.
            form: The song to go on as: a music file, or the name of a training song. None looks through up to 16
                training songs.
            temperature: Softmax temperature of the decoder, above 0.

        Raises:
            InputError: A value is not usable, or there are no such bars or songs.
        """
        self._check_whole(num_bars, n, temperature)
        forms.check_song(form)
        song = _song_of(song)
        most = max(1, forms.PHRASE_BARS // self.converter.bars_of(self.time_signature))
        given = song_forms.ending(self.converter, song, bars=bars, most=most)
        means = self._means_for(song, given)
        home = given.home()
        homes = [] if home is None else [home]
        composer = Composer(means, temperature)
        return composer.go_on(given, num_bars, n, form=form, homes=homes, seed=self._seed)

    def vary(
        self, song: AnySong, num_bars: int, n: int = 1, *, similarity: float = 0.8, temperature: float = 0.5
    ) -> List[note_seq.NoteSequence]:
        """Returns n variations of the first bars of a whole tune, in its tempo and program.

        Its path through the small latent stays what it is, and is moved as a whole, by one draw for each variation: so
        windows that are the same stay the same, and those that are alike stay alike.

        Args:
            song: The tune: a NoteSequence, or the path of a music file with one song.
            num_bars: How many of its bars to vary, from the first in which a note starts.
            n: Number of variations.
            similarity: How near they stay to it; see `similar`.
            temperature: Softmax temperature of the decoder, above 0.

        Raises:
            InputError: A value is not usable, or the song has no notes that the config reads.
        """
        self._check_whole(num_bars, n, temperature)
        Request(similarity=similarity)  # checks it
        song = _song_of(song)
        given = song_forms.of_song(self.converter, song, "--input_midi_1")
        means = self._means_for(song, given)
        return Composer(means, temperature).vary(given, num_bars, n, similarity=similarity, seed=self._seed)

    def _check_whole(self, num_bars: int, n: int, temperature: float) -> None:
        self._check_open()
        Sampling(temperature=temperature)  # checks it
        Limits(1, MAX_BARS).check("num_bars", num_bars)
        Limits(1, MAX_OUTPUTS).check("n", n)
        if self.converter.control_depth:
            said = "%s decodes with %s, which whole tunes have none of; sample or vary single windows"
            raise InputError(said % (self.config, self.converter.controls))

    def _means(self) -> Means:
        """Returns what the model composes with."""

        def prepare(n: int) -> None:
            self._decoder = self._decoder or self._decoder_for(n)

        def decode(z: np.ndarray, temperature: float, keys: np.ndarray) -> np.ndarray:
            # The decoder at hand will do: loading another takes longer than a few windows decoded for nothing.
            return (self._decoder or self._decoder_for(len(z))).decode(z, temperature, keys)

        return Means(
            converter=self.converter,
            small=self.small,
            broad=self._broad_part(),
            songs=self._known_songs(),
            run_path=self._found.run_path,
            style=self._style(),
            hear=self.hear,
            posterior=self._posterior,
            decode=decode,
            prepare=prepare,
        )

    def _means_for(self, song: Song, given: song_forms.SongForm) -> Means:
        """Returns what the model composes with for a song that goes on, or is varied: it sounds as the song does."""
        signatures = sorted({window.time_signature for window in given.windows})
        if len(signatures) > 1:
            found = song.name, " and ".join(signatures)
            raise InputError("--input_midi_1=%s: its bars are of %s; give a song, or bars, of one" % found)
        score = self.converter.score(song)
        track = score.tracks[0]
        style = Style(
            qpm=score.tempo_map.main_qpm(track.notes[-1].end) if self._sound.qpm is None else self._sound.qpm,
            program=track.program if self._sound.program is None else self._sound.program,
            octaves=track.octaves,
            time_signature=signatures[0],
        )
        return self._means()._replace(style=style)

    def reconstruct(
        self,
        song: AnySong,
        temperature: float = 0.5,
        *,
        detail: float = 0.0,
    ) -> note_seq.NoteSequence:
        """Passes a song through the small VAE, one window after another, and returns the reconstruction.

        The melody (or each track, with `melody_track='all'`) is covered with windows, from bar to bar: each starts with
        the first bar that the one before does not hold. Each window is encoded to its posterior means and decoded. A
        window without a note becomes a rest. Tempo changes and programs are taken from the song.

        Args:
            song: A NoteSequence, or the path of a music file with one song.
            temperature: Softmax temperature of the decoder, above 0.
            detail: How much of what the small latent leaves out of the song is kept, from 0 (what the small VAE hears)
                to 1 (what MusicVAE hears).

        Raises:
            InputError: The song has no notes that this config reads.
        """
        Request(detail=detail)  # checks it
        note_sequence = _song_of(song).note_sequence
        score = self.converter.score(Song("the song", note_sequence))
        placed = [(t, at, w) for t in score.tracks for at, w in self.converter.consecutive(score, t) if w is not None]
        if not placed:
            raise InputError("; ".join(("the song has no notes that config %s reads" % self.config,) + score.remarks))
        if score.remarks:
            logger.info("%s: %s", score.name, score.how_it_is_read())
        means, residuals = self.hear([w for _, _, w in placed])
        result = note_seq.NoteSequence(ticks_per_quarter=note_sequence.ticks_per_quarter or note_seq.STANDARD_PPQ)
        result.time_signatures.extend(note_sequence.time_signatures)
        result.key_signatures.extend(note_sequence.key_signatures)
        for seconds, qpm in score.tempo_map.changes():
            result.tempos.add(time=seconds, qpm=qpm)
        controls = self._own_controls([window for _, _, window in placed])
        tensors, controls = self._decode(means, temperature, detail * residuals, controls=controls)
        decoded = self.converter.to_note_sequences(tensors, early=True, controls=controls)
        came_back = f1(
            (_in_bars(window.notes, at), _in_bars(self.converter.notes_of(sequence), at))
            for (_, at, window), sequence in zip(placed, decoded)
        )
        results.logger.info("F1 of its notes, by start and pitch: %.2f", came_back)
        for (track, at, _), sequence in zip(placed, decoded):
            self.converter.place(sequence, track, score, at=at, result=result)
        chords.keep_changes(result)
        result.total_time = note_sequence.total_time
        return result

    def _only_window(self, number: int, note_sequence: note_seq.NoteSequence) -> data.Window:
        candidates = self.converter.candidates(self.converter.score(Song("NoteSequence %d" % number, note_sequence)))
        if len(candidates) != 1:
            raise InputError(
                "NoteSequence %d holds %d windows%s; one is needed"
                % (number, len(candidates), " of " + candidates[0].length_in_words() if candidates else "")
            )
        return candidates[0]


def _in_turn(controls: Optional[np.ndarray], numbers: Iterable[int]) -> Optional[np.ndarray]:
    """Returns the controls of outputs by their numbers, [n, time, control_depth]; None if there are none."""
    return None if controls is None else controls[[number % len(controls) for number in numbers]]


def _added(residual: Any, shape: Tuple[int, ...]) -> np.ndarray:
    """Returns a residual as float64 of the shape of z, [n, z_size].

    Raises:
        InputError: It has another shape, or values that no window leaves.
    """
    try:
        added = np.broadcast_to(np.array(residual, np.float64), shape)
    except (TypeError, ValueError):
        expected = "expected [%d, %d], as TrainedModel.hear returns" % shape
        raise InputError("residual of shape %s; %s" % (list(np.shape(residual)), expected)) from None
    if not (np.abs(added) <= MAX_COORDINATE).all():  # also false for NaN
        raise InputError("residual has NaN or numbers beyond %d; no window leaves such" % MAX_COORDINATE)
    return added


def _song_of(song: AnySong) -> Song:
    """Returns a song that is given as itself, as a NoteSequence, or by its path."""
    if isinstance(song, note_seq.NoteSequence):
        return Song("the song", song)
    return song if isinstance(song, Song) else examples.read_one(os.path.abspath(os.fspath(song)))


def _in_bars(notes: np.ndarray, at: data.Place) -> np.ndarray:
    """Returns the notes of a window that start in the bars that it stands for."""
    return notes[notes[:, 0] < (at.end - at.start) * data.TICKS_PER_QUARTER]


def _source(model: Union[str, "os.PathLike[str]", ModelSource]) -> ModelSource:
    """Returns the source for a path: a folder is a training run, anything else is a file of a small VAE."""
    if isinstance(model, ModelSource):
        return model
    path = os.fspath(model)
    is_folder = os.path.isdir(os.path.expanduser(path))
    return ModelSource(run_dir=path) if is_folder else ModelSource(checkpoint_file=path)


def _load_small(found: ModelFiles) -> SmallVAE:
    """Loads the small VAE; if that fails, loads the run's newest, as training may have replaced the one found."""
    small = found.small
    while True:
        try:
            return SmallVAE(small)
        except (InputError, OSError):
            newest = model_files.find(ModelSource(run_dir=found.run_path)).small if found.run_path else small
            if newest.prefix == small.prefix:
                raise
            small = newest
