// The page: a point of the small latent, moved by map and knobs; its bars, drawn and played; a shelf of those liked.
"use strict";

const model = JSON.parse(document.getElementById("model").textContent);
const at = (id) => document.getElementById(id);
const REACH = 1000;  // half the width of the map, in its own units
const SIMILARITY = 0.8;  // of variations: see points.kept
const MAX_COORDINATE = 10;
const MAX_TURN = 2;  // of a named knob, in standard deviations over the model's own samples
const PITCHES = ["C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B"];
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// Settings beside the point: label, limits, step, whether bars are decoded again for it, and how the value is shown.
const SETTINGS = {
  temperature: { label: "Temperature", low: 0.05, high: 2, step: 0.05, isDecoded: true,
    shown: (value) => value.toFixed(2) },
  freedom: { label: "Freedom", low: 0, high: 1, step: 0.05, isDecoded: true,
    shown: (value) => value.toFixed(2) },
  qpm: { label: "Tempo", low: 40, high: 240, step: 1, shown: (value) => `${value} quarters a minute` },
  swing: { label: "Swing", low: 0.5, high: 0.75, step: 0.01, shown: (value) => value === 0.5 ? "straight" :
    `${(100 * value).toFixed()} %` },
  transpose: { label: "Transposition", low: -24, high: 24, step: 1, shown: (value) =>
    `${value > 0 ? "+" : ""}${value} semitones` },
};
const state = { point: model.start, temperature: 0.5, freedom: model.freedom, lean: 0, seed: 0,
  turns: model.named.map(() => 0), qpm: clamp(Math.round(model.style.qpm), 40, 240), swing: 0.5, transpose: 0,
  voice: voiceOf(model.style.program) };
const unmoved = { ...state };
let notes = [];  // of the point: [[first step, step after the last, pitch]]
let readings = [];  // of the named knobs at the point, before they are turned
let answered = 0;  // how many times bars were decoded and drawn
let context = null;
let loop = null;

// What a link keeps, so that it brings back exactly this.
const rounded = (point) => Array.from(point, (x) =>
  clamp(Math.round(1000 * x) / 1000, -MAX_COORDINATE, MAX_COORDINATE));
const newSeed = () => Math.floor(Math.random() * 2 ** 32);
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const moved = (point, way, by) => point.map((x, i) => x + by * way[i]);

// --- The address of the page holds all of it.

function hash() {
  const turns = model.named.map(({ name }, i) => `${name}:${state.turns[i]}`).filter((_, i) => state.turns[i]);
  return "#" + new URLSearchParams({ ...state, point: state.point.join(), turns: turns.join() });
}

// Takes what is right in an address into a state; the rest of it stays.
function readHash(text, into) {
  const given = new URLSearchParams(text.slice(1));
  const number = (name, low, high) => {
    const value = given.get(name) ? Number(given.get(name)) : NaN;
    if (value >= low && value <= high) into[name] = value;
  };
  const point = (given.get("point") || "").split(",").map(Number);
  if (point.length === model.start.length && point.every(Number.isFinite)) into.point = rounded(point);
  for (const name of ["lean", "seed"]) number(name, 0, 2 ** 32 - 1);
  for (const [name, { low, high }] of Object.entries(SETTINGS)) number(name, low, high);
  if (given.has("turns")) {
    const turns = new Map(given.get("turns").split(",").map((one) => one.split(":")));
    into.turns = model.named.map(({ name }) => clamp(Number(turns.get(name)) || 0, -MAX_TURN, MAX_TURN));
  }
  if (Object.keys(VOICES).includes(given.get("voice"))) into.voice = given.get("voice");
}

let writing = null;

// Browsers slow down pages that change their address many times a second.
function keepHash() {
  clearTimeout(writing);
  writing = setTimeout(() => history.replaceState(null, "", hash()), 300);
}

// --- Asking for bars: one question at a time; where the point moves on meanwhile, only the last place is asked for.

let worker = null;
let isBusy = true;
let isWaiting = false;

function ask() {
  if (model.grid) {
    const distances = model.grid.points.map((point) => Math.hypot(...point.map((x, i) => x - state.point[i])));
    hear({ notes: model.grid.notes[distances.indexOf(Math.min(...distances))], readings: [] });
  } else if (isBusy) {
    isWaiting = true;
  } else {
    isBusy = true;
    const { point, freedom, lean, turns, temperature, seed } = state;
    worker.postMessage({ point, freedom, lean, turns, temperature, seed });
  }
}

function startWorker() {
  // A page from a disk may not load a worker from a file; it may make one of a text that it has.
  const source = new Blob([at("worker").textContent], { type: "text/javascript" });
  worker = new Worker(URL.createObjectURL(source));
  worker.onmessage = ({ data }) => {
    isBusy = false;
    if (data.notes) hear(data);
    if (data.ready || isWaiting) {
      isWaiting = false;
      ask();
    }
  };
  const { facts, layout, start } = model;
  worker.postMessage({ weights: at("weights").textContent, layout, facts, warm: start });
}

