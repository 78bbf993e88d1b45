"""Trios of melody, bass and drums."""

import re
from typing import List, Tuple

from magenta.models.music_vae import data as music_vae_data

from lc_music_vae.families.family import Family, Parts
from lc_music_vae.families.melody import in_words, moved_alone, tracks_of
from lc_music_vae.music import melody
from lc_music_vae.music.score import Note, Track
from lc_music_vae.music.source import ALL, AUTO

_MELODY, _BASS, _DRUMS = 0, 1, 9  # instruments of the parts, as magenta's converter writes them
_NAMED_BASS = re.compile(r"\bbass\b", re.IGNORECASE)


class Band(Family):
    """A window contains three parts together: a melody, a bass and the drums.

    magenta's converter takes every piano or guitar for a melody, and makes a trio of each of them with each bass. Here,
    each song is one trio, and its melody may have any program.
    """

    converters = (music_vae_data.TrioConverter,)
    fitting = "in which melody, bass and drums all play"

    @property
    def pitch_range(self):
        """The range of magenta's melodies, which the bass has, too."""
        return music_vae_data.PIANO_MIN_MIDI_PITCH, music_vae_data.PIANO_MAX_MIDI_PITCH

    def parts(self, score, wanted):
        """Returns the trio as one track, and says which track is which part."""
        tracks = tracks_of(score)
        basses = [track for track in tracks if track.program in music_vae_data.BASS_PROGRAMS]
        basses = basses or [track for track in tracks if _NAMED_BASS.search(track.name)]
        bass = max(basses, key=lambda track: len(track.notes), default=None)
        others = [track for track in tracks if track is not bass]
        # A trio has one melody: all is no choice.
        chosen, why = melody.choose(others, AUTO if wanted == ALL else wanted)
        drums = [n._replace(instrument=_DRUMS, program=0) for n in score.notes if n.is_drum]
        missing = []
        if not chosen:
            missing.append("no melody: a track that is neither bass nor drums")
        if bass is None:
            missing.append("no bass: a track of program 33 to 40, or named bass")
        if not drums:
            missing.append("no drums: notes on channel 10")
        if bass is None or missing:
            return Parts((), "", tuple(missing))
        lead, lead_moved = self._part(chosen[0], _MELODY, 0)
        low, bass_moved = self._part(bass, _BASS, music_vae_data.ELECTRIC_BASS_PROGRAM)
        notes = sorted(lead + low + drums, key=lambda n: (n.start, -n.pitch))
        choice = "melody track %s, %s; bass track %s; drums" % (chosen[0].label(), why, bass.label())
        moved = [("melody", lead_moved), ("bass", bass_moved)]
        remarks = tuple("%s: %s" % (part, in_words([alone])) for part, alone in moved if alone)
        return Parts((Track(0, "trio", 0, tuple(notes)),), choice, remarks)

    def _part(self, track: Track, instrument: int, program: int) -> Tuple[List[Note], str]:
        """Returns the notes of a part, and what `moved_alone` says. Parts are not moved back when they are written."""
        notes, alone = moved_alone(track.notes, *self.pitch_range)
        return [n._replace(instrument=instrument, program=program) for n in notes], alone
