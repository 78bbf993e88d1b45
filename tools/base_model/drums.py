"""Makes windows of drums for `cat-drums_2bar_small`: all of them are made, in the styles of `drum_styles.py`.

    python -m tools.base_model.drums windows.npz [--windows=200000] [--held_out=3000] [--seed=1]

Writes `train`, int16 [n, 32] classes of drums; `held_out`, windows of the styles that nothing is trained on, and those
of each style by its name; `grooves`, those of `drum_grooves.py`; and `made_of`, JSON. What is measured is in `train` in
no window.

A window is two bars of one style. Then, each at times: the hat's hits go to the ride, the open hat, the crash or the
floor tom; a crash begins a bar; a fill ends one; hits are dropped, displaced or added; drums are left out; two styles
share a window, a bar each, or the drums of one play with those of another.
"""

import argparse
import json
import sys

import numpy as np

from tools.base_model import drum_grooves, drum_styles
from tools.base_model.drum_rolls import (
    CLOSED,
    CRASH,
    DRUMS,
    HIGH_TOM,
    KICK,
    LOW_TOM,
    MID_TOM,
    OPEN,
    RIDE,
    SNARE,
    STEPS,
    classes,
)

BAR = STEPS // 2
CHANCES = {"X": 1.0, "x": 0.85, "o": 0.5, "-": 0.2, ".": 0.0}
# What a beat of a fill is like, and the drums that it goes through.
FILL_BEATS = np.array(
    [
        [c == "X" for c in beat]
        for beat in ("XXXX", "XXXX", "X.X.", "X.XX", "XXX.", "XX.X", "X..X", ".XXX", "X...", "..XX")
    ]
)
FILL_DRUMS = np.array(
    [
        [SNARE, SNARE, SNARE, SNARE],
        [SNARE, HIGH_TOM, MID_TOM, LOW_TOM],
        [SNARE, SNARE, HIGH_TOM, LOW_TOM],
        [HIGH_TOM, HIGH_TOM, MID_TOM, LOW_TOM],
        [HIGH_TOM, MID_TOM, LOW_TOM, LOW_TOM],
        [SNARE, MID_TOM, SNARE, LOW_TOM],
        [LOW_TOM, LOW_TOM, LOW_TOM, LOW_TOM],
        [LOW_TOM, MID_TOM, HIGH_TOM, SNARE],
    ]
)


