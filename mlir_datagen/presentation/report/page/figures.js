"use strict";

// The figures of what the filters leave: families, costs, speed, times.

const MOST_FAMILIES = 14;
const MOST_COLOURS = 6;
const MOST_GROUPS = 6;
const MOST_POINTS = 3000;
// From a nanosecond to some hours.
const DECADES = Array.from({ length: 14 }, (_, power) => 10 ** power);

// Plotly reads some HTML in texts.
const plotText = (text) => escaped(text.length > 32 ? `${text.slice(0, 22)}…${text.slice(-9)}` : text);

function counted(words, rows) {
  const counts = new Map();
  for (const row of rows) counts.set(words[row], (counts.get(words[row]) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1));
}

// Rows by what `nameOf` says of each: the largest groups, in the order in which the dataset has them, and the others.
function grouped(rows, nameOf, most, what) {
  const groups = new Map();
  for (const row of rows) {
    const name = nameOf(row);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(row);
  }
  if (groups.size <= most + 1) return [...groups].map(([name, members]) => ({ name, rows: members }));
  const largest = new Set([...groups].sort((one, other) => other[1].length - one[1].length).slice(0, most).map(([name]) => name));
  const kept = [...groups].filter(([name]) => largest.has(name)).map(([name, members]) => ({ name, rows: members }));
  const others = [...groups].filter(([name]) => !largest.has(name));
  return [...kept, { name: `other (${others.length} ${what})`, rows: others.flatMap(([, members]) => members), isOther: true }];
}

// Some of many, that have nothing to do with what they are.
function thinned(rows, most) {
  if (rows.length <= most) return rows;
  return rows.filter((row) => (Math.imul(row + 1, 2654435761) >>> 0) < (most / rows.length) * 2 ** 32);
}

// How groups look: by their place; those of two datasets (`A · train`) have one colour for each dataset.
function looksOf(groups) {
  const places = new Map();
  return groups.map(({ name }, place) => {
    const set = /^([AB]) · /.exec(name)?.[1];
    if (set === undefined) return { colour: seriesColour(place), line: place, isFirst: place === 0 };
    const line = places.get(set) ?? 0;
    places.set(set, line + 1);
    return { colour: seriesColour("AB".indexOf(set)), line, isFirst: place === 0 };
  });
}

function barMarker({ colour, line }) {
  return { color: colour, pattern: { shape: PATTERNS[line], size: 6, fgcolor: styled("surface"), fillmode: "overlay" } };
}

// Which share of each group's total every word has: `groups` is a list of { name, counts }, with a Map of counts.
function mixFigure(groups, what, label) {
  const totals = new Map();
  for (const { counts } of groups) for (const [word, count] of counts) totals.set(word, (totals.get(word) ?? 0) + count);
  const words = [...totals].sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1)).map(([word]) => word);
  const shown = words.length <= MOST_FAMILIES + 1 ? words : words.slice(0, MOST_FAMILIES);
  const others = words.length - shown.length;
  const labels = [...shown.map(plotText), ...(others ? [`other (${others} ${what})`] : [])];
  const looks = looksOf(groups);
  const traces = groups.map(({ name, counts }, place) => {
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    const values = shown.map((word) => counts.get(word) ?? 0);
    if (others) values.push(total - values.reduce((sum, count) => sum + count, 0));
    return {
      type: "bar", orientation: "h", name: plotText(name), y: labels, x: values.map((count) => count / total),
      customdata: values, hovertemplate: "%{y}: %{customdata}, %{x:.1%}<extra>%{fullData.name}</extra>",
      marker: barMarker(looks[place]),
    };
  });
  const height = Math.min(110 + labels.length * (8 + 11 * Math.max(groups.length, 1.4)), 760);
  return {
    traces,
    layout: layout(height, {
      barmode: "group", bargap: 0.25,
      yaxis: axis({ autorange: "reversed", ticksuffix: " ", ticks: "", showline: false, fixedrange: true }),
      xaxis: axis({ tickformat: ".0%", title: { text: label }, rangemode: "tozero" }),
    }),
    remark: "",
  };
}

function familyFigure(programs, rows) {
  const homes = grouped(rows, (row) => programs.home(row), MOST_GROUPS, "splits");
  return mixFigure(homes.map(({ name, rows: members }) => ({ name, counts: new Map(counted(programs.family, members)) })), "families", "share of the split's programs");
}

function operationFigure(programs) {
  const groups = programs.datasets.flatMap(({ operations }, set) => Object.entries(operations).map(([split, counts]) => ({
    name: programs.areTwo ? `${"AB"[set]} · ${split}` : split, counts: new Map(Object.entries(counts)),
  }))).filter(({ counts }) => counts.size > 0);
  return { ...mixFigure(groups.slice(0, MOST_GROUPS), "operations", "share of the split's operations"), remark: "Counted over all programs, whatever the filters say." };
}

