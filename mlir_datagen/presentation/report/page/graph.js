"use strict";

// The graph of a program's operations, drawn in layers from top to bottom.

const MOST_DRAWN = 250;
const LAYER_HEIGHT = 76;
const NODE_HEIGHT = 40;
const NODE_GAP = 22;
const SWEEPS = 6;
const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Each node is above those that read it, and as near to them as it can be, so that what is read late does not fill the
// first layer. An edge leads to a later node, so that there is no circle.
function layered(count, edges) {
  const reads = Array.from({ length: count }, () => []);
  const readBy = Array.from({ length: count }, () => []);
  for (const [producer, consumer] of edges) {
    reads[consumer].push(producer);
    readBy[producer].push(consumer);
  }
  const depth = [];
  const layers = [];
  for (let node = 0; node < count; node += 1) {
    depth[node] = reads[node].reduce((most, producer) => Math.max(most, depth[producer] + 1), 0);
  }
  for (let node = count - 1; node >= 0; node -= 1) {
    if (readBy[node].length > 0) depth[node] = readBy[node].reduce((least, consumer) => Math.min(least, depth[consumer] - 1), Infinity);
  }
  // No layer is empty: the longest chain has a node in each.
  for (let node = 0; node < count; node += 1) (layers[depth[node]] ??= []).push(node);
  const place = [];
  const number = (layer) => layer.forEach((node, at) => { place[node] = at / layer.length; });
  layers.forEach(number);
  // Sorted by where their neighbours are, downwards and upwards in turn, few edges cross.
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const neighbours = sweep % 2 === 0 ? reads : readBy;
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      const mean = new Map(layer.map((node) => {
        const all = neighbours[node];
        return [node, all.length === 0 ? place[node] : all.reduce((sum, other) => sum + place[other], 0) / all.length];
      }));
      layer.sort((one, other) => mean.get(one) - mean.get(other) || one - other);
      number(layer);
    }
  }
  return layers;
}

function graphOf(nodes, edges) {
  const shown = nodes.slice(0, MOST_DRAWN);
  const inside = edges.filter(([producer, consumer]) => producer >= 0 && producer < consumer && consumer < shown.length);
  const layers = layered(shown.length, inside);
  const labels = shown.map(([op, dtype, shape]) => [op, `${shape.join("×")}${shape.length ? " " : ""}${dtype}`]);
  const widths = labels.map((lines) => Math.max(...lines.map((line) => line.length)) * 6.9 + 22);
  const layerWidth = (layer) => layer.reduce((sum, node) => sum + widths[node] + NODE_GAP, -NODE_GAP);
  const width = Math.max(...layers.map(layerWidth)) + 24;
  const height = layers.length * LAYER_HEIGHT - (LAYER_HEIGHT - NODE_HEIGHT) + 24;
  const at = [];
  layers.forEach((layer, depth) => {
    let left = (width - layerWidth(layer)) / 2;
    for (const node of layer) {
      at[node] = { x: left + widths[node] / 2, y: 12 + depth * LAYER_HEIGHT };
      left += widths[node] + NODE_GAP;
    }
  });
  const drawing = svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Graph of ${plural(nodes.length, "operation")} and ${plural(edges.length, "edge")}` },
    svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
      svg("path", { d: "M0 0 L8 4 L0 8 z" }))),
  );
  for (const [producer, consumer] of inside) {
    const [from, to] = [at[producer], at[consumer]];
    const [top, bottom] = [from.y + NODE_HEIGHT, to.y];
    const bend = Math.min((bottom - top) / 2, LAYER_HEIGHT);
    drawing.append(svg("path", {
      d: `M${from.x} ${top} C${from.x} ${top + bend} ${to.x} ${bottom - bend} ${to.x} ${bottom}`, "marker-end": "url(#tip)",
    }));
  }
  shown.forEach((node, place) => {
    const { x, y } = at[place];
    drawing.append(svg("g", {},
      svg("rect", { x: x - widths[place] / 2, y, width: widths[place], height: NODE_HEIGHT, rx: 4 }),
      svg("text", { x, y: y + 17 }, labels[place][0]),
      svg("text", { x, y: y + 32, class: "small" }, labels[place][1]),
    ));
  });
  return drawing;
}