function hear(found) {
  ({ notes, readings } = found);
  drawRoll();
  showNamed();
  answered += 1;
}

// Shows the state everywhere; with `isNew`, the browser's way back leads to what was there before.
function update({ isNew = false, isDecoded = true } = {}) {
  state.point = rounded(state.point);
  if (isNew) {
    clearTimeout(writing);
    location.hash = hash();
  } else {
    keepHash();
  }
  drawPoint();
  showKnobs();
  if (isDecoded) ask();
  else drawRoll();
}

// --- Piano rolls.

const range = [...model.range];  // of the pitches seen so far: it grows, so that what is drawn does not jump

function drawNotes(svg, found, [low, high]) {
  const { played } = model.facts, bar = 4 * model.style.bar;
  svg.setAttribute("viewBox", `0 0 ${played} ${high - low + 1}`);
  const height = high - low + 1, lines = [];
  const upright = (x, kind) => make("line", { x1: x, y1: 0, x2: x, y2: height, class: kind });
  for (let step = 4; step < played; step += 4) lines.push(upright(step, "beat"));
  for (let step = bar; step < played; step += bar) lines.push(upright(step, "bar"));
  for (let c = Math.ceil(low / 12) * 12; c <= high; c += 12) {
    lines.push(make("line", { x1: 0, y1: high - c + 1, x2: played, y2: high - c + 1 }));
  }
  svg.replaceChildren(...lines, ...found.map(([start, end, pitch]) => make("rect", {
    x: start + 0.04, y: high - pitch + 0.05, width: end - start - 0.08, height: 0.9, rx: 0.15 })));
}

const cursor = make("line", { class: "cursor", y1: 0 });

function drawRoll() {
  for (const [, , pitch] of notes) {
    range[0] = Math.min(range[0], pitch - 2);
    range[1] = Math.max(range[1], pitch + 2);
  }
  drawNotes(at("roll"), notes, range);
  cursor.setAttribute("y2", range[1] - range[0] + 1);
  at("roll").append(cursor);
  const said = notes.map(([, , pitch]) => PITCHES[(pitch + state.transpose + 120) % 12]).join(", ");
  at("roll").setAttribute("aria-label", notes.length ? `${notes.length} notes: ${said}` : "no notes");
}

function tick() {
  const now = loop ? loop.now() : -1;
  cursor.setAttribute("x1", now);
  cursor.setAttribute("x2", now);
  at("roll").querySelectorAll("rect").forEach((rect, i) => {
    rect.classList.toggle("on", now >= notes[i][0] && now < notes[i][1]);
  });
  if (loop) requestAnimationFrame(tick);
}

// --- The map: the point and the songs' windows, along two directions of the small latent.

const { axes, center, reach } = model.map;
const place = (point) => axes.map((axis) => REACH * dot(moved(point, center, -1), axis) / reach);
const windows = model.windows.map(({ point, ...others }) => ({ ...others, point, place: place(point) }));
const circle = make("circle", { class: "point", r: 42 });
const inWords = ([first, last]) => first === last ? `bar ${first}` : `bars ${first}-${last}`;
const title = ({ song, bars }) => `${model.songs[song]}, ${inWords(bars)}`;

function drawMap() {
  const map = at("map");
  map.setAttribute("viewBox", `${-REACH} ${-REACH} ${2 * REACH} ${2 * REACH}`);
  const [x, y] = place(center.map(() => 0));
  for (const deviations of [1, 2]) {
    map.append(make("circle", { class: "ring", cx: x, cy: -y, r: REACH * deviations / reach }));
  }
  for (const one of windows) {
    one.dot = make("circle", { cx: one.place[0], cy: -one.place[1], r: 22 });
    // A colour for each song: neighbours in the list are a golden section of the circle apart.
    if (model.songs.length > 1) one.dot.style.setProperty("--song", `hsl(${(222 * one.song + 200) % 360} 45% 62%)`);
    map.append(one.dot);
  }
  map.append(circle);
  const select = at("places");
  select.append(make("option", { value: "" }, "choose"));
  select.append(...windows.map((one, i) => make("option", { value: i }, title(one))));
  at("places-label").hidden = !windows.length;
  select.onchange = () => {
    if (select.value === "") return;
    state.point = windows[select.value].point;
    update({ isNew: true });
  };
}

