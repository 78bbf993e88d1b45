// Files that the pages make for a download: MIDI and WAV.
"use strict";

const TICKS = 480;  // a quarter

// A number of 7 bits a byte, the highest first.
function variableLength(number) {
  const bytes = [number & 127];
  while ((number >>= 7)) bytes.unshift(number & 127 | 128);
  return bytes;
}

const bigEndian = (number, size) => Array.from({ length: size }, (_, i) => number >> 8 * (size - 1 - i) & 255);

// A MIDI file of one track. `notes` are [start, end, pitch], in quarters; drums are on channel 10.
function midiFile({ notes, quarters, qpm, program, signature, drums }) {
  const channel = drums ? 9 : 0, on = 0x90 | channel, off = 0x80 | channel;
  const [numerator, denominator] = signature.split("/").map(Number);
  const events = [[0, 0xff, 0x51, 3, ...bigEndian(Math.round(6e7 / qpm), 3)],
    [0, 0xff, 0x58, 4, numerator, Math.log2(denominator), 24, 8],
    [0, 0xc0 | channel, drums ? 0 : program]];
  for (const [start, end, pitch] of notes) {
    events.push([Math.round(start * TICKS), on, pitch, 80], [Math.round(end * TICKS), off, pitch, 0]);
  }
  events.push([Math.round(quarters * TICKS), 0xff, 0x2f, 0]);
  // At the same tick a note ends before the next begins.
  events.sort((a, b) => a[0] - b[0] || (b[1] === off) - (a[1] === off));
  const track = [];
  let last = 0;
  for (const [tick, ...bytes] of events) {
    track.push(...variableLength(tick - last), ...bytes);
    last = tick;
  }
  const text = (word) => Array.from(word, (letter) => letter.charCodeAt(0));
  return Uint8Array.from([...text("MThd"), ...bigEndian(6, 4), 0, 0, 0, 1, ...bigEndian(TICKS, 2),
    ...text("MTrk"), ...bigEndian(track.length, 4), ...track]);
}

// A WAV file of one channel, 16 bits, of samples from -1 to 1; louder ones are all made quieter, by the same factor.
function wavFile(samples, rate) {
  const loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const write = (at, word) => Array.from(word).forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  write(8, "WAVEfmt ");
  [16, 1 | 1 << 16, rate, 2 * rate, 2 | 16 << 16].forEach((field, i) => view.setUint32(16 + 4 * i, field, true));
  write(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, i) => view.setInt16(44 + 2 * i, Math.round(32767 * sample / loudest), true));
  return new Uint8Array(view.buffer);
}

// Has the browser save a file.
function download(name, bytes, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
