"""What the events of a two-bar melody window mean, for NumPy arrays of windows, int [n, 32].

As in magenta's melodies: 0 holds what sounds, or the silence; 1 ends a note; from 2 up a note begins, of MIDI pitch 21
and up. Before the first note of a window everything is 0.
"""

import numpy as np

STEPS = 32
HOLD, OFF, LOWEST, HIGHEST = 0, 1, 2, 89


def begins(windows):
    """Returns where notes begin, bool [n, 32]."""
    return windows >= LOWEST


def cleaned(windows):
    """Returns the windows without ends of notes where nothing sounds: as magenta writes the same music."""
    note = np.maximum.accumulate(np.where(begins(windows), np.arange(STEPS), -1), axis=1)
    before = np.concatenate([np.zeros([len(windows), 1], bool), (windows == OFF)[:, :-1]], 1)
    ended = np.maximum.accumulate(np.where(before, np.arange(STEPS) - 1, -1), axis=1)  # the last end before this step
    silent = (note < 0) | (ended > note)
    return np.where((windows == OFF) & silent, HOLD, windows)


def relative(windows):
    """Returns the windows with pitches as semitones above the first note's plus 200: alike at any pitch."""
    on = begins(windows)
    first = windows[np.arange(len(windows)), on.argmax(1)]
    return np.where(on, windows - first[:, None] + 200, windows)


def pitches(windows):
    """Returns the notes of each window in order, repeated from the start until there are 32, int [n, 32].

    Windows without a note give the lowest pitch.
    """
    on = begins(windows)
    count = np.maximum(on.sum(1), 1)
    order = np.argsort(~on, axis=1, kind="stable")
    chosen = order[np.arange(len(windows))[:, None], np.arange(STEPS)[None] % count[:, None]]
    return np.maximum(windows[np.arange(len(windows))[:, None], chosen], LOWEST)
