import numpy as np
import pytest
from helpers import drum_beat, melody, tune
from PIL import ImageColor, ImageDraw

from lc_music_vae.showing import piano_rolls

BLUE = ImageColor.getrgb(piano_rolls.NOTE)
NOTES = [(0, 1, 60), (1, 2.5, 64), (2.5, 3, 64), (7, 8, 62)]


def shown(sheet, panel):
    """(start, end, pitch) of each box of a panel, read from the picture's pixels; times to half a sixteenth."""
    pixels = np.all(np.array(sheet) == BLUE, axis=2)
    found = []
    for pitch in range(panel.low + 1, panel.high):
        row = pixels[panel.y(pitch), panel.left : panel.left + panel.width + 1]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        times = panel.start + edges / panel.width * (panel.end - panel.start)
        found += [(round(8 * a) / 8, round(8 * b) / 8, pitch) for a, b in times.reshape(-1, 2)]
    return sorted(found)


def placed(sequences, columns=piano_rolls.COLUMNS):
    return piano_rolls.panels(piano_rolls.rolls_of([melody(notes) for notes in sequences]), columns)


def test_each_note_is_where_it_sounds_whatever_the_tempo():
    sheet = piano_rolls.draw([melody(NOTES, qpm=180), melody(NOTES, qpm=60)], ["fast", "slow"])
    for panel in placed([NOTES, NOTES]):
        assert (panel.start, panel.end) == (0, 8)
        assert shown(sheet, panel) == NOTES  # notes of one pitch, one after the other, are two boxes


def test_sheet_has_one_scale_and_rows_in_order():
    tunes = [tune(2, seed) for seed in range(7)]
    sheet = piano_rolls.draw([melody(notes) for notes in tunes], [str(i) for i in range(7)])
    panels = placed(tunes)
    assert len({(p.width, p.end, p.low, p.high) for p in panels}) == 1
    assert sorted(panels, key=lambda p: (p.top, p.left)) == panels
    assert [len({p.left for p in panels}), len({p.top for p in panels})] == [4, 2]
    for panel, notes in zip(panels, tunes):
        assert shown(sheet, panel) == sorted(notes)


def test_lines_stand_at_bars_and_quarters():
    sheet = np.array(piano_rolls.draw([melody(NOTES)], ["x"]).convert("L")).astype(int)
    (panel,) = placed([NOTES])
    row = sheet[panel.y(61) - 4]  # between pitches; no note there
    dark = [q for q in range(1, 8) if row[panel.x(q)] < 160]
    light = [q for q in range(1, 8) if 160 <= row[panel.x(q)] < 250]
    assert (dark, light) == ([4], [1, 2, 3, 5, 6, 7])


def test_letters_stand_above_the_bars_where_their_phrases_begin():
    plain = np.array(piano_rolls.draw([melody(NOTES)] * 2, ["x", "y"], columns=1)).astype(int)
    sheet = piano_rolls.draw([melody(NOTES)] * 2, ["x", "y"], columns=1, letters=[[(0, "A"), (1, "B")], []])
    first, second = placed([NOTES] * 2, columns=1)
    changed = np.abs(np.array(sheet).astype(int) - plain).sum(2) > 0
    assert not changed[second.top :].any()
    for quarter in (0, 4):  # a line at the bar, and a letter to the right of it
        assert changed[first.top : second.top - 30, first.x(quarter)].mean() > 0.9
        assert changed[first.top : first.top + 16, first.x(quarter) + 3 : first.x(quarter) + 16].any()
    assert not changed[:, first.x(0) + 20 : first.x(4) - 1].any()
    assert not changed[:, first.x(4) + 20 :].any()


def is_written(sheet, left, top, right, bottom):
    return bool((np.array(sheet.convert("L"))[top:bottom, left:right] < 128).any())


