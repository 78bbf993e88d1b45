"""The mode that composes whole tunes."""

import logging
import os

from lc_music_vae.errors import InputError
from lc_music_vae.generation.mode import Mode, Sheet
from lc_music_vae.music import form as forms
from lc_music_vae.showing.outputs import Output

logger = logging.getLogger(__name__)

_NUM_BARS = 32


class Compose(Mode):
    """Turns the path of a song through the small latent, so that a tune has its form and other notes."""

    name = "compose"
    text = "whole tunes with the form of a song"
    options = Mode.options | {"num_bars", "form"}

    def num_outputs(self, request):
        """Returns the requested number of tunes; checks the form as far as it can be without a model."""
        if request.form is not None and forms.is_letters(request.form):
            forms.sections(request.form)
        elif request.form == "":
            raise InputError("--form is empty; give a music file, a training song's name, or letters such as AABA")
        return super().num_outputs(request)

    def make(self, model, given, request, *, temperature, seed):
        """Returns the tunes, each with its form's letters in its title."""
        number, num_bars = self.num_outputs(request), _num_bars(request)
        tunes = model.compose(num_bars, number, form=request.form, seed=seed, temperature=temperature)
        made = []
        for i, (sequence, tune) in enumerate(zip(tunes, tunes.made)):
            logger.info("%03d: the form of %s: %s", i, os.path.basename(tune.form), " ".join(tune.letters))
            if tune.said:
                logger.info("%03d: %s", i, tune.said)
            if tune.copies:
                logger.warning(
                    "%03d: %d of its windows are nearly bars of the songs; try another --seed", i, tune.copies
                )
            title = "%03d: %s, form of %s" % (i, " ".join(tune.letters), os.path.basename(tune.form))
            made.append(Output(title, sequence, tune=_record(tune)))
        return made

    def sheet(self, made, given, *, request):
        """Returns the tunes, each whole and on a line of its own."""
        del given, request
        return Sheet([one.note_sequence for one in made], [one.title for one in made], columns=1)

    def settings(self, request):
        """Returns the length and the form that was asked for: with the seed, they give the same tunes again."""
        form = None if request.form is None else os.path.basename(request.form)
        return {"num_bars": _num_bars(request), "form": form}


def _num_bars(request) -> int:
    return _NUM_BARS if request.num_bars is None else request.num_bars


def _record(tune) -> dict:
    """Returns how a tune was made as the index has it; the path of its form is no one else's business."""
    return {
        "form": os.path.basename(tune.form),
        "letters": list(tune.letters),
        "phrase_bars": tune.phrase_bars,
        "places": list(tune.places),
        "rotation_key": list(tune.rotation_key),
        "latents": tune.latents.round(4).tolist(),
    }
