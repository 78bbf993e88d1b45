// A shelf of what is liked. The browser keeps it under a key of the model, where it lets a page from a disk do so.
"use strict";

const SURE = 4000;  // milliseconds in which a second press clears it

const areNotes = (notes) => Array.isArray(notes) && notes.every((note) => Array.isArray(note) && note.length === 3 &&
  note.every((value) => Number.isInteger(value) && value >= 0) && note[0] < note[1] && note[2] < 128);

class Shelf {
  // read({hash, notes}): all of what is kept, as it is saved. draw(svg, notes, range), save(scores, name), say(text).
  constructor({ key, read, draw, save, say }) {
    Object.assign(this, { key, read, draw, save, say });
    this.load();
    // The page may be open twice: what one keeps, the other shows.
    window.addEventListener("storage", (event) => {
      if (event.key === key || event.key === null) this.load();
    });
  }

  load() {
    this.liked = [];
    this.last = 0;
    document.getElementById("shelf").replaceChildren();
    let kept = [];
    try {
      kept = JSON.parse(localStorage.getItem(this.key)) || [];
    } catch {
      this.keep();  // says that nothing is kept, or replaces what cannot be read
    }
    for (const one of Array.isArray(kept) ? kept : []) {
      if (one && typeof one.hash === "string" && areNotes(one.notes)) this.add(one);
    }
    this.show();
  }

  keep() {
    try {
      localStorage.setItem(this.key, JSON.stringify(this.liked.map(({ hash, notes }) => ({ hash, notes }))));
    } catch {
      document.getElementById("kept").textContent =
        "This browser keeps nothing for this page: what you like is here until you close it.";
    }
  }

  like(one) {
    this.add(one);
    this.keep();
    this.show();
    this.say(`Liked: number ${this.last} below.`);
  }

  add({ hash, notes }) {
    const number = this.last += 1;
    const one = this.read({ hash, notes });
    this.liked.push(one);
    const button = (text, label, onclick) => {
      const made = make("button", { type: "button", "aria-label": `${label} ${number}` }, text);
      made.onclick = onclick;
      return made;
    };
    const roll = make("svg", { class: "notes", preserveAspectRatio: "none", role: "img",
      "aria-label": `liked ${number}: ${notes.length} notes` });
    const pitches = notes.map((note) => note[2]);
    this.draw(roll, notes, pitches.length ? [Math.min(...pitches) - 3, Math.max(...pitches) + 3] : [60, 72]);
    const item = make("li", {}, roll, make("div", { class: "row" },
      button("Back to it", "Back to", () => { location.hash = hash; }),
      button("MIDI", "MIDI of", () => this.save([one], `liked_${number}.mid`)),
      button("Remove", "Remove", () => {
        this.liked.splice(this.liked.indexOf(one), 1);
        item.remove();
        this.keep();
        this.show();
        document.getElementById("like").focus();
      })));
    document.getElementById("shelf").append(item);
  }

  // Removes all, where it is asked twice.
  clear() {
    const button = document.getElementById("clear"), first = "Clear";
    clearTimeout(this.sure);
    if (button.textContent === first) {
      button.textContent = "Clear all? Press again";
      this.sure = setTimeout(() => { button.textContent = first; }, SURE);
      return;
    }
    button.textContent = first;
    this.liked = [];
    this.keep();
    this.load();
    document.getElementById("like").focus();
  }

  show() {
    const isEmpty = !this.liked.length;
    document.getElementById("empty").hidden = !isEmpty;
    for (const id of ["save-all", "clear"]) document.getElementById(id).hidden = isEmpty;
  }
}
