"use strict";
// The worker: decodes points, so that neither the page nor its sound waits. Only the newest request is answered.
/* global unpack, Decoder, melodyNotes, leant, uniform */

let decoder = null;
let model = null;
let broad = null;
let waiting = null;

function answer() {
  const { number, point, draw, seed, temperature } = waiting;
  waiting = null;
  const z = leant(decoder.toZ(Float64Array.from(point)), draw, broad);
  const noise = (step, index) => uniform(seed, step, index);
  const chosen = decoder.decode(z, { steps: model.steps, temperature, noise });
  postMessage({ number, notes: melodyNotes(chosen, model) });
}

onmessage = ({ data }) => {
  if (data.model) {
    model = data.model;
    const tensors = unpack(data.packed, model.tensors);
    decoder = new Decoder(tensors);
    if (model.broad) broad = { ...model.broad, mean: tensors.broad_mean.values, away: tensors.broad_away.values };
    return;
  }
  if (!waiting) setTimeout(answer);  // requests that came meanwhile are read first
  waiting = data;
};
