"""The base of all families of MusicVAE configs. Each family is one class in its own module."""

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import note_seq
import numpy as np

from lc_music_vae.errors import InputError
from lc_music_vae.families.magenta_facts import Facts
from lc_music_vae.music.chords import Chord
from lc_music_vae.music.score import Score, Track


class Parts(NamedTuple):
    """The parts of a song that windows are cut from, each with at least one note.

    `choice` says why these parts were chosen. `remarks` says how they were moved into MusicVAE's range.
    """

    tracks: Tuple[Track, ...]
    choice: str
    remarks: Tuple[str, ...] = ()


class Tensors(NamedTuple):
    """One window as magenta's converter makes it.

    Attributes:
        inputs: What the encoder takes, [time, input_depth].
        outputs: The same in the form of the decoder's output, [time, output_depth].
        length: Length of the inputs in the converter's own unit.
        controls: What encoding and decoding need in addition, [time, control_depth].
    """

    inputs: np.ndarray
    outputs: np.ndarray
    length: Any
    controls: np.ndarray


class Family:
    """Configs whose windows contain the same kind of music.

    In this base class a window contains the whole band. Subclasses override what differs.

    Attributes:
        converters: Classes of magenta's converters whose configs belong to this family.
        controlled_by: What controls those configs that need controls: 'chords' or 'hits'; "" if there are none.
        reads: What the windows are made of: 'melody', 'drums' or 'band'.
        first_pitch: Index of the lowest pitch in tensors that are one-hot over pitches. A window is then transposed by
            moving its pitches in the tensors. None if its notes must be converted again instead.
        earliest: How early a note may start and still belong to a window's first step, in steps: 0, or less if tensors
            say how far from its step a note starts.
        fitting: What bars must be like to be windows, in words after their number.
        no_event: Index of what goes on in such tensors, a note or a rest.
        note_off: Index of a note's end in such tensors.
        facts: What magenta says about the config.
    """

    converters: Tuple[type, ...] = ()
    controlled_by = ""
    reads = "band"
    first_pitch: Optional[int] = None
    earliest = 0.0
    fitting = "without a bar of rest between"
    no_event = 0
    note_off = 1

    def __init__(self, facts: Facts):
        self.facts = facts

    @property
    def controls(self) -> str:
        """What decoding needs in addition to a latent: 'chords', 'hits' or ""."""
        return self.controlled_by if self.facts.control_depth else ""

    @property
    def draws(self) -> int:
        """The most tensors that `to_tensors` makes of a window."""
        return 1

    @property
    def pitch_range(self) -> Tuple[int, int]:
        """Lowest and highest pitch that a window may contain, both included."""
        return note_seq.MIN_MIDI_PITCH, note_seq.MAX_MIDI_PITCH

    @property
    def transpose_range(self) -> Optional[Tuple[int, int]]:
        """Semitones (lowest, highest) that windows may be transposed by: magenta's own; None means not at all."""
        return self.facts.transpose_range

    def as_heard(self, note_sequence: Any) -> Any:
        """Returns a song's NoteSequence in which each note is as long as it sounds."""
        return note_sequence

    def parts(self, score: Score, wanted: str) -> Parts:
        """Returns the parts of a song that windows are cut from.

        Args:
            score: The song.
            wanted: The requested track, as in `Reading.melody_track`; families without a melody ignore it.

        Raises:
            InputError: The song has no such track.
        """
        del wanted
        return Parts((Track(0, "all tracks", 0, score.notes),) if score.notes else (), "all tracks")

    def to_tensors(self, note_sequence: Any) -> List[Tensors]:
        """Converts the NoteSequence of a window, at magenta's tempo; an empty list if it is none for the converter.

        Several tensors are equally good ones of the same window: training draws one of them at each step. Everything
        else takes the first.
        """
        tensors = self.facts.converter.to_tensors(note_sequence)
        if len(tensors.inputs) != 1:
            return []
        return [Tensors(tensors.inputs[0], tensors.outputs[0], tensors.lengths[0], tensors.controls[0])]

    def from_tensors(self, tensors: Sequence[np.ndarray]) -> List[Any]:
        """Converts decoder outputs, [time, output_depth] each, to NoteSequences at magenta's tempo."""
        return self.facts.writer.from_tensors(tensors)

    def chords_in(self, decoded: np.ndarray, controls: np.ndarray) -> List[Chord]:
        """Returns the chords that a window was decoded with, where each begins in quarters; none without chords.

        Args:
            decoded: The decoder's output, [time, output_depth].
            controls: What it was decoded with, [time, control_depth].
        """
        del decoded, controls
        return []

    def controls_of_chords(self, figures: Sequence[str]) -> np.ndarray:
        """Returns chords as controls, bool [k, time, control_depth]: k windows, which outputs take in turn.

        Raises:
            InputError: They are too many for a window, or chords control nothing here.
        """
        raise InputError("--chords: this config is not controlled by chords; leave it out")

    def sound_as(self, track: Track, note: Any) -> None:
        """Sets the instrument, program and octave of a decoded note to those of a track.

        Does nothing if MusicVAE decodes instruments and programs itself.
        """
