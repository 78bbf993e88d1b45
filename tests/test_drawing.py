import numpy as np
import pytest
from conftest import melody, tune

from lc_music_vae import drawing


def boxes(panel):
    """(start, end, pitch) of each note that a panel shows."""
    (shown,) = panel.collections
    corners = [path.vertices for path in shown.get_paths()]
    return sorted((c[:, 0].min(), c[:, 0].max(), c[:, 1].mean()) for c in [v[:4] for v in corners])


def test_each_note_is_where_it_sounds_whatever_the_tempo():
    notes = [(0, 1, 60), (1, 2.5, 64), (7, 8, 62)]
    fast, slow = melody(notes, qpm=180), melody(notes, qpm=60)
    sheet = drawing.piano_rolls([fast, slow], ["fast", "slow"])
    for panel, title in zip(sheet.axes, ("fast", "slow")):
        np.testing.assert_allclose(boxes(panel), sorted(notes), atol=1e-5)
        assert panel.get_title(loc="left") == title
        assert panel.get_xlim() == (0, 8)


def test_sheet_has_one_scale_rows_in_order_and_named_pitches():
    sequences = [melody(tune(2, seed)) for seed in range(7)]
    sheet = drawing.piano_rolls(sequences, [str(i) for i in range(7)])
    visible = [panel for panel in sheet.axes if panel.get_visible()]
    assert [panel.get_title(loc="left") for panel in visible] == list("0123456")
    assert len({panel.get_ylim() for panel in visible}) == 1
    sheet.canvas.draw()
    labels = [label.get_text() for label in visible[0].get_yticklabels()]
    assert "C5" in labels
    assert [label.get_text() for label in visible[-1].get_xticklabels()] == ["1", "2"]
    rules = [line.get_xdata()[0] for line in visible[0].lines if line.get_linewidth() > 0.7]
    assert rules == [0, 4, 8]  # a line at every bar


@pytest.mark.parametrize("sequences", [[melody([(0, 1, 60)])], [melody(tune(90))]])
def test_one_note_and_a_long_song_fit(sequences, tmp_path):
    sheet = drawing.piano_rolls(sequences, ["x"], columns=1)
    assert sheet.get_size_inches()[0] <= 16
    drawing.save(sheet, str(tmp_path / "a"))
    drawing.save(drawing.piano_rolls(sequences, ["x"], columns=1), str(tmp_path / "b"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes().startswith(b"\x89PNG")


def test_silence_is_an_empty_roll():
    silent = melody([(0, 1, 60)])
    del silent.notes[:]
    (panel,) = drawing.piano_rolls([silent], ["rest"]).axes
    assert boxes(panel) == []


@pytest.mark.parametrize("dimensions", [1, 2, 4])
def test_map_shows_each_window_where_its_mean_varies_most(dimensions):
    rng = np.random.RandomState(0)
    means = rng.normal(size=(9, dimensions)) * [3, 2, 0.1, 0.1][:dimensions]
    scales = np.full((9, dimensions), 0.5)
    curves = {"loss": {1: 3.0, 2: 2.0}, "reconstruction": {1: 2.5, 2: 1.5}, "kl": {1: 0.5, 2: 0.5}}
    labels = [str(i) for i in range(9)]
    sheet = drawing.training(curves, means, scales, labels, rng.normal(size=(8, dimensions)))
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


def test_pitch_names():
    assert [drawing.pitch_name(p) for p in (21, 60, 69, 73, 108)] == ["A0", "C4", "A4", "C#5", "C8"]
