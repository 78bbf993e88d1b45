// The voices of both pages: a melody's notes by partials through a filter, and drums. Times are in seconds.
"use strict";

// A voice: partials' amplitudes from the fundamental; `attack` and `release`; `decay`, in which it falls by 63 % of the
// way to the share `held`; a lowpass at `bright` times the note's frequency that goes to `dull` times it; `vibrato` in
// cents. A `bell` adds a short tone at so many times the frequency, as of a hammer.
const VOICES = {
  piano: { name: "Piano", program: 0, partials: [1, 0.55, 0.3, 0.22, 0.12, 0.1, 0.05, 0.04], attack: 0.004, decay: 0.55,
    held: 0.08, release: 0.09, bright: 9, dull: 2.5, gain: 0.9 },
  electric: { name: "Electric piano", program: 4, partials: [1, 0.12, 0.28, 0.03, 0.06], attack: 0.004, decay: 0.8,
    held: 0.15, release: 0.1, bright: 8, dull: 3, gain: 0.85, bell: 6.99 },
  box: { name: "Music box", program: 10, partials: [1, 0, 0.06, 0, 0.02], attack: 0.002, decay: 0.35, held: 0.02,
    release: 0.35, bright: 12, dull: 8, gain: 0.9, bell: 4.07 },
  organ: { name: "Organ", program: 16, partials: [1, 0.7, 0.45, 0.5, 0, 0.22, 0, 0.25], attack: 0.015, decay: 1,
    held: 1, release: 0.05, bright: 14, dull: 14, gain: 0.42 },
  guitar: { name: "Guitar", program: 24, partials: [1, 0.75, 0.5, 0.2, 0.3, 0.22, 0.1, 0.12, 0.08], attack: 0.003,
    decay: 0.32, held: 0.06, release: 0.08, bright: 11, dull: 1.6, gain: 0.9 },
  bass: { name: "Bass", program: 32, partials: [1, 0.5, 0.28, 0.14, 0.07], attack: 0.005, decay: 0.5, held: 0.35,
    release: 0.06, bright: 7, dull: 2, gain: 1 },
  strings: { name: "Strings", program: 48, partials: [1, 0.5, 0.33, 0.25, 0.2, 0.17, 0.14, 0.12, 0.11, 0.1],
    attack: 0.09, decay: 1, held: 1, release: 0.2, bright: 4, dull: 5, gain: 0.5, vibrato: 9 },
  brass: { name: "Brass", program: 56, partials: [1, 0.85, 0.7, 0.5, 0.4, 0.28, 0.2, 0.14, 0.1], attack: 0.04,
    decay: 0.3, held: 0.8, release: 0.08, bright: 3, dull: 5, gain: 0.45, vibrato: 4 },
  reed: { name: "Clarinet", program: 71, partials: [1, 0.03, 0.6, 0.04, 0.35, 0.05, 0.18, 0.04, 0.1], attack: 0.03,
    decay: 0.5, held: 0.9, release: 0.08, bright: 7, dull: 6, gain: 0.55, vibrato: 3 },
  flute: { name: "Flute", program: 73, partials: [1, 0.28, 0.1, 0.03], attack: 0.05, decay: 0.5, held: 0.9,
    release: 0.1, bright: 6, dull: 5, gain: 0.7, vibrato: 10 },
  lead: { name: "Synthesiser", program: 81, partials: [1, 0.5, 0.33, 0.25, 0.2, 0.17, 0.14, 0.12, 0.11, 0.1, 0.09,
    0.08], attack: 0.006, decay: 0.25, held: 0.6, release: 0.08, bright: 9, dull: 3, gain: 0.45 },
};
// One for each of General MIDI's sixteen families of programs.
const FAMILIES = ["piano", "box", "organ", "guitar", "bass", "strings", "strings", "brass", "reed", "flute", "lead",
  "strings", "lead", "guitar", "box", "box"];

// The voice of a General MIDI program, from 0.
function voiceOf(program) { return program >= 4 && program < 6 ? "electric" : FAMILIES[program >> 3]; }

// Where notes of a context go: a volume, which is returned, and a limiter.
function mixer(context) {
  const volume = context.createGain();
  volume.connect(context.createDynamicsCompressor()).connect(context.destination);
  return volume;
}

const waves = new WeakMap();  // of each context, by voice

