// The small VAE's decoder and MusicVAE's, in plain JavaScript. Runs in a worker; needs nothing of the page.
"use strict";

// A generator of repeatable numbers: an integer hash of a counter (the finaliser of MurmurHash3).
class Random {
  constructor(seed) { this.state = seed >>> 0; }

  // Between 0 and 1, both excluded.
  uniform() {
    this.state = (this.state + 0x9e3779b9) >>> 0;
    let x = this.state;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (((x ^ (x >>> 16)) >>> 0) + 0.5) / 2 ** 32;
  }

  // Standard normal: Box, Muller (1958).
  normal() { return Math.sqrt(-2 * Math.log(this.uniform())) * Math.cos(2 * Math.PI * this.uniform()); }

  normals(n) { return Float64Array.from({ length: n }, () => this.normal()); }
}

// Weights by name: {values, rows, columns}. A matrix is 16-bit whole numbers and a scale for each row.
function unpackWeights(base64, layout) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const weights = {};
  for (const { name, shape, at } of layout) {
    const [rows, columns] = shape;
    if (columns === undefined) {
      weights[name] = { values: new Float32Array(bytes.buffer, at, rows), rows, columns: 1 };
      continue;
    }
    const scales = new Float32Array(bytes.buffer, at, rows);
    const whole = new Int16Array(bytes.buffer, at + 4 * rows, rows * columns);
    const values = new Float32Array(rows * columns);
    for (let row = 0, i = 0; row < rows; row++) {
      for (const end = i + columns; i < end; i++) values[i] = whole[i] * scales[row];
    }
    weights[name] = { values, rows, columns };
  }
  return weights;
}

// out += matrix x. Four rows at a time, so that x is read once for all four; this takes nearly all of the time.
function addProduct(out, { values, rows, columns }, x) {
  let row = 0;
  for (; row + 4 <= rows; row += 4) {
    const first = row * columns, second = first + columns, third = second + columns, fourth = third + columns;
    let a = 0, b = 0, c = 0, d = 0;
    for (let i = 0; i < columns; i++) {
      const value = x[i];
      a += values[first + i] * value;
      b += values[second + i] * value;
      c += values[third + i] * value;
      d += values[fourth + i] * value;
    }
    out[row] += a;
    out[row + 1] += b;
    out[row + 2] += c;
    out[row + 3] += d;
  }
  for (; row < rows; row++) {
    for (let i = 0; i < columns; i++) out[row] += values[row * columns + i] * x[i];
  }
}