def test_titles_pitches_and_bars_are_written():
    plain = piano_rolls.draw([melody(NOTES)], [""])
    titled = piano_rolls.draw([melody(NOTES)], ["a title"])
    (panel,) = placed([NOTES])
    above = panel.left, 0, panel.left + panel.width, panel.top - 1
    assert [is_written(sheet, *above) for sheet in (plain, titled)] == [False, True]
    for pitch, named in ((60, True), (62, False), (64, True)):  # C and E
        assert is_written(plain, 0, panel.y(pitch) - 4, panel.left - 2, panel.y(pitch) + 4) is named
    for bar in (0, 1):
        middle = panel.x(4 * bar + 2)
        assert is_written(plain, middle - 5, panel.y(panel.low) + 3, middle + 5, plain.height)


def test_a_title_ends_where_its_panel_does():
    long = "a name that goes on and on " * 9
    sheet = piano_rolls.draw([melody(NOTES)] * 2, [long, ""])
    first, second = placed([NOTES] * 2)
    assert is_written(sheet, first.left + first.width - 40, 0, first.left + first.width, first.top - 1)
    assert not is_written(sheet, first.left + first.width + 1, 0, second.left + second.width, second.top - 1)


@pytest.mark.parametrize("notes", [[(0, 1, 60)], tune(90)])
def test_one_note_and_a_long_song_fit(notes, tmp_path):
    sheets = [piano_rolls.draw([melody(notes)], ["x"], columns=1) for _ in range(2)]
    assert sheets[0].width <= 1600
    assert sheets[0].tobytes() == sheets[1].tobytes()
    (panel,) = placed([notes], columns=1)
    found = shown(sheets[0], panel)
    assert found[-1][1] == pytest.approx(notes[-1][1], abs=0.25)
    assert {pitch for _, _, pitch in found} == {pitch for _, _, pitch in notes}


def test_a_walk_of_many_steps_is_wider_than_the_screen_but_can_be_read():
    tunes = [[(0, 8, 60)]] * 300
    sheet = piano_rolls.draw([melody(notes) for notes in tunes], [""] * 300, columns=150)
    panels = placed(tunes, columns=150)
    assert len({p.left for p in panels}) == 150
    assert all(p.width >= 24 for p in panels)
    for panel in (panels[0], panels[149], panels[299]):
        ((start, end, pitch),) = shown(sheet, panel)
        assert (start, end, pitch) == (pytest.approx(0, abs=0.5), pytest.approx(8, abs=0.5), 60)


def test_silence_is_an_empty_roll():
    silent = melody([(0, 1, 60)])
    del silent.notes[:]
    sheet = piano_rolls.draw([silent], ["rest"])
    (panel,) = piano_rolls.panels(piano_rolls.rolls_of([silent]))
    assert shown(sheet, panel) == []
    assert (panel.end, panel.low, panel.high) == (4, 58, 62)  # around C4


def test_pitch_names():
    octave = ["C4", "C#4", "D4", "D#4", "E4", "F4", "F#4", "G4", "G#4", "A4", "A#4", "B4"]
    assert [piano_rolls.pitch_name(p) for p in range(60, 72)] == octave
    assert [piano_rolls.pitch_name(p) for p in (0, 21, 59, 108, 127)] == ["C-1", "A0", "B3", "C8", "G9"]


@pytest.fixture
def written(monkeypatch):
    """The texts that are drawn: {(x, y): text}."""
    texts = {}
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, at, text, **kwargs: texts.update({at: text}))
    return texts


@pytest.mark.parametrize(
    ("notes", "pitches", "bars"),
    [
        (NOTES, ["C4", "E4"], [1, 2]),
        ([(0, 4, 48), (4, 8, 80)], ["C3", "E3", "G3", "C4", "E4", "G4", "C5", "E5", "G5"], [1, 2]),
        ([(0, 4, 48), (4, 8, 81)], ["C3", "C4", "C5"], [1, 2]),  # more than three octaves
        ([(0, 4, 70), (96, 100, 70)], ["A#4"], list(range(1, 26))),
        ([(0, 4, 62), (124, 128, 62)], ["D4"], list(range(1, 33, 2))),
    ],
)
def test_which_pitches_and_bars_are_named(notes, pitches, bars, written):
    piano_rolls.draw([melody(notes)] * 2, ["x", "y"], columns=1)
    first, second = placed([notes] * 2, columns=1)
    beside = {y: text for (x, y), text in written.items() if x < first.left and text != "bar"}
    names = {panel.y(p): piano_rolls.pitch_name(p) for panel in (first, second) for p in range(40, 90)}
    assert sorted(beside.values()) == sorted(pitches * 2)
    assert all(names[y] == text for y, text in beside.items())
    below = {x: text for (x, y), text in written.items() if y > second.y(second.low) and text != "bar"}
    assert below == {second.x(4 * bar - 2): str(bar) for bar in bars}
    (label,) = [at for at, text in written.items() if text == "bar"]
    assert label[0] < second.left
    assert label[1] > second.y(second.low)
    titles = {text: at for at, text in written.items() if text in ("x", "y")}
    assert titles["x"][1] < first.top
    assert first.y(first.low) < titles["y"][1] < second.top


