"use strict";

// Making elements, and writing numbers. All text goes in as text: nothing of a dataset is ever read as HTML.

const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const HTML_LETTERS = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

// For libraries that take a text for HTML.
function escaped(text) {
  return String(text).replace(/[&<>"']/g, (letter) => HTML_LETTERS[letter]);
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

function whole(value) {
  return Number.isFinite(value) ? WHOLE.format(value) : "";
}

function decimal(value) {
  return Number.isFinite(value) ? SHORT.format(value) : "";
}

// Nanoseconds, in the unit that suits them.
function duration(value) {
  if (!Number.isFinite(value)) return "";
  for (const [size, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) {
    if (value >= size) return `${SHORT.format(value / size)} ${unit}`;
  }
  return `${SHORT.format(value)} ns`;
}

// A number as an axis has it: 0.01, 1, 100, 10k, 1M.
function plain(value) {
  for (const [size, unit, letter] of [[1e12, 1e12, "T"], [1e9, 1e9, "G"], [1e6, 1e6, "M"], [1e4, 1e3, "k"]]) {
    if (Math.abs(value) >= size) return `${+(value / unit).toPrecision(4)}${letter}`;
  }
  return String(+value.toPrecision(4));
}

function plural(number, word) {
  return `${whole(number)} ${word}${number === 1 ? "" : "s"}`;
}

// What a screen reader says.
function tell(text) {
  byId("told").textContent = text;
}

async function copy(text, button) {
  const label = button.dataset.label ?? button.textContent;
  button.dataset.label = label;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Not every browser lets a page of a file do that.
    button.textContent = "Cannot copy here";
  }
  tell(button.textContent);
  setTimeout(() => { button.textContent = label; }, 1500);
}
