"""Draws piano rolls of the outputs on one sheet.

Uses Pillow. matplotlib, which draws the picture of the training, would take longer to import and to draw a sheet of 64
outputs than MusicVAE takes to sample them.
"""

import logging
import os
from typing import List, NamedTuple, Sequence, Tuple

import note_seq
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lc_music_vae.music import drum_kit, metre
from lc_music_vae.music.metre import bars_and_metres
from lc_music_vae.music.style import QUARTERS_PER_BAR
from lc_music_vae.music.tempo import TempoMap
from lc_music_vae.system import requirements

logger = logging.getLogger(__name__)

COLUMNS = 4
NOTE = "#2a6f97"
_GRID, _BAR, _TEXT, _LETTER = "#e3e3e3", "#8c8c8c", "black", "#c8480b"
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_MARGIN = 2  # semitones above and below the notes
_MAX_ROWS = 14  # of drums: for more there is no room to name them
# Pixels.
_MAX_WIDTH, _MIN_PANEL, _A_BAR, _MIN_WIDTH = 1600, 300, 55, 24
_HEIGHT, _TITLE, _GAP, _LEFT, _RIGHT, _BOTTOM = 160, 24, 14, 48, 12, 26
_TITLE_SIZE, _LABEL_SIZE = 12, 10
_MAX_WITH_BEATS = 8  # bars in a panel
_TOLERANCE = 1e-3  # quarters that rounding may move the last note over a bar line
# Bars in a system of a score: the first number while a score has at most so many systems, then the second.
_SYSTEMS, _BARS_A_SYSTEM = 8, (8, 16)
_MAX_BARS = 800  # of a score, which is then 20,000 pixels high


class Roll(NamedTuple):
    """Music to draw, in quarters: start, end and pitch of each note, and where bars and the beats in them begin.

    Of drums, the names of rows are there, from the lowest on, and the number of a note's row stands for its pitch.
    """

    notes: List[Tuple[float, float, int]]
    bars: List[float]
    beats: List[float]
    rows: Tuple[str, ...] = ()