@pytest.mark.parametrize(("bars", "quarters"), [(8, True), (9, False)])
def test_quarters_have_lines_where_there_is_room(bars, quarters):
    notes = [(0, 1, 60), (4 * bars - 1, 4 * bars, 72)]
    sheet = np.array(piano_rolls.draw([melody(notes)], ["x"]).convert("L")).astype(int)
    (panel,) = placed([notes])
    lines = [q for q in range(1, 4 * bars) if sheet[panel.y(66) - 1, panel.x(q)] < 250]
    assert lines == [q for q in range(1, 4 * bars) if quarters or q % 4 == 0]


def test_a_white_pixel_is_left_before_what_comes_next_and_the_shortest_note_is_seen():
    notes = NOTES + [(4, 4.001, 67)]
    pixels = np.all(np.array(piano_rolls.draw([melody(notes)], ["x"])) == BLUE, axis=2)
    (panel,) = placed([notes])
    for pitch, times in ((64, [(1, 2.5), (2.5, 3)]), (67, [(4, 4.001)])):
        expected = [x for a, b in times for x in range(panel.x(a) + 1, max(panel.x(a) + 2, panel.x(b)))]
        assert np.flatnonzero(pixels[panel.y(pitch)]).tolist() == expected


def test_a_title_is_as_long_as_there_is_room():
    font = piano_rolls._font(12)
    assert font.getname()[0] == "DejaVu Sans"

    def shortened(title, room):
        return piano_rolls._shortened(title, font, font.getlength(room))

    assert shortened("a title", "a title") == "a title"
    for room in ("m…", "mm…", "mmmmm…"):
        assert shortened("m" * 9, room) == room
    assert shortened("a title", "a ti…") == "a ti…"
    assert shortened("a title", "a …") == "a…"
    assert shortened("mmm", "…") == shortened("", "") == ""


def lines_in(sheet, panel):
    """The quarters at which bars and beats have lines, in a row of a panel where no note is."""
    row = np.array(sheet.convert("L")).astype(int)[panel.top + 3]
    at = {eighth / 2: row[panel.x(eighth / 2)] for eighth in range(int(2 * panel.start) + 1, int(2 * panel.end))}
    return [q for q, dark in at.items() if dark < 160], [q for q, dark in at.items() if 160 <= dark < 250]


@pytest.mark.parametrize(
    ("time_signature", "bars", "beats"),
    [((6, 8), [3], [1.5, 4.5]), ((3, 4), [3], [1, 2, 4, 5]), ((9, 8), [4.5], [1.5, 3, 6, 7.5])],
)
def test_lines_stand_at_bars_and_beats_of_a_metre(time_signature, bars, beats):
    sequence = melody([(0, 1, 60), (5, 6, 64)], time_signature=time_signature)
    (panel,) = piano_rolls.panels(piano_rolls.rolls_of([sequence]))
    assert lines_in(piano_rolls.draw([sequence], ["x"]), panel) == (bars, beats)


def scale(quarters, time_signature=(4, 4)):
    return melody([(i, i + 1, 60 + i % 8) for i in range(quarters)], time_signature=time_signature)