function scatterFigure(programs, rows, x, y, axes, extra = []) {
  const drawable = rows.filter((row) => x(row) > 0 && y(row) > 0);
  const points = thinned(drawable, MOST_POINTS);
  const families = grouped(points, (row) => programs.family[row], MOST_COLOURS, "families");
  const traces = families.map(({ name, rows: members, isOther }, place) => {
    const look = isOther ? 6 : place;
    return {
      type: "scatter", mode: "markers", name: plotText(name), x: members.map(x), y: members.map(y), customdata: members,
      text: members.map((row) => plotText(`${programs.home(row)}/${programs.name[row]}`)),
      hovertemplate: `%{text}<br>${axes[0]} %{x:.4s}<br>${axes[1]} %{y:.4s}<extra></extra>`,
      marker: {
        color: seriesColour(look), size: points.length < 300 ? 8 : 6, opacity: 0.75,
        symbol: members.map((row) => SYMBOLS[look] + (programs.set[row] === 1 && look < 6 ? "-open" : "")),
      },
    };
  });
  return {
    traces: [...traces, ...extra],
    layout: layout(420, {
      hovermode: "closest",
      xaxis: axis({ type: "log", title: { text: axes[0] }, exponentformat: "SI", dtick: 1 }),
      yaxis: axis({ type: "log", title: { text: axes[1] }, exponentformat: "SI", dtick: 1 }),
    }),
    remark: points.length < drawable.length ? `${whole(points.length)} of ${plural(drawable.length, "program")} drawn.` : "",
  };
}

function costFigure(programs, rows) {
  const figure = scatterFigure(programs, rows, (row) => programs.bytes[row], (row) => programs.flops[row], ["bytes moved", "flops"]);
  const without = rows.filter((row) => programs.flops[row] === 0).length;
  if (without > 0) figure.remark += ` ${plural(without, "program")} without arithmetic cannot be on these axes.`;
  if (programs.areTwo) figure.remark += " Filled: dataset A, hollow: dataset B.";
  figure.remark += " A click opens a program.";
  return figure;
}

function roofFigure(programs, rows) {
  const measured = rows.filter((row) => programs.time[row] > 0);
  const speed = (row) => programs.flops[row] / programs.time[row];
  const [low, high] = [0, 1].map((end) => {
    const known = measured.map((row) => programs.intensity[row]).filter((value) => value > 0);
    return end === 0 ? known.reduce((one, other) => Math.min(one, other), Infinity) / 2 : known.reduce((one, other) => Math.max(one, other), 0) * 2;
  });
  const roofs = programs.datasets.flatMap(({ roof }, set) => {
    if (roof === null || !(high > low)) return [];
    const ridge = Math.min(Math.max(roof[0] / roof[1], low), high);
    const xs = [low, ridge, high];
    return [{
      type: "scatter", mode: "lines", name: programs.areTwo ? `best of ${"AB"[set]}` : "best seen here",
      x: xs, y: xs.map((x) => Math.min(x * roof[1], roof[0])), line: { color: styled("ink"), width: 2, dash: DASHES[set] },
      hovertemplate: `best: ${decimal(roof[0])} Gflop/s, ${decimal(roof[1])} GB/s<extra></extra>`,
    }];
  });
  const figure = scatterFigure(
    programs, measured, (row) => programs.intensity[row], speed, ["flops per byte", "Gflop/s"], roofs,
  );
  const processors = [...new Set(programs.datasets.map((one) => one.processor).filter(Boolean))].join(" and ");
  figure.remark = `One core of ${processors}, unoptimised code. The roof is the best of these measurements, not the machine's limit. ${figure.remark}`;
  return figure;
}

function quantile(sorted, share) {
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  return sorted[below] + (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]) * (place - below);
}

function timeFigure(programs, rows) {
  const measured = rows.filter((row) => programs.time[row] > 0);
  const sets = programs.areTwo ? [0, 1] : [0];
  const families = grouped(measured, (row) => programs.family[row], MOST_FAMILIES, "families");
  const sorted = (members) => members.map((row) => programs.time[row]).sort((one, other) => one - other);
  families.sort((one, other) => (one.isOther ? 1 : other.isOther ? -1 : quantile(sorted(other.rows), 0.5) - quantile(sorted(one.rows), 0.5)));
  const traces = sets.map((set) => {
    const groups = families.map(({ name, rows: members }) => ({ name, times: sorted(members.filter((row) => programs.set[row] === set)) }));
    const known = groups.filter(({ times }) => times.length > 0);
    const at = (share) => known.map(({ times }) => quantile(times, share));
    return {
      type: "box", orientation: "h", name: programs.areTwo ? "AB"[set] : "", y: known.map(({ name }) => plotText(name)),
      lowerfence: at(0.05), q1: at(0.25), median: at(0.5), q3: at(0.75), upperfence: at(0.95),
      line: { color: seriesColour(set), width: 1.5 }, hoverinfo: "x+y",
    };
  });
  const disturbed = measured.filter((row) => programs.disturbed[row]).length;
  return {
    traces,
    layout: layout(Math.min(120 + families.length * 28 * sets.length, 760), {
      boxmode: "group", showlegend: programs.areTwo,
      yaxis: axis({ autorange: "reversed", ticksuffix: " ", type: "category", categoryarray: families.map(({ name }) => plotText(name)), ticks: "", showline: false, fixedrange: true }),
      xaxis: axis({ type: "log", title: { text: "time of a call" }, tickmode: "array", tickvals: DECADES, ticktext: DECADES.map(duration) }),
    }),
    remark: `Median, quarters, and the range of nine in ten.${disturbed ? ` ${plural(disturbed, "time")} marked as disturbed.` : ""}`,
  };
}
