"""Trios of melody, bass and drums."""

from magenta.models.music_vae import data as music_vae_data

from lc_music_vae.families.family import Family


class Band(Family):
    """A window contains all tracks together, with their own programs."""

    converters = (music_vae_data.TrioConverter,)
