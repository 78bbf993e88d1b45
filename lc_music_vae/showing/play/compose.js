// Whole tunes by letters. Equal letters are the same notes; of several draws of each window those are taken that go
// together best, as far as notes alone can say.
"use strict";

const FORMS = ["AABA", "ABAB", "AABB", "ABAC"];
const PHRASE = 2;  // windows of a letter
const TRIES = 4;  // phrases of which the one that is least like those before becomes the next letter
const WORST = 50;  // what a window without notes, the same one twice, or a copy of the songs costs a tune
const ALONG = 0.6;  // how much of a window the next one keeps where no songs are known

// A random rotation, as rows; all are equally likely: Gaussian vectors, made orthogonal one after another.
function rotation(size, random) {
  const rows = [];
  while (rows.length < size) {
    let row = Array.from(random.normals(size));
    for (const other of rows) {
      const along = row.reduce((sum, x, i) => sum + x * other[i], 0);
      row = row.map((x, i) => x - along * other[i]);
    }
    const length = Math.hypot(...row);
    rows.push(row.map((x) => x / length));
  }
  return rows;
}

// Phrases of songs as points: windows, {song, bars, point}, that follow one another.
function phrasesOf(windows) {
  const next = (one) => windows.find(({ song, bars }) => song === one.song && bars[0] === one.bars[1] + 1);
  return windows.filter(next).map((one) => [one.point, next(one).point]);
}

// The phrases of `count` letters, each of PHRASE points: those of the songs, turned about the songs' middle, so that
// they are related as the songs' phrases are; else draws of the prior.
function drawPhrases(count, windows, center, random) {
  const known = phrasesOf(windows), size = center.length;
  if (known.length < count) {
    return Array.from({ length: count }, () => {
      const first = Array.from(random.normals(size)), away = random.normals(size);
      return [first, first.map((x, i) => ALONG * x + Math.sqrt(1 - ALONG ** 2) * away[i])];
    });
  }
  const apart = (some, others) => Math.hypot(...some.flat().map((x, i) => x - others.flat()[i]));
  const chosen = [];
  while (chosen.length < count) {
    const left = known.filter((one) => !chosen.includes(one));
    const tried = Array.from({ length: TRIES }, () => left[Math.floor(random.uniform() * left.length)]);
    const unlike = tried.map((one) => Math.min(...chosen.map((other) => apart(one, other))));
    chosen.push(tried[unlike.indexOf(Math.max(...unlike))]);
  }
  const rows = rotation(size, random);
  const turned = (point) => rows.map((row) => row.reduce((sum, x, i) => sum + x * (point[i] - center[i]), 0));
  return chosen.map((phrase) => phrase.map(turned));
}

// What is to be decoded for a form: the point of each distinct window, and which of them stands at each place.
function planOf(form, { windows, center, random }) {
  const letters = [...new Set(form)];
  const points = drawPhrases(letters.length, windows, center, random).flat();
  const places = Array.from(form).flatMap((letter) =>
    Array.from({ length: PHRASE }, (_, i) => PHRASE * letters.indexOf(letter) + i));
  return { points, places };
}

const isSame = (some, others) => some.join() === others.join();

// How well one window's notes go on to another's, in nats, as the model itself finds them likely. Measured on 1,400
// seams of five songs: what counts is that the rhythm goes on (the share of onsets that the bars on both sides have in
// common), a long silence at the seam, and pitch classes that are new. Leaps do not count, unless they are large. Of
// drums, which were not measured, the rhythm, silence and new drums count.
function seam(some, others, { steps, drums }) {
  if (!some.length || !others.length) return -WORST;
  const [, end, last] = some[some.length - 1], [start, , first] = others[0];
  const leap = drums ? 0 : Math.max(0, Math.abs(first - last) - 7), silence = Math.max(0, steps - end + start - 8);
  const kind = ([, , pitch]) => drums ? pitch : pitch % 12;
  const known = new Set(some.map(kind));
  const foreign = others.filter((note) => !known.has(kind(note))).length / others.length;
  const half = steps / 2;
  const before = some.map(([at]) => at - half).filter((at) => at >= 0);
  const after = others.map(([at]) => at).filter((at) => at < half);
  const common = 2 * after.filter((at) => before.includes(at)).length / Math.max(1, before.length + after.length);
  return 10 * common - 4 * foreign - silence / 2 - leap;
}

// Of the candidates of each distinct window those with which the seams of the whole tune are best, and what they are
// worth: all are tried. No two distinct windows are the same notes, and none is a copy of the songs, if that can be.
function chooseWindows(candidates, places, { steps, drums, isCopy }) {
  const seams = candidates.flatMap((some, from) => candidates.map((others, to) => {
    const often = places.slice(1).filter((place, i) => places[i] === from && place === to).length;
    const isWrong = (one, other) => from === to ? isCopy(one) : from < to && isSame(one, other);
    const together = (one, other) => often && often * seam(one, other, { steps, drums });
    const worth = (one, other) => together(one, other) - (isWrong(one, other) ? WORST : 0);
    return { from, to, of: some.map((one) => others.map((other) => worth(one, other))) };
  }));
  const count = candidates[0].length;
  let best = null, most = -Infinity;
  for (let number = 0; number < count ** candidates.length; number++) {
    const taken = candidates.map((_, i) => Math.floor(number / count ** i) % count);
    const worth = seams.reduce((sum, { from, to, of }) => sum + of[taken[from]][taken[to]], 0);
    if (worth > most) [most, best] = [worth, taken];
  }
  return { windows: best.map((which, i) => candidates[i][which]), worth: most };
}
