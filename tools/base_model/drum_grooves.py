"""Grooves that every drummer knows, written by hand to be measured alone: nothing is trained on them.

A line is two bars, or one that comes twice, of sixteenths; `X` is a hit.
"""

import numpy as np

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

GROOVES = {
    "rock beat, eighths": {KICK: "X.......X.......", SNARE: "....X.......X...", CLOSED: "X.X.X.X.X.X.X.X."},
    "rock beat with a crash and a fill": {
        KICK: "X.......X.X.....X.......X.......",
        SNARE: "....X.......X.......X.......XX..",
        CLOSED: "..X.X.X.X.X.X.X.X.X.X.X.X.X.....",
        HIGH_TOM: "..............................X.",
        LOW_TOM: "...............................X",
        CRASH: "X...............................",
    },
    "disco": {
        KICK: "X...X...X...X...",
        SNARE: "....X.......X...",
        CLOSED: "XX.XXX.XXX.XXX.X",
        OPEN: "..X...X...X...X.",
    },
    "funk with ghost notes": {
        KICK: "X.X...X...X..X..",
        SNARE: ".X..X..X.X..X..X",
        CLOSED: "XXXXXXX.XXXXXXX.",
        OPEN: ".......X........",
    },
    "boom bap": {
        KICK: "X......X..X.....X..X...X..X.....",
        SNARE: "....X.......X.......X.......X..X",
        CLOSED: "X.X.X.X.X.X.X.X.",
    },
    "trap": {
        KICK: "X.....X...X......X........X..X..",
        SNARE: "........X...............X.......",
        CLOSED: "X.X.X.XXX.X.X.X.X.X.XXXXX.X.X.XX",
    },
    "one drop": {KICK: "........X.......", SNARE: "........X.......", CLOSED: "..X...X...X...X."},
    "bossa nova": {
        KICK: "X..XX..XX..XX..X",
        SNARE: "X..X..X...X..X....X..X....X..X..",
        CLOSED: "X.X.X.X.X.X.X.X.",
    },
    "samba": {KICK: "X..XX..XX..XX..X", SNARE: "X.X.XX.X.X.XX.X.", RIDE: "X.X.X.X.X.X.X.X."},
    "son clave, cowbell and congas": {
        SNARE: "X.....X.....X.......X...X.......",
        RIDE: "X...X.X.X.X.X.X.",
        HIGH_TOM: "....X.......X...",
        MID_TOM: "..............XX",
        KICK: "......X.....X...",
    },
    "soul, snare on all four": {KICK: "X..X..X.X..X..X.", SNARE: "X...X...X...X...", CLOSED: "X.X.X.X.X.X.X.X."},
    "d-beat": {KICK: "X.....X.X.....X.", SNARE: "....X.......X...", CRASH: "X...X...X...X..."},
    "half-time shuffle": {KICK: "X......X.......X", SNARE: "...X..X.X..X..X.", CLOSED: "X..XX..XX..XX..X"},
    "jazz swing": {RIDE: "X...X..XX...X..X", CLOSED: "....X.......X...", SNARE: ".......X..............X........."},
    "train beat": {KICK: "X...X...X...X...", SNARE: "XXXXXXXXXXXXXXXX"},
    "march": {KICK: "X.......X.......", SNARE: "X...X.XXX...X.XXX...X.XXX.XXX...", CRASH: "X.......X......."},
    "floor tom": {
        KICK: "X.......X.......",
        LOW_TOM: "X.X.X.XXX.X.X.X.",
        SNARE: "............X...",
        MID_TOM: "....X...........",
    },
    "double kick": {KICK: "XXXXXXXXXXXXXXXX", SNARE: "....X.......X...", RIDE: "X...X...X...X..."},
    "dembow": {KICK: "X...X...X...X...", SNARE: "...X..X....X..X.", CLOSED: "X.X.X.X.X.X.X.X."},
    "breakbeat": {
        KICK: "X.X.......XX....X.X.......X.....",
        SNARE: "....X..X.X..X..X....X..X.X....X.",
        CLOSED: "X.X.X.X.X.X.X.X.X.X.X.X.X...X.X.",
        CRASH: "..........................X.....",
    },
}


def windows():
    """Returns the grooves, int [n, 32] classes, in the order of GROOVES."""
    made = np.zeros([len(GROOVES), STEPS, len(DRUMS)], bool)
    for roll, groove in zip(made, GROOVES.values()):
        for drum, line in groove.items():
            roll[:, drum] = [c == "X" for c in line * (STEPS // len(line))]
    return classes(made)
