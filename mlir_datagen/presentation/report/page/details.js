"use strict";

// What the dialog says of a program, part by part.

const MEASURED = [
  ["median_ns", "median of a call", duration],
  ["min_ns", "least", duration],
  ["iqr_ns", "middle half spreads over", duration],
  ["cpu_ns", "processor time", duration],
  ["runs", "runs", whole],
  ["set_aside", "runs set aside", whole],
  ["calls_per_run", "calls in a run", whole],
  ["compile_ns", "compiling", duration],
  ["disturbed", "disturbed", (value) => (value ? "yes" : "no")],
];

const PROOF = [
  ["check", "checked by"],
  ["proven", "proven"],
  ["error", "largest relative error"],
  ["absolute_error", "largest error"],
  ["excused", "elements left out"],
  ["unshown", "not shown by results"],
];

const ORIGIN = [
  ["source", "source"],
  ["form", "written as"],
  ["seed", "seed"],
  ["multiplicity", "times in its network"],
  ["provenance", "made from"],
  ["sha256", "SHA-256 of the text"],
];

function part(title, ...content) {
  return element("section", {}, element("h3", {}, title), ...content);
}

function pairs(entries) {
  return element("dl", { class: "pairs" }, ...entries.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function plainTable(label, head, rows) {
  const cells = (line, tag) => line.map((value, place) =>
    element(place === 0 && tag === "td" ? "th" : tag, { class: typeof value === "number" ? "number" : null, scope: tag === "th" ? "col" : place === 0 ? "row" : null },
      typeof value === "number" ? whole(value) : value));
  return element("div", { class: "scrolled", tabindex: "0", role: "region", "aria-label": label },
    element("table", { class: "plain" },
      element("thead", {}, element("tr", {}, ...cells(head, "th"))),
      element("tbody", {}, ...rows.map((line) => element("tr", {}, ...cells(line, "td"))))));
}

function withCopy(title, text, content) {
  const button = element("button", { type: "button", "aria-label": `Copy: ${title}` }, "Copy");
  button.addEventListener("click", () => copy(text, button));
  return element("section", {}, element("div", { class: "with-button" }, element("h3", {}, title), button), content);
}

function textPart(details) {
  const code = element("pre", { class: "mlir", tabindex: "0", role: "region", "aria-label": "MLIR" });
  code.append(coloured(details.mlir));
  const made = withCopy("MLIR", details.mlir, code);
  if (details.length > details.mlir.length) {
    made.append(element("p", { class: "remark" },
      `The first ${whole(details.mlir.length)} of ${whole(details.length)} letters; the dataset has all.`));
  }
  return made;
}

function graphPart({ nodes, edges, of_nodes: count }) {
  if (nodes === null || nodes.length < 2) return null;
  const drawn = Math.min(nodes.length, MOST_DRAWN);
  const remark = drawn < count ? element("p", { class: "remark" }, `The first ${whole(drawn)} of ${plural(count, "operation")}.`) : null;
  const frame = element("div", { class: "graph", tabindex: "0", role: "region", "aria-label": "Graph, scrollable" });
  frame.append(graphOf(nodes, edges));
  return part("Graph", frame, remark);
}

function loopsText(loops) {
  return loops.map(([bound, isReduction]) => (isReduction ? `${bound}ʳ` : String(bound))).join("×");
}

function operationsPart({ nodes }) {
  if (nodes === null || nodes.length === 0) return null;
  const rows = nodes.slice(0, MOST_DRAWN).map(([op, dtype, shape, loops, flops, bytes]) =>
    [op, `${shape.join("×")} ${dtype}`, loopsText(loops), flops, bytes]);
  return part("Operations", plainTable("Operations", ["operation", "result", "loops (ʳ reduction)", "flops", "bytes"], rows));
}

function signaturePart({ arguments: inputs, results }) {
  const rows = [...inputs, ...results].map(([role, name, dtype, shape]) => [name, role, `${shape.join("×")}${shape.length ? " " : ""}${dtype}`]);
  return part("Signature", plainTable("Signature", ["name", "role", "type"], rows));
}

function costPart(programs, row) {
  return part("Cost", pairs([
    ["flops", whole(programs.flops[row]) || "not known"],
    ["bytes moved", whole(programs.bytes[row]) || "not known"],
    ["flops per byte", decimal(programs.intensity[row]) || "not known"],
    ["dimensions", element("span", { class: "mono" }, programs.dimensions[row] || "none")],
    ["text", `${whole(programs.text[row])} bytes`],
  ]));
}

function knownPairs(details, names) {
  return names.filter(([key]) => details[key] !== undefined)
    .map(([key, label]) => [label, Array.isArray(details[key]) ? details[key].join(", ") || "none" : String(details[key])]);
}

function measuredPart({ measurement }) {
  if (measurement === undefined) return null;
  return part("Measured", pairs(MEASURED.map(([key, label, written]) => [label, written(measurement[key])])));
}

function proofPart(details) {
  const range = [details.minimum_mlir ?? "?", details.maximum_mlir ?? "newest"].join(" to ");
  return part("Proof", pairs([...knownPairs(details, PROOF), ["parses on MLIR", range]]));
}

function commandPart({ command }) {
  return withCopy("Make it again", command, element("pre", { class: "command", tabindex: "0", role: "region", "aria-label": "Command" }, command));
}

function originPart(details) {
  return part("Origin", pairs(knownPairs(details, ORIGIN)),
    element("details", {}, element("summary", {}, "Spec"), element("pre", { class: "command" }, details.spec ?? "")));
}
