"use strict";

// Bringing it all together once the page is there.

class Figures {
  constructor(programs, dimensions, filters, open) {
    this.filters = filters;
    this.programs = programs;
    this.open = open;
    this.turn = 0;
    this.drawing = 0;
    const rows = () => this.rows;
    const distribution = new DistributionFigure(programs, dimensions);
    const severalHomes = new Set(programs.name.map((_, row) => programs.home(row))).size > 1;
    this.figures = [
      this.figure("families", "Families", () => familyFigure(programs, rows())),
      this.figure("distribution", "Distribution", () => distribution.figure(filters.mask), distribution.controls),
      this.figure("costs", "Flops against bytes", () => costFigure(programs, rows())),
      this.figure("operations", "Operations in the programs", () => operationFigure(programs)),
      ...(programs.isMeasured ? [
        this.figure("roof", "Speed against intensity", () => roofFigure(programs, rows())),
        this.figure("times", "Times by family", () => timeFigure(programs, rows())),
      ] : []),
      ...(severalHomes ? [
        this.figure("splits", programs.areTwo ? "Datasets and splits over each other" : "Splits over each other",
          () => splitFigure(programs, dimensions, filters.mask, byId("figures").clientWidth), [], "whole"),
      ] : []),
    ];
  }

  figure(id, title, make, controls = [], place = null) {
    const plot = element("div", { class: "plot", id: `plot-${id}`, role: "group", "aria-label": title });
    const remark = element("p", {});
    const caption = element("figcaption", {}, element("h3", {}, title), ...controls, remark);
    byId("figures").append(element("figure", { class: place }, caption, plot));
    const made = { plot, remark, make };
    for (const control of controls) control.addEventListener("change", () => this.whileBusy(() => this.draw(made)));
    return made;
  }

  async whileBusy(work) {
    this.drawing += 1;
    byId("figures").setAttribute("aria-busy", "true");
    try {
      await work();
    } finally {
      this.drawing -= 1;
      if (this.drawing === 0) byId("figures").removeAttribute("aria-busy");
    }
  }

  async draw({ plot, remark, make }) {
    const { traces, layout: settings, remark: text } = make();
    const isFirst = plot.data === undefined;
    remark.textContent = text;
    remark.hidden = text === "";
    await Plotly.react(plot, traces, settings, PLOT_SETTINGS);
    if (isFirst) {
      plot.on("plotly_click", ({ points }) => {
        if (Number.isInteger(points[0].customdata) && points[0].data.mode === "markers") this.open(points[0].customdata);
      });
    }
  }

  async drawAll() {
    const { programs, filters } = this;
    this.rows = [];
    for (let row = 0; row < programs.count; row += 1) if (filters.mask[row]) this.rows.push(row);
    byId("figures-remark").textContent = `Of the ${plural(this.rows.length, "program")} that the filters leave.`;
    this.turn += 1;
    const { turn } = this;
    await this.whileBusy(async () => {
      for (const one of this.figures) {
        await this.draw(one);
        // Between two figures the page can answer; where the filters changed again, what that began draws them all.
        await new Promise((resolve) => { setTimeout(resolve); });
        if (this.turn !== turn) return;
      }
    });
  }
}

function tellOfSamples(datasets) {
  const remarks = datasets.flatMap((one, set) => {
    const of = datasets.length > 1 ? ` of dataset ${"AB"[set]}` : "";
    const rows = one.columns.name.length;
    return [
      rows < one.programs ? `Of ${plural(one.programs, "program")}${of}, this page has ${whole(rows)}, a sample that is the same each time.` : "",
      one.texts < rows ? `It has the texts and graphs of ${whole(one.texts)}${of}.` : "",
    ];
  });
  byId("programs-remark").textContent = [...remarks.filter(Boolean), "A click, or Enter on a row, opens a program."].join(" ");
}

async function start() {
  const [datasets] = await Promise.all([unpacked("datasets").then(JSON.parse), runLibrary("tables")]);
  byId("data-datasets").remove();
  const programs = new Programs(datasets);
  const dimensions = new Dimensions(programs);
  tellOfSamples(datasets);
  const dialog = new ProgramDialog(programs);
  let figures = null;
  const filters = new Filters(programs, dimensions, () => {
    table.update();
    // These come later, and someone may have filtered before.
    figures?.drawAll();
  });
  const table = new ProgramTable(programs, filters, (row) => dialog.open(row));
  dialog.order = () => table.order();
  dialog.openAddress();
  await runLibrary("plotly");
  figures = new Figures(programs, dimensions, filters, (row) => dialog.open(row));
  await figures.drawAll();
  DARK.addEventListener("change", () => figures.drawAll());
  document.documentElement.dataset.ready = "true";
}

start();
