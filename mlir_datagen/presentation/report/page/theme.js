"use strict";

// Light or dark, as the system has it; Plotly has to be told.

const DARK = window.matchMedia("(prefers-color-scheme: dark)");
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const PATTERNS = ["", "/", ".", "x", "\\", "+"];
const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x-thin-open"];

function styled(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function seriesColour(place) {
  return styled(`series-${Math.min(place, 6)}`);
}

function axis(more = {}) {
  return {
    gridcolor: styled("faint-line"),
    linecolor: styled("line"),
    tickcolor: styled("line"),
    zeroline: false,
    showline: true,
    ticks: "outside",
    ticklen: 3,
    automargin: true,
    fixedrange: false,
    ...more,
  };
}

function layout(height, more = {}) {
  return {
    height,
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: styled("sans"), size: 12, color: styled("ink") },
    margin: { l: 48, r: 8, t: 30, b: 42 },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 12 } },
    hoverlabel: { bgcolor: styled("surface"), bordercolor: styled("line"), font: { color: styled("ink") } },
    dragmode: "zoom",
    ...more,
  };
}

const PLOT_SETTINGS = { responsive: true, displayModeBar: false, showTips: false };
