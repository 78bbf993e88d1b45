"""The class for notebooks: a trained small VAE between the two halves of its MusicVAE."""

import logging
from typing import List, Optional, Sequence, Tuple, Union

import note_seq
import numpy as np

from lc_music_vae import checkpoints, data, examples, melody, model_files, music_vae, points
from lc_music_vae.errors import InputError
from lc_music_vae.examples import Song
from lc_music_vae.small_vae import SmallVAE

logger = logging.getLogger(__name__)

# What a batch costs however small it is, in windows of a large one: cat-mel_2bar_big decodes 5 in 0.7 s, 64 in 2.6 s.
_WINDOWS_A_BATCH = 16
_NEXT_SEED = 1000003  # far from what people choose: 1, 2, 3


def even_batch(n: int, most: int) -> int:
    """Returns the size of batches that n windows are split into: the fewest of at most so many, with least padding."""
    return -(-n // -(-n // most))


def _cost(n: int, batch_size: int) -> int:
    """Returns what decoding n windows in batches costs, in windows of a large batch."""
    return -(-n // batch_size) * (_WINDOWS_A_BATCH + batch_size)


def _believed(qpm: float, name: str) -> float:
    """Returns the tempo to decode to where training recorded `qpm`, which may be none that a song has."""
    believed = min(max(qpm, examples.LEAST_QPM), examples.MOST_QPM)
    if believed != qpm:
        logger.warning("%s has songs of %g quarters a minute; %d are taken", name, qpm, believed)
    return believed


class TrainedModel:
    """A small VAE that was trained on some songs, and the MusicVAE around it.

    Each half of MusicVAE is loaded when it is first needed, the decoder anew where another batch size would take less
    than half the time. Two models with the same `seed` answer the same calls in the same order with the same notes.

    Args:
        run_dir: Folder of a training; everything else is known from there.
        checkpoint_file: Instead of `run_dir`, a small VAE's bundle (`{config}.tar`), prefix or folder.
        config: Name in the registry, where the files do not say it.
        vae_checkpoint_file: MusicVAE's checkpoint, where it is not the one that training used.
        vae_config: Name of the MusicVAE config; may be left out.
        max_batch_size: The most windows that are decoded at once.
        seed: Seed of what the decoder draws.
        qpm: Tempo of what is decoded, in quarters per minute; None is that of the songs it was trained on.
        program: General MIDI program, from 0, of decoded melodies; None is that of those songs.
        melody_track: Which track of a song is read: 'auto', 'all', or a number or name.
        metre: 'any', or '4/4' to leave out what is under other time signatures.

    Attributes:
        config: Name in the registry.
        converter: The `data.WindowConverter` that cuts songs for it.
        small: The `SmallVAE` by itself.
        encoded_z_size: Dimensions of the small latent.
        center: Where the songs' windows lie in it, on average; zero where that is not known. float [encoded_z_size].
        qpm: Tempo of what is decoded.
        program: Program of decoded melodies.

    Raises:
        InputError: The files are missing, damaged, or not of one model.
    """

    def __init__(
        self,
        run_dir: Optional[str] = None,
        checkpoint_file: Optional[str] = None,
        config: Optional[str] = None,
        vae_checkpoint_file: Optional[str] = None,
        vae_config: Optional[str] = None,
        max_batch_size: int = 64,
        seed: int = 0,
        qpm: Optional[float] = None,
        program: Optional[int] = None,
        melody_track: str = melody.AUTO,
        metre: str = data.ANY,
    ):
        found = model_files.find(run_dir, checkpoint_file, config, vae_checkpoint_file, vae_config)
        self.config = found.config
        self.converter = data.WindowConverter(found.music_vae, melody_track, metre)
        self._music_vae = found.music_vae
        self._max_batch_size = max_batch_size
        self._seed = seed
        self._name = "%s=%s" % (found.small.flag, found.small.path)
        self.qpm = _believed(found.qpm, self._name) if qpm is None else qpm
        if not examples.LEAST_QPM <= self.qpm <= examples.MOST_QPM:
            limits = examples.LEAST_QPM, examples.MOST_QPM
            raise InputError("qpm=%s must be from %d to %d quarters a minute" % (qpm, *limits))
        self.program = found.program if program is None else program
        self.octaves = found.octaves
        self._encoder: Optional[music_vae.Encoder] = None
        self._decoder: Optional[music_vae.Decoder] = None
        self._weights = checkpoints.Weights(found.pretrained)
        if found.fingerprint and self._weights.fingerprint(checkpoints.ENCODER_SCOPE) != found.fingerprint:
            raise InputError(
                "%s=%s holds other weights than those that %s was trained on; give that MusicVAE checkpoint"
                % (found.pretrained.flag, found.pretrained.path, found.small.path)
            )
        self.small = self._load_small(found.small, run_dir)
        self.encoded_z_size = self.small.encoded_z_size
        self.center = np.array(found.latent_mean or np.zeros(self.encoded_z_size))
        if self.center.shape != (self.encoded_z_size,):
            raise InputError(
                "%s=%s: its run.json says latent.mean of %d dimensions, but its small latent has %d; it is damaged"
                % (found.small.flag, found.small.path, self.center.size, self.encoded_z_size)
            )
        self._residual = found.latent_residual
        expected = music_vae.z_size(found.music_vae)
        if self.small.z_size != expected:
            raise InputError(
                "%s=%s is over a z of %d dimensions, but --config=%s has %d; give the config it was trained with"
                % (found.small.flag, found.small.path, self.small.z_size, self.config, expected)
            )

    @staticmethod
    def _load_small(small: checkpoints.Checkpoint, run_dir: Optional[str]) -> SmallVAE:
        """Loads the small VAE: in a run's folder the newest, which a training may have put in the place of `small`."""
        while True:
            try:
                return SmallVAE(small)
            except (InputError, OSError):
                newest = model_files.find(run_dir).small if run_dir else small
                if newest.prefix == small.prefix:
                    raise
                small = newest

    def __enter__(self) -> "TrainedModel":
        return self

    def __exit__(self, *unused) -> None:
        self.close()

    def close(self) -> None:
        """Frees the sessions and the weights in them."""
        for part in (self._encoder, self._decoder, self.small):
            if part is not None:
                part.close()

    def sample(self, n: int, temperature: float = 0.5, seed: int = 0) -> List[note_seq.NoteSequence]:
        """Returns n NoteSequences decoded from z' ~ N(0, I); the i-th z' is a function of (seed, i)."""
        return self.decode(points.prior_samples(n, self.encoded_z_size, seed), temperature)

    def encode(self, note_sequences: Sequence[note_seq.NoteSequence]) -> Tuple[np.ndarray, np.ndarray]:
        """Encodes NoteSequences, each of which must hold one window, to the small latent.

        Returns:
            Mean and scale of q(z'|z) at the mean of q(z|x), float32 [n, encoded_z_size] each.

        Raises:
            InputError: One holds no window, or several.
        """
        return self.encode_windows([self._only_window(i, ns) for i, ns in enumerate(note_sequences)])

    def encode_windows(self, windows: Sequence[data.Window]) -> Tuple[np.ndarray, np.ndarray]:
        """Encodes windows that were cut already; see `encode`."""
        return self.small.encode(self._encode_to_z(windows))

    def _encode_to_z(self, windows: Sequence[data.Window]) -> np.ndarray:
        if self._encoder is None:
            self._encoder = music_vae.Encoder(self._music_vae, self._weights)
        return self._encoder.encode([w.inputs[0] for w in windows], [w.length for w in windows])[0]

    def distances(self, windows: Sequence[data.Window]) -> Optional[np.ndarray]:
        """Says how far windows lie from what the small latent can hold, in terms of the songs it was trained on.

        Returns:
            float [n]: the distance of each window's z from its reconstruction, as a multiple of the root mean square
            of the songs' own. None where training did not record that. Measured on nine songs: their own windows are
            at 0.5 to 1.9, those of other songs mostly beyond 2.
        """
        if self._residual is None:
            return None
        z = self._encode_to_z(windows)
        return np.linalg.norm(z - self.small.decode(self.small.encode(z)[0]), axis=1) / self._residual

    def decode(
        self, z_small: Union[np.ndarray, Sequence], temperature: float = 0.5, controls: Optional[np.ndarray] = None
    ) -> List[note_seq.NoteSequence]:
        """Decodes points of the small latent.

        Args:
            z_small: float [n, encoded_z_size].
            temperature: Softmax temperature of the decoder, above 0.
            controls: None; no config that needs them is supported yet.

        Returns:
            n NoteSequences of one window each, in the songs' tempo, program and octave.

        Raises:
            InputError: The points lie too far out for the small VAE, or it is no good.
        """
        tensors = self._decode(z_small, temperature, controls)
        return self.converter.to_note_sequences(tensors, self.qpm, self.program, self.octaves)

    def _decode(self, z_small, temperature: float, controls: Optional[np.ndarray] = None) -> np.ndarray:
        """Decodes points of the small latent to tensors, [n, time, output_depth]."""
        z = self.small.decode(z_small)
        batch_size = even_batch(len(z), self._max_batch_size)
        if self._decoder is None or _cost(len(z), self._decoder.batch_size) > 2 * _cost(len(z), batch_size):
            if self._decoder is not None:
                self._decoder.close()  # first: its weights are most of what is in memory
                self._decoder = None
                self._seed = (self._seed + _NEXT_SEED) % 2**32  # else the same noise would begin again
            self._decoder = music_vae.Decoder(self._music_vae, self._weights, batch_size, self._seed)
        return self._decoder.decode(z, temperature, controls)

    def similar(
        self,
        note_sequence: note_seq.NoteSequence,
        n: int,
        similarity: float = 0.8,
        temperature: float = 0.5,
        seed: int = 0,
    ) -> List[note_seq.NoteSequence]:
        """Returns n variations of a window, from anything in the songs (0) to itself as the model hears it (1)."""
        mean, _ = self.encode([note_sequence])
        return self.decode(points.similar(mean[0], n, similarity, seed), temperature)

    def walk(self, num_steps: int, temperature: float = 0.5) -> List[List[note_seq.NoteSequence]]:
        """Moves each dimension of the small latent from -2.5 to 2.5, the others staying at the songs' mean.

        Returns:
            For each dimension, `num_steps` NoteSequences.
        """
        way = points.walk(self.center, num_steps)
        flat = self.decode(way.reshape(-1, self.encoded_z_size), temperature)
        return [flat[i : i + num_steps] for i in range(0, len(flat), num_steps)]

    def interpolate(
        self,
        start: note_seq.NoteSequence,
        end: note_seq.NoteSequence,
        num_steps: int,
        temperature: float = 0.5,
    ) -> List[note_seq.NoteSequence]:
        """Returns `num_steps` NoteSequences on the way from one window to another, both ends included."""
        mean, _ = self.encode([start, end])
        return self.decode(points.slerp(mean[0], mean[1], num_steps), temperature)

    def reconstruct(self, note_sequence: note_seq.NoteSequence, temperature: float = 0.5) -> note_seq.NoteSequence:
        """Sends a song through the small VAE, window after window, and returns it as the model hears it.

        The melody (each track, with `melody_track='all'`) is covered from the song's start by windows without overlap,
        each encoded to its posterior means and decoded; where it has no note in a window it rests. Tempo changes and
        programs are the song's own.

        Raises:
            InputError: The song has no note that this config reads.
        """
        score = self.converter.score(Song("the song", note_sequence))
        placed = [
            (t, start, w) for t in score.tracks for start, w in self.converter.consecutive(score, t) if w is not None
        ]
        if not placed:
            raise InputError("; ".join(("the song has no notes that config %s reads" % self.config,) + score.remarks))
        mean, _ = self.encode_windows([w for _, _, w in placed])
        result = note_seq.NoteSequence(ticks_per_quarter=note_sequence.ticks_per_quarter or note_seq.STANDARD_PPQ)
        result.time_signatures.extend(note_sequence.time_signatures)
        result.key_signatures.extend(note_sequence.key_signatures)
        for seconds, qpm in score.tempo_map.changes():
            result.tempos.add(time=seconds, qpm=qpm)
        for (track, start, _), decoded in zip(
            placed, self.converter.to_note_sequences(self._decode(mean, temperature))
        ):
            self.converter.place(decoded, track, start, score, result)
        result.total_time = note_sequence.total_time
        return result

    def _only_window(self, number: int, note_sequence: note_seq.NoteSequence) -> data.Window:
        candidates = self.converter.candidates(self.converter.score(Song("NoteSequence %d" % number, note_sequence)))
        if len(candidates) != 1:
            raise InputError(
                "NoteSequence %d holds %d windows of %d bars; one is needed"
                % (number, len(candidates), self.converter.bars)
            )
        return candidates[0]
