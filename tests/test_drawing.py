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


def test_pitch_names():
    assert [drawing.pitch_name(p) for p in (21, 60, 69, 73, 108)] == ["A0", "C4", "A4", "C#5", "C8"]
