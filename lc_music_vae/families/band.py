"""Trios of melody, bass and drums."""

from magenta.models.music_vae import data as music_vae_data

from lc_music_vae.families.family import Family


class Band(Family):
    """A window is of all tracks together, on their own programs."""

    converters = (music_vae_data.TrioConverter,)