function drawPoint() {
  const [x, y] = place(state.point);
  circle.setAttribute("cx", clamp(x, -REACH, REACH));
  circle.setAttribute("cy", clamp(-y, -REACH, REACH));
  if (!windows.length) return;
  const away = windows.map(({ point }) => Math.hypot(...moved(point, state.point, -1)));
  const nearest = windows[away.indexOf(Math.min(...away))];
  for (const one of windows) one.dot.classList.toggle("near", one === nearest);
  const isThere = Math.min(...away) < 0.05 && !state.turns.some(Boolean);
  const said = (isThere ? "at " : "nearest: ") + title(nearest);
  if (at("near").textContent !== said) at("near").textContent = said;
}

// Moves the point on the map, in the map's units; what it is in other directions stays.
function moveBy(x, y) {
  state.point = moved(state.point, axes[0], x * reach / REACH);
  if (axes[1]) state.point = moved(state.point, axes[1], y * reach / REACH);
}

function listenToMap() {
  const map = at("map");
  const drag = ({ clientX, clientY }) => {
    const box = map.getBoundingClientRect();
    const [x, y] = place(state.point);
    const to = [(clientX - box.x) / box.width, 1 - (clientY - box.y) / box.height].map((share) =>
      clamp(2 * share - 1, -1, 1) * REACH);
    moveBy(to[0] - x, to[1] - (y || 0));
    update();
    return to;
  };
  map.onpointerdown = (event) => {
    map.setPointerCapture(event.pointerId);
    const to = drag(event);
    // On a window: exactly there, in all directions.
    const hit = windows.find((one) => Math.hypot(one.place[0] - to[0], (one.place[1] || 0) - to[1]) < 30);
    if (hit) {
      state.point = hit.point;
      update();
    }
  };
  map.onpointermove = (event) => {
    if (map.hasPointerCapture(event.pointerId)) drag(event);
  };
  map.onkeydown = (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const by = REACH / (event.shiftKey ? 100 : 25);
    moveBy(way[0] * by, way[1] * by);
    update();
  };
}

// --- Knobs. Named ones turn MusicVAE's z, numbered ones are directions of the small latent.

const valueOf = ({ direction }) => dot(state.point, direction) / dot(direction, direction);

function slider(label, { low, high, step }, onValue) {
  const input = make("input", { type: "range", min: low, max: high, step });
  const output = make("span", { class: "value" });  // not an <output>: the label would be of that
  input.oninput = () => onValue(Number(input.value));
  return { item: make("label", {}, make("span", {}, label), output, input), input, output };
}

// What a measure is worth, in its unit.
const WORTHS = {
  pitch: (value) => {
    const pitch = Math.round(value) + state.transpose;
    return `${PITCHES[(pitch + 120) % 12]} ${Math.floor(pitch / 12) - 1}`;
  },
  share: (value) => `${(100 * clamp(value, 0, 1)).toFixed()} %`,
};

const named = model.named.map((knob, i) => ({ ...knob,
  ...slider(knob.name, { low: -MAX_TURN, high: MAX_TURN, step: 0.1 }, (value) => {
    state.turns[i] = value;
    update();
  }) }));
const knobs = model.knobs.map((knob) => ({ ...knob, ...slider(knob.name, { low: knob.low, high: knob.high, step: 0.01 },
  (value) => {
    state.point = moved(state.point, knob.direction, value - valueOf(knob));
    update();
  }) }));
const settings = Object.entries(SETTINGS).map(([name, setting]) => ({ name, ...setting,
  ...slider(setting.label, setting, (value) => {
    state[name] = value;
    update({ isDecoded: Boolean(setting.isDecoded) });
  }) }));
const voices = make("select", { id: "voice" }, ...Object.entries(VOICES).map(([voice, { name }]) =>
  make("option", { value: voice }, name)));

function makeKnobs() {
  at("named").append(...named.map(({ item }) => item));
  at("named-too").hidden = !named.length;
  at("more").open = !named.length;
  at("knobs").append(...knobs.map(({ item }) => item));
  const isShown = ({ name, isDecoded }) => !(isDecoded && model.grid) && !(name === "freedom" && !model.facts.broad);
  at("sound").append(...settings.filter(isShown).map(({ item }) => item), make("label", {}, "Instrument", voices));
  voices.onchange = () => {
    state.voice = voices.value;
    update({ isDecoded: false });
  };
}

// How far named knobs are turned, and what their measures are about to be there.
function showNamed() {
  named.forEach(({ unit, mean, scale, input, output }, i) => {
    const turn = state.turns[i];
    input.value = turn;
    output.textContent = (turn > 0 ? "+" : "") + turn.toFixed(1);
    if (unit && i in readings) {
      const worth = mean + scale * (readings[i] + turn);
      const shown = WORTHS[unit] ? WORTHS[unit](worth) : `${Math.max(0, worth).toFixed(1)} ${unit}`;
      output.textContent += ", about " + shown;
    }
    input.setAttribute("aria-valuetext", output.textContent);
  });
}