def chances(line):
    """Returns the chance of a hit in each of 32 sixteenths of a line of a style; one bar is both."""
    found = [CHANCES[c] for c in line]
    return np.array(found * (STEPS // len(found)))


def of_style(style, n, rng):
    """Returns n windows of a style, a dict of lines by drum: bool [n, 32, 9].

    In three of four the second bar takes what is left to chance as the first did.
    """
    made = np.zeros([n, STEPS, len(DRUMS)], bool)
    again = rng.uniform(size=n) < 0.75
    for drum, lines in sorted(style.items()):
        chance = np.array([chances(line) for line in lines])[rng.randint(0, len(lines), n)]
        draws = rng.uniform(size=[n, STEPS])
        draws[again, BAR:] = draws[again, :BAR]
        made[:, :, drum] = draws < chance
    made[:, :, CLOSED] &= ~made[:, :, OPEN]  # one hat
    return made


def some(n, rng, share):
    """Draws which of n windows are chosen, bool [n, 1, 1]."""
    return rng.uniform(size=[n, 1, 1]) < share


def other_cymbal(rolls, rng):
    """Returns the windows with what the closed hat plays on the ride, the open hat, the crash or the floor tom."""
    moved = rolls.copy()
    to = rng.choice([RIDE, RIDE, RIDE, OPEN, CRASH, LOW_TOM], len(rolls))
    moved[np.arange(len(rolls)), :, to] |= rolls[:, :, CLOSED]
    moved[:, :, CLOSED] = False
    return moved


def crashed(rolls, rng):
    """Returns the windows with a crash, mostly with the kick, where a bar begins: mostly the first."""
    made = rolls.copy()
    at = rng.choice([0, 0, 0, BAR], len(rolls))
    each = np.arange(len(rolls))
    made[each, at, CRASH] = True
    made[each, at, KICK] |= rng.uniform(size=len(rolls)) < 0.85
    made[each, at, CLOSED] &= rng.uniform(size=len(rolls)) < 0.3
    return made


def filled(rolls, rng):
    """Returns the windows with a fill of one to four beats that ends a bar, mostly the second.

    After one that ends the first bar there is mostly a crash. Kick and hat may go on under it.
    """
    n = len(rolls)
    beats = FILL_BEATS[rng.randint(0, len(FILL_BEATS), [n, 8])]
    alike = rng.uniform(size=n) < 0.5
    beats[alike] = beats[alike, :1]
    hits = beats.reshape(n, STEPS)
    length = 4 * rng.choice([1, 1, 2, 2, 3, 4], n)
    end = np.where(rng.uniform(size=n) < 0.7, STEPS, BAR)
    steps = np.arange(STEPS)
    inside = (steps >= (end - length)[:, None]) & (steps < end[:, None])
    part = np.clip((steps - (end - length)[:, None]) * 4 // length[:, None], 0, 3)
    drum = FILL_DRUMS[rng.randint(0, len(FILL_DRUMS), n)][np.arange(n)[:, None], part]
    played = (drum[:, :, None] == np.arange(len(DRUMS))) & hits[:, :, None]
    kept = np.zeros([n, 1, len(DRUMS)], bool)
    kept[:, 0, KICK] = rng.uniform(size=n) < 0.5
    kept[:, 0, [CLOSED, RIDE]] = rng.uniform(size=[n, 1]) < 0.2
    made = np.where(inside[:, :, None], played | (rolls & kept), rolls)
    first = end == BAR
    made[first, BAR, CRASH] |= rng.uniform(size=first.sum()) < 0.7
    return made


def dropped(rolls, rng):
    """Returns the windows with some of their hits left out, up to a third."""
    return rolls & (rng.uniform(size=rolls.shape) >= rng.uniform(0, 0.33, [len(rolls), 1, 1]))


def displaced(rolls, rng):
    """Returns the windows with hits of one drum a sixteenth or two off, early or late."""
    each = np.arange(len(rolls))
    drum = rng.choice(DRUMS, len(rolls), p=[0.35, 0.3, 0.15, 0.05, 0.03, 0.03, 0.03, 0.01, 0.05])
    by = rng.choice([-2, -1, 1, 2], len(rolls))
    line = rolls[each, :, drum]
    away = line & (rng.uniform(size=line.shape) < 0.4)
    moved = np.take_along_axis(away, (np.arange(STEPS)[None] - by[:, None]) % STEPS, 1)
    made = rolls.copy()
    made[each, :, drum] = (line & ~away) | moved
    return made


def added(rolls, rng):
    """Returns the windows with a few more hits, of drums that they have or not."""
    chance = rng.uniform(0, 0.04, [len(rolls), 1, 1]) * np.array([2, 2, 1.5, 0.7, 0.7, 0.7, 0.7, 0.3, 0.5])
    return rolls | (rng.uniform(size=rolls.shape) < chance)


def few_drums(rolls, rng):
    """Returns the windows with a part of the kit: each of the drums is left out or not."""
    kept = rng.uniform(size=[len(rolls), 1, len(DRUMS)]) < rng.uniform(0.3, 0.9, [len(rolls), 1, 1])
    return rolls & kept


def rested(rolls, rng):
    """Returns the windows with a silence that ends or begins them, or is inside."""
    first = rng.choice([0, 0, 4, 8, 12, 16, 20, 24, 28], len(rolls))
    last = first + rng.choice([4, 8, 8, 12, 16], len(rolls))
    steps = np.arange(STEPS)
    return rolls & ~((steps >= first[:, None]) & (steps < last[:, None]))[:, :, None]


def spliced(rolls, others):
    """Returns windows of a first bar of the one and the second bar of the other."""
    return np.concatenate([rolls[:, :BAR], others[:, BAR:]], 1)


def swapped(rolls, others, rng):
    """Returns windows of which each drum is played as in the one or the other."""
    return np.where(rng.uniform(size=[len(rolls), 1, len(DRUMS)]) < 0.5, rolls, others)


def shifted(rolls, rng):
    """Returns the windows moved by some eighths, what leaves at the end coming in at the start."""
    by = 2 * rng.randint(1, STEPS // 2, [len(rolls), 1])
    return np.take_along_axis(rolls, ((np.arange(STEPS)[None] - by) % STEPS)[:, :, None], 1)


def repeated(rolls, rng):
    """Returns the windows with the first bar twice."""
    del rng
    return np.concatenate([rolls[:, :BAR]] * 2, 1)


# Which share of the windows each change is made to; in this order, so that what a drummer varies comes again.
CHANGES = (
    (other_cymbal, 0.15),
    (displaced, 0.12),
    (added, 0.12),
    (dropped, 0.1),
    (few_drums, 0.1),
    (repeated, 0.5),
    (filled, 0.2),
    (crashed, 0.15),
    (rested, 0.05),
    (dropped, 0.03),
)
SPLICED, SWAPPED, SHIFTED = 0.06, 0.08, 0.02


def changed(rolls, rng):
    """Makes each of CHANGES to its share of windows."""
    for change, share in CHANGES:
        rolls = np.where(some(len(rolls), rng, share), change(rolls, rng), rolls)
    return rolls


def of_styles(names, n, rng):
    """Returns n windows of the styles, in any order, bool [n, 32, 9]: as many of each."""
    which = rng.randint(0, len(names), n)
    made = np.zeros([n, STEPS, len(DRUMS)], bool)
    for number, name in enumerate(names):
        made[which == number] = of_style(drum_styles.STYLES[name], (which == number).sum(), rng)
    return made


def to_train(n, rng):
    """Returns n windows with all that this module can do, int [n, 32] classes; none is silent."""
    names = [name for name in drum_styles.STYLES if name not in drum_styles.HELD_OUT]
    rolls, others = (of_styles(names, n, rng) for _ in range(2))
    rolls = np.where(some(n, rng, SPLICED), spliced(rolls, others), rolls)
    rolls = np.where(some(n, rng, SWAPPED), swapped(rolls, others, rng), rolls)
    rolls = changed(rolls, rng)
    rolls = np.where(some(n, rng, SHIFTED), shifted(rolls, rng), rolls)
    return classes(rolls[rolls.any((1, 2))])


def distinct(windows, known=()):
    """Returns the distinct windows in their order, without those that are known, int16 [n, 32]."""
    kept = dict.fromkeys(map(tuple, np.asarray(windows).tolist()))
    return np.array([window for window in kept if window not in known], np.int16).reshape(-1, STEPS)


def main(argv):
    """Writes the windows, and says how many there are."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("output")
    flags.add_argument("--windows", type=int, default=200000, help="to draw, of which those that are distinct are kept")
    flags.add_argument("--held_out", type=int, default=3000, help="windows of styles that are held out")
    flags.add_argument("--seed", type=int, default=1)
    given = flags.parse_args(argv)
    rng = np.random.RandomState(given.seed)
    heard = {
        name: classes(changed(of_style(drum_styles.STYLES[name], given.held_out // 3, rng), rng))
        for name in drum_styles.HELD_OUT
    }
    heard["grooves"] = drum_grooves.windows()
    heard = {name: distinct(windows[windows.any(1)]) for name, windows in heard.items()}
    measured = {tuple(window) for windows in heard.values() for window in windows.tolist()}
    train = distinct(to_train(given.windows, rng), measured)
    heard["held_out"] = distinct(np.concatenate([heard[name] for name in drum_styles.HELD_OUT]))
    made_of = {
        "made_by": "tools/base_model/drums.py",
        "seed": given.seed,
        "drawn": given.windows,
        "styles": sorted(set(drum_styles.STYLES) - set(drum_styles.HELD_OUT)),
        "styles_held_out": list(drum_styles.HELD_OUT),
    }
    np.savez_compressed(given.output, train=train, made_of=json.dumps(made_of), **heard)
    print("%d windows to train; %s" % (len(train), ", ".join("%s: %d" % (k, len(v)) for k, v in heard.items())))


if __name__ == "__main__":
    main(sys.argv[1:])