function waveOf(context, voice) {
  if (!waves.has(context)) waves.set(context, {});
  const known = waves.get(context);
  if (!known[voice]) {
    const sines = Float32Array.of(0, ...VOICES[voice].partials);
    known[voice] = context.createPeriodicWave(new Float32Array(sines.length), sines);
  }
  return known[voice];
}

// Sounds a note, {pitch, velocity, start, end}, and returns the source that it is counted and stopped by.
function sound(output, voice, { pitch, velocity, start, end }) {
  const { context } = output;
  const { attack, decay, held, release, bright, dull, gain, vibrato, bell } = VOICES[voice];
  const hertz = 440 * 2 ** ((pitch - 69) / 12), loudness = 0.35 * gain * velocity / 127;
  const off = Math.max(end, start + 0.03), highest = context.sampleRate / 2;
  const source = context.createOscillator(), filter = context.createBiquadFilter(), envelope = context.createGain();
  source.setPeriodicWave(waveOf(context, voice));
  source.frequency.value = hertz;
  filter.Q.value = 0;
  filter.frequency.setValueAtTime(Math.min(bright * hertz, highest), start);
  filter.frequency.setTargetAtTime(Math.min(dull * hertz, highest), start, decay);
  envelope.gain.setValueAtTime(0, start);
  envelope.gain.linearRampToValueAtTime(loudness, start + attack);
  envelope.gain.setTargetAtTime(held * loudness, start + attack, decay);
  envelope.gain.setTargetAtTime(0, off, release / 2);
  source.connect(filter).connect(envelope).connect(output);
  if (vibrato) {
    const wobble = context.createOscillator(), depth = context.createGain();
    wobble.frequency.value = 5.2;
    depth.gain.setValueAtTime(0, start);
    depth.gain.setTargetAtTime(vibrato, start + 0.25, 0.3);  // as players do: not at the note's start
    wobble.connect(depth).connect(source.detune);
    wobble.start(start);
    wobble.stop(off + 4 * release);
  }
  if (bell) {
    const strike = context.createOscillator(), fading = context.createGain();
    strike.frequency.value = Math.min(bell * hertz, highest);
    fading.gain.setValueAtTime(0.16 * loudness, start);
    fading.gain.setTargetAtTime(0, start, 0.07);
    strike.connect(fading).connect(output);
    strike.start(start);
    strike.stop(start + 0.5);
  }
  source.start(start);
  source.stop(off + 4 * release);
  return source;
}

const noises = new WeakMap();  // of each context

function noiseOf(context) {
  if (!noises.has(context)) {
    const noise = context.createBuffer(1, context.sampleRate / 2, context.sampleRate);
    noise.getChannelData(0).forEach((_, i, samples) => { samples[i] = Math.random() * 2 - 1; });
    noises.set(context, noise);
  }
  return noises.get(context);
}

// Sounds a note of a score: a drum, or a tone of its voice.
function soundOf(output, { drums, voice }, note) {
  return drums ? drum(output, note) : sound(output, voice, note);
}

// A drum of General MIDI. Bass drums and toms are falling tones, the rest is noise: deep for snares, high for cymbals.
function drum(output, { pitch, velocity, start }) {
  const { context } = output, envelope = context.createGain();
  const isTone = pitch <= 36 || [41, 43, 45, 47, 48, 50].includes(pitch);
  const isCymbal = [46, 49, 51, 52, 55, 57].includes(pitch);
  const source = isTone ? context.createOscillator() : context.createBufferSource();
  if (isTone) {
    source.frequency.setValueAtTime(pitch <= 36 ? 120 : 4 * pitch, start);
    source.frequency.exponentialRampToValueAtTime(pitch <= 36 ? 50 : 2 * pitch, start + 0.1);
    source.connect(envelope);
  } else {
    const filter = context.createBiquadFilter();
    filter.type = "highpass";
    filter.frequency.value = pitch <= 40 ? 1000 : 6000;
    source.buffer = noiseOf(context);
    source.connect(filter).connect(envelope);
  }
  envelope.gain.setValueAtTime(0.35 * velocity / 127, start);
  envelope.gain.setTargetAtTime(0, start, pitch <= 40 || isCymbal ? 0.08 : 0.03);
  envelope.connect(output);
  source.start(start);
  source.stop(start + 0.4);
  return source;
}
