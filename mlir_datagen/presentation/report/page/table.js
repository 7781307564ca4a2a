"use strict";

// The table of programs, which DataTables sorts and pages.

function textColumn(title, value, more = {}) {
  return { title, type: "string", data: ({ row }, type) => (type === "display" ? escaped(value(row)) : value(row)), ...more };
}

function numberColumn(title, values, written, more = {}) {
  const data = ({ row }, type) => {
    if (type === "display") return escaped(written(values[row]));
    // What is not known comes before all that is.
    return Number.isFinite(values[row]) ? values[row] : -Infinity;
  };
  // The largest first, as these are looked for.
  return { title, type: "num", className: "number", data, orderSequence: ["desc", "asc"], ...more };
}

function tableColumns(programs) {
  const firstOf = (cell) => cell.setAttribute("scope", "row");
  const withTitle = (cell) => { cell.title = cell.textContent; };
  return [
    textColumn("Name", (row) => programs.name[row], { cellType: "th", createdCell: firstOf }),
    ...(programs.areTwo ? [textColumn("Dataset", (row) => programs.letter(row))] : []),
    textColumn("Split", (row) => programs.split[row]),
    textColumn("Family", (row) => programs.family[row]),
    textColumn("Kind", (row) => programs.kind[row]),
    textColumn("Type", (row) => programs.dtype[row]),
    textColumn("Dimensions", (row) => programs.dimensions[row].replaceAll("x", "×"), { className: "dimensions", createdCell: withTitle }),
    numberColumn("Flops", programs.flops, whole),
    numberColumn("Bytes", programs.bytes, whole),
    numberColumn("Intensity", programs.intensity, decimal),
    ...(programs.isMeasured ? [numberColumn("Time", programs.time, duration)] : []),
    numberColumn("Operations", programs.operations, whole),
    numberColumn("Text bytes", programs.text, whole),
  ];
}

class ProgramTable {
  constructor(programs, filters, open) {
    const table = element("table", { id: "table" }, element("caption", { class: "visually-hidden" }, "Programs. Enter opens a row."));
    byId("table-place").append(table);
    this.table = new DataTable(table, {
      data: Array.from({ length: programs.count }, (_, row) => ({ row })),
      columns: tableColumns(programs),
      order: [],
      autoWidth: false,
      pageLength: 25,
      lengthMenu: [10, 25, 50, 100],
      layout: { topStart: "info", topEnd: "pageLength", bottomStart: null, bottomEnd: "paging" },
      language: {
        info: "_START_ to _END_ of _TOTAL_ programs",
        infoFiltered: "",
        infoEmpty: "No programs",
        lengthMenu: "_MENU_ on a page",
        emptyTable: "No programs",
        zeroRecords: "No program passes the filters.",
      },
      createdRow: (line, { row }) => {
        line.tabIndex = 0;
        line.dataset.row = row;
      },
    });
    this.ordered = null;
    this.table.on("draw", () => { this.ordered = null; });
    this.table.search.fixed("filters", (_, __, row) => filters.mask[row] === 1);
    this.table.draw();
    const body = table.tBodies[0];
    const rowAt = (event) => event.target.closest("tr[data-row]");
    body.addEventListener("click", (event) => {
      const line = rowAt(event);
      if (line !== null) open(Number(line.dataset.row));
    });
    body.addEventListener("keydown", (event) => {
      const line = rowAt(event);
      if (line === null) return;
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        open(Number(line.dataset.row));
      }
      const next = { ArrowDown: line.nextElementSibling, ArrowUp: line.previousElementSibling }[event.key];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    });
  }

  update() {
    this.table.draw();
  }

  // All rows that are shown on one page or another, in their order.
  order() {
    this.ordered ??= this.table.rows({ order: "applied", search: "applied" }).indexes().toArray();
    return this.ordered;
  }
}
