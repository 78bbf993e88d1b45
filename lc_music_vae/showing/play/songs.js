// The songs' windows as hashes, by which copies are known without their notes: see encoding/song_hashes.py.
"use strict";

const ALL_BITS = (1n << 64n) - 1n;
const WHOLE = 1n, LESS_ONE = 2n;  // what a hash is of: a window, or one without one of its notes
const TICKS_A_STEP = 6;
const MORE_THAN_PITCHES = 1024;
const NEAR = 0.9;  // see encoding/nearness.py

// A hash of a number of 64 bits: SplitMix64, by Steele, Lea, Flood (2014).
function mixed(number) {
  let x = (number + 0x9e3779b97f4a7c15n) & ALL_BITS;
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & ALL_BITS;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & ALL_BITS;
  return x ^ (x >> 31n);
}

class Songs {
  // `base64`: 64 bits for each hash, the lowest byte first. `up`: semitones from what is played to what was hashed.
  constructor(base64, up) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    this.hashes = new Set(new BigUint64Array(bytes.buffer));
    this.up = up;
  }

  has(sum, of) { return this.hashes.has(mixed((mixed(sum & ALL_BITS) + of) & ALL_BITS)); }

  // The share of notes, by start and pitch, that are those of the nearest window; 0 if more than one note differs.
  similarity(notes) {
    const onsets = new Set(notes.map(([start, , pitch]) => start * TICKS_A_STEP * MORE_THAN_PITCHES + pitch + this.up));
    const hashes = Array.from(onsets, (onset) => mixed(BigInt(onset))), n = hashes.length;
    if (!n) return 0;
    const whole = hashes.reduce((sum, hash) => sum + hash), less = hashes.map((hash) => whole - hash);
    if (this.has(whole, WHOLE)) return 1;
    if (this.has(whole, LESS_ONE)) return 2 * n / (2 * n + 1);  // the window has one note more
    if (less.some((sum) => this.has(sum, WHOLE))) return 2 * (n - 1) / (2 * n - 1);  // one note less
    return less.some((sum) => this.has(sum, LESS_ONE)) ? (n - 1) / n : 0;
  }

  isCopy(notes) { return this.similarity(notes) >= NEAR; }
}
