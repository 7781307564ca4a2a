"use strict";

// Shares of values: one bar each where they are few different ones, and bins otherwise.

const MOST_BARS = 12;
const BINS = 28;
const LARGE_RATIO = 20;

function extremes(values) {
  let [low, high, positive] = [Infinity, -Infinity, Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
    if (value > 0 && value < positive) positive = value;
  }
  return { low, high, positive };
}

// The different values in order; null where there are too many, or fractions among them.
function fewValues(groups) {
  const found = new Set();
  for (const { values } of groups) {
    for (const value of values) {
      if (!Number.isInteger(value)) return null;
      found.add(value);
      if (found.size > MOST_BARS) return null;
    }
  }
  return [...found].sort((one, other) => one - other);
}

// Edges of bins, and where a value is on an axis whose numbers may be logarithms.
function scaleOf(groups) {
  const ends = groups.map(({ values }) => extremes(values));
  const low = Math.min(...ends.map((end) => end.low));
  const high = Math.max(...ends.map((end) => end.high));
  const positive = Math.min(...ends.map((end) => end.positive));
  const isLog = low >= 0 && Number.isFinite(positive) && high / positive >= LARGE_RATIO;
  const [from, to] = isLog ? [Math.log10(positive), Math.log10(high)] : [low, high];
  const margin = Math.max((to - from) * 0.001, 1e-9);
  const step = (to - from + 2 * margin) / BINS;
  const edges = Array.from({ length: BINS + 1 }, (_, place) => from - margin + place * step);
  const zero = edges[0] - 1.5 * step;
  // Zero has a bin of its own, a little apart.
  if (isLog && low === 0) edges.unshift(zero - step / 2, zero + step / 2);
  const at = (value) => (isLog ? (value === 0 ? zero : Math.log10(value)) : value);
  return { edges, at, isLog, zero: isLog && low === 0 ? zero : null };
}

function shares(values, { edges, at }) {
  const counts = new Array(edges.length - 1).fill(0);
  for (const value of values) {
    const place = at(value);
    let [low, high] = [0, counts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (edges[middle] <= place) low = middle;
      else high = middle;
    }
    counts[low] += 1;
  }
  return counts.map((count) => count / values.length);
}

// The ticks of an axis of logarithms.
function logTicks({ edges, zero }, written) {
  const [from, to] = [edges[zero === null ? 0 : 2], edges[edges.length - 1]];
  const every = Math.max(1, Math.ceil((to - from) / 5));
  const steps = to - from < 1.2 ? [1, 2, 5] : [1];
  const values = [];
  for (let power = Math.floor(from); power <= to; power += 1) {
    if (power % every !== 0) continue;
    for (const step of steps) {
      const value = step * 10 ** power;
      if (Math.log10(value) >= from && Math.log10(value) <= to) values.push(value);
    }
  }
  const ticks = { tickvals: values.map(Math.log10), ticktext: values.map(written) };
  if (zero !== null) {
    ticks.tickvals.unshift(zero);
    ticks.ticktext.unshift("0");
  }
  return { tickmode: "array", ...ticks };
}
