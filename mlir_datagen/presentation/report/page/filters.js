"use strict";

// The form that says which programs are shown: in the table, and in the figures.

const CHOICES = [
  ["split", "Split"],
  ["family", "Family"],
  ["dtype", "Element type"],
];

const RANGES = [
  ["flops", "Flops", 1],
  ["bytes", "Bytes moved", 1],
  ["intensity", "Intensity (flops per byte)", 1],
  ["time", "Time of a call (µs)", 1e3],
];

const FACTORS = { k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

// `64`, `1e6`, `10k` or `2.5M`; an empty field is no limit, and null is none of these.
function limit(text, otherwise) {
  const word = text.trim().replaceAll(",", "");
  if (word === "") return otherwise;
  const match = /^(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)\s*([kmgt]?)$/i.exec(word);
  return match === null ? null : Number(match[1]) * (FACTORS[match[2].toLowerCase()] ?? 1);
}

function choice(id, label, words) {
  const select = element("select", { id }, element("option", { value: "" }, "all"));
  words.forEach((word, place) => select.append(element("option", { value: String(place) }, word)));
  return element("label", {}, label, select);
}

function range(id, label, first = null) {
  const field = (end, placeholder) =>
    element("input", { id: `${id}-${end}`, inputmode: "decimal", placeholder, "aria-label": `${label}, ${placeholder}` });
  const fields = [first, field("low", "min"), element("span", {}, "to"), field("high", "max")];
  return element(
    "fieldset", {},
    element("legend", {}, label),
    element("div", { class: first === null ? "range" : "range with-choice" }, ...fields),
  );
}

class Filters {
  constructor(programs, dimensions, changed) {
    this.programs = programs;
    this.dimensions = dimensions;
    this.words = {};
    this.ranges = RANGES.filter(([key]) => key !== "time" || programs.isMeasured);
    if (programs.areTwo) this.addChoice("set", "Dataset", programs.datasets.map((one, set) => `${"AB"[set]} · ${one.name}`));
    for (const [key, label] of CHOICES) this.addChoice(key, label, programs.words(key));
    const names = choice("filter-dimension", "", dimensions.names).querySelector("select");
    names.setAttribute("aria-label", "Which dimension");
    names.options[0].textContent = "any";
    byId("ranges").append(
      range("filter-extent", "Dimension", names),
      ...this.ranges.map(([key, label]) => range(`filter-${key}`, label)),
    );
    this.haystack = null;
    this.apply();
    let waiting = 0;
    const later = () => {
      byId("shown").setAttribute("aria-busy", "true");
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        try {
          this.apply();
          changed();
        } finally {
          byId("shown").removeAttribute("aria-busy");
        }
      }, 180);
    };
    byId("filters").addEventListener("input", later);
    byId("filters").addEventListener("reset", later);
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
  }

  addChoice(key, label, words) {
    this.words[key] = words;
    byId("choices").append(choice(`filter-${key}`, label, words));
  }

  // Both ends of a range; a field that is no number is marked, and is no limit.
  ends(id, factor = 1) {
    return [["low", -Infinity], ["high", Infinity]].map(([end, otherwise]) => {
      const field = byId(`${id}-${end}`);
      const value = limit(field.value, otherwise);
      if (value === null) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
      return (value ?? otherwise) * factor;
    });
  }

  apply() {
    const { programs } = this;
    const mask = new Uint8Array(programs.count).fill(1);
    const keep = (test) => { for (let row = 0; row < programs.count; row += 1) mask[row] &= test(row) ? 1 : 0; };
    for (const [key, words] of Object.entries(this.words)) {
      const chosen = byId(`filter-${key}`).value;
      if (chosen === "") continue;
      const wanted = key === "set" ? Number(chosen) : words[Number(chosen)];
      keep((row) => programs[key][row] === wanted);
    }
    for (const [key, , factor] of this.ranges) {
      const [low, high] = this.ends(`filter-${key}`, factor);
      if (low !== -Infinity || high !== Infinity) keep((row) => programs[key][row] >= low && programs[key][row] <= high);
    }
    const [low, high] = this.ends("filter-extent");
    const name = byId("filter-dimension").value;
    if (name !== "" || low !== -Infinity || high !== Infinity) {
      const matching = this.dimensions.matching(name === "" ? "" : this.dimensions.names[Number(name)], low, high);
      keep((row) => matching[row]);
    }
    const terms = byId("filter-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    if (terms.length > 0) keep((row) => terms.every((term) => this.searched(row).includes(term)));
    this.mask = mask;
    this.count = mask.reduce((sum, kept) => sum + kept, 0);
    byId("shown").textContent = `${whole(this.count)} of ${plural(programs.count, "program")}`;
  }

  searched(row) {
    const { programs } = this;
    this.haystack ??= programs.name.map((name, each) =>
      [name, programs.split[each], programs.family[each], programs.kind[each], programs.dtype[each], programs.dimensions[each]]
        .join(" ").toLowerCase());
    return this.haystack[row];
  }
}
