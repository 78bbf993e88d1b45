"""Drums, with or without groove."""

from magenta.models.music_vae import data as music_vae_data

from lc_music_vae.families.family import Family, Parts
from lc_music_vae.music.score import Track


class Drums(Family):
    """A window contains all drums that the config knows, from all tracks."""

    converters = (music_vae_data.DrumsConverter, music_vae_data.GrooveConverter)
    reads = "drums"

    def parts(self, score, wanted):
        """Returns the drums. Their note lengths have no meaning and must not fill a rest."""
        del wanted
        step = 1 / self.facts.steps_per_quarter
        known = [n for n in score.notes if n.is_drum and n.pitch in self.facts.drum_pitches]
        notes = tuple(n._replace(end=n.start + step) for n in known)
        return Parts((Track(0, "drums", 0, notes),) if notes else (), "drums")
