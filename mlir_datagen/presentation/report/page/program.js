"use strict";

// The dialog that shows one program, and the part of the address that names it: #split/name.

// A graph of more operations has the whole width.
const LARGE_GRAPH = 16;

class ProgramDialog {
  constructor(programs) {
    this.programs = programs;
    this.row = -1;
    this.order = () => [];
    this.dialog = byId("program");
    this.dialog.addEventListener("close", () => this.closed());
    // A click beside it, on what is behind.
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    byId("close-program").addEventListener("click", () => this.dialog.close());
    byId("copy-link").addEventListener("click", () => copy(location.href, byId("copy-link")));
    byId("previous-program").addEventListener("click", () => this.step(-1));
    byId("next-program").addEventListener("click", () => this.step(1));
    window.addEventListener("hashchange", () => this.openAddress());
  }

  address(row) {
    const { programs } = this;
    const parts = [...(programs.areTwo ? [programs.letter(row)] : []), programs.split[row], programs.name[row]];
    return `#${parts.map(encodeURIComponent).join("/")}`;
  }

  // Opens what the address names; false where it names no program.
  openAddress() {
    const parts = location.hash.slice(1).split("/").map((word) => {
      try {
        return decodeURIComponent(word);
      } catch {
        return word;
      }
    });
    if (parts.length < 2) return false;
    const set = parts.length > 2 ? "AB".indexOf(parts[0]) : 0;
    const row = this.programs.find(set, ...parts.slice(-2));
    if (row >= 0) this.open(row);
    else tell("The address names a program that this page does not have.");
    return row >= 0;
  }

  async open(row) {
    const { programs } = this;
    this.row = row;
    delete this.dialog.dataset.shown;
    history.replaceState(null, "", this.address(row));
    byId("program-name").textContent = programs.name[row];
    const kind = programs.kind[row] === programs.family[row] ? "" : `, ${programs.kind[row]}`;
    byId("program-place").textContent = `${programs.home(row)} · ${programs.family[row]}${kind} · ${programs.dtype[row]}`;
    const around = this.neighbours();
    byId("previous-program").disabled = around[0] === undefined;
    byId("next-program").disabled = around[1] === undefined;
    const body = byId("program-body");
    body.replaceChildren(element("p", { class: "remark" }, "Unpacking …"));
    if (!this.dialog.open) this.dialog.showModal();
    const details = await programs.details(row);
    // Another may have been opened meanwhile.
    if (this.row !== row) return;
    body.replaceChildren(...this.parts(row, details));
    this.dialog.scrollTop = 0;
    this.dialog.dataset.shown = programs.name[row];
  }

  parts(row, details) {
    const cost = costPart(this.programs, row);
    if (details === null) {
      const remark = "This page has the texts of some of the programs, and not of this one. The dataset has it.";
      return [element("div", {}, element("p", { class: "remark" }, remark), cost)];
    }
    const known = (...parts) => parts.filter((one) => one !== null);
    const graph = known(graphPart(details));
    const isLarge = (details.nodes ?? []).length > LARGE_GRAPH;
    return [
      element("div", {}, textPart(details), commandPart(details)),
      element("div", {}, ...known(cost, measuredPart(details), signaturePart(details), ...(isLarge ? [] : graph), proofPart(details), originPart(details))),
      ...(isLarge ? graph : []).map((section) => element("div", { class: "whole" }, section)),
      ...known(operationsPart(details)).map((section) => element("div", { class: "whole" }, section)),
    ];
  }

  neighbours() {
    const order = this.order();
    const at = order.indexOf(this.row);
    return at < 0 ? [undefined, undefined] : [order[at - 1], order[at + 1]];
  }

  step(by) {
    const row = this.neighbours()[by < 0 ? 0 : 1];
    if (row !== undefined) this.open(row);
  }

  closed() {
    // The event comes a little later: another may have been opened meanwhile.
    if (this.dialog.open) return;
    this.row = -1;
    delete this.dialog.dataset.shown;
    history.replaceState(null, "", location.pathname + location.search);
  }
}
