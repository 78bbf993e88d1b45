"""The mode that goes on from given bars."""

import os

from lc_music_vae.generation import whole_tunes
from lc_music_vae.generation.mode import Mode
from lc_music_vae.music import form as forms

_NUM_BARS = 16


class Continue(Mode):
    """Goes on as a song does from where it is most like given bars, turned so that it begins where these end."""

    name = "continue"
    text = "given bars, and what comes after them"
    num_inputs = 1
    whole_songs = True
    options = Mode.options | {"num_bars", "form", "input_bars_1"}

    def num_outputs(self, request):
        """Returns the requested number of tunes; checks the form as far as it can be without a model."""
        forms.check_song(request.form)
        return super().num_outputs(request)

    def make(self, model, given, request, *, temperature, seed):
        """Returns the tunes: the given bars, and what comes after them."""
        del seed  # it is the model's
        tunes = model.go_on(
            given.songs[0],
            self._num_bars(request),
            self.num_outputs(request),
            bars=given.inputs[0].bars,
            form=request.form,
            temperature=temperature,
        )
        made = []
        for i, (one, tune) in enumerate(zip(whole_tunes.outputs_of(tunes), tunes.made)):
            bars_given, form = tune.num_bars - self._num_bars(request), os.path.basename(tune.form)
            title = "%03d: %d bars of %s, going on as %s" % (i, bars_given, given.inputs[0].name, form)
            made.append(one._replace(title=title))
        return made

    def sheet(self, made, given, *, request):
        """Returns the tunes, with letters above their bars."""
        del given, request
        return whole_tunes.sheet_of(made)

    def settings(self, request):
        """Returns the number of bars after the given ones, and the form that was asked for."""
        form = None if request.form is None else os.path.basename(request.form)
        return {"num_bars": self._num_bars(request), "form": form}

    @staticmethod
    def _num_bars(request) -> int:
        return _NUM_BARS if request.num_bars is None else request.num_bars
