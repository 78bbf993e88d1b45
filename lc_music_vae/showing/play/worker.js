// What the worker does: it is given the weights once, and then answers one question after another.
"use strict";
let model = null;

onmessage = ({ data }) => {
  if (data.weights) {
    model = new Model(unpackWeights(data.weights, data.layout), data.facts);
    model.bars({ point: data.warm, freedom: 0, lean: 0, turns: [], temperature: 1, seed: 0 });  // compiles it
    postMessage({ ready: true });
  } else {
    postMessage(model.bars(data));
  }
};
