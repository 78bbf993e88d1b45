// The page: a point of the small latent, moved by map and knobs; its bars, drawn and played; whole tunes; a shelf.
"use strict";

const model = JSON.parse(document.getElementById("model").textContent);
const at = (id) => document.getElementById(id);
const REACH = 1000;  // half the width of the map, in its own units
const SIMILARITY = 0.8;  // of variations: see points.kept
const MAX_COORDINATE = 10;
const KEYS = { n: "sample", v: "vary", r: "reset", l: "like", c: "compose", t: "play-tune", " ": "play" };
const PLANS = 4;  // paths that are tried for a tune
const CANDIDATES = 3;  // draws of each of its windows
const MAX_TURN = 2;  // of a named knob, in standard deviations over the model's own samples
const PITCHES = ["C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B"];
const { drums, names } = model.facts;  // of its drums the pitches, from the lowest row on, or null; and their names
const NAMED_ROWS = 12;
const nameOf = (pitch) => drums ? names[drums.indexOf(pitch)] : PITCHES[(pitch + state.transpose + 120) % 12];
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
  voice: voiceOf(model.style.program), tune: "" };
const unmoved = { ...state };
let notes = [];  // of the point: [[first step, step after the last, pitch]]
let readings = [];  // of the named knobs at the point, before they are turned
let answered = 0;  // how many times bars were decoded and drawn
let context = null;
let loop = null;
let playing = null;  // the name of the part that sounds
const tune = { text: "", form: "", places: [], windows: [] };  // windows: the notes of each distinct one
// What can be played.
const parts = {
  bars: { roll: new Roll(at("roll")), button: "play", label: "Play", score: () => scoreOf(notes) },
  tune: { roll: new Roll(at("tune-roll")), button: "play-tune", label: "Play the tune", score: () => ({
    ...scoreOf(tuneNotes()), steps: tune.places.length * model.facts.played }) },
};

// What a link keeps, so that it brings back exactly this.
const rounded = (point) => Array.from(point, (x) =>
  clamp(Math.round(1000 * x) / 1000, -MAX_COORDINATE, MAX_COORDINATE));
const newSeed = () => Math.floor(Math.random() * 2 ** 32);
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const moved = (point, way, by) => point.map((x, i) => x + by * way[i]);

// --- The address of the page holds all of it.

function hash() {
  return "#" + new URLSearchParams({ ...state, point: state.point.join(), turns: turnsText(state.turns) });
}

// Knobs that are turned, such as density:1.5,register:-1.
function turnsText(turns) {
  return model.named.map(({ name }, i) => `${name}:${turns[i]}`).filter((_, i) => turns[i]).join();
}

function readTurns(texts) {
  const turns = new Map(texts.map((one) => one.split(":")));
  return model.named.map(({ name }) => clamp(Number(turns.get(name)) || 0, -MAX_TURN, MAX_TURN));
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
  if (drums) into.transpose = 0;
  if (given.has("turns")) into.turns = readTurns(given.get("turns").split(","));
  if (!model.grid && readTune(given.get("tune") || "")) into.tune = given.get("tune");
  if (Object.keys(VOICES).includes(given.get("voice"))) into.voice = given.get("voice");
}

let writing = null;

// Browsers slow down pages that change their address many times a second.
function keepHash() {
  clearTimeout(writing);
  writing = setTimeout(() => history.replaceState(null, "", hash()), 300);
}

// --- Asking for bars: one question at a time; where the point moves on meanwhile, only the last place is asked for.
// What a tune is made of is asked for when nothing else is.

let worker = null;
let isBusy = true;
let isWaiting = false;
let jobs = [];  // for a tune: {asked, answer}
let answer = null;  // takes what the worker says next

function ask() {
  if (model.grid) {
    const distances = model.grid.points.map((point) => Math.hypot(...point.map((x, i) => x - state.point[i])));
    hear({ notes: model.grid.notes[distances.indexOf(Math.min(...distances))], readings: [] });
  } else {
    isWaiting = true;
    next();
  }
}

function next() {
  if (isBusy || !(isWaiting || jobs.length)) return;
  const { point, freedom, lean, turns, temperature, seed } = state;
  const job = isWaiting ? { asked: { point, freedom, lean, turns, temperature, seed }, answer: hear } : jobs.shift();
  isBusy = true;
  isWaiting = false;
  answer = job.answer;
  worker.postMessage(job.asked);
}

const decoded = (asked) => new Promise((answer) => {
  jobs.push({ asked, answer });
  next();
});

