"""The mode that writes a page in which the model plays."""

from lc_music_vae.generation.mode import Mode


class Play(Mode):
    """Writes `play.html` instead of outputs; see `showing.play_page`."""

    name = "play"
    text = "a page in which the model plays by itself, offline"
    options = frozenset(("max_page_mb", "qpm", "program"))
    is_page = True

    def default_outputs(self, request):
        """Returns 1: the page."""
        return 1
