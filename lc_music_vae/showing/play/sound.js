"use strict";
// Voices: each note is a few oscillators and an envelope. Times in seconds.

// `partials` are loudnesses of the harmonics; `modulation` is that of an oscillator at `ratio` times the frequency, which
// bends it and dies away (FM); `decay` is the time in which a held note falls to `sustain`.
const VOICES = {
  piano: { partials: [1, 0.45, 0.22, 0.12, 0.06, 0.03], attack: 0.004, decay: 0.5, sustain: 0.18, release: 0.08 },
  "electric piano": { partials: [1], ratio: 1, modulation: 1.6, attack: 0.004, decay: 0.6, sustain: 0.25, release: 0.1 },
  bells: { partials: [1], ratio: 3.5, modulation: 1.8, attack: 0.002, decay: 0.5, sustain: 0.05, release: 0.5 },
  organ: { partials: [1, 0.7, 0.35, 0.5, 0.05, 0.2, 0, 0.25], attack: 0.02, decay: 0.1, sustain: 0.9, release: 0.04 },
  guitar: { partials: [1, 0.8, 0.5, 0.3, 0.25, 0.12, 0.08], attack: 0.002, decay: 0.22, sustain: 0.06, release: 0.06 },
  strings: { partials: [1, 0.5, 0.33, 0.25, 0.2, 0.1], attack: 0.09, decay: 0.3, sustain: 0.8, release: 0.15, vibrato: 5 },
  brass: { partials: [1, 0.8, 0.65, 0.45, 0.3, 0.2, 0.1], attack: 0.04, decay: 0.15, sustain: 0.7, release: 0.06 },
  flute: { partials: [1, 0.15, 0.04], attack: 0.05, decay: 0.2, sustain: 0.85, release: 0.07, vibrato: 7 },
};
// A voice for each family of eight programs of General MIDI.
const FAMILIES = ["piano", "bells", "organ", "guitar", "guitar", "strings", "strings", "brass", "brass", "flute", "electric piano",
  "strings", "bells", "guitar", "bells", "flute"];
// A program of General MIDI for each voice, for MIDI files.
const PROGRAMS = { piano: 0, "electric piano": 4, bells: 11, organ: 16, guitar: 24, strings: 48, brass: 61, flute: 73 };
const PEAK = 0.3;  // of one note at the highest velocity

const voiceOf = (program) => program === PROGRAMS["electric piano"] ? "electric piano" : FAMILIES[program >> 3];

// Starts a note and returns its sources, which stop by themselves.
function startNote(context, output, { voice, pitch, velocity, at, end }) {
  const { partials, attack, decay, sustain, release, ratio, modulation, vibrato } = VOICES[voice];
  const frequency = 440 * 2 ** ((pitch - 69) / 12);
  const loudness = PEAK * velocity / 127 / partials.reduce((sum, x) => sum + x / 2, 0.5);
  const source = context.createOscillator();
  const envelope = context.createGain();
  const done = Math.max(end, at + 0.03);
  source.setPeriodicWave(context.createPeriodicWave(new Float32Array(partials.length + 1), Float32Array.of(0, ...partials)));
  source.frequency.value = frequency;
  envelope.gain.setValueAtTime(0, at);
  envelope.gain.linearRampToValueAtTime(loudness, at + attack);
  envelope.gain.setTargetAtTime(sustain * loudness, at + attack, decay);
  envelope.gain.setTargetAtTime(0, done, release);
  source.connect(envelope).connect(output);
  const sources = [source];
  const bend = (hertz, depth) => {
    const bending = context.createOscillator();
    const amount = context.createGain();
    bending.frequency.value = hertz;
    amount.gain.setValueAtTime(depth, at);
    bending.connect(amount).connect(source.frequency);
    sources.push(bending);
    return amount;
  };
  if (modulation) bend(ratio * frequency, modulation * ratio * frequency).gain.setTargetAtTime(0, at, decay / 2);
  if (vibrato) bend(5.2, frequency * vibrato / 1200);
  for (const one of sources) {
    one.start(at);
    one.stop(done + 6 * release);
  }
  return sources;
}

// Bass drums and toms are falling tones, the rest is noise: deep for snares, high for cymbals.
function startDrum(context, output, { pitch, velocity, at }) {
  const isTone = pitch <= 36 || [41, 43, 45, 47, 48, 50].includes(pitch);
  const envelope = context.createGain();
  const source = isTone ? context.createOscillator() : context.createBufferSource();
  if (isTone) {
    source.frequency.setValueAtTime(pitch <= 36 ? 120 : 4 * pitch, at);
    source.frequency.exponentialRampToValueAtTime(pitch <= 36 ? 50 : 2 * pitch, at + 0.1);
    source.connect(envelope);
  } else {
    const filter = context.createBiquadFilter();
    filter.type = "highpass";
    filter.frequency.value = pitch <= 40 ? 1000 : 6000;
    source.buffer = noiseOf(context);
    source.connect(filter).connect(envelope);
  }
  envelope.gain.setValueAtTime(PEAK * velocity / 127, at);
  envelope.gain.setTargetAtTime(0, at, pitch <= 40 ? 0.08 : 0.03);
  envelope.connect(output);
  source.start(at);
  source.stop(at + 0.4);
  return [source];
}

function noiseOf(context) {
  const noise = context.createBuffer(1, context.sampleRate / 2, context.sampleRate);
  noise.getChannelData(0).forEach((_, i, samples) => { samples[i] = Math.random() * 2 - 1; });
  return noise;
}
