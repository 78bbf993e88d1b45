"""Teaches music that is in no tune of the corpus, from the tunes: pure functions on windows, int [n, 32] events.

Each kind is a function of (windows, rng) that returns as many windows; `batch` mixes them. Every draw is from the
NumPy `RandomState` given.
"""

import numpy as np

from tools.base_model import events
from tools.base_model.events import HIGHEST, HOLD, LOWEST, OFF, STEPS

SCALES = np.array([[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 2, 3, 5, 7, 8, 11], [0, 2, 4, 7, 9, 12, 14]])
SEMITONES = 12  # tunes are moved by as much, up and down


def others(windows, rng):
    """Returns the windows in another order: another tune for each."""
    return windows[rng.permutation(len(windows))]


def transposed(windows, rng, semitones=SEMITONES):
    """Moves each window by a whole number of semitones, as far as all its notes stay in the range."""
    on = events.begins(windows)
    lowest = np.where(on, windows, HIGHEST).min(1)
    highest = np.where(on, windows, LOWEST).max(1)
    moves = np.clip(rng.randint(-semitones, semitones + 1, len(windows)), LOWEST - lowest, HIGHEST - highest)
    return np.where(on, windows + moves[:, None], windows)


def shifted(windows, rng):
    """Moves each window by 1 to 31 sixteenths; what leaves at its end comes in at its start."""
    moves = rng.randint(1, STEPS, len(windows))
    places = (np.arange(STEPS)[None] - moves[:, None]) % STEPS
    return events.cleaned(np.take_along_axis(windows, places, 1))


def spliced(windows, rng):
    """Puts the first bar of one tune before the second bar of another."""
    half = STEPS // 2
    return events.cleaned(np.concatenate([windows[:, :half], others(windows, rng)[:, half:]], 1))


def on_rhythm(windows, rhythms):
    """Returns each window's pitches, in their order, on a rhythm.

    Args:
        windows: The pitches, int [n, 32].
        rhythms: int [n, 32]: 0 and 1 as in events, 2 where a note begins.
    """
    at = np.maximum(np.cumsum(events.begins(rhythms), 1) - 1, 0)
    return events.cleaned(np.where(events.begins(rhythms), np.take_along_axis(events.pitches(windows), at, 1), rhythms))


def on_other_rhythm(windows, rng):
    """Returns each tune's pitches on the rhythm of another."""
    return on_rhythm(windows, np.minimum(others(windows, rng), LOWEST))


def on_made_rhythm(windows, rng):
    """Returns each tune's pitches on a made rhythm."""
    return on_rhythm(windows, rhythms(len(windows), rng))


def made_lines(windows, rng):
    """Returns made lines on made rhythms, as many as there are windows."""
    return on_rhythm(lines(len(windows), rng), rhythms(len(windows), rng))


