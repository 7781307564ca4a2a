"use strict";

// Distributions: of one quantity that is chosen, and of several with the splits over each other.

const SMALL_MULTIPLES = ["flops", "bytes", "intensity", "time", "text", "operations"];

// The traces of some groups of values on one pair of axes, and the settings of the axis below.
function distributionTraces(groups, written, axes = {}) {
  const few = fewValues(groups);
  const looks = looksOf(groups);
  if (few !== null) {
    const labels = few.map(written);
    const traces = groups.map(({ name, values }, place) => {
      const counts = new Map(few.map((value) => [value, 0]));
      for (const value of values) counts.set(value, counts.get(value) + 1);
      return {
        type: "bar", name: plotText(name), legendgroup: name, x: labels, y: few.map((value) => counts.get(value) / values.length),
        marker: barMarker(looks[place]),
        hovertemplate: "%{x}: %{y:.1%}<extra>%{fullData.name}</extra>", ...axes,
      };
    });
    return { traces, below: { type: "category", categoryorder: "array", categoryarray: labels } };
  }
  const scale = scaleOf(groups);
  const { edges } = scale;
  const about = edges.slice(1).map((edge, bin) => (edges[bin] + edge) / 2).map((middle) => written(scale.isLog ? 10 ** middle : middle));
  const traces = groups.map(({ name, values }, place) => {
    const heights = shares(values, scale);
    return {
      type: "scatter", mode: "lines", name: plotText(name), legendgroup: name, // From the floor up, along the bins, and down again.
      x: [edges[0], ...edges], y: [0, ...heights, 0],
      line: { color: looks[place].colour, shape: "hv", width: 2, dash: DASHES[looks[place].line] },
      ...(looks[place].isFirst ? { fill: "tozeroy", fillcolor: `color-mix(in srgb, ${looks[place].colour} 30%, transparent)` } : {}),
      text: ["", ...about, ""],
      hovertemplate: "about %{text}: %{y:.1%}<extra>%{fullData.name}</extra>", ...axes,
    };
  });
  return { traces, below: scale.isLog ? logTicks(scale, written) : {} };
}

function groupsOf(dimensions, key, mask, nameOf, what) {
  const { rows, values } = dimensions.values(key);
  const places = [];
  rows.forEach((row, place) => { if (mask[row]) places.push(place); });
  return grouped(places, (place) => nameOf(rows[place]), MOST_GROUPS, what)
    .map(({ name, rows: members }) => ({ name, values: members.map((place) => values[place]) }));
}

class DistributionFigure {
  constructor(programs, dimensions) {
    this.programs = programs;
    this.dimensions = dimensions;
    const known = QUANTITIES.filter(({ key }) => key !== "time" || programs.isMeasured);
    this.quantities = [...known, ...dimensions.names.map((name) => ({ key: name, label: name, written: plain }))];
    this.groupings = [
      ["split", programs.areTwo ? "dataset and split" : "split", (row) => programs.home(row)],
      ...(programs.areTwo ? [["set", "dataset", (row) => `${programs.letter(row)} · ${programs.datasets[programs.set[row]].name}`]] : []),
      ["family", "family", (row) => programs.family[row]],
      ["dtype", "element type", (row) => programs.dtype[row]],
    ];
    this.quantity = this.select("quantity", "Quantity", this.quantities.map(({ label }) => label));
    this.grouping = this.select("grouping", "by", this.groupings.map(([, label]) => label));
    this.controls = [this.quantity, this.grouping];
  }

  select(id, label, words) {
    const made = choice(id, label, words);
    made.querySelector("option").remove();
    return made;
  }

  value(label) {
    return Number(label.querySelector("select").value);
  }

  figure(mask) {
    const { key, label, written } = this.quantities[this.value(this.quantity)];
    const [, what, nameOf] = this.groupings[this.value(this.grouping)];
    const groups = groupsOf(this.dimensions, key, mask, nameOf, what === "family" ? "families" : "groups");
    if (groups.length === 0) return { traces: [], layout: layout(360), remark: "No program has this." };
    const { traces, below } = distributionTraces(groups, written);
    return {
      traces,
      layout: layout(360, {
        barmode: "group", bargap: 0.2, showlegend: groups.length > 1,
        xaxis: axis({ ...below, title: { text: plotText(label) } }),
        yaxis: axis({ tickformat: ".0%", rangemode: "tozero", title: { text: "share of each group", standoff: 10 } }),
      }),
      remark: "",
    };
  }
}

// The splits over each other: a shift between them shows as outlines that differ.
function splitFigure(programs, dimensions, mask, width) {
  const names = [...SMALL_MULTIPLES, ...["parallel loops", "reduction loops"].filter((name) => dimensions.found.has(name))];
  const panels = names.map((key) => ({
    written: plain, label: `bounds of ${key}`, ...QUANTITIES.find((one) => one.key === key),
    groups: groupsOf(dimensions, key, mask, (row) => programs.home(row), "splits"),
  })).filter(({ groups }) => groups.length > 1);
  const columns = Math.max(1, Math.min(width > 1000 ? 4 : width > 620 ? 3 : 1, panels.length));
  const lines = Math.ceil(panels.length / columns);
  const traces = [];
  const settings = { annotations: [] };
  const [gap, tall] = [columns > 1 ? 0.06 : 0, 190];
  const height = Math.max(lines, 1) * tall + 50;
  const whole = height - 50;
  panels.forEach(({ label, written, groups }, place) => {
    const suffix = place === 0 ? "" : String(place + 1);
    const [column, line] = [place % columns, Math.floor(place / columns)];
    const wide = (1 - gap * (columns - 1)) / columns;
    const [left, top] = [column * (wide + gap), 1 - line / lines];
    const bottom = top - 1 / lines + 36 / whole;
    const { traces: own, below } = distributionTraces(groups, written, { xaxis: `x${suffix}`, yaxis: `y${suffix}` });
    traces.push(...own.map((trace) => ({ ...trace, showlegend: place === 0 })));
    settings[`xaxis${suffix}`] = axis({ ...below, domain: [left, left + wide], anchor: `y${suffix}`, automargin: false, nticks: 5 });
    settings[`yaxis${suffix}`] = axis({ domain: [bottom, top - 26 / whole], anchor: `x${suffix}`, tickformat: ".0%", rangemode: "tozero", nticks: 4, automargin: column === 0 });
    settings.annotations.push({ text: plotText(label), x: left, y: top - 24 / whole, xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom", showarrow: false });
  });
  return {
    traces,
    layout: layout(height, {
      barmode: "group", bargap: 0.2, margin: { l: 48, r: 8, t: 42, b: 8 }, legend: { ...layout(0).legend, y: 1 - 8 / whole }, ...settings,
    }),
    remark: "",
  };
}
