"""Pictures: piano rolls of what was generated, on one sheet.

Drawn with matplotlib's Figure alone, without pyplot: no window, no state, nothing to close.
"""

import math
from typing import BinaryIO, Dict, List, Sequence, Tuple, Union

import note_seq
import numpy as np
from matplotlib import collections, figure, ticker
from matplotlib.backends import backend_agg

from lc_music_vae import data

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
COLUMNS = 4
_NOTE, _GRID, _BAR = "#2a6f97", "#e3e3e3", "#8c8c8c"
_MOST_LABELS = 150  # on a map; more cannot be read
_MARGIN = 2  # semitones above and below the notes


def pitch_name(pitch: int) -> str:
    """Returns the name of a MIDI pitch; 60 is C4."""
    return "%s%d" % (_NAMES[pitch % 12], pitch // 12 - 1)


def _rectangles(sequence: note_seq.NoteSequence) -> List[Tuple[float, float, int]]:
    """Returns (start, end, pitch) of each note, times in quarters."""
    tempo_map = data.TempoMap(sequence.tempos)
    starts = tempo_map.quarters(np.array([n.start_time for n in sequence.notes]))
    ends = tempo_map.quarters(np.array([n.end_time for n in sequence.notes]))
    return [(float(a), float(b), n.pitch) for a, b, n in zip(starts, ends, sequence.notes)]


def piano_rolls(
    sequences: Sequence[note_seq.NoteSequence], titles: Sequence[str], columns: int = COLUMNS
) -> figure.Figure:
    """Draws NoteSequences as piano rolls on one sheet, row by row, all to one scale.

    Args:
        sequences: What to draw.
        titles: One a sequence.
        columns: Rolls in a row.
    """
    rolls = [_rectangles(s) for s in sequences]
    pitches = [pitch for roll in rolls for _, _, pitch in roll] or [60]
    low, high = min(pitches) - _MARGIN, max(pitches) + _MARGIN
    bars = max(
        1, math.ceil(max((end for roll in rolls for _, end, _ in roll), default=0) / data.QUARTERS_PER_BAR - 1e-6)
    )
    columns = min(columns, len(rolls))
    rows = -(-len(rolls) // columns)
    sheet = figure.Figure(figsize=(min(16.0, 1 + columns * max(3.0, 0.55 * bars)), 0.7 + 1.9 * rows), dpi=100)
    backend_agg.FigureCanvasAgg(sheet)
    panels = sheet.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for i, panel in enumerate(panels.flat):
        if i >= len(rolls):
            panel.set_visible(False)
            continue
        _draw_roll(panel, rolls[i], bars, low, high)
        panel.set_title(titles[i], fontsize=9, loc="left")
    for panel in panels[:, 0]:
        panel.tick_params(axis="y", labelleft=True)
    for i in range(columns):
        last = max(row for row in range(rows) if row * columns + i < len(rolls))
        panels[last, i].set_xlabel("bar", fontsize=8)
        panels[last, i].tick_params(axis="x", labelbottom=True)
    sheet.tight_layout()
    return sheet


def _draw_roll(panel, roll: Sequence[Tuple[float, float, int]], bars: int, low: int, high: int) -> None:
    boxes = [[(a, p - 0.45), (b, p - 0.45), (b, p + 0.45), (a, p + 0.45)] for a, b, p in roll]
    panel.add_collection(
        collections.PolyCollection(boxes, facecolors=_NOTE, edgecolors="white", linewidths=0.4, zorder=3)
    )
    panel.set_xlim(0, bars * data.QUARTERS_PER_BAR)
    panel.set_ylim(low, high)
    for quarter in range(bars * data.QUARTERS_PER_BAR + 1):
        is_bar = quarter % data.QUARTERS_PER_BAR == 0
        if is_bar or bars <= 8:
            panel.axvline(quarter, color=_BAR if is_bar else _GRID, linewidth=0.8 if is_bar else 0.5, zorder=1)
    named = (0,) if high - low > 36 else (0, 4, 7)  # every C, or E and G too where there is room
    panel.yaxis.set_major_locator(ticker.FixedLocator([p for p in range(low, high + 1) if p % 12 in named]))
    panel.yaxis.set_major_formatter(ticker.FuncFormatter(lambda pitch, _: pitch_name(int(pitch))))
    panel.grid(axis="y", color=_GRID, linewidth=0.6, zorder=0)
    every = max(1, bars // 16)
    panel.xaxis.set_major_locator(
        ticker.FixedLocator([data.QUARTERS_PER_BAR * (b + 0.5) for b in range(0, bars, every)])
    )
    panel.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: "%d" % (x // data.QUARTERS_PER_BAR + 1)))
    panel.tick_params(labelsize=7, length=0)


def training(
    curves: Dict[str, Dict[int, float]],
    means: np.ndarray,
    scales: np.ndarray,
    labels: Sequence[str],
    samples: np.ndarray,
) -> figure.Figure:
    """Draws what training came to: its curves, and a map of the small latent.

    The map shows two directions of the latent, those along which the windows' means vary most: the windows, named, the
    density of their posteriors, and a handful of samples from the prior.

    Args:
        curves: Values by step, of 'loss', 'reconstruction' and 'kl', in nats a window.
        means: Means of q(z'|z), [n, encoded_z_size].
        scales: Their scales, [n, encoded_z_size].
        labels: n names of the windows.
        samples: Points from the prior, [m, encoded_z_size].
    """
    sheet = figure.Figure(figsize=(12, 5.2), dpi=100)
    backend_agg.FigureCanvasAgg(sheet)
    grid = sheet.add_gridspec(2, 2, width_ratios=(1, 1.1))
    for row, names in enumerate((("loss", "reconstruction"), ("kl",))):
        panel = sheet.add_subplot(grid[row, 0])
        for name, color in zip(names, (_NOTE, "#d98e04")):
            steps = sorted(curves.get(name, {}))
            panel.plot(steps, [curves[name][step] for step in steps], color=color, label=name, linewidth=1.2)
        panel.set_ylabel("nats a window", fontsize=8)
        panel.legend(fontsize=8, frameon=False)
        panel.tick_params(labelsize=7)
        panel.grid(color=_GRID, linewidth=0.6)
    panel.set_xlabel("step", fontsize=8)
    _draw_map(sheet.add_subplot(grid[:, 1]), means, scales, labels, samples)
    sheet.tight_layout()
    return sheet


def _draw_map(panel, means: np.ndarray, scales: np.ndarray, labels: Sequence[str], samples: np.ndarray) -> None:
    center = means.mean(0)
    axes = np.linalg.svd(means - center, full_matrices=True)[2][:2]  # one row where the latent has one dimension
    points, drawn = (means - center) @ axes.T, (samples - center) @ axes.T
    deviations = np.sqrt(scales**2 @ axes.T**2)
    if len(axes) == 1:
        points, drawn = (np.pad(p, [(0, 0), (0, 1)], mode="constant") for p in (points, drawn))
        deviations = np.pad(deviations, [(0, 0), (0, 1)], mode="constant", constant_values=1.0)
    reach = 1.1 * max(np.abs(points).max(), np.abs(drawn).max(), 1.0)
    x, y = np.meshgrid(np.linspace(-reach, reach, 120), np.linspace(-reach, reach, 120))
    density = np.zeros_like(x)
    for (px, py), (dx, dy) in zip(points, deviations):
        density += np.exp(-(((x - px) / dx) ** 2 + ((y - py) / dy) ** 2) / 2) / (dx * dy)
    panel.contourf(x, y, density, levels=12, cmap="Blues", alpha=0.6, zorder=0)
    panel.scatter(points[:, 0], points[:, 1], s=14, color=_NOTE, zorder=3, label="windows, by their bars")
    panel.scatter(drawn[:, 0], drawn[:, 1], s=26, color="#c1121f", marker="x", zorder=3, label="samples")
    if len(labels) <= _MOST_LABELS:
        for (px, py), label in zip(points, labels):
            panel.annotate(label, (px, py), xytext=(3, 3), textcoords="offset points", fontsize=7, zorder=4)
    panel.set_aspect("equal")
    panel.set_title("the small latent, two directions of %d" % means.shape[1], fontsize=9, loc="left")
    panel.legend(fontsize=8, loc="lower right", framealpha=0.8)
    panel.tick_params(labelsize=7)


def save(sheet: figure.Figure, path: Union[str, BinaryIO]) -> None:
    """Writes a picture as PNG to a path, which need not end so, or to an open file."""
    # Without it, matplotlib writes its version into the file.
    sheet.savefig(path, format="png", metadata={"Software": None})