function showKnobs() {
  showNamed();
  for (const knob of knobs) {
    const value = valueOf(knob);
    knob.input.value = value;
    knob.output.textContent = value.toFixed(2);
    knob.input.setAttribute("aria-valuetext", knob.output.textContent);
  }
  for (const { name, input, output, shown } of settings) {
    input.value = state[name];
    output.textContent = shown(state[name]);
    input.setAttribute("aria-valuetext", output.textContent);
  }
  voices.value = state.voice;
}

// --- Playing, new bars, the shelf.

const score = () => ({ ...state, steps: model.facts.played,
  notes: notes.map(([start, end, pitch]) => [start, end, clamp(pitch + state.transpose, 0, 127)]) });

function reset() {
  state.turns = named.map(() => 0);
  update({ isNew: true });
}

function play() {
  context = context || new AudioContext();
  context.resume();
  loop = new Loop(context, score);
  showPlaying();
  tick();
}

function stop() {
  if (loop) loop.stop();
  loop = null;
  showPlaying();
}

function showPlaying() {
  at("play").textContent = loop ? "Stop" : "Play";
  at("play").setAttribute("aria-pressed", String(loop !== null));
}

function sample() {
  const random = new Random(newSeed());
  state.point = Array.from(random.normals(state.point.length));
  [state.lean, state.seed] = [newSeed(), newSeed()];
  update({ isNew: true });
}

function vary() {
  const noise = new Random(newSeed()).normals(state.point.length);
  const kept = Math.sqrt(SIMILARITY * (2 - SIMILARITY));
  state.point = state.point.map((x, i) => kept * x + (1 - SIMILARITY) * noise[i]);
  state.seed = newSeed();
  update({ isNew: true });
}

// A score in quarters, as it sounds.
function inQuarters({ notes, swing }) {
  return notes.map(([start, end, pitch]) => [swung(start, swing), swung(end, swing), pitch]);
}

// The songs' own program, as long as their voice is not changed.
function programOf(voice) {
  return voice === voiceOf(model.style.program) ? model.style.program : VOICES[voice].program;
}

function save(scores, name) {
  const each = model.facts.played / 4;
  const placed = (one, from) => inQuarters(one).map(([start, end, pitch]) => [start + from, end + from, pitch]);
  const all = scores.flatMap((one, i) => placed(one, i * each));
  const { qpm, voice } = scores[0];
  const bytes = midiFile({ notes: all, quarters: scores.length * each, qpm, program: programOf(voice),
    signature: model.style.signature });
  download(name, bytes, "audio/midi");
}

// The bars once, as they sound, with what rings on.
async function saveWav() {
  const { notes: found, qpm, voice, swing } = score();
  const rate = 44100, quarter = 60 / qpm;
  const rendering = new OfflineAudioContext(1, Math.ceil(rate * (model.facts.played / 4 * quarter + 1)), rate);
  const output = mixer(rendering);
  for (const [start, end, pitch] of inQuarters({ notes: found, swing })) {
    sound(output, voice, { pitch, velocity: 90, start: start * quarter, end: end * quarter });
  }
  const rendered = await rendering.startRendering();
  download("bars.wav", wavFile(rendered.getChannelData(0), rate), "audio/wav");
}

const shelf = new Shelf({
  key: `lc_music_vae ${model.key}`,
  read({ hash, notes }) {
    const kept = { ...unmoved, hash, notes };
    readHash(hash, kept);
    return kept;
  },
  draw: drawNotes,
  save,
  say: (text) => { at("said").textContent = text; },
});

function like() {
  shelf.like({ hash: hash(), notes: score().notes });
}

async function copyLink() {
  history.replaceState(null, "", hash());
  try {
    await navigator.clipboard.writeText(location.href);
    at("said").textContent = "The link is copied: it brings back exactly this, in this file.";
  } catch {
    at("said").textContent = "The browser's address is the link: it brings back exactly this, in this file.";
  }
}

function listen() {
  const buttons = { play: () => (loop ? stop() : play()), sample, vary, reset, like, link: copyLink,
    wav: saveWav, save: () => save([score()], "bars.mid"),
    "save-all": () => save(shelf.liked, "liked.mid"), clear: () => shelf.clear() };
  for (const [id, action] of Object.entries(buttons)) at(id).onclick = action;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const action = { n: "sample", v: "vary", r: "reset", l: "like", " ": "play" }[event.key.toLowerCase()];
    if (event.key === "Escape") stop();
    // On a button, the space bar presses that button.
    if (!action || (event.key === " " && event.target.tagName === "BUTTON") || event.repeat) return;
    event.preventDefault();
    buttons[action]();
  });
  window.addEventListener("hashchange", () => {
    if (location.hash === hash()) return;
    readHash(location.hash, state);
    update();
  });
}

at("about").textContent = model.about;
readHash(location.hash, state);
makeKnobs();
drawMap();
listenToMap();
listen();
if (!model.grid) startWorker();
update();