def rhythms(n, rng):
    """Makes rhythms: each with its own density of notes on quarters, eighths and sixteenths.

    In a third of them notes on quarters come a sixteenth or an eighth early (syncopation); in two fifths the second bar
    repeats the first; in a third a stretch is silent; notes may end before the next begins.
    """
    places = np.arange(STEPS)
    density = np.empty([n, STEPS])
    density[:, places % 4 == 0] = rng.uniform(0.2, 1, [n, 1])
    density[:, places % 4 == 2] = rng.uniform(0, 1, [n, 1])
    density[:, places % 2 == 1] = np.where(rng.uniform(size=[n, 1]) < 0.4, 0, rng.uniform(0, 0.8, [n, 1]))
    on = rng.uniform(size=[n, STEPS]) < density
    early = rng.randint(1, 3, [n, 1])
    moves = (rng.uniform(size=[n, STEPS]) < rng.uniform(0.2, 0.8, [n, 1])) & (rng.uniform(size=[n, 1]) < 1 / 3)
    for by in (1, 2):
        moved = on & moves & (early == by) & (places % 4 == 0) & (places > 0)
        on = (on & ~moved) | np.roll(moved, -by, 1)
    made = np.where(on, LOWEST, HOLD)
    made = np.where((rng.uniform(size=[n, 1]) < 0.4), np.tile(made[:, : STEPS // 2], 2), made)
    made = shortened(made, rng, rng.uniform(-0.5, 0.8, [n, 1]))
    first = rng.randint(0, STEPS, [n, 1])
    silent = (places >= first) & (places < first + rng.randint(2, 17, [n, 1])) & (rng.uniform(size=[n, 1]) < 1 / 3)
    made = np.where(silent, np.where(places == first, OFF, HOLD), made)
    made[~events.begins(made).any(1), 0] = LOWEST
    return events.cleaned(made)


def lines(n, rng):
    """Makes lines of 32 notes, int [n, 32]: mostly steps of a scale, each with its own share of repeats and leaps."""
    scales = SCALES[rng.randint(0, len(SCALES), n)]
    draws = rng.uniform(size=[n, STEPS])
    repeats, leaps = rng.uniform(0, 0.5, [n, 1]), rng.uniform(0, 0.4, [n, 1])
    sizes = np.where(draws < repeats, 0, np.where(draws > 1 - leaps, rng.randint(2, 8, [n, STEPS]), 1))
    degrees = rng.randint(0, 7, [n, 1]) + np.cumsum(sizes * rng.choice([-1, 1], [n, STEPS]), 1)
    width = rng.randint(3, 12, [n, 1])
    degrees = np.abs((degrees + width) % (4 * width) - 2 * width) - width  # turned back at the ends of its range
    semitones = 12 * (degrees // 7) + np.take_along_axis(scales, degrees % 7, 1)
    chromatic = rng.uniform(size=[n, STEPS]) < 0.03
    made = rng.randint(34, 62, [n, 1]) + semitones + chromatic
    return np.clip(made, LOWEST, HIGHEST)


def shortened(windows, rng, share):
    """Ends some of the notes early: `share` of them, a number or [n, 1], after a random part of their length."""
    on = events.begins(windows)
    chosen = on & (rng.uniform(size=windows.shape) < share)
    number = np.cumsum(on, 1) - 1
    start = np.maximum.accumulate(np.where(on, np.arange(STEPS), 0), axis=1)
    ends = on[:, 1:] | (windows[:, 1:] == OFF)
    stop = np.concatenate([np.where(ends, np.arange(1, STEPS), STEPS), np.full([len(windows), 1], STEPS)], 1)
    stop = np.minimum.accumulate(stop[:, ::-1], axis=1)[:, ::-1]
    length = stop - start  # of the note that sounds here
    wanted = np.maximum(1, np.ceil(rng.uniform(0, 1, windows.shape) * length)).astype(int)
    of_note = np.take_along_axis(wanted, start, 1)
    chosen = np.take_along_axis(chosen, start, 1) & (number >= 0)
    here = chosen & (np.arange(STEPS) - start == of_note) & (windows == HOLD)
    return events.cleaned(np.where(here, OFF, windows))


def thinned(windows, rng):
    """Shortens a fifth of the notes, and leaves out a tenth: where one was, the one before goes on, or silence."""
    left_out = events.begins(windows) & (rng.uniform(size=windows.shape) < 0.1)
    gone = np.where(rng.uniform(size=windows.shape) < 0.5, OFF, HOLD)
    return shortened(events.cleaned(np.where(left_out, gone, windows)), rng, 0.2)


# Shares of a batch; the rest are the tunes as they are. Then a fifth of all is thinned, and all are transposed.
KINDS = {
    "shifted": (shifted, 0.12),
    "spliced": (spliced, 0.10),
    "other_rhythm": (on_other_rhythm, 0.10),
    "made_rhythm": (on_made_rhythm, 0.16),
    "made_lines": (made_lines, 0.14),
}
THINNED = 0.2
ALL = tuple(KINDS) + ("thinned", "wide")
NARROW = 5  # semitones of magenta's own augmentation, without `wide`


def replace_shares(windows, table, kinds, *, rng):
    """Replaces shares of the windows, one after another, by what kinds make of them.

    Args:
        windows: An array of n windows, which is changed.
        table: The function of (windows, rng) and the share of each kind, by name.
        kinds: Names of those that are switched on; the windows of others stay as they are.
        rng: A RandomState.
    """
    first = 0
    for name, (make, share) in table.items():
        last = first + int(round(share * len(windows)))
        if name in kinds:
            windows[first:last] = make(windows[first:last], rng)
        first = last


def batch(windows, rng, kinds=ALL):
    """Returns augmented windows, int32 [n, 32].

    Args:
        windows: int [n, 32], drawn at random: their order decides which become what.
        rng: A RandomState.
        kinds: Names of ALL that are switched on.
    """
    mixed = windows.astype(np.int32)
    replace_shares(mixed, KINDS, kinds, rng=rng)
    if "thinned" in kinds:
        chosen = rng.permutation(len(mixed))[: int(THINNED * len(mixed))]
        mixed[chosen] = thinned(mixed[chosen], rng)
    return transposed(mixed, rng, SEMITONES if "wide" in kinds else NARROW).astype(np.int32)
