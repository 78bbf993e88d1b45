"""What every family of MusicVAE configs has in common. A family is one class in a module of its own."""

from typing import Any, NamedTuple, Optional, Tuple

import note_seq

from lc_music_vae.families.magenta_facts import Facts
from lc_music_vae.music.score import Score, Track


class Parts(NamedTuple):
    """The parts of a song that windows are cut from, each with at least one note.

    `choice` is why these, `remarks` what was done to be in MusicVAE's range, in words.
    """

    tracks: Tuple[Track, ...]
    choice: str
    remarks: Tuple[str, ...] = ()


class Family:
    """Configs whose windows hold the same kind of music.

    This one is of windows that hold the whole band; others say where they are different.

    Attributes:
        converters: Classes of magenta's converters whose configs are of this family.
        control_depth: Depth of the controls that decoding needs beside a latent; 0 where it needs none.
        reads: What windows are made of: 'melody', 'drums' or 'band'.
        first_pitch: Index of the lowest pitch in tensors that are one-hot over pitches: a window's transpositions are
            made by moving these. None where its notes must be converted anew.
        facts: What magenta says of the config.
    """

    converters: Tuple[type, ...] = ()
    control_depth = 0
    reads = "band"
    first_pitch: Optional[int] = None

    def __init__(self, facts: Facts):
        self.facts = facts

    @property
    def pitch_range(self) -> Tuple[int, int]:
        """Lowest and highest pitch that a window may hold, both included."""
        return note_seq.MIN_MIDI_PITCH, note_seq.MAX_MIDI_PITCH

    @property
    def transpose_range(self) -> Optional[Tuple[int, int]]:
        """Semitones (lowest, highest) that windows may be transposed by: magenta's own; None is not at all."""
        return self.facts.transpose_range

    def as_heard(self, note_sequence: Any) -> Any:
        """Returns a song's NoteSequence with its notes as long as they are heard."""
        return note_sequence

    def parts(self, score: Score, wanted: str) -> Parts:
        """Returns the parts of a song that windows are cut from.

        Args:
            score: The song.
            wanted: The track that was asked for, as `Reading.melody_track`; families without a melody have no choice.

        Raises:
            InputError: The song has no such track.
        """
        del wanted
        return Parts((Track(0, "all tracks", 0, score.notes),) if score.notes else (), "all tracks")

    def sound_as(self, track: Track, note: Any) -> None:
        """Gives a decoded note of a NoteSequence the instrument, program and octave of a track.

        Nothing is changed where MusicVAE decodes instruments and programs itself.
        """
