"use strict";

// What can be filtered by and drawn: numbers of programs, and the dimensions that their texts name.

const LOOPS = "main loops";

const QUANTITIES = [
  { key: "flops", label: "flops", written: plain },
  { key: "bytes", label: "bytes moved", written: plain },
  { key: "intensity", label: "intensity (flops per byte)", written: plain },
  { key: "time", label: "time of a call", written: duration },
  { key: "text", label: "text (bytes)", written: plain },
  { key: "operations", label: "operations", written: plain },
  { key: "loops", label: "loops of main operation", written: plain },
];

// `m=64 shape=7x5` names m and shape; `64x32x128` are the bounds of the main operation's loops.
function eachDimension(text, found) {
  for (const part of text === "" ? [] : text.split(" ")) {
    const at = part.indexOf("=");
    found(at < 0 ? LOOPS : part.slice(0, at), part.slice(at + 1).split("x").map(Number));
  }
}

class Dimensions {
  constructor(programs) {
    this.programs = programs;
    this.found = new Map();
    for (let row = 0; row < programs.count; row += 1) {
      eachDimension(programs.dimensions[row], (name, values) => {
        if (!this.found.has(name)) this.found.set(name, { rows: [], values: [] });
        const { rows, values: all } = this.found.get(name);
        for (const value of values) {
          rows.push(row);
          all.push(value);
        }
      });
    }
    // Of all operations, and not of the main one alone.
    programs.datasets.forEach((one, set) => {
      for (const [name, bounds] of Object.entries(one.bounds)) {
        if (!this.found.has(name)) this.found.set(name, { rows: [], values: [], ofLoops: true });
        const { rows, values } = this.found.get(name);
        bounds.rows.forEach((row, place) => {
          rows.push(row + programs.starts[set]);
          values.push(bounds.values[place]);
        });
      }
    });
  }

  get names() {
    return [...this.found.keys()];
  }

  // The programs with a value in a range, of one dimension or of any.
  matching(name, low, high) {
    const mask = new Uint8Array(this.programs.count);
    for (const [each, { rows, values }] of this.found) {
      if (name !== "" && each !== name) continue;
      values.forEach((value, place) => {
        if (value >= low && value <= high) mask[rows[place]] = 1;
      });
    }
    return mask;
  }

  // The known values of a quantity or a dimension, with the row of each.
  values(key) {
    const found = this.found.get(key);
    if (found !== undefined) return found;
    const rows = [];
    const values = [];
    this.programs[key].forEach((value, row) => {
      if (Number.isFinite(value)) {
        rows.push(row);
        values.push(value);
      }
    });
    return { rows, values };
  }
}