function startWorker() {
  // A page from a disk may not load a worker from a file; it may make one of a text that it has.
  const source = new Blob([at("worker").textContent], { type: "text/javascript" });
  worker = new Worker(URL.createObjectURL(source));
  worker.onmessage = ({ data }) => {
    isBusy = false;
    if (data.notes) answer(data);
    next();
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
  if (state.tune !== tune.text) compose(state.tune);
}

// --- Piano rolls.

const lengths = { steps: model.facts.played, bar: 4 * model.style.bar };
const range = [...model.range];  // of the pitches seen so far: it grows, so that what is drawn does not jump
// What a roll shows: of drums, a row for each. `limits` are the lowest and the highest pitch of a melody.
const rowsOf = (found) => drums ? found.map(([start, end, pitch]) => [start, end, drums.indexOf(pitch)]) : found;
const rangeOf = (limits) => drums ? [0, drums.length - 1] : limits;

function drawRoll() {
  for (const [, , pitch] of notes) {
    range[0] = Math.min(range[0], pitch - 2);
    range[1] = Math.max(range[1], pitch + 2);
  }
  parts.bars.roll.draw(rowsOf(notes), { range: rangeOf(range), ...lengths });
  const said = notes.map(([, , pitch]) => nameOf(pitch)).join(", ");
  at("roll").setAttribute("aria-label", notes.length ? `${notes.length} notes: ${said}` : "no notes");
}

function tick() {
  for (const [name, { roll }] of Object.entries(parts)) roll.mark(name === playing ? loop.now() : -1);
  const phrase = playing === "tune" ? Math.floor(loop.now() / (PHRASE * model.facts.played)) : -1;
  Array.from(at("letters").children).forEach((letter, i) => {
    letter.classList.toggle("on", i === phrase);
  });
  if (loop && loop.isOver()) stop();
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
    state.turns = state.turns.map((other, k) => k === i ? value : other);
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
  const isShown = ({ name, isDecoded }) => !(isDecoded && model.grid) && !(name === "freedom" && !model.facts.broad) &&
    !(name === "transpose" && drums);
  at("sound").append(...settings.filter(isShown).map(({ item }) => item));
  if (!drums) at("sound").append(make("label", {}, "Instrument", voices));
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

const scoreOf = (found) => ({ ...state, drums, steps: model.facts.played,
  notes: found.map(([start, end, pitch]) => [start, end, clamp(pitch + state.transpose, 0, 127)]) });
const tuneNotes = () => tune.places.flatMap((place, i) => tune.windows[place].map(([start, end, pitch]) =>
  [start + i * model.facts.played, end + i * model.facts.played, pitch]));

function reset() {
  state.turns = named.map(() => 0);
  update({ isNew: true });
}

// Plays a part: the bars in a loop, a tune once.
function play(part) {
  stop();
  context = context || new AudioContext();
  context.resume();
  loop = new Loop(context, parts[part].score, { isOnce: part === "tune" });
  playing = part;
  showPlaying();
  tick();
}

function stop() {
  if (loop) loop.stop();
  loop = playing = null;
  showPlaying();
}

function showPlaying() {
  for (const [name, { button, label }] of Object.entries(parts)) {
    at(button).textContent = name === playing ? "Stop" : label;
    at(button).setAttribute("aria-pressed", String(name === playing));
  }
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

// Scores one after another: their notes in quarters, and the length of all.
function joined(scores) {
  const each = model.facts.played / 4;
  const placed = (one, from) => inQuarters(one).map(([start, end, pitch]) => [start + from, end + from, pitch]);
  return { notes: scores.flatMap((one, i) => placed(one, i * each)), quarters: scores.length * each };
}

function save(scores, name) {
  const { qpm, voice } = scores[0];
  const { signature } = model.style;
  const bytes = midiFile({ ...joined(scores), qpm, program: programOf(voice), signature, drums });
  download(name, bytes, "audio/midi");
}

// Scores once, as they sound, with what rings on.
async function saveWav(scores, name) {
  const { qpm } = scores[0], { notes: found, quarters } = joined(scores);
  const rate = 44100, quarter = 60 / qpm;
  const rendering = new OfflineAudioContext(1, Math.ceil(rate * (quarters * quarter + 1)), rate);
  const output = mixer(rendering);
  for (const [start, end, pitch] of found) {
    soundOf(output, scores[0], { pitch, velocity: 90, start: start * quarter, end: end * quarter });
  }
  const rendered = await rendering.startRendering();
  download(name, wavFile(rendered.getChannelData(0), rate), "audio/wav");
}

// --- A whole tune.

const songs = model.hashes && new Songs(model.hashes, model.facts.up);
const isCopy = (notes) => Boolean(songs) && songs.isCopy(notes);
const tuneScores = () => tune.places.map((place) => scoreOf(tune.windows[place]));

// A tune as an address has it: its form, its seed, and how it is decoded, as the knobs may be moved later.
function tuneText(form, seed) {
  return [form, seed, state.temperature, state.freedom, turnsText(state.turns)].join();
}

// What such a text asks for; null if it is not right.
function readTune(text) {
  const [form, ...rest] = text.split(","), [seed, temperature, freedom] = rest.map(Number);
  const isIn = (value, { low, high }) => value >= low && value <= high;
  const isRight = FORMS.includes(form) && isIn(seed, { low: 0, high: 2 ** 32 - 1 }) &&
    isIn(temperature, SETTINGS.temperature) && isIn(freedom, SETTINGS.freedom);
  return isRight ? { form, seed, temperature, freedom, turns: readTurns(rest.slice(3)) } : null;
}

// Decodes candidates for a tune while no bars are asked for, and takes those that go together.
async function compose(text) {
  const { form, seed, temperature, freedom, turns } = readTune(text);
  tune.text = text;
  at("form").value = form;
  at("tune-said").textContent = "composing";
  const random = new Random(seed);
  const drawn = () => Math.floor(random.uniform() * 2 ** 32);
  jobs = [];  // of a tune that is not wanted any more
  const tries = await Promise.all(Array.from({ length: PLANS }, async () => {
    const { points, places } = planOf(form, { windows: model.windows, center: model.map.center, random });
    const lean = drawn();
    const candidates = await Promise.all(points.map((point) => Promise.all(Array.from({ length: CANDIDATES }, () =>
      decoded({ point, freedom, lean, turns, temperature, seed: drawn() })))));
    const notes = candidates.map((some) => some.map((bars) => bars.notes));
    return { places, ...chooseWindows(notes, places, { steps: model.facts.played, drums, isCopy }) };
  }));
  const { places, windows } = tries.reduce((best, one) => one.worth > best.worth ? one : best);
  Object.assign(tune, { form, places, windows });
  drawTune();
}

function drawTune() {
  const { played } = model.facts, notes = tuneNotes(), pitches = notes.map(([, , pitch]) => pitch);
  const range = pitches.length ? [Math.min(...pitches) - 2, Math.max(...pitches) + 2] : [60, 72];
  const steps = tune.places.length * played;
  parts.tune.roll.draw(rowsOf(notes), { range: rangeOf(range), steps, bar: lengths.bar });
  at("letters").replaceChildren(...Array.from(tune.form, (letter) => make("li", {}, letter)));
  at("tune-roll").setAttribute("aria-label", `a tune of the form ${tune.form}: ${notes.length} notes`);
  at("tune").hidden = false;
  const copies = tune.windows.filter(isCopy).length;
  const said = copies ? ` ${copies} of its windows ${copies > 1 ? "are" : "is"} nearly of the songs.` : "";
  at("tune-said").textContent = `${tune.form}, ${notes.length} notes.${said} The link brings it back.`;
}

const shelf = new Shelf({
  key: `lc_music_vae ${model.key}`,
  read({ hash, notes }) {
    const kept = { ...unmoved, hash, notes };
    readHash(hash, kept);
    return kept;
  },
  draw: (svg, found, limits) => drawNotes(svg, rowsOf(found), { range: rangeOf(limits), ...lengths }),
  save,
  say: (text) => { at("said").textContent = text; },
});

function like() {
  shelf.like({ hash: hash(), notes: scoreOf(notes).notes });
}

function newTune() {
  state.tune = tuneText(at("form").value, newSeed());
  update({ isNew: true, isDecoded: false });
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
  const toggle = (part) => playing === part ? stop() : play(part);
  const buttons = { play: () => toggle("bars"), sample, vary, reset, like, link: copyLink,
    wav: () => saveWav([scoreOf(notes)], "bars.wav"), save: () => save([scoreOf(notes)], "bars.mid"),
    "save-all": () => save(shelf.liked, "liked.mid"), clear: () => shelf.clear(), compose: newTune,
    "play-tune": () => toggle("tune"), "save-tune": () => save(tuneScores(), "tune.mid"),
    "wav-tune": () => saveWav(tuneScores(), "tune.wav") };
  for (const [id, action] of Object.entries(buttons)) at(id).onclick = action;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const action = KEYS[event.key.toLowerCase()];
    if (event.key === "Escape") stop();
    // On a button, the space bar presses that button.
    if (!action || (event.key === " " && event.target.tagName === "BUTTON") || event.repeat) return;
    event.preventDefault();
    if (at(action).offsetParent) buttons[action]();
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
if (drums && drums.length <= NAMED_ROWS) {
  at("rows").append(...drums.map((pitch) => make("li", {}, nameOf(pitch))));
  at("rows").hidden = false;
}
at("form").append(...FORMS.map((form) => make("option", { value: form }, form)));
for (const id of ["composing", "tune-keys"]) at(id).hidden = Boolean(model.grid);
if (!model.grid) startWorker();
update();
