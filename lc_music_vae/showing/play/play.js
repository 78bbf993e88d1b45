"use strict";
// The page: what is shown and heard at a point of the small latent, and how one gets there.
/* global VOICES, PROGRAMS, voiceOf, startNote, startDrum, midiFile */

const $ = (id) => document.getElementById(id);
const model = JSON.parse($("model").textContent);
const AHEAD = 0.15;  // seconds of sound that are planned
const SIMILARITY = 0.8;  // of variations: points.similar
const size = model.center.length;

// Everything that a link brings back. `draw` is the draw of the broad part that the point leans to; see `leant`.
const state = { point: [...model.center], draw: 0, seed: 1, temperature: 0.5, qpm: model.qpm, voice: voiceOf(model.program),
  swing: 0.5, transpose: 0 };
let notes = [];
let kept = [];

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const random = () => Math.floor(Math.random() * 2 ** 31);
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

function make(name, attributes = {}, ...children) {
  const drawn = ["svg", "rect", "line", "circle", "text", "title"].includes(name);
  const made = drawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// ---- From the point to notes

let asked = 0;
let answered = 0;
let worker = null;

function startWorker() {
  const url = URL.createObjectURL(new Blob([$("worker").textContent], { type: "text/javascript" }));
  worker = new Worker(url);
  worker.onerror = () => { $("state").textContent = "This browser cannot decode here: the page needs Web Workers."; };
  worker.onmessage = ({ data }) => {
    answered = data.number;
    show(data.notes);
  };
  worker.postMessage({ model, packed: $("weights").textContent });
  $("weights").remove();
}

function decode() {
  asked += 1;
  const { point, draw, seed, temperature } = state;
  if (model.grid) {
    const distance = (one) => one.point.reduce((sum, x, i) => sum + (x - point[i]) ** 2, 0);
    answered = asked;
    show(model.grid.reduce((best, one) => distance(one) < distance(best) ? one : best).notes);
  } else {
    worker.postMessage({ number: asked, point, draw, seed, temperature: Math.max(temperature, 1e-3) });
  }
}

// The notes as they are heard and saved: transposed, and with the swing of each quarter's halves.
function sounding(written, { swing, transpose }) {
  const swung = (at) => {
    const within = at % 1;
    return at - within + (within < 0.5 ? 2 * within * swing : swing + (2 * within - 1) * (1 - swing));
  };
  return written.map(([start, end, pitch, isDrum]) =>
    [swung(start), swung(end), isDrum ? pitch : clamp(pitch + transpose, 0, 127), isDrum]);
}

// ---- Pictures

function roll(svg, written) {
  const pitches = written.map((note) => note[2]);
  const [lowest, highest] = [Math.min(60, ...pitches), Math.max(72, ...pitches)];
  const [low, high] = [lowest - 1, highest + 1];
  const height = high - low + 1;
  svg.setAttribute("viewBox", `0 0 ${model.length} ${height}`);
  svg.setAttribute("aria-label", `${written.length} notes`);
  const line = (kind, at) => make("line", { class: kind, x1: at, x2: at, y1: 0, y2: height });
  const lines = [];
  for (let at = 0; at <= model.length; at += 1) lines.push(line(at % model.bar ? "beat" : "bar", at));
  const drawn = written.map(([start, end, pitch]) =>
    make("rect", { x: start, y: high - pitch, width: Math.max(end - start - 0.04, 0.06), height: 0.9 }));
  svg.replaceChildren(...lines, ...drawn);
  return height;
}

function show(decoded) {
  notes = decoded;
  const height = roll($("roll"), sounding(notes, { swing: 0.5, transpose: state.transpose }));
  $("roll").append(make("line", { class: "cursor", id: "cursor", y1: 0, y2: height }));
  $("state").textContent = `${notes.length} notes`;
}

// The map shows two directions of the small latent; what a point has of the others stays when it is dragged.
const mapped = (point) => model.axes.map((axis) => dot(axis, point) - dot(axis, model.center));
const reach = 1.15 * Math.max(2, ...model.windows.flatMap((window) => mapped(window.point).map(Math.abs)));

function drawMap() {
  const at = (point) => { const [x, y = 0] = mapped(point); return { cx: x / reach, cy: -y / reach }; };
  const dots = model.windows.map(({ point, bar }) =>
    make("circle", { class: "window", r: 0.016, ...at(point) }, make("title", {}, `bar ${bar}`)));
  $("map").append(make("line", { x1: -1, x2: 1, y1: 0, y2: 0 }), make("line", { x1: 0, x2: 0, y1: -1, y2: 1 }), ...dots,
    make("circle", { class: "here", id: "here", r: 0.035 }));
  $("map-help").textContent = (model.windows.length ? "Each dot is bars of the songs. " : "The songs themselves are not in this model. ")
    + "Drag the point, or move it with the arrow keys.";
}

function moveOnMap(x, y) {
  const before = mapped(state.point);
  const to = [clamp(x, -1, 1) * reach, clamp(-y, -1, 1) * reach];
  change({ point: state.point.map((value, i) => value + model.axes.reduce((sum, axis, k) => sum + (to[k] - before[k]) * axis[i], 0)) });
}

function dragTo(event) {
  const box = $("map").getBoundingClientRect();
  moveOnMap(2 * (event.clientX - box.x) / box.width - 1, 2 * (event.clientY - box.y) / box.height - 1);
}

// ---- Knobs: by name where the model has names, else the numbers of the small latent

const named = model.knobs.map(({ name, direction }) => {
  const length = Math.sqrt(dot(direction, direction));
  const unit = direction.map((x) => x / length);
  return { name, unit, low: -3, high: 3 };
});
const numbered = model.center.map((_, i) => ({
  name: `Knob ${i + 1}`, unit: model.center.map((_, k) => Number(k === i)), low: Math.min(-3, model.low[i]), high: Math.max(3, model.high[i]) }));
const knobs = named.length ? named : numbered;

function slider(parent, { name, low, high, step, get, set, says }) {
  const input = make("input", { type: "range", min: low, max: high, step, "aria-label": name });
  const output = make("output");
  input.oninput = () => set(Number(input.value));
  parent.append(make("label", { "aria-hidden": "true" }, name), input, output);
  return () => {
    const value = get();
    input.value = value;
    output.textContent = says(value);
    input.setAttribute("aria-valuetext", says(value));
  };
}

const shown = knobs.map(({ name, unit, low, high }) => slider($("knobs"), {
  name, low: low.toFixed(2), high: high.toFixed(2), step: 0.01, says: (x) => x.toFixed(2),
  get: () => dot(unit, state.point),
  set: (to) => {
    const move = to - dot(unit, state.point);
    change({ point: state.point.map((x, i) => x + move * unit[i]) });
  } }));

const percent = (x) => `${Math.round(100 * x)} %`;
const settings = {
  temperature: { name: "Temperature", low: 0, high: 1.5, step: 0.05, says: (x) => x.toFixed(2), live: true },
  qpm: { name: "Tempo", low: 40, high: 240, step: 1, says: (x) => String(Math.round(x)) },
  swing: { name: "Swing", low: 0.5, high: 0.75, step: 0.01, says: percent },
  transpose: { name: "Transpose", low: -24, high: 24, step: 1, says: (x) => (x > 0 ? "+" : "") + x },
};
for (const [key, setting] of Object.entries(settings)) {
  if (setting.live && model.grid) continue;
  shown.push(slider($("settings"), { ...setting, get: () => state[key], set: (value) => change({ [key]: value }) }));
}
const choice = make("select", { id: "voice", "aria-label": "Instrument" }, ...Object.keys(VOICES).map((name) => make("option", {}, name)));
choice.onchange = () => change({ voice: choice.value });
$("settings").append(make("label", { for: "voice" }, "Instrument"), choice);
shown.push(() => { choice.value = state.voice; });

// ---- The state and its link

const LINK = { p: "point", d: "draw", s: "seed", t: "temperature", q: "qpm", v: "voice", w: "swing", x: "transpose" };

function link() {
  const parts = new URLSearchParams();
  for (const [key, name] of Object.entries(LINK)) {
    parts.set(key, name === "point" ? state.point.map((x) => x.toFixed(3)).join(",") : state[name]);
  }
  return "#" + parts;
}

// Returns what a link says, as far as it is right: links come from anywhere.
function fromLink(hash) {
  const parts = new URLSearchParams(hash.slice(1));
  const found = {};
  const number = (key, low, high, isRight = () => true) => {
    const value = Number(parts.get(key));
    if (parts.get(key) && value >= low && value <= high && isRight(value)) found[LINK[key]] = value;
  };
  const draws = model.broad ? model.broad.of.length : 0;
  number("d", -draws, draws, Number.isInteger);
  number("s", 0, 2 ** 31, Number.isInteger);
  number("t", 0, 1.5);
  number("q", 40, 240);
  number("w", 0.5, 0.75);
  number("x", -24, 24, Number.isInteger);
  const point = (parts.get("p") || "").split(",").map(Number);
  if (point.length === size && point.every((x) => Math.abs(x) <= 10)) found.point = point;
  if (Object.keys(VOICES).includes(parts.get("v"))) found.voice = parts.get("v");
  return found;
}

let saving = null;

function change(values) {
  Object.assign(state, values);
  state.point = state.point.map((x) => Number(clamp(x, -10, 10).toFixed(3)));  // as exact as the link
  for (const one of shown) one();
  const [x, y = 0] = mapped(state.point);
  $("here").setAttribute("cx", clamp(x / reach, -1, 1));
  $("here").setAttribute("cy", clamp(-y / reach, -1, 1));
  if (["point", "draw", "seed", "temperature"].some((name) => name in values)) decode();
  else show(notes);
  clearTimeout(saving);  // browsers allow few changes of the link a second
  saving = setTimeout(() => history.replaceState(null, "", link()), 200);
}

const sample = () => change({
  point: model.center.map(normal), seed: random(),
  draw: model.broad ? (1 + random() % model.broad.of.length) * (Math.random() < 0.5 ? -1 : 1) : 0 });
const vary = () => change({
  seed: random(),
  point: state.point.map((x) => Math.sqrt(SIMILARITY * (2 - SIMILARITY)) * x + (1 - SIMILARITY) * normal()) });

// ---- Sound: the bars in a loop. What sounds next is read from the notes that are there by then.

let context = null;
let volume = null;
let timer = null;
let position = 0;  // in quarters, of what is planned, within the loop
let planned = 0;  // the time of the context at which this is heard
let sources = [];

const isPlaying = () => timer !== null;

function plan() {
  const quarter = 60 / state.qpm;
  planned = Math.max(planned, context.currentTime);
  while (planned < context.currentTime + AHEAD) {
    const until = Math.min(model.length, position + (context.currentTime + AHEAD - planned) / quarter + 1e-6);
    for (const [start, end, pitch, isDrum] of sounding(notes, state)) {
      if (start < position || start >= until) continue;
      const at = planned + (start - position) * quarter;
      const note = { voice: state.voice, pitch, velocity: 88, at, end: at + (end - start) * quarter };
      const started = isDrum ? startDrum(context, volume, note) : startNote(context, volume, note);
      sources.push(...started);
      started[0].onended = () => { sources = sources.filter((one) => !started.includes(one)); };
    }
    planned += (until - position) * quarter;
    position = until < model.length ? until : 0;
  }
}

function play() {
  context = context || new AudioContext();
  context.resume();
  volume = context.createGain();
  volume.connect(context.createDynamicsCompressor()).connect(context.destination);
  [position, planned] = [0, context.currentTime + 0.05];
  timer = setInterval(plan, 25);
  plan();
  document.body.classList.add("playing");
  $("play").textContent = "Stop";
  requestAnimationFrame(moveCursor);
}

function stop() {
  if (!isPlaying()) return;
  clearInterval(timer);
  timer = null;
  volume.gain.setTargetAtTime(0, context.currentTime, 0.03);
  for (const source of sources) source.stop(context.currentTime + 0.2);
  document.body.classList.remove("playing");
  $("play").textContent = "Play";
}

function moveCursor() {
  if (!isPlaying()) return;
  const ahead = Math.max(0, planned - context.currentTime) * state.qpm / 60;
  const now = (position - ahead + model.length) % model.length;
  if ($("cursor")) for (const end of ["x1", "x2"]) $("cursor").setAttribute(end, now);
  requestAnimationFrame(moveCursor);
}

// ---- The shelf and files

function save(name, written, { qpm, voice }) {
  const file = midiFile(written, { qpm, program: PROGRAMS[voice], signature: model.time_signature });
  const url = URL.createObjectURL(new Blob([file], { type: "audio/midi" }));
  make("a", { href: url, download: name + ".mid" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function keep() {
  const one = { notes, state: { ...state } };
  kept.push(one);
  const number = kept.length;
  const picture = make("svg", { role: "img", preserveAspectRatio: "none" });
  roll(picture, notes);
  const button = (text, label, onclick) => Object.assign(make("button", { type: "button", "aria-label": label }, text), { onclick });
  const item = make("li", {}, picture, make("div", { class: "buttons" },
    button("Back to it", `Back to ${number}`, () => change(one.state)),
    button("MIDI", `MIDI of ${number}`, () => save(`kept-${number}`, sounding(one.notes, one.state), one.state)),
    button("Remove", `Remove ${number}`, () => {
      kept = kept.filter((other) => other !== one);
      item.remove();
      showShelf();
    })));
  $("shelf").append(item);
  showShelf();
}

function showShelf() {
  $("none-kept").hidden = kept.length > 0;
  $("all").disabled = !kept.length;
}

function saveAll() {
  save("all", kept.flatMap((one, i) => sounding(one.notes, one.state).map(([start, end, ...rest]) =>
    [start + i * model.length, end + i * model.length, ...rest])), kept[0].state);
}

// ---- Hands

$("play").onclick = () => isPlaying() ? stop() : play();
$("sample").onclick = sample;
$("vary").onclick = vary;
$("like").onclick = keep;
$("midi").onclick = () => save("bars", sounding(notes, state), state);
$("all").onclick = saveAll;
$("map").onpointerdown = (event) => {
  $("map").setPointerCapture(event.pointerId);
  dragTo(event);
};
$("map").onpointermove = (event) => { if (event.buttons) dragTo(event); };
$("map").onkeydown = (event) => {
  const [x, y] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
  if (!x && !y) return;
  event.preventDefault();
  const [cx, cy] = ["cx", "cy"].map((name) => Number($("here").getAttribute(name)));
  moveOnMap(cx + 0.04 * x, cy + 0.04 * y);
};
document.onkeydown = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  if (event.key === "Escape") stop();
  if (event.target.tagName === "BUTTON" && event.key === " ") return;
  const action = { " ": () => $("play").click(), n: sample, v: vary, l: keep }[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
};
onhashchange = () => change(fromLink(location.hash));

const windows = model.windows.length ? `${model.windows.length} windows of songs` : "songs that are not in it";
$("about").textContent = `${model.config}, trained on ${windows}. `
  + (model.grid ? `Its decoder is too large for a page: of ${model.grid.length} points that were decoded before, the nearest plays.`
    : "It decodes in this page and asks nothing of any network.");
drawMap();
if (!model.grid) startWorker();
change({ ...state, ...fromLink(location.hash) });
