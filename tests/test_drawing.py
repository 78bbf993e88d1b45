import numpy as np
import pytest
from matplotlib import text

from lc_music_vae.training import drawing


@pytest.mark.parametrize("dimensions", [1, 2, 4])
def test_map_shows_each_window_where_its_mean_varies_most(dimensions):
    rng = np.random.RandomState(0)
    means = rng.normal(size=(9, dimensions)) * [3, 2, 0.1, 0.1][:dimensions]
    scales = np.full((9, dimensions), 0.5)
    curves = {"loss": {1: 3.0, 2: 2.0}, "reconstruction": {1: 2.5, 2: 1.5}, "kl": {1: 0.5, 2: 0.5}}
    labels = [str(i) for i in range(9)]
    drawn = rng.normal(size=(8, dimensions))
    sheet = drawing.training(curves, means=means, scales=scales, labels=labels, samples=drawn)
    upper, lower, latent_map = sheet.axes
    assert [line.get_label() for line in upper.lines + lower.lines] == ["loss", "reconstruction", "kl"]
    assert list(upper.lines[0].get_xydata().ravel()) == [1, 3, 2, 2]
    windows, samples = [c for c in latent_map.collections if c.get_label() in ("windows, by their bars", "samples")]
    shown = np.array(windows.get_offsets())
    assert (len(shown), len(samples.get_offsets())) == (9, 8)
    centered = means - means.mean(0)
    kept = (shown**2).sum() / (centered**2).sum()
    assert kept > 0.99  # nothing to speak of is lost in two directions
    for i in (0, 5):  # distances are those of the latent
        expected = np.linalg.norm(centered[i] - centered[3])
        assert np.linalg.norm(shown[i] - shown[3]) == pytest.approx(expected, rel=0.05, abs=0.1)
    assert {t.get_text() for t in latent_map.texts} == set(labels)


def test_no_legend_covers_what_is_drawn():
    """Neither its own panel nor what is written beside it."""
    rng = np.random.RandomState(1)
    curves = {name: {0: 0.0, 10: 1.0} for name in ("loss", "reconstruction", "kl")}
    points = rng.randn(9, 4)
    labels = [str(i) for i in range(9)]
    sheet = drawing.training(curves, means=points, scales=np.ones([9, 4]), labels=labels, samples=points)
    pen = sheet.canvas.get_renderer()
    texts = [child for panel in sheet.axes for child in panel.get_children() if isinstance(child, text.Text)]
    taken = [thing.get_window_extent(pen) for thing in [*sheet.axes, *texts]]
    for panel in sheet.axes:
        legend = panel.get_legend().get_window_extent(pen)
        assert not any(legend.overlaps(box) for box in taken if box.width)
        corners = [(legend.x0, legend.y0), (legend.x1, legend.y1)]
        assert all(sheet.bbox.contains(*corner) for corner in corners)
