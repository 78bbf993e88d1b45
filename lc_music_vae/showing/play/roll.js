// Piano rolls.
"use strict";

// Draws notes, [start, end, pitch] in steps, between two pitches. A roll of many bars has no lines for beats.
function drawNotes(svg, notes, { range: [low, high], steps, bar, beat = 4 }) {
  const height = high - low + 1, lines = [];
  const upright = (x, kind) => make("line", { x1: x, y1: 0, x2: x, y2: height, class: kind });
  svg.setAttribute("viewBox", `0 0 ${steps} ${height}`);
  for (let step = beat; step < steps && steps <= 4 * bar; step += beat) lines.push(upright(step, "beat"));
  for (let step = bar; step < steps; step += bar) lines.push(upright(step, "bar"));
  for (let c = Math.ceil(low / 12) * 12; c <= high; c += 12) {
    lines.push(make("line", { x1: 0, y1: high - c + 1, x2: steps, y2: high - c + 1 }));
  }
  svg.replaceChildren(...lines, ...notes.map(([start, end, pitch]) => make("rect", {
    x: start + 0.04, y: high - pitch + 0.05, width: end - start - 0.08, height: 0.9, rx: 0.15 })));
}

// A roll that shows what sounds now.
class Roll {
  constructor(svg) {
    this.svg = svg;
    this.cursor = make("line", { class: "cursor", y1: 0 });
    this.notes = [];
  }

  draw(notes, how) {
    this.notes = notes;
    drawNotes(this.svg, notes, how);
    this.cursor.setAttribute("y2", how.range[1] - how.range[0] + 1);
    this.svg.append(this.cursor);
  }

  // `now` is a step with its fraction, or less than 0.
  mark(now) {
    this.cursor.setAttribute("x1", now);
    this.cursor.setAttribute("x2", now);
    this.svg.querySelectorAll("rect").forEach((rect, i) => {
      rect.classList.toggle("on", now >= this.notes[i][0] && now < this.notes[i][1]);
    });
  }
}
