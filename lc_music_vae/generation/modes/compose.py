"""The mode that composes whole tunes."""

import os

from lc_music_vae.generation.mode import Mode, Sheet, numbered
from lc_music_vae.showing.outputs import Output

_NUM_BARS = 32


class Compose(Mode):
    """Turns the path of a form through the small latent, and decodes windows that go well with each other."""

    name = "compose"
    text = "whole tunes on the form of a song or of letters"
    options = Mode.options | {"num_bars", "form"}

    def default_outputs(self, request):
        """Returns 1: a tune takes as long to hear as many samples."""
        return 1

    def make(self, model, given, request, *, temperature, seed):
        """Returns tunes."""
        num_bars = request.num_bars or _NUM_BARS
        tunes = model.compose(num_bars, request.form, n=self.num_outputs(request), temperature=temperature)
        return [Output(*parts) for parts in zip(numbered(len(tunes)), tunes)]

    def sheet(self, made, given, *, request):
        """Returns the tunes as the parts of a score."""
        return Sheet.of(made)._replace(is_score=True)

    def settings(self, request):
        """Returns the number of bars and the form."""
        form = None if request.form is None else os.path.basename(request.form)
        return {"num_bars": request.num_bars or _NUM_BARS, "form": form}
