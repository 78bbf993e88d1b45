"""Figures of windows of a melody: what comes back, and what samples are like."""

import numpy as np

from tools.base_model import events


def right(given, heard):
    """Returns the shares of whole windows, of steps and of onsets that are as given: a dict of numbers from 0 to 1.

    Args:
        given: int [n, 32] events.
        heard: The same windows as they came back.
    """
    same, on = given == heard, events.begins(given)
    return {"whole": same.all(1).mean(), "steps": same.mean(), "onsets": same[on].mean()}


def histograms(some):
    """Returns histograms of windows' intervals and durations, each with the sum 1."""
    on = events.begins(some)
    found = {"interval": np.zeros(49), "duration": np.zeros(events.STEPS + 1)}
    for window, begins in zip(some, on):
        at = np.flatnonzero(begins)
        ends = np.flatnonzero(begins | (window == events.OFF))
        stops = [next(iter(ends[ends > start]), events.STEPS) for start in at]
        np.add.at(found["interval"], np.clip(np.diff(window[at]), -24, 24) + 24, 1)
        np.add.at(found["duration"], np.array(stops, int) - at, 1)
    return {name: one / max(one.sum(), 1) for name, one in found.items()}


def entropy(some):
    """Returns the entropy of the pitch classes of each window, in nats, in the mean over windows with notes."""
    found = []
    for window in some:
        counts = np.bincount(window[window >= events.LOWEST] % 12)
        shares = counts[counts > 0] / max(counts.sum(), 1)
        if len(shares):
            found.append(-np.sum(shares * np.log(shares)))
    return float(np.mean(found))


def sound(samples, corpus):
    """Returns what samples sound like beside the corpus, by name."""
    theirs, ours = histograms(samples), histograms(corpus)
    found = {name: float(np.minimum(theirs[name], ours[name]).sum()) for name in theirs}
    notes = [window[window >= events.LOWEST] for window in samples]
    count = {"notes": np.mean([len(n) for n in notes]), "pitches": np.mean([len(set(n.tolist())) for n in notes])}
    return dict(found, entropy=entropy(samples), **count)
