"""Drums on the grid of sixteenths."""

from typing import Dict, List, Tuple

from magenta.models.music_vae import data as music_vae_data

from lc_music_vae.families.family import Family, Parts
from lc_music_vae.music.score import Note, Track


class Drums(Family):
    """A window contains all drums that the config knows, from all tracks.

    Pitches that only electronic drum kits use become the drum of their class. Others are left out, and that is said.
    """

    converters = (music_vae_data.DrumsConverter,)
    reads = "drums"

    def parts(self, score, wanted):
        """Returns the drums. Their note lengths have no meaning and must not fill a rest."""
        del wanted
        step = 1 / self.facts.steps_per_quarter
        drum_of = self._drums_by_pitch()
        played = [n for n in score.notes if n.is_drum]
        notes = tuple(n._replace(pitch=drum_of[n.pitch], end=n.start + step) for n in played if n.pitch in drum_of)
        remarks = _left_out([n for n in played if n.pitch not in drum_of])
        return Parts((Track(0, "drums", 0, notes),) if notes else (), "drums", remarks)

    def _drums_by_pitch(self) -> Dict[int, int]:
        """Returns the pitch of a drum that the config knows for each pitch that it is played by."""
        known = self.facts.drum_pitches
        drum_of = {pitch: pitch for pitch in known}
        for alike in music_vae_data.ROLAND_DRUM_PITCH_CLASSES:
            drum = next((pitch for pitch in alike if pitch in known), None)
            if drum is not None:
                drum_of.update({pitch: drum for pitch in alike if pitch not in known})
        return drum_of


def _left_out(notes: List[Note]) -> Tuple[str, ...]:
    if not notes:
        return ()
    pitches = ", ".join(map(str, sorted({n.pitch for n in notes})))
    return ("left out: %d notes of drums that MusicVAE does not know (pitch %s)" % (len(notes), pitches),)
