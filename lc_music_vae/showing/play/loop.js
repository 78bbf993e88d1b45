// Plays bars in a loop, and takes up what changes meanwhile at the next step.
"use strict";

const AHEAD = 0.15;  // seconds: notes are scheduled so long before they sound, as the page may be busy drawing

// Quarters at which a step sounds. Swing moves the middle of each quarter, its second eighth, to a later share.
function swung(step, swing) {
  const whole = Math.floor(step / 4), part = step / 4 - whole;
  return whole + (part < 0.5 ? 2 * part * swing : swing + (2 * part - 1) * (1 - swing));
}

class Loop {
  // score(): {notes: [[first step, step after the last, pitch]], steps, qpm, swing, voice, drums}, as they are
  // now.
  // With `isOnce`, it ends after the last step.
  constructor(context, score, { isOnce = false } = {}) {
    this.context = context;
    this.score = score;
    this.isOnce = isOnce;
    this.end = Infinity;  // when the last step that is to sound ends
    this.volume = mixer(context);
    this.step = 0;
    this.at = context.currentTime + 0.06;
    this.steps = [];  // that are scheduled: {step, at, seconds}
    this.timer = setInterval(() => this.schedule(), 25);
    this.schedule();
  }

  schedule() {
    // Where the page was asleep, nothing is caught up with.
    this.at = Math.max(this.at, this.context.currentTime);
    while (this.at < Math.min(this.end, this.context.currentTime + AHEAD)) {
      const score = this.score(), { notes, steps, qpm, swing } = score;
      const seconds = (from, to) => (swung(to, swing) - swung(from, swing)) * 60 / qpm;
      for (const [start, end, pitch] of notes) {
        if (start === this.step) {
          soundOf(this.volume, score, { pitch, velocity: 90, start: this.at, end: this.at + seconds(start, end) });
        }
      }
      const length = seconds(this.step, this.step + 1);
      this.steps.push({ step: this.step, at: this.at, seconds: length });
      this.at += length;
      this.step = (this.step + 1) % steps;
      if (this.isOnce && this.step === 0) this.end = this.at;
    }
    while (this.steps.length > 100) this.steps.shift();
  }

  // The step that sounds now, with a fraction.
  now() {
    const time = this.context.currentTime;
    const here = this.steps.filter(({ at }) => at <= time).pop();
    return here ? here.step + Math.min(1, (time - here.at) / here.seconds) : 0;
  }

  isOver() { return this.context.currentTime > this.end; }

  stop() {
    clearInterval(this.timer);
    this.volume.gain.setTargetAtTime(0, this.context.currentTime, 0.03);
    setTimeout(() => this.volume.disconnect(), 400);
  }
}
