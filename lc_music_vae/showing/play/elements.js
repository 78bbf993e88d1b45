// Elements that the pages are made of.
"use strict";

const DRAWN = ["svg", "rect", "line", "circle", "path"];

// An element with its attributes and children; what is drawn is SVG.
function make(name, attributes = {}, ...children) {
  const made = DRAWN.includes(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) :
    document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
