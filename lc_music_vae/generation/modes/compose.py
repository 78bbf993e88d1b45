"""The mode that composes whole tunes."""

import logging
import os
from typing import Any, Dict, List, Tuple

from lc_music_vae.errors import InputError
from lc_music_vae.generation.mode import Mode, Sheet
from lc_music_vae.music import form as forms
from lc_music_vae.showing.outputs import Bars, Output

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
            form = None if tune.song is None else Bars(os.path.basename(tune.form) + ", the form", 1, tune.song)
            made.append(Output(title, sequence, tune=_record(tune), form=form))
        return made

    def sheet(self, made, given, *, request):
        """Returns the tunes, each whole and on a line of its own, and before them what gave them their form."""
        del given, request
        shown: List[Any] = []
        for one in made:
            if one.form is not None and one.form.title not in [other.title for other in shown]:
                shown.append(Output(one.form.title, one.form.note_sequence, tune=one.tune))
            shown.append(one)
        letters = [_phrases(one.tune) for one in shown]
        return Sheet.of(shown)._replace(columns=1, letters=letters)

    def bars(self, made, given):
        """Returns the songs that gave a form, each once."""
        del given
        return list({one.form.title: one.form for one in made if one.form is not None}.values())

    def settings(self, request):
        """Returns the length and the form that was asked for: with the seed, they give the same tunes again."""
        form = None if request.form is None else os.path.basename(request.form)
        return {"num_bars": _num_bars(request), "form": form}


def _num_bars(request) -> int:
    return _NUM_BARS if request.num_bars is None else request.num_bars


def _phrases(tune: Dict[str, Any]) -> List[Tuple[int, str]]:
    """Returns the first bar of each phrase of a tune, from 0, and its letter."""
    return [(i * tune["phrase_bars"], letter) for i, letter in enumerate(tune["letters"])]


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
