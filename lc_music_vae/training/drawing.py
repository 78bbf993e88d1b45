"""Draws the picture at the end of training: the training curves and a map of the small latent.

Uses only matplotlib's Figure, without pyplot: no window, no state, nothing to close.
"""

from typing import Any, Dict, NamedTuple, Optional, Sequence

import numpy as np
from matplotlib import figure
from matplotlib.backends import backend_agg

from lc_music_vae.checkpoints import run_json

_BLUE, _ORANGE, _RED, _GRID = "#2a6f97", "#d98e04", "#c1121f", "#e3e3e3"
_LEGEND = {"fontsize": 8, "frameon": False, "borderaxespad": 0.2}  # outside its axes: inside it would cover something
_MAX_LABELS = 150  # on a map; more labels cannot be read


class Coloring(NamedTuple):
    """A measure that the windows on a map are coloured by: its name, and its value for each window, [n]."""

    name: str
    values: np.ndarray


def training(
    curves: Dict[str, Dict[int, float]],
    *,
    means: np.ndarray,
    scales: np.ndarray,
    labels: Sequence[str],
    samples: np.ndarray,
    score: Optional[run_json.Score] = None,
    coloring: Optional[Coloring] = None,
) -> figure.Figure:
    """Draws the results of training: the training curves and a map of the small latent.

    The map shows the two directions of the latent along which the windows' means vary most. It contains the windows
    with their names, the density of their posteriors, and a few samples from the prior.

    Args:
        curves: Values by step, of 'loss', 'reconstruction' and 'kl', in nats per window.
        means: Means of q(z'|z), [n, encoded_z_size].
        scales: Their scales, [n, encoded_z_size].
        labels: n names of the windows.
        samples: Points from the prior, [m, encoded_z_size].
        score: The score of bars that were kept out of training.
        coloring: What the windows are coloured by.
    """
    sheet = figure.Figure(figsize=(12, 5.2), dpi=100)
    backend_agg.FigureCanvasAgg(sheet)
    grid = sheet.add_gridspec(2, 2, width_ratios=(1, 1.1))
    for row, names in enumerate((("loss", "reconstruction"), ("kl",))):
        panel = sheet.add_subplot(grid[row, 0])
        for name, color in zip(names, (_BLUE, _ORANGE)):
            steps = sorted(curves.get(name, {}))
            panel.plot(steps, [curves[name][step] for step in steps], color=color, label=name, linewidth=1.2)
        panel.set_ylabel("nats a window", fontsize=8)
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2, **_LEGEND)
        panel.tick_params(labelsize=7)
        panel.grid(color=_GRID, linewidth=0.6)
    panel.set_xlabel("step", fontsize=8)
    if score is not None:
        said = "bars kept out: %.1f nats a window likelier than under MusicVAE" % score.all
        if score.new is not None:
            said += "; %.1f where they are new" % score.new
        sheet.text(0.01, 0.01, said, fontsize=8)
    panel = sheet.add_subplot(grid[:, 1])
    windows = _draw_map(panel, means, scales, labels, samples, coloring)
    if coloring is not None:
        bar = sheet.colorbar(windows, ax=panel, shrink=0.6, pad=0.02)
        bar.set_label(coloring.name, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    sheet.tight_layout(rect=(0, 0.03, 1, 1))
    return sheet


def _draw_map(
    panel: Any,
    means: np.ndarray,
    scales: np.ndarray,
    labels: Sequence[str],
    samples: np.ndarray,
    coloring: Optional[Coloring],
) -> Any:
    """Draws the map on a panel; returns the marks of the windows."""
    center = means.mean(0)
    axes = np.linalg.svd(means - center, full_matrices=True)[2][:2]  # one row if the latent has one dimension
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
    color = {"color": _BLUE} if coloring is None else {"c": coloring.values, "cmap": "viridis"}
    windows = panel.scatter(points[:, 0], points[:, 1], s=18, zorder=3, label="windows, by their bars", **color)
    panel.scatter(drawn[:, 0], drawn[:, 1], s=26, color=_RED, marker="x", zorder=3, label="samples")
    if len(labels) <= _MAX_LABELS:
        for (px, py), label in zip(points, labels):
            panel.annotate(label, (px, py), xytext=(3, 3), textcoords="offset points", fontsize=7, zorder=4)
    panel.set_aspect("equal")
    panel.set_title("the small latent, two directions of %d" % means.shape[1], fontsize=9, loc="left")
    panel.legend(loc="upper right", bbox_to_anchor=(1, -0.05), ncol=2, **_LEGEND)
    panel.tick_params(labelsize=7)
    return windows


def save(sheet: figure.Figure, path: str) -> None:
    """Writes a picture as PNG to a path, which does not need to end in `.png`."""
    # Without this, matplotlib writes its version into the file.
    sheet.savefig(path, format="png", metadata={"Software": None})
