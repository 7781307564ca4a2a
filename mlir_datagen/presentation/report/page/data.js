"use strict";

// The datasets: unpacking what the page carries, and all their programs as columns.

async function unpacked(name) {
  const packed = atob(byId(`data-${name}`).textContent);
  const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function runLibrary(name) {
  const script = document.createElement("script");
  script.textContent = await unpacked(name);
  document.head.append(script);
  byId(`data-${name}`).remove();
}

// One row is one program of one dataset, numbered through all datasets.
class Programs {
  constructor(datasets) {
    this.datasets = datasets;
    this.count = datasets.reduce((sum, one) => sum + one.columns.name.length, 0);
    const of = (name) => datasets.flatMap((one) => one.columns[name]);
    const coded = (name) => datasets.flatMap(({ columns }) => columns[name].codes.map((code) => columns[name].words[code]));
    const numbers = (name) =>
      Float64Array.from(
        datasets.flatMap(({ columns }) => columns[name] ?? new Array(columns.name.length).fill(null)),
        (value) => value ?? NaN,
      );
    this.set = Uint8Array.from(datasets.flatMap((one, set) => new Array(one.columns.name.length).fill(set)));
    this.starts = datasets.map((_, set) => this.set.indexOf(set));
    this.name = of("name");
    this.dimensions = of("dimensions");
    this.place = Int32Array.from(of("place"));
    for (const name of ["split", "family", "kind", "dtype"]) this[name] = coded(name);
    for (const name of ["flops", "bytes", "text", "operations", "loops", "time"]) this[name] = numbers(name);
    this.intensity = this.flops.map((flops, row) => (this.bytes[row] > 0 ? flops / this.bytes[row] : NaN));
    this.disturbed = new Uint8Array(this.count);
    datasets.forEach((one, set) => one.columns.disturbed.forEach((row) => { this.disturbed[this.starts[set] + row] = 1; }));
    this.isMeasured = this.time.some(Number.isFinite);
    this.areTwo = datasets.length > 1;
    this.chunks = new Map();
  }

  letter(row) {
    return "AB"[this.set[row]];
  }

  // How a split is called: with its dataset where there are two.
  home(row) {
    return this.areTwo ? `${this.letter(row)} · ${this.split[row]}` : this.split[row];
  }

  words(name) {
    return [...new Set(this[name])];
  }

  // The text and the details of a program; null where the page has none.
  async details(row) {
    if (this.place[row] < 0) return null;
    const perChunk = this.datasets[0].per_chunk;
    const id = `programs-${this.set[row]}-${Math.floor(this.place[row] / perChunk)}`;
    if (!this.chunks.has(id)) this.chunks.set(id, unpacked(id).then(JSON.parse));
    return (await this.chunks.get(id))[this.place[row] % perChunk];
  }

  find(set, split, name) {
    for (let row = 0; row < this.count; row += 1) {
      if (this.name[row] === name && this.split[row] === split && this.set[row] === set) return row;
    }
    return -1;
  }
}