// bias + matrix x
function dense(kernel, bias, x) {
  const out = new Float64Array(bias.values);
  addProduct(out, kernel, x);
  return out;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// Layers of LSTM cells whose first state is a function of an embedding. A cell's gates are: input, candidate, forget
// (with a bias of 1), output.
class Lstm {
  constructor(weights, name, embedding) {
    this.of = (part) => weights[`${name}/${part}`];
    const start = dense(this.of("start/kernel"), this.of("start/bias"), embedding).map(Math.tanh);
    this.cells = [];
    for (let at = 0; this.of(`${this.cells.length}/state`); at += 2 * this.cells.at(-1).size) {
      const size = this.of(`${this.cells.length}/state`).columns;
      this.cells.push({ size, c: start.slice(at, at + size), h: start.slice(at + size, at + 2 * size) });
    }
  }

  // What the last layer gives after one step. The first layer's gates hold its biases and what its inputs add.
  step(gates) {
    this.cells.forEach(({ size, c, h }, layer) => {
      if (layer) gates = dense(this.of(`${layer}/below`), this.of(`${layer}/bias`), this.cells[layer - 1].h);
      addProduct(gates, this.of(`${layer}/state`), h);
      for (let i = 0; i < size; i++) {
        c[i] = c[i] * sigmoid(gates[2 * size + i] + 1) + sigmoid(gates[i]) * Math.tanh(gates[size + i]);
        h[i] = Math.tanh(c[i]) * sigmoid(gates[3 * size + i]);
      }
    });
    return this.cells.at(-1).h;
  }
}

class Model {
  // facts.broad: {windows, pseudo: [[for mean, for covariance]]}, or null if nothing is known of the broad part.
  constructor(weights, facts) {
    this.weights = weights;
    this.facts = facts;
  }

  // z^ of a point of the small latent.
  small(point) {
    const { weights } = this;
    let x = Float64Array.from(point);
    for (let i = 0; weights[`small${i}/kernel`]; i++) {
      x = dense(weights[`small${i}/kernel`], weights[`small${i}/bias`], x).map((value) => Math.max(0, value));
    }
    return dense(weights["small/kernel"], weights["small/bias"], x);
  }

  // A draw of the broad part of the prior, and the mean it is drawn around: see base_model.BroadPart. One factor of the
  // songs' covariance serves for all of its Gaussians: each adds only to the diagonal, and along the songs' mean.
  broad(seed) {
    const { weights } = this, { windows, pseudo } = this.facts.broad;
    const random = new Random(seed);
    const [forMean, forCovariance] = pseudo[Math.floor(random.uniform() * pseudo.length)];
    const mean = weights["broad/mean"].values, variance = weights["broad/variance"].values;
    const share = windows / (windows + forCovariance);
    const along = random.normal() * forMean / (windows + forMean);
    const drawn = new Float64Array(mean.length);
    addProduct(drawn, weights["broad/factor"], random.normals(weights["broad/factor"].columns));
    for (let i = 0; i < drawn.length; i++) {
      drawn[i] += along * mean[i] + Math.sqrt(variance[i] + forCovariance / windows) * random.normal();
      drawn[i] *= Math.sqrt(share);
    }
    const center = Float64Array.from(mean, (value) => value * windows / (windows + forMean));
    return { center, drawn };
  }

  // z of a point, moved towards a draw of the broad part: see base_model.leant.
  z(point, freedom, seed) {
    const sharp = this.small(point);
    if (!freedom || !this.facts.broad) return sharp;
    const { center, drawn } = this.broad(seed);
    const kept = Math.sqrt(1 - freedom ** 2);
    return sharp.map((value, i) => center[i] + kept * (value - center[i]) + freedom * drawn[i]);
  }

  // What named knobs read at z, in standard deviations; `turned` is z where they say so much more: see models.knobs.
  readings(z) {
    const { weights } = this;
    return weights["knobs/slope"] ? Array.from(dense(weights["knobs/slope"], weights["knobs/bias"], z)) : [];
  }

  turned(z, turns) {
    if (turns.some(Boolean)) addProduct(z, this.weights["knobs/move"], turns);
    return z;
  }

  // MusicVAE's CategoricalLstmDecoder, and its HierarchicalLstmDecoder over one: the events of a window. Each step is
  // given the embedding of its part, and the event before. An event is drawn as argmax(logits / temperature + Gumbel
  // noise), which has the softmax's distribution.
  decode(z, temperature, seed, steps) {
    const { weights } = this;
    const random = new Random(seed);
    const ofEvent = weights["notes/0/event"];
    const embeddings = this.embeddings(z);
    const events = [];
    embeddings.forEach((embedding, part) => {
      const notes = new Lstm(weights, "notes", embedding);
      const ofEmbedding = dense(weights["notes/0/embedding"], weights["notes/0/bias"], embedding);
      while (events.length * embeddings.length < steps * (part + 1)) {
        const gates = ofEmbedding.slice();
        if (events.length) {
          const row = events.at(-1) * gates.length;
          for (let i = 0; i < gates.length; i++) gates[i] += ofEvent.values[row + i];
        }
        const logits = dense(weights["notes/out/kernel"], weights["notes/out/bias"], notes.step(gates));
        let best = 0, highest = -Infinity;
        logits.forEach((logit, event) => {
          const score = logit / temperature - Math.log(-Math.log(random.uniform()));
          if (score > highest) [highest, best] = [score, event];
        });
        events.push(best);
      }
    });
    return events;
  }

  // The embedding of each part: z of the only one, or what the LSTM over the parts makes of z; it has no inputs.
  embeddings(z) {
    const { weights } = this, { parts } = this.facts;
    if (!weights["parts/start/kernel"]) return [z];
    const over = new Lstm(weights, "parts", z);
    return Array.from({ length: parts }, () => over.step(Float64Array.from(weights["parts/0/bias"].values)).slice());
  }

  // What is asked, {point, freedom, lean, turns, temperature, seed}: notes, [[first step, step after the last, pitch]],
  // and what named knobs read before they are turned.
  bars({ point, freedom, lean, turns, temperature, seed }) {
    const { steps, drums } = this.facts;
    const z = this.z(point, freedom, lean), readings = this.readings(z);
    const events = this.decode(this.turned(z, turns), temperature, seed, steps);
    return { notes: drums ? hitsOf(events, this.facts) : notesOf(events, this.facts), readings };
  }
}

// An event of drums has a bit for each drum that is hit.
function hitsOf(events, { played, drums }) {
  return events.slice(0, played).flatMap((event, step) =>
    drums.filter((_, i) => event >> i & 1).map((pitch) => [step, step + 1, pitch]));
}

// Event 0 goes on, 1 ends a note, and those from `first` on begin the pitches from `lowest` on.
function notesOf(events, { played, first, lowest }) {
  const notes = [];
  let sounding = null;
  const end = (step) => {
    if (sounding) notes.push([sounding.start, step, sounding.pitch]);
    sounding = null;
  };
  events.slice(0, played).forEach((event, step) => {
    if (event === 0) return;
    end(step);
    if (event < first) return;
    let pitch = lowest + event - first;  // what leaves MIDI's range comes back by octaves
    while (pitch < 0) pitch += 12;
    while (pitch > 127) pitch -= 12;
    sounding = { start: step, pitch };
  });
  end(Math.min(played, events.length));
  return notes;
}
