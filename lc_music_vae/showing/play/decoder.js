"use strict";
// The decoders, as TensorFlow computes them: from a point of the small latent to MusicVAE's z, and from z to notes.
// Everything here is a pure function of its arguments. It runs in a worker, and in the tests.

// Returns the tensors by name. `packed` is base64 of whole numbers of 20 bits, one tensor after another: the upper 16 bits
// of all its numbers, then the lower 4, two numbers a byte. Each number counts units of its tensor.
function unpack(packed, described) {
  const bytes = atob(packed);
  const tensors = {};
  let at = 0;
  for (const [name, shape, unit] of described) {
    const size = shape.reduce((product, one) => product * one, 1);
    const values = new Float32Array(size);
    const lower = at + 2 * size;
    for (let i = 0; i < size; i += 1) {
      const high = (bytes.charCodeAt(at + 2 * i) | (bytes.charCodeAt(at + 2 * i + 1) << 8)) << 16 >> 12;
      const low = (bytes.charCodeAt(lower + (i >> 1)) >> (4 * (i & 1))) & 15;
      values[i] = unit * (high | low);
    }
    tensors[name] = { shape, values };
    at = lower + Math.ceil(size / 2);
  }
  return tensors;
}

// Adds x times the kernel's rows to `sums`; the first of these rows is `first`. Four rows at once are fastest.
function addProduct(sums, x, kernel, first) {
  const size = sums.length;
  const rows = x.length - (x.length % 4);
  for (let i = 0; i < rows; i += 4) {
    const [x0, x1, x2, x3] = [x[i], x[i + 1], x[i + 2], x[i + 3]];
    const a = (first + i) * size;
    const b = a + size;
    const c = b + size;
    const d = c + size;
    for (let j = 0; j < size; j += 1) {
      sums[j] += x0 * kernel[a + j] + x1 * kernel[b + j] + x2 * kernel[c + j] + x3 * kernel[d + j];
    }
  }
  for (let i = rows; i < x.length; i += 1) {
    const a = (first + i) * size;
    for (let j = 0; j < size; j += 1) sums[j] += x[i] * kernel[a + j];
  }
}

function dense(x, layer) {
  const sums = Float64Array.from(layer.bias);
  addProduct(sums, x, layer.kernel, 0);
  return sums;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// The layer of an LSTM. TensorFlow's LSTMBlockCell keeps its gates in the order input, new value, forget, output, and
// adds 1 to the forget gate. `sums` are the gates before their functions; `cell` and `output` are changed.
function stepLstm(sums, cell, output) {
  const size = cell.length;
  for (let i = 0; i < size; i += 1) {
    cell[i] = sigmoid(sums[2 * size + i] + 1) * cell[i] + sigmoid(sums[i]) * Math.tanh(sums[size + i]);
    output[i] = sigmoid(sums[3 * size + i]) * Math.tanh(cell[i]);
  }
}

// Mixes whole numbers into one from 0 to 1, both excluded. The mixing is the finalizer of Appleby's MurmurHash3.
function uniform(...numbers) {
  let mixed = 0;
  for (const number of numbers) {
    mixed = Math.imul(mixed ^ number, 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    mixed ^= mixed >>> 16;
  }
  return ((mixed >>> 0) + 0.5) / 2 ** 32;
}

class Decoder {
  // `tensors` are from `unpack`.
  constructor(tensors) {
    const layer = (name) => ({ kernel: tensors[name + "/kernel"].values, bias: tensors[name + "/bias"].values });
    const counted = (pattern) => {
      const found = [];
      while (tensors[pattern.replace("#", found.length) + "/kernel"]) found.push(layer(pattern.replace("#", found.length)));
      return found;
    };
    this.small = [...counted("latent_decoder/layer#"), layer("latent_decoder/mu")];
    this.cells = counted("decoder/multi_rnn_cell/cell_#/lstm_cell");
    this.start = layer("decoder/z_to_initial_state");
    this.output = layer("decoder/output_projection");
  }

  // Returns z for a point of the small latent: a multilayer perceptron with relu between its layers.
  toZ(point) {
    return this.small.reduce((x, layer, i) => dense(i ? x.map((value) => Math.max(value, 0)) : x, layer), point);
  }

  // Returns the index of the output that is chosen at each step: argmax of logits / temperature + Gumbel noise, which
  // has the distribution softmax(logits / temperature). `noise(step, index)` is a uniform number between 0 and 1.
  decode(z, { steps, temperature, noise }) {
    const state = dense(z, this.start).map(Math.tanh);
    const layers = [];
    let at = 0;
    for (const { kernel, bias } of this.cells) {
      const size = bias.length / 4;
      layers.push({ size, kernel, bias, cell: state.slice(at, at + size), output: state.slice(at + size, at + 2 * size) });
      at += 2 * size;
    }
    const depth = this.output.bias.length;
    const ofZ = Float64Array.from(layers[0].bias);  // z enters at each step: its part is computed once
    addProduct(ofZ, z, layers[0].kernel, depth);
    const chosen = [];
    for (let step = 0; step < steps; step += 1) {
      let below = null;
      for (const layer of layers) {
        const sums = Float64Array.from(below ? layer.bias : ofZ);
        if (below) addProduct(sums, below, layer.kernel, 0);
        else if (step) addProduct(sums, [1], layer.kernel, chosen[step - 1]);
        addProduct(sums, layer.output, layer.kernel, below ? below.length : depth + z.length);
        stepLstm(sums, layer.cell, layer.output);
        below = layer.output;
      }
      const logits = dense(below, this.output);
      let best = 0;
      let highest = -Infinity;
      for (let i = 0; i < depth; i += 1) {
        const value = logits[i] / temperature - Math.log(-Math.log(noise(step, i)));
        if (value > highest) [best, highest] = [i, value];
      }
      chosen.push(best);
    }
    return chosen;
  }
}

// Returns a melody's notes, as [start, end, pitch, isDrum] with times in quarters. Output 0 goes on, 1 is a rest, and
// each other one begins a note. What ends after `length` quarters is cut there.
function melodyNotes(chosen, { lowest, stepsPerQuarter, length }) {
  const notes = [];
  let open = null;
  const close = (at) => {
    if (open) notes.push([open[0], at, open[1], false]);
    open = null;
  };
  chosen.forEach((index, step) => {
    const at = step / stepsPerQuarter;
    if (!index || at >= length) return;
    close(at);
    if (index > 1) open = [at, lowest + index - 2];
  });
  close(Math.min(length, chosen.length / stepsPerQuarter));
  return notes;
}

// Moves z of a point towards a draw of the broad part of the prior, without making the spread narrower; see
// `base_model.leant`. A draw counts from 1, and its negative is the same draw on the other side of the mean.
function leant(z, draw, broad) {
  if (!draw) return z;
  const row = Math.abs(draw) - 1;
  const mean = broad.of[row] * z.length;
  const around = row * z.length;
  return z.map((value, i) => {
    const m = broad.mean[mean + i];
    return m + Math.sqrt(1 - broad.freedom ** 2) * (value - m) + broad.freedom * Math.sign(draw) * broad.away[around + i];
  });
}
