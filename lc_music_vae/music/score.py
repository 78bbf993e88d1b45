"""A song in its own beats: notes, tracks, bars, tempo and time signatures, in quarters. Does not need TensorFlow."""

from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from lc_music_vae.errors import InputError, printable
from lc_music_vae.music import chords as chords_lib
from lc_music_vae.music.metre import Metre, bars_and_metres
from lc_music_vae.music.source import Song
from lc_music_vae.music.style import QUARTERS_PER_BAR
from lc_music_vae.music.tempo import TempoMap

_MAX_BARS = 5000  # 2.8 hours of 4/4 at 120: a longer file is not a song, and every bar costs a window
_MAX_NAME = 100
_NONE = np.zeros(0)


class Note(NamedTuple):
    """A note in the file's own beats: `start` and `end` are in quarters from the song's start."""

    start: float
    end: float
    pitch: int
    velocity: int
    instrument: int
    program: int
    is_drum: bool


class Track(NamedTuple):
    """The notes that form windows together: those of an instrument, of all drums, or of the whole band.

    `octaves` is the number of octaves that its notes were moved up, so that they are in MusicVAE's range.
    """

    number: int
    name: str
    program: int
    notes: Tuple[Note, ...]
    octaves: int = 0

    def label(self) -> str:
        """Returns the track's number and its name, if it has one."""
        return ("%d %s" % (self.number, self.name)).strip()


class Score(NamedTuple):
    """A song in its own beats.

    Attributes:
        name: Where it is from, like `Song.name`.
        notes: Its notes, in order of start and then from high to low.
        bars: Starts of its bars in quarters; the last entry is the end of the last bar.
        tempo_map: The map back to the file's seconds.
        track_names: Names of its tracks by instrument number, if the file has them.
        metres: Its time signatures, in order.
        end: The end of its last note, in quarters.
        tracks: The parts that windows are cut from.
        choice: Why these were chosen, in words.
        remarks: How time signatures other than 4/4, and notes out of range, were treated, in words.
        window_ends: For each of `bars`, the end in quarters of the whole bars in the window that starts with it.
        windows_are_full: For each of `bars`, whether these are as many bars of one length as a window can hold.
        chords: Its chords, if the config needs them.
    """

    name: str
    notes: Tuple[Note, ...]
    bars: np.ndarray
    tempo_map: TempoMap
    track_names: Dict[int, str]
    metres: Tuple[Metre, ...]
    end: float
    tracks: Tuple[Track, ...] = ()
    choice: str = ""
    remarks: Tuple[str, ...] = ()
    window_ends: np.ndarray = _NONE
    windows_are_full: np.ndarray = _NONE
    chords: Tuple[chords_lib.Chord, ...] = ()

    def how_it_is_read(self) -> str:
        """Returns which tracks are read and why, and the remarks, in words."""
        tracks = "track %s (%s)" % (", ".join(track.label() for track in self.tracks), self.choice)
        return "; ".join((tracks,) + self.remarks)


def normalise(song: Song) -> Score:
    """Converts a song to its own beats: without tempo changes, with bars marked, and with the map back to seconds.

    Raises:
        InputError: It is longer than a song may be.
    """
    sequence = song.note_sequence
    tempo_map = TempoMap(sequence.tempos)
    notes = _notes(sequence, tempo_map)
    end = max((n.end for n in notes), default=0.0)
    if not end <= _MAX_BARS * QUARTERS_PER_BAR:
        raise InputError(
            "%s: its last note ends after %.0f bars; a song has at most %d here; split it"
            % (song.name, end / QUARTERS_PER_BAR, _MAX_BARS)
        )
    bars, metres = bars_and_metres(sequence, tempo_map, end)
    names = {info.instrument: printable(info.name)[:_MAX_NAME] for info in sequence.instrument_infos}
    return Score(song.name, tuple(notes), bars, tempo_map, names, metres, end)


def _notes(sequence: Any, tempo_map: TempoMap) -> List[Note]:
    """Returns the audible notes of a NoteSequence, in order of start and then from high to low."""
    sounding = [n for n in sequence.notes if n.velocity and n.start_time >= 0]
    starts = tempo_map.quarters(np.array([n.start_time for n in sounding]))
    ends = tempo_map.quarters(np.array([n.end_time for n in sounding]))
    notes = [
        Note(float(start), float(max(start, end)), n.pitch, n.velocity, n.instrument, n.program, n.is_drum)
        for start, end, n in zip(starts, ends, sounding)
    ]
    return sorted(notes, key=lambda n: (n.start, -n.pitch))
