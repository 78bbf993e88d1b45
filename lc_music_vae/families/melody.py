"""Melodies: one note at a time."""

from typing import Dict, List, Sequence, Tuple

import note_seq
import numpy as np
from magenta.models.music_vae import data as music_vae_data

from lc_music_vae.errors import InputError
from lc_music_vae.families.family import Family, Parts
from lc_music_vae.music import chords, melody
from lc_music_vae.music.score import Note, Score, Track
from lc_music_vae.music.style import QUARTERS_PER_BAR


class Melody(Family):
    """A window contains one track, by default the song's melody, moved into MusicVAE's range."""

    converters = (music_vae_data.OneHotMelodyConverter,)
    reads = "melody"
    controlled_by = chords.CHORDS
    first_pitch = note_seq.NUM_SPECIAL_MELODY_EVENTS  # the indices before it are no event and note-off

    @property
    def pitch_range(self):
        """The pitch range of the converter."""
        return self.facts.pitch_range

    @property
    def transpose_range(self):
        """Magenta's own range, or five semitones up and down."""
        return self.facts.transpose_range or (-5, 5)

    def parts(self, score, wanted):
        """Returns the tracks that `melody.choose` selects."""
        chosen, choice = melody.choose(tracks_of(score), wanted)
        moved = [_into_range(track, *self.pitch_range) for track in chosen]
        names = ["track %s: " % track.label() if len(moved) > 1 else "" for track, _ in moved]
        remarks = tuple(name + said for name, (_, said) in zip(names, moved) if said)
        return Parts(tuple(track for track, _ in moved), choice, remarks)

    def chords_in(self, decoded, controls):
        """Returns the chords of the steps."""
        return chords.of_steps(controls, self.facts.steps_per_quarter)

    def controls_of_chords(self, figures):
        """Returns the chords of one window, each as long as the others."""
        most = self.facts.bars * QUARTERS_PER_BAR
        if len(figures) > most:
            raise InputError("--chords: %d chords; %d bars take %d at most" % (len(figures), self.facts.bars, most))
        steps = np.arange(most * self.facts.steps_per_quarter)
        return chords.one_hot(figures)[steps * len(figures) // len(steps)][None]

    def sound_as(self, track, note):
        """Sets all three, as MusicVAE's melodies have no instrument and no program."""
        note.instrument, note.program = track.number, track.program
        note.pitch = heard(note.pitch, track.octaves)


def heard(pitch: int, octaves: int) -> int:
    """Returns the song's pitch for a MusicVAE pitch that is `octaves` octaves above it."""
    return nearest_octave(pitch - 12 * octaves, note_seq.MIN_MIDI_PITCH, note_seq.MAX_MIDI_PITCH)


def nearest_octave(pitch: int, low: int, high: int) -> int:
    """Moves `pitch` by the fewest octaves that bring it into `low` to `high`."""
    return pitch + 12 * (max(0, -((pitch - low) // 12)) - max(0, -((high - pitch) // 12)))


def octaves_into(pitches: np.ndarray, low: int, high: int) -> int:
    """Returns the smallest number of octaves to move `pitches` so that as many as possible are in `low` to `high`."""

    def outside(octaves: int) -> int:
        return int(np.sum((pitches + 12 * octaves < low) | (pitches + 12 * octaves > high)))

    return min(sorted(range(-10, 11), key=abs), key=outside)


def tracks_of(score: Score) -> List[Track]:
    """Returns one track for each instrument except drums, with all notes set to program 0.

    magenta's 2-bar converters drop notes with program 32 or higher (bass, strings, flutes, voice), but a melody can
    have any program.
    """
    tracks: Dict[int, List[Note]] = {}
    programs: Dict[int, int] = {}
    for n in score.notes:
        if not n.is_drum:
            programs.setdefault(n.instrument, n.program)
            tracks.setdefault(n.instrument, []).append(n._replace(program=0))
    return [Track(i, score.track_names.get(i, ""), programs[i], tuple(tracks[i])) for i in sorted(tracks)]


def _into_range(track: Track, low: int, high: int) -> Tuple[Track, str]:
    """Moves a melody by whole octaves into MusicVAE's range, and returns it with a remark.

    All notes move together, so that the melodic line does not change. Notes that are still outside the range are then
    moved one by one.
    """
    octaves = octaves_into(np.array([n.pitch for n in track.notes]), low, high)
    together = [n._replace(pitch=n.pitch + 12 * octaves) for n in track.notes]
    notes, alone = moved_alone(together, low, high)
    moves = ["%s %s" % ("up" if octaves > 0 else "down", _times(abs(octaves), "octave"))] if octaves else []
    moves += [alone] if alone else []
    return track._replace(notes=tuple(notes), octaves=octaves), in_words(moves) if moves else ""


def moved_alone(notes: Sequence[Note], low: int, high: int) -> Tuple[List[Note], str]:
    """Moves notes that are out of MusicVAE's range into it by octaves, one by one; says how many, "" if none is."""
    moved = [n._replace(pitch=nearest_octave(n.pitch, low, high)) for n in notes]
    alone = sum(now.pitch != n.pitch for now, n in zip(moved, notes))
    return moved, "%s alone" % _times(alone, "note") if alone else ""


def in_words(moves: Sequence[str]) -> str:
    """Returns the remark for moves by octaves, such as "up 1 octave" and "3 notes alone"."""
    return "moved %s, to be in MusicVAE's range" % ", ".join(moves)


def _times(number: int, thing: str) -> str:
    """Returns a number and a noun, in singular or plural, as text."""
    return "%d %s%s" % (number, thing, "" if number == 1 else "s")
