"""What `show` says of a dataset and of a program, as plain values and as a page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlir_datagen.command_line.page import Page
from mlir_datagen.command_line.typed import as_typed, command
from mlir_datagen.dataset.lookup import Place, overview, program_table
from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY, PRESENTATION_KEY, measured_processors
from mlir_datagen.dataset.measurements import measurement_table, read_measurement
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.programs.spec import program_command

_MOST_NODES = 20
_MOST_OPERANDS = 12
_NAMED_ROLES = ("input", "output")
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))


def dataset_facts(dataset: Dataset) -> dict[str, Any]:
    """Return what is known of a dataset as plain values.

    Raises:
        UserError: when a part of it cannot be read.
    """
    manifest = dataset.manifest
    counted = overview(dataset)
    check = manifest.get("check")
    return {
        "path": str(dataset.folder),
        "name": manifest["name"],
        "generator_version": manifest["generator_version"],
        "fingerprint": manifest["fingerprint"],
        "seed": manifest["seed"],
        "storage": manifest["storage"],
        "programs": dataset.count(),
        "first": f"{counted.first.split}/{counted.first.name}",
        "splits": manifest["counts"],
        "dtypes": counted.dtypes,
        "check": check if isinstance(check, dict) else None,
        "proven": counted.proven,
        "ranges": {name: None if each is None else list(each) for name, each in counted.ranges.items()},
        "attempted": manifest["funnel"]["attempted"],
        "index_bytes": sum(
            (dataset.folder / file).stat().st_size for split in dataset.splits for file in dataset.index_files(split)
        ),
        "licenses": _licenses(manifest),
        "measurements": _times(dataset),
        "report": _report(dataset),
    }


def _licenses(manifest: Mapping[str, Any]) -> list[str]:
    """Return the licences that the manifest names; those of earlier versions name none."""
    found = manifest.get("license")
    return [str(name) for name in found] if isinstance(found, list) else []


def _report(dataset: Dataset) -> str | None:
    """Return the page that shows a dataset in a browser, where it has one."""
    files = dataset.manifest.get(PRESENTATION_KEY, {}).get("files", {})
    return next((str(dataset.folder / file) for file in files if file.endswith(".html")), None)


def _times(dataset: Dataset) -> dict[str, Any] | None:
    measured = dataset.manifest.get(MEASUREMENTS_KEY)
    if measured is None:
        return None
    times = sorted(measurement_table(dataset.folder).column("median_ns").to_pylist())
    return {
        "programs": measured["programs"],
        "failed": measured["failed"],
        "disturbed": measured.get("disturbed", 0),
        "processors": measured_processors(measured),
        "least_ns": times[0] if times else None,
        "median_ns": times[len(times) // 2] if times else None,
        "largest_ns": times[-1] if times else None,
    }


def show_dataset(page: Page, dataset: Dataset, facts: Mapping[str, Any]) -> None:
    """Print what is known of a dataset."""
    splits: Mapping[str, Mapping[str, int]] = facts["splits"]
    programs = f"{facts['programs']} program{'' if facts['programs'] == 1 else 's'}"
    page.title(f"{facts['name']}: {programs} in {dataset.folder}")
    page.facts(
        {
            "splits": ", ".join(f"{split} {sum(counts.values())}" for split, counts in splits.items()),
            "element types": _counts(facts["dtypes"]),
            "flops": _range(facts["ranges"]["flops"], ""),
            "bytes moved": _range(facts["ranges"]["bytes_moved"], "B"),
            "proven": _counts(facts["proven"]),
            "checked": _checked(facts),
            "times": _timed(facts["measurements"]),
            "stored": f"{facts['storage']}; the index has {_short(facts['index_bytes'])}B",
            "licence": ", ".join(facts["licenses"]) or None,
            "in a browser": facts["report"],
            "seed": str(facts["seed"]),
            "made by": f"generator version {facts['generator_version']}, fingerprint {facts['fingerprint']}",
        }
    )
    families = list(dict.fromkeys(family for counts in splits.values() for family in counts))
    page.heading("Programs of each family")
    rows = [
        [family, *(str(counts.get(family, 0)) for counts in splits.values())]
        for family in families
        if any(counts.get(family) for counts in splits.values())
    ]
    page.table(["family", *splits], rows, align="right")
    path = str(dataset.folder)
    page.command(command("show", path, facts["first"]), "One of them")
    page.command(command("verify", path), "Check all of it")
    if facts["measurements"] is None:
        page.command(command("measure", path), "Measure the time of each")


def _checked(facts: Mapping[str, Any]) -> str | None:
    check = facts["check"]
    if check is None:
        return None
    share = check.get("fraction")
    part = f" {share:.0%} of them" if isinstance(share, float) and share < 1 and check.get("level") != "parse" else ""
    return f"{check.get('level')}{part}; {facts['programs']} kept of {facts['attempted']} attempted"


def _timed(times: Mapping[str, Any] | None) -> str | None:
    if times is None:
        return "not measured"
    processors = " and ".join(times["processors"])
    if times["median_ns"] is None:
        return f"of none, on {processors}"
    span = f"{_duration(times['least_ns'])} to {_duration(times['largest_ns'])}, median {_duration(times['median_ns'])}"
    return f"{span}, of {times['programs']} programs on one core of {processors}; disturbed: {times['disturbed']}"


def program_facts(dataset: Dataset, place: Place) -> dict[str, Any]:
    """Return the row of a program, its time and the command that makes it again, as plain values.

    Raises:
        UserError: when it cannot be read, or its text is not that of its digest.
    """
    (row,) = dataset.rows_of(place.file, program_table(dataset, place))
    measured = None
    if MEASUREMENTS_KEY in dataset.manifest:
        measured = read_measurement(dataset.folder, place.split, place.name)
    return {
        "split": place.split,
        **row,
        "measurement": None if measured is None else dataclasses.asdict(measured),
        "command": _again(dataset, row),
    }


def _again(dataset: Dataset, row: Mapping[str, Any]) -> str:
    """Return what makes a program again: alone where its spec tells all, else with its dataset."""
    if row["family"] in PROGRAM_FAMILIES and row["spec"] is not None:
        return as_typed(program_command(row["family"], row["spec"], row.get("form") or "named"))
    return command("reproduce", str(dataset.folder))


def show_program(page: Page, dataset: Dataset, facts: Mapping[str, Any]) -> None:
    """Print what is known of a program."""
    kind = f", {facts['kind']}" if facts.get("kind") and facts["kind"] != facts["family"] else ""
    page.title(f"{facts['split']}/{facts['name']}: {facts['family']}{kind}")
    page.facts(
        {
            "arguments": _operands(facts["arguments"]),
            "results": _operands(facts["results"]),
            "flops": _number(facts.get("flops")),
            "bytes moved": _number(facts.get("bytes_moved")),
            "flops per byte": None if (ratio := facts.get("arithmetic_intensity")) is None else f"{ratio:.3g}",
            "loops": _loops(facts.get("loops")),
            "form": facts.get("form"),
            "source": facts["source"],
            "proven": facts.get("proven") or "nothing: no parser has seen it",
            "largest error": None if facts.get("error") is None else f"{facts['error']:.1e} of the largest value",
            "one call": _call(facts["measurement"]),
            "parsed by": _versions(facts),
            "file": facts["file"],
            "provenance": facts.get("provenance"),
        }
    )
    _show_nodes(page, facts.get("nodes") or ())
    page.heading("MLIR")
    page.program(facts["mlir"])
    alone = facts["family"] in PROGRAM_FAMILIES
    page.command(facts["command"], "To make it again" if alone else "To make it again, with its dataset")


def _show_nodes(page: Page, nodes: Sequence[Mapping[str, Any]]) -> None:
    if len(nodes) < 2:
        return
    page.heading(f"Operations: {len(nodes)}")
    rows = [
        [
            str(number),
            str(node["op"]),
            _shape(node),
            _loops(node["loops"]) or "",
            _short(node["flops"]),
            f"{_short(node['bytes_moved'])}B",
        ]
        for number, node in enumerate(nodes[:_MOST_NODES])
    ]
    page.table(["node", "op", "result", "loops", "flops", "moved"], rows)
    if len(nodes) > _MOST_NODES:
        page.sentence(f"and {len(nodes) - _MOST_NODES} more, which --json has")


def _operands(operands: Sequence[Mapping[str, Any]]) -> str:
    """Name the operands, but count the parameters and buffers of a network, of which there are hundreds."""
    named = [one for one in operands if one["role"] in _NAMED_ROLES]
    listed = [f"{one['name']} {_shape(one)}" for one in named[:_MOST_OPERANDS]]
    if len(named) > _MOST_OPERANDS:
        listed.append(f"{len(named) - _MOST_OPERANDS} more")
    if others := [one for one in operands if one["role"] not in _NAMED_ROLES]:
        elements = sum(math.prod(one["shape"] or ()) for one in others)
        listed.append(f"{len(others)} parameters and buffers of {_short(elements).strip()} elements")
    return "; ".join(listed) or "none"


def _shape(one: Mapping[str, Any]) -> str:
    return "x".join([*map(str, one["shape"] or ()), str(one["dtype"])])


def _loops(loops: Sequence[Mapping[str, Any]] | None) -> str | None:
    return ", ".join(f"{loop['bound']} {loop['iterator']}" for loop in loops) if loops else None


def _call(measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return "not measured"
    disturbed = "; disturbed by other work" if measured["disturbed"] else ""
    spread, runs = _duration(measured["iqr_ns"]), measured["runs"]
    return f"{_duration(measured['median_ns'])}, the median of {runs} runs (interquartile range {spread}){disturbed}"


def _versions(facts: Mapping[str, Any]) -> str | None:
    oldest, newest = facts.get("minimum_mlir"), facts.get("maximum_mlir")
    if oldest is None:
        return None
    return f"MLIR {oldest} and newer" if newest is None else f"MLIR {oldest} to {newest}"


def _counts(counts: Mapping[str, int]) -> str | None:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or None


def _range(bounds: Sequence[int] | None, unit: str) -> str | None:
    return None if bounds is None else " to ".join(f"{_short(bound)}{unit}".strip() for bound in bounds)


def _number(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"


def _short(number: float | None) -> str:
    """Return a number with three digits and a prefix: 12.3 M."""
    if number is None:
        return "? "
    for bound, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= bound:
            return f"{number / bound:.3g} {prefix}"
    return f"{number:.3g} "


def _duration(nanoseconds: float) -> str:
    for bound, unit in _UNITS:
        if nanoseconds >= bound:
            return f"{nanoseconds / bound:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"
