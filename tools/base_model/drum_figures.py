"""Figures of windows of drums: what comes back, and what samples are like. Windows are int [n, 32] classes."""

import numpy as np

from tools.base_model.drum_rolls import NAMES, rolls


def right(given, heard):
    """Returns the shares of whole windows and of steps that are as given, and what is right of hits: from 0 to 1.

    Args:
        given: int [n, 32] classes.
        heard: The same windows as they came back.

    Returns:
        A dict; `hits` is F1 of hits, each a drum in a sixteenth: twice those in both, over those of one and the other.
    """
    hits, theirs = rolls(given), rolls(heard)
    both = 2 * (hits & theirs).sum() / max(1, hits.sum() + theirs.sum())
    return {"whole": (given == heard).all(1).mean(), "steps": (given == heard).mean(), "hits": both}


def sound(samples, corpus):
    """Returns what samples sound like beside the corpus, by name.

    `sixteenths` is the overlap of histograms of hits by drum and sixteenth of the bar, from 0 to 1; `classes` that of
    classes of hits, silence left out; `second bar` is how much of it is in the first, the mean F1 of hits of windows
    that have any. The others are numbers, the means over samples: hits in a window, of all drums and of each, and
    different drums in a window.
    """
    theirs, ours = rolls(samples), rolls(corpus)
    hits = theirs.sum((1, 2))
    both = 2 * (theirs[:, :16] & theirs[:, 16:]).sum((1, 2))
    found = {
        "sixteenths": _overlap(_in_bar(theirs), _in_bar(ours)),
        "classes": _overlap(_classes(samples), _classes(corpus)),
        "hits": hits.mean(),
        "drums": theirs.any(1).sum(1).mean(),
        "second bar": (both[hits > 0] / hits[hits > 0]).mean() if hits.any() else 0.0,
    }
    found.update(zip(NAMES, theirs.sum(1).mean(0)))
    return {name: float(value) for name, value in found.items()}


def _in_bar(some):
    return some.reshape(len(some), 2, 16, -1).sum((0, 1)).ravel()


def _classes(some):
    return np.bincount(some.ravel().astype(int), minlength=512)[1:]


def _overlap(one, other):
    return np.minimum(one / max(1, one.sum()), other / max(1, other.sum())).sum()