def pitch_name(pitch: int) -> str:
    """Returns the name of a MIDI pitch; 60 is C4."""
    return "%s%d" % (_NAMES[pitch % 12], pitch // 12 - 1)


class Panel(NamedTuple):
    """A roll's place on its sheet, in pixels, and what it shows: quarters `start` to `end`, pitches `low` to `high`.

    Of drums, the rows have names.
    """

    left: int
    top: int
    width: int
    start: float
    end: float
    low: int
    high: int
    rows: Tuple[str, ...] = ()

    def x(self, quarter: float) -> int:
        """Returns the x position of a time."""
        return self.left + round((quarter - self.start) / (self.end - self.start) * self.width)

    def y(self, pitch: float) -> int:
        """Returns the y position of a pitch."""
        return self.top + round((self.high - pitch) / (self.high - self.low) * _HEIGHT)

    def within(self, times: Sequence[float]) -> List[float]:
        """Returns the times that the panel shows, without its end."""
        return [time for time in times if self.start <= time < self.end]


def rolls_of(sequences: Sequence[note_seq.NoteSequence]) -> List[Roll]:
    """Returns the rolls of NoteSequences. The bars of each go on to where those of the longest end."""
    music = [(sequence, TempoMap(sequence.tempos)) for sequence in sequences]
    notes = [_notes(*one) for one in music]
    lasts = [max([_TOLERANCE] + [end - _TOLERANCE for _, end, _ in some]) for some in notes]
    end = max(bars_and_metres(*one, last)[0][-1] for one, last in zip(music, lasts))
    kit = _kit(sequences)
    if kit:
        notes = [[(start, stop, kit.index(pitch)) for start, stop, pitch in some] for some in notes]
    rows = tuple(drum_kit.name(pitch) for pitch in kit)
    return [Roll(some, *_lines(*one, end), rows) for some, one in zip(notes, music)]


def _kit(sequences: Sequence[note_seq.NoteSequence]) -> List[int]:
    """Returns the pitches of drums that have a row of their own; none if there are other notes, or too many drums."""
    found = {(note.pitch, note.is_drum) for sequence in sequences for note in sequence.notes}
    if not found or not all(is_drum for _, is_drum in found):
        return []
    kit = [*drum_kit.NAMES, *sorted({pitch for pitch, _ in found} - set(drum_kit.NAMES))]
    return kit if len(kit) <= _MAX_ROWS else []


def _notes(sequence: note_seq.NoteSequence, tempo_map: TempoMap) -> List[Tuple[float, float, int]]:
    starts = tempo_map.quarters(np.array([n.start_time for n in sequence.notes]))
    ends = tempo_map.quarters(np.array([n.end_time for n in sequence.notes]))
    return [(float(a), float(b), n.pitch) for a, b, n in zip(starts, ends, sequence.notes)]


def _lines(sequence: note_seq.NoteSequence, tempo_map: TempoMap, end: float) -> Tuple[List[float], List[float]]:
    """Returns where bars and beats up to `end` begin, with the end of the last bar."""
    bars, metres = bars_and_metres(sequence, tempo_map, end)
    lengths = [metre.at(metres, bar).beat for bar in bars[:-1]]
    beats = [np.arange(*edges, length) for *edges, length in zip(bars, bars[1:], lengths)]
    return bars.tolist(), np.concatenate(beats).tolist()


def _font(size: int) -> ImageFont.ImageFont:
    """Returns DejaVu Sans from matplotlib's files. It has letters of most alphabets. Does not load matplotlib."""
    folder = requirements.folder_of("matplotlib")
    return ImageFont.truetype(
        os.path.join(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf"), size, layout_engine=ImageFont.Layout.BASIC
    )


def panels(rolls: Sequence[Roll], columns: int = COLUMNS) -> List[Panel]:
    """Returns the place of each roll in `draw`: row by row, all at the same scale."""
    low, high = _range(rolls)
    end = max(roll.bars[-1] for roll in rolls)
    columns = min(columns, len(rolls))
    room = (_MAX_WIDTH - _LEFT - _RIGHT) // columns - _GAP
    width = max(_MIN_WIDTH, min(room, max(_MIN_PANEL, round(_A_BAR * end / QUARTERS_PER_BAR))))
    places = ((i % columns, i // columns) for i in range(len(rolls)))
    lefts_and_tops = ((_LEFT + x * (width + _GAP), _TITLE + y * (_HEIGHT + _TITLE)) for x, y in places)
    return [Panel(left, top, width, 0.0, end, low, high, rolls[0].rows) for left, top in lefts_and_tops]


def systems(rolls: Sequence[Roll]) -> List[List[Panel]]:
    """Returns the places of rolls in `draw_score`: for each system a panel for each roll, all at the same scale.

    The bars are those of the first roll. A system has 8 of them, in long music 16.
    """
    low, high = _range(rolls)
    bars = rolls[0].bars[: _MAX_BARS + 1]
    count = _BARS_A_SYSTEM[len(bars) - 1 > _SYSTEMS * _BARS_A_SYSTEM[0]]
    edges = [(bars[i], bars[min(i + count, len(bars) - 1)]) for i in range(0, len(bars) - 1, count)]
    scale = (_MAX_WIDTH - _LEFT - _RIGHT) / max(end - start for start, end in edges)
    found, top = [], _TITLE
    for start, end in edges:
        tops = [top + i * (_HEIGHT + _TITLE) for i in range(len(rolls))]
        width, rows = round(scale * (end - start)), rolls[0].rows
        found.append([Panel(_LEFT, at, width, start, end, low, high, rows) for at in tops])
        top = tops[-1] + _HEIGHT + _BOTTOM + _TITLE
    return found


def _range(rolls: Sequence[Roll]) -> Tuple[int, int]:
    if rolls[0].rows:
        return -1, len(rolls[0].rows)
    pitches = [pitch for roll in rolls for _, _, pitch in roll.notes] or [60]
    return min(pitches) - _MARGIN, max(pitches) + _MARGIN


def draw(
    sequences: Sequence[note_seq.NoteSequence],
    titles: Sequence[str],
    *,
    columns: int = COLUMNS,
    letters: Sequence[Sequence[Tuple[int, str]]] = (),
) -> Image.Image:
    """Draws NoteSequences as piano rolls on one sheet, row by row, all at the same scale.

    Args:
        sequences: The NoteSequences to draw, at least one.
        titles: One title per sequence.
        columns: Number of rolls in a row.
        letters: For each sequence, the letters that stand above its bars, and the numbers of these, from 0.
    """
    rolls = rolls_of(sequences)
    placed = panels(rolls, columns)
    lowest = {panel.left: panel for panel in placed}  # per column: the last panel remains
    sheet = _draw(list(zip(placed, rolls, titles)), numbered=list(lowest.values()))
    pen, font = ImageDraw.Draw(sheet), _font(_TITLE_SIZE)
    for panel, roll, marks in zip(placed, rolls, letters):
        for bar, letter in marks:
            at = panel.x(roll.bars[bar])
            pen.line((at, panel.top, at, panel.top + _HEIGHT), fill=_LETTER)
            pen.text((at + 4, panel.top + 3), letter, fill=_LETTER, font=font, anchor="lt")
    return sheet


def draw_score(sequences: Sequence[note_seq.NoteSequence], titles: Sequence[str]) -> Image.Image:
    """Draws whole songs under each other as in a score: in systems of a few bars, with the numbers of these.

    Args:
        sequences: The NoteSequences to draw, at least one. The bars are those of the first.
        titles: One title per sequence, written at the first system.
    """
    rolls = rolls_of(sequences)
    rolls = [roll._replace(bars=rolls[0].bars, beats=rolls[0].beats) for roll in rolls]
    if len(rolls[0].bars) > _MAX_BARS + 1:
        logger.info("the sheet shows the first %d of %d bars", _MAX_BARS, len(rolls[0].bars) - 1)
    placed = systems(rolls)
    shown = [*titles, *[""] * (len(rolls) * (len(placed) - 1))]
    parts = [part for system in placed for part in zip(system, rolls)]
    return _draw(
        [(panel, roll, title) for (panel, roll), title in zip(parts, shown)],
        numbered=[system[-1] for system in placed],
    )


def _draw(parts: Sequence[Tuple[Panel, Roll, str]], numbered: Sequence[Panel]) -> Image.Image:
    """Draws rolls and their titles on panels, and the numbers of bars under some of these."""
    right = max(panel.left + panel.width for panel, _, _ in parts)
    bottom = max(panel.top for panel, _, _ in parts) + _HEIGHT
    sheet = Image.new("RGB", (right + _RIGHT, bottom + _BOTTOM), "white")
    pen = ImageDraw.Draw(sheet)
    label_font, title_font = _font(_LABEL_SIZE), _font(_TITLE_SIZE)
    for panel, roll, title in parts:
        _draw_roll(pen, panel, roll)
        title = _shortened(title, title_font, panel.width)
        pen.text((panel.left, panel.top - 5), title, fill=_TEXT, font=title_font, anchor="ls")
        if panel.left == _LEFT:
            for pitch in _named(panel):
                name = panel.rows[pitch] if panel.rows else pitch_name(pitch)
                pen.text((panel.left - 4, panel.y(pitch)), name, fill=_TEXT, font=label_font, anchor="rm")
        if panel in numbered:
            if panel.left == _LEFT:
                pen.text((_LEFT - 4, panel.top + _HEIGHT + 4), "bar", fill=_TEXT, font=label_font, anchor="rt")
            shown = [(i, edges) for i, edges in enumerate(zip(roll.bars, roll.bars[1:])) if panel.within(edges[:1])]
            for i, (start, end) in shown[:: max(1, len(shown) // 16)]:
                at = panel.x((start + end) / 2), panel.top + _HEIGHT + 4
                pen.text(at, str(i + 1), fill=_TEXT, font=label_font, anchor="mt")
    return sheet


def _named(panel: Panel) -> List[int]:
    """Returns the pitches that have a line: every C, and E and G too if there is room; if none, the lowest note.

    Of drums, every row has one.
    """
    if panel.rows:
        return list(range(len(panel.rows)))
    named = (0,) if panel.high - panel.low > 36 else (0, 4, 7)
    found = [pitch for pitch in range(panel.low + 1, panel.high) if pitch % 12 in named]
    return found or [panel.low + _MARGIN]


def _draw_roll(pen: ImageDraw.ImageDraw, panel: Panel, roll: Roll) -> None:
    top, bottom = panel.top, panel.top + _HEIGHT
    for pitch in _named(panel):
        pen.line((panel.left, panel.y(pitch), panel.left + panel.width, panel.y(pitch)), fill=_GRID)
    bars, beats = panel.within(roll.bars), panel.within(roll.beats)
    for times, color in ((beats if len(bars) <= _MAX_WITH_BEATS else [], _GRID), (bars, _BAR)):
        for time in times:
            pen.line((panel.x(time), top, panel.x(time), bottom), fill=color)
    pen.rectangle((panel.left, top, panel.left + panel.width, bottom), outline=_TEXT)
    for start, end, pitch in roll.notes:
        if end <= panel.start > start or start >= panel.end:
            continue
        start, end = max(start, panel.start), min(end, panel.end)
        # One white pixel separates a note from the next one, unless the note is only one pixel wide.
        left, right = panel.x(start) + 1, max(panel.x(start) + 1, panel.x(end) - 1)
        pen.rectangle((left, panel.y(pitch + 0.45), right, panel.y(pitch - 0.45)), fill=NOTE)


def _shortened(title: str, font: ImageFont.ImageFont, width: int) -> str:
    """Returns the title, shortened to the width."""
    shown = title
    while shown and font.getlength(shown) > width:
        shown = shown[:-2].rstrip() + "…" if len(shown) > 2 else ""
    return shown