@pytest.mark.parametrize(
    ("quarters", "time_signature", "of_systems"),
    [(24 * 4, (4, 4), [8, 8, 8]), (17 * 3, (3, 4), [8, 8, 1]), (70 * 3, (3, 4), [16, 16, 16, 16, 6])],
)
def test_a_song_is_drawn_in_systems_with_the_numbers_of_its_bars(quarters, time_signature, of_systems, written):
    song = scale(quarters, time_signature)
    bar = 4 * time_signature[0] / time_signature[1]
    placed = piano_rolls.systems(piano_rolls.rolls_of([song, song]))
    assert [[(p.end - p.start) / bar for p in system] for system in placed] == [[n, n] for n in of_systems]
    piano_rolls.draw_score([song, song], ["the song", "as it is heard"])
    tops = [panel.top for system in placed for panel in system]
    assert tops == sorted(tops)
    first = 0
    for (above, below), count in zip(placed, of_systems):
        assert (above.left, above.width, above.start, above.end) == (below.left, below.width, below.start, below.end)
        under = {x: text for (x, y), text in written.items() if below.y(below.low) < y < below.y(below.low) + 20}
        del under[min(under)]  # the word
        assert under == {below.x(bar * (i + 0.5)): str(i + 1) for i in range(first, first + count)}
        first += count
    assert list(written.values()).count("the song") == 1


def test_each_note_is_in_its_system_and_one_over_the_break_in_both():
    song = melody([(0, 4, 60), (30, 34, 64), (34, 36, 67)])
    again = melody([(0, 32, 62), (32, 36, 67)])
    sheet = piano_rolls.draw_score([song, again], ["a", "b"])
    (first, first_again), (second, second_again) = piano_rolls.systems(piano_rolls.rolls_of([song, again]))
    assert shown(sheet, first) == [(0, 4, 60), (30, 32, 64)]
    assert shown(sheet, second) == [(32, 34, 64), (34, 36, 67)]
    assert shown(sheet, first_again) == [(0, 32, 62)]
    assert shown(sheet, second_again) == [(32, 36, 67)]


def test_a_very_long_song_is_cut_and_said(caplog, monkeypatch):
    monkeypatch.setattr(piano_rolls, "_MAX_BARS", 20)
    with caplog.at_level("INFO"):
        sheet = piano_rolls.draw_score([scale(4 * 40)], ["x"])
    assert caplog.messages == ["the sheet shows the first 20 of 40 bars"]
    assert sheet.height == piano_rolls.draw_score([scale(4 * 20)], ["x"]).height


def beat(pitches):
    """A drum every quarter, and another pitch of `pitches` each time."""
    sequence = drum_beat(2)
    del sequence.notes[:]
    for i, pitch in enumerate(pitches):
        at = {"start_time": i / 2, "end_time": i / 2 + 0.125, "instrument": 9, "is_drum": True, "velocity": 90}
        sequence.notes.add(pitch=pitch, **at)
    return sequence


def test_drums_have_a_row_each_with_its_name(written):
    """From the kick up; one that is not of the kit is above, with its number."""
    sheet = piano_rolls.draw([beat([36, 38, 42, 54]), beat([51])], ["x", "y"], columns=1)
    first, second = piano_rolls.panels(piano_rolls.rolls_of([beat([36, 38, 42, 54]), beat([51])]), 1)
    assert shown(sheet, first) == [(0, 0.25, 0), (1, 1.25, 1), (2, 2.25, 2), (3, 3.25, 9)]
    assert shown(sheet, second) == [(0, 0.25, 8)]
    beside = {y: text for (x, y), text in written.items() if x < first.left and y < second.top and text != "bar"}
    rows = ["kick", "snare", "hat", "open hat", "tom 3", "tom 2", "tom 1", "crash", "ride", "54"]
    assert [beside[first.y(row)] for row in range(10)] == rows
    assert min(abs(a - b) for a in beside for b in beside if a != b) >= 10  # labels have room


@pytest.mark.parametrize("pitches", [range(35, 60), []])
def test_many_drums_and_drums_with_others_keep_their_pitches(pitches):
    some = [beat(pitches)] + [melody(NOTES)] * (not pitches)
    for roll in piano_rolls.rolls_of(some):
        assert not roll.rows
    assert [pitch for _, _, pitch in piano_rolls.rolls_of(some)[-1].notes] == list(pitches or (60, 64, 64, 62))
