"""Whole tunes as outputs: their titles, what the index keeps of them, and how sheets and pages show them."""

import logging
import os
from typing import Any, Dict, List, Sequence, Tuple

from lc_music_vae.generation.mode import Sheet
from lc_music_vae.showing.outputs import Bars, Output

logger = logging.getLogger(__name__)


def outputs_of(tunes: Any) -> List[Output]:
    """Returns `composer.Tunes` as outputs, each with its letters in its title, and says how each was made."""
    made = []
    for i, (sequence, tune) in enumerate(zip(tunes, tunes.made)):
        form, letters = os.path.basename(tune.form), " ".join(tune.letters)
        logger.info("%03d: the form of %s: %s", i, form, letters)
        if tune.said:
            logger.info("%03d: %s", i, tune.said)
        if tune.copies:
            logger.warning("%03d: %d of its windows are nearly bars of the songs; try another --seed", i, tune.copies)
        song = None if tune.song is None else Bars("%s, the form" % form, 1, tune.song)
        title = "%03d: %s, form of %s" % (i, letters, form)
        made.append(Output(title, sequence, tune=_record(tune), form=song))
    return made


def sheet_of(made: Sequence[Output]) -> Sheet:
    """Returns the tunes, each whole and on a line of its own, and before them what gave them their form."""
    shown: List[Output] = []
    for one in made:
        if one.form is not None and one.form.title not in [other.title for other in shown]:
            shown.append(Output(one.form.title, one.form.note_sequence, tune=one.tune))
        shown.append(one)
    return Sheet.of(shown)._replace(columns=1, letters=[_phrases(one.tune or {}) for one in shown])


def forms_of(made: Sequence[Output]) -> List[Bars]:
    """Returns the songs that gave tunes their form, each once."""
    return list({one.form.title: one.form for one in made if one.form is not None}.values())


def _phrases(tune: Dict[str, Any]) -> List[Tuple[int, str]]:
    """Returns the first bar of each phrase of a tune, from 0, and its letter."""
    return [(i * tune["phrase_bars"], letter) for i, letter in enumerate(tune.get("letters", ()))]


def _record(tune: Any) -> Dict[str, Any]:
    """Returns how a tune was made as the index has it; the path of its form is no one else's business."""
    return {
        "form": os.path.basename(tune.form),
        "letters": list(tune.letters),
        "phrase_bars": tune.phrase_bars,
        "num_bars": tune.num_bars,
        "places": list(tune.places),
        "rotation_key": list(tune.rotation_key),
        "latents": tune.latents.round(4).tolist(),
    }
