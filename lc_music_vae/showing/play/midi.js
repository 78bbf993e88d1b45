"use strict";
// Writes notes as a MIDI file.

const TICKS = 480;  // in a quarter

// A number as MIDI writes lengths of time: seven bits a byte, the highest first, and a mark on all but the last.
function variableLength(number) {
  const bytes = [number & 127];
  for (let rest = number >> 7; rest; rest >>= 7) bytes.unshift(rest & 127 | 128);
  return bytes;
}

const bigEndian = (number, bytes) => Array.from({ length: bytes }, (_, i) => (number >> 8 * (bytes - 1 - i)) & 255);

// Returns a file's bytes. `notes` are [start, end, pitch, isDrum] in quarters; drums are on channel 10.
function midiFile(notes, { qpm, program, signature }) {
  const [numerator, denominator] = signature.split("/").map(Number);
  const events = [
    [0, 0, [0xff, 0x51, 3, ...bigEndian(Math.round(6e7 / qpm), 3)]],
    [0, 0, [0xff, 0x58, 4, numerator, Math.log2(denominator), 24, 8]],
    [0, 0, [0xc0, program]],
  ];
  for (const [start, end, pitch, isDrum] of notes) {
    const channel = isDrum ? 9 : 0;
    events.push([Math.round(start * TICKS), 2, [0x90 | channel, pitch, 80]]);
    events.push([Math.round(end * TICKS), 1, [0x80 | channel, pitch, 0]]);
  }
  events.sort((a, b) => a[0] - b[0] || a[1] - b[1]);  // what ends at a time ends before what begins there
  let before = 0;
  const track = events.flatMap(([at, , bytes]) => {
    const waited = variableLength(at - before);
    before = at;
    return [...waited, ...bytes];
  });
  track.push(0, 0xff, 0x2f, 0);
  const text = (name) => Array.from(name, (letter) => letter.charCodeAt(0));
  return Uint8Array.from([...text("MThd"), ...bigEndian(6, 4), ...bigEndian(0, 2), ...bigEndian(1, 2), ...bigEndian(TICKS, 2),
    ...text("MTrk"), ...bigEndian(track.length, 4), ...track]);
}
