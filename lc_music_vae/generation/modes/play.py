"""The mode that puts the model into one page, which plays it."""

from lc_music_vae.generation.mode import Mode


class Play(Mode):
    """Writes a page instead of music."""

    name = "play"
    text = "the model itself, in a page that plays it"
    makes_page = True
    options = frozenset(("max_page_mb", "qpm", "program"))
