"""Draws piano rolls of the outputs on one sheet.

Uses Pillow. matplotlib, which draws the picture of the training, would take longer to import and to draw a sheet of 64
outputs than MusicVAE takes to sample them.
"""

import math
import os
from typing import List, NamedTuple, Sequence, Tuple

import note_seq
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lc_music_vae.music.style import QUARTERS_PER_BAR
from lc_music_vae.music.tempo import TempoMap
from lc_music_vae.system import requirements

COLUMNS = 4
NOTE = "#2a6f97"
_GRID, _BAR, _TEXT = "#e3e3e3", "#8c8c8c", "black"
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_MARGIN = 2  # semitones above and below the notes
# Pixels.
_MAX_WIDTH, _MIN_PANEL, _A_BAR, _MIN_WIDTH = 1600, 300, 55, 24
_HEIGHT, _TITLE, _GAP, _LEFT, _RIGHT, _BOTTOM = 160, 24, 14, 34, 12, 26
_TITLE_SIZE, _LABEL_SIZE = 12, 10

Roll = List[Tuple[float, float, int]]  # start and end of each note in quarters, and its pitch


def pitch_name(pitch: int) -> str:
    """Returns the name of a MIDI pitch; 60 is C4."""
    return "%s%d" % (_NAMES[pitch % 12], pitch // 12 - 1)


class Panel(NamedTuple):
    """A roll's place on its sheet, in pixels, and what it shows: the number of bars, and pitches `low` to `high`."""

    left: int
    top: int
    width: int
    bars: int
    low: int
    high: int

    def x(self, quarter: float) -> int:
        """Returns the x position of a time."""
        return self.left + round(quarter / (self.bars * QUARTERS_PER_BAR) * self.width)

    def y(self, pitch: float) -> int:
        """Returns the y position of a pitch."""
        return self.top + round((self.high - pitch) / (self.high - self.low) * _HEIGHT)


def _roll(sequence: note_seq.NoteSequence) -> Roll:
    tempo_map = TempoMap(sequence.tempos)
    starts = tempo_map.quarters(np.array([n.start_time for n in sequence.notes]))
    ends = tempo_map.quarters(np.array([n.end_time for n in sequence.notes]))
    return [(float(a), float(b), n.pitch) for a, b, n in zip(starts, ends, sequence.notes)]


def _font(size: int) -> ImageFont.ImageFont:
    """Returns DejaVu Sans from matplotlib's files. It has letters of most alphabets. Does not load matplotlib."""
    folder = requirements.folder_of("matplotlib")
    return ImageFont.truetype(
        os.path.join(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf"), size, layout_engine=ImageFont.Layout.BASIC
    )


def panels(rolls: Sequence[Roll], columns: int = COLUMNS) -> List[Panel]:
    """Returns the place of each roll in `draw`: row by row, all at the same scale."""
    pitches = [pitch for roll in rolls for _, _, pitch in roll] or [60]
    low, high = min(pitches) - _MARGIN, max(pitches) + _MARGIN
    end = max((end for roll in rolls for _, end, _ in roll), default=0)
    bars = max(1, math.ceil(end / QUARTERS_PER_BAR - 1e-6))
    columns = min(columns, len(rolls))
    room = (_MAX_WIDTH - _LEFT - _RIGHT) // columns - _GAP
    width = max(_MIN_WIDTH, min(room, max(_MIN_PANEL, _A_BAR * bars)))
    places = ((i % columns, i // columns) for i in range(len(rolls)))
    lefts_and_tops = ((_LEFT + x * (width + _GAP), _TITLE + y * (_HEIGHT + _TITLE)) for x, y in places)
    return [Panel(left, top, width, bars, low, high) for left, top in lefts_and_tops]


def draw(sequences: Sequence[note_seq.NoteSequence], titles: Sequence[str], columns: int = COLUMNS) -> Image.Image:
    """Draws NoteSequences as piano rolls on one sheet, row by row, all at the same scale.

    Args:
        sequences: The NoteSequences to draw, at least one.
        titles: One title per sequence.
        columns: Number of rolls in a row.
    """
    rolls = [_roll(sequence) for sequence in sequences]
    placed = panels(rolls, columns)
    right, bottom = max(p.left + p.width for p in placed), max(p.top for p in placed) + _HEIGHT
    sheet = Image.new("RGB", (right + _RIGHT, bottom + _BOTTOM), "white")
    pen = ImageDraw.Draw(sheet)
    label_font, title_font = _font(_LABEL_SIZE), _font(_TITLE_SIZE)
    lowest = {panel.left: panel.top for panel in placed}  # per column: the last panel remains
    pen.text((_LEFT - 4, bottom + 4), "bar", fill=_TEXT, font=label_font, anchor="rt")
    for panel, roll, title in zip(placed, rolls, titles):
        _draw_roll(pen, panel, roll)
        title = _shortened(title, title_font, panel.width)
        pen.text((panel.left, panel.top - 5), title, fill=_TEXT, font=title_font, anchor="ls")
        if panel.left == _LEFT:
            for pitch in _named(panel):
                pen.text((panel.left - 4, panel.y(pitch)), pitch_name(pitch), fill=_TEXT, font=label_font, anchor="rm")
        if panel.top == lowest[panel.left]:
            for bar in range(0, panel.bars, max(1, panel.bars // 16)):
                at = panel.x(QUARTERS_PER_BAR * (bar + 0.5)), panel.top + _HEIGHT + 4
                pen.text(at, str(bar + 1), fill=_TEXT, font=label_font, anchor="mt")
    return sheet


def _named(panel: Panel) -> List[int]:
    """Returns the pitches that have a line: every C, and E and G too if there is room; if none, the lowest note."""
    named = (0,) if panel.high - panel.low > 36 else (0, 4, 7)
    found = [pitch for pitch in range(panel.low + 1, panel.high) if pitch % 12 in named]
    return found or [panel.low + _MARGIN]


def _draw_roll(pen: ImageDraw.ImageDraw, panel: Panel, roll: Roll) -> None:
    top, bottom = panel.top, panel.top + _HEIGHT
    for pitch in _named(panel):
        pen.line((panel.left, panel.y(pitch), panel.left + panel.width, panel.y(pitch)), fill=_GRID)
    for quarter in range(panel.bars * QUARTERS_PER_BAR):
        is_bar = quarter % QUARTERS_PER_BAR == 0
        if is_bar or panel.bars <= 8:
            pen.line((panel.x(quarter), top, panel.x(quarter), bottom), fill=_BAR if is_bar else _GRID)
    pen.rectangle((panel.left, top, panel.left + panel.width, bottom), outline=_TEXT)
    for start, end, pitch in roll:
        # One white pixel separates a note from the next one, unless the note is only one pixel wide.
        left, right = panel.x(start) + 1, max(panel.x(start) + 1, panel.x(end) - 1)
        pen.rectangle((left, panel.y(pitch + 0.45), right, panel.y(pitch - 0.45)), fill=NOTE)


def _shortened(title: str, font: ImageFont.ImageFont, width: int) -> str:
    """Returns the title, shortened to the width."""
    shown = title
    while shown and font.getlength(shown) > width:
        shown = shown[:-2].rstrip() + "…" if len(shown) > 2 else ""
    return shown
