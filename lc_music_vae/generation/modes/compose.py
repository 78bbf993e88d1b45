"""The mode that composes whole tunes."""

import os

from lc_music_vae.errors import InputError
from lc_music_vae.generation import whole_tunes
from lc_music_vae.generation.inputs import parse_knobs
from lc_music_vae.generation.mode import Mode
from lc_music_vae.music import form as forms

_NUM_BARS = 32


class Compose(Mode):
    """Turns the path of a song through the small latent, so that a tune has its form and other notes."""

    name = "compose"
    text = "whole tunes with the form of a song"
    options = Mode.options | {"num_bars", "form", "knobs"}

    def num_outputs(self, request):
        """Returns the requested number of tunes; checks the form as far as it can be without a model."""
        if request.form is not None and forms.is_letters(request.form):
            forms.sections(request.form)
        elif request.form == "":
            raise InputError("--form is empty; give a music file, a training song's name, or letters such as AABA")
        return super().num_outputs(request)

    def reads_songs(self, request):
        """Returns whether a song gives the form, not letters."""
        return request.form is None or not forms.is_letters(request.form)

    def make(self, model, given, request, *, temperature, seed):
        """Returns the tunes, each with its form's letters in its title."""
        number, num_bars = self.num_outputs(request), _num_bars(request)
        knobs = parse_knobs(request.knobs) if request.knobs else None
        how = {"form": request.form, "seed": seed, "temperature": temperature, "knobs": knobs}
        tunes = model.compose(num_bars, number, **how)
        return whole_tunes.outputs_of(tunes)

    def sheet(self, made, given, *, request):
        """Returns the tunes below what gave them their form."""
        del given, request
        return whole_tunes.sheet_of(made)

    def bars(self, made, given):
        """Returns the songs that gave a form."""
        del given
        return whole_tunes.forms_of(made)

    def settings(self, request):
        """Returns the length and the form that was asked for: with the seed, they give the same tunes again."""
        form = None if request.form is None else os.path.basename(request.form)
        return {"num_bars": _num_bars(request), "form": form}


def _num_bars(request) -> int:
    return _NUM_BARS if request.num_bars is None else request.num_bars
