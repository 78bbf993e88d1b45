"""Melodies: one note at a time."""

from typing import Dict, List, Tuple

import note_seq
import numpy as np
from magenta.models.music_vae import data as music_vae_data

from lc_music_vae.families.family import Family, Parts
from lc_music_vae.music import melody
from lc_music_vae.music.score import Note, Score, Track


class Melody(Family):
    """A window is of one track, the song's melody unless others are asked for, moved into MusicVAE's range."""

    converters = (music_vae_data.OneHotMelodyConverter,)
    reads = "melody"
    first_pitch = note_seq.NUM_SPECIAL_MELODY_EVENTS  # before it: no event, and note-off

    @property
    def pitch_range(self):
        """The converter's."""
        return self.facts.pitch_range

    @property
    def transpose_range(self):
        """Magenta's own, or five semitones either way."""
        return self.facts.transpose_range or (-5, 5)

    def parts(self, score, wanted):
        """The tracks that `melody.choose` takes."""
        chosen, choice = melody.choose(_tracks(score), wanted)
        moved = [_into_range(track, *self.pitch_range) for track in chosen]
        names = ["track %s: " % track.label() if len(moved) > 1 else "" for track, _ in moved]
        remarks = tuple(name + said for name, (_, said) in zip(names, moved) if said)
        return Parts(tuple(track for track, _ in moved), choice, remarks)

    def sound_as(self, track, note):
        """MusicVAE's melodies have neither instrument nor program."""
        note.instrument, note.program = track.number, track.program
        note.pitch = heard(note.pitch, track.octaves)


def heard(pitch: int, octaves: int) -> int:
    """Returns a pitch of MusicVAE's as the song has it, of which it is so many octaves above."""
    return nearest_octave(pitch - 12 * octaves, note_seq.MIN_MIDI_PITCH, note_seq.MAX_MIDI_PITCH)


def nearest_octave(pitch: int, low: int, high: int) -> int:
    """Returns the pitch from `low` to `high` that is the fewest octaves from `pitch`."""
    return pitch + 12 * (max(0, -((pitch - low) // 12)) - max(0, -((high - pitch) // 12)))


def octaves_into(pitches: np.ndarray, low: int, high: int) -> int:
    """Returns by how many octaves to move `pitches` so that most of them are from `low` to `high`: the fewest."""

    def outside(octaves: int) -> int:
        return int(np.sum((pitches + 12 * octaves < low) | (pitches + 12 * octaves > high)))

    return min(sorted(range(-10, 11), key=abs), key=outside)


def _tracks(score: Score) -> List[Track]:
    """Returns a track an instrument, but for drums, their notes on program 0.

    magenta's 2-bar converters drop programs from 32 up (bass, strings, flutes, voice): a melody is a melody.
    """
    tracks: Dict[int, List[Note]] = {}
    programs: Dict[int, int] = {}
    for n in score.notes:
        if not n.is_drum:
            programs.setdefault(n.instrument, n.program)
            tracks.setdefault(n.instrument, []).append(n._replace(program=0))
    return [Track(i, score.track_names.get(i, ""), programs[i], tuple(tracks[i])) for i in sorted(tracks)]


def _into_range(track: Track, low: int, high: int) -> Tuple[Track, str]:
    """Moves a melody by whole octaves into MusicVAE's range, and says so.

    It is moved as one, so that its line stays what it is; notes that are then still outside move by themselves.
    """
    octaves = octaves_into(np.array([n.pitch for n in track.notes]), low, high)
    pitches = [n.pitch + 12 * octaves for n in track.notes]
    notes = tuple(n._replace(pitch=nearest_octave(pitch, low, high)) for n, pitch in zip(track.notes, pitches))
    alone = sum(n.pitch != pitch for n, pitch in zip(notes, pitches))
    moves = []
    if octaves:
        moves.append("%s %s" % ("up" if octaves > 0 else "down", _times(abs(octaves), "octave")))
    if alone:
        moves.append("%s alone" % _times(alone, "note"))
    said = "moved %s, to be in MusicVAE's range" % ", ".join(moves) if moves else ""
    return track._replace(notes=notes, octaves=octaves), said


def _times(number: int, thing: str) -> str:
    """Returns how many there are of something, in words."""
    return "%d %s%s" % (number, thing, "" if number == 1 else "s")
