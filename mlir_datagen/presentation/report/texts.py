"""The programs' texts and details, packed: of all programs, or of as many as a page has room for."""

from __future__ import annotations

import base64
import gzip
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY
from mlir_datagen.dataset.measurements import read_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.structured_operation import FORMS
from mlir_datagen.presentation.facts import Facts
from mlir_datagen.programs.content import mix
from mlir_datagen.programs.spec import program_command

LONGEST_TEXT = 400_000
"""In letters: what is beyond is cut off, and the page says so."""
MOST_NODES = 1500

PER_CHUNK = 256
"""Programs that are packed together, and unpacked when one of them is opened."""

_MOST_RAW_BYTES = 60_000_000
_DETAILS_BYTES = 1200
_KEPT = (
    "source", "form", "check", "proven", "error", "absolute_error", "excused", "unshown", "minimum_mlir",
    "maximum_mlir", "multiplicity", "provenance", "sha256", "spec", "seed",
)  # fmt: skip


def program_chunks(dataset: Dataset, facts: Facts, most_bytes: int) -> tuple[NDArray[np.int64], list[str]]:
    """Return where each program of the facts is in the chunks, -1 where it is in none, and the chunks.

    Args:
        dataset: a finished one.
        facts: its facts.
        most_bytes: what the chunks may take together. Programs are taken in an order that has nothing to do with what
            they are, so that those that have room are a fair sample.

    Raises:
        UserError: when the dataset cannot be read.
    """
    order = np.argsort(mix(np.arange(1, len(facts.names) + 1, dtype=np.uint64)), kind="stable")
    raw = np.minimum(facts.text_bytes[order], LONGEST_TEXT) + _DETAILS_BYTES * (1 + facts.nodes[order] // 8)
    wanted = order[np.cumsum(raw) <= _MOST_RAW_BYTES]
    # The largest one alone may be more than all may have: it is cut, and shown.
    wanted = wanted if len(wanted) else order[:1]
    details = dict(_details(dataset, facts, set(wanted.tolist())))
    places, taken = np.full(len(facts.names), -1, np.int64), 0
    chunks: list[str] = []
    for start in range(0, len(wanted), PER_CHUNK):
        # Beside those of its family, a program takes less room.
        rows = sorted(wanted[start : start + PER_CHUNK].tolist(), key=lambda row: (facts.family.codes[row], row))
        packed = gzip.compress(orjson.dumps([details.pop(row) for row in rows]), compresslevel=6, mtime=0)
        chunk = base64.b64encode(packed).decode()
        taken += len(chunk)
        if chunks and taken > most_bytes:
            break
        places[rows] = np.arange(start, start + len(rows))
        chunks.append(chunk)
    return places, chunks


def _details(dataset: Dataset, facts: Facts, wanted: set[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield what is shown of programs, by their place in the facts."""
    measured = read_measurements(dataset.folder) if MEASUREMENTS_KEY in dataset.manifest else {}
    places = {
        (facts.split.words[code], name): place
        for place, (code, name) in enumerate(zip(facts.split.codes.tolist(), facts.names, strict=True))
        if place in wanted
    }
    for split, file, batch in dataset.batches():
        names = batch.column("name").to_pylist()
        chosen = [place for place, name in enumerate(names) if (split, name) in places]
        table = dataset.with_texts(split, pa.Table.from_batches([batch.take(pa.array(chosen, pa.int64()))]))
        for row in dataset.rows_of(file, table):
            shown = _shown(row, dataset.folder.resolve().name)
            if (split, row["name"]) in measured:
                shown["measurement"] = asdict(measured[split, row["name"]])
            yield places[split, row["name"]], shown


def _shown(row: Mapping[str, Any], folder: str) -> dict[str, Any]:
    text, nodes = row["mlir"], row["nodes"]
    return {
        **{key: row[key] for key in _KEPT if row[key] is not None},
        "mlir": text[:LONGEST_TEXT],
        "length": len(text),
        "arguments": [_operand(one) for one in (row["arguments"] or ())[:MOST_NODES]],
        "results": [_operand(one) for one in (row["results"] or ())[:MOST_NODES]],
        "nodes": None if nodes is None else [_node(one) for one in nodes[:MOST_NODES]],
        "of_nodes": len(nodes or ()),
        "edges": [[edge["producer"], edge["consumer"]] for edge in (row["edges"] or ())[: 8 * MOST_NODES]],
        "command": _command(row, folder),
    }


def _operand(one: Mapping[str, Any]) -> list[Any]:
    return [one["role"], one["name"], one["dtype"], one["shape"]]


def _node(one: Mapping[str, Any]) -> list[Any]:
    loops: Sequence[Mapping[str, Any]] = one["loops"] or ()
    return [
        one["op"],
        one["dtype"],
        one["shape"],
        [[loop["bound"], 1 if loop["iterator"] == "reduction" else 0] for loop in loops],
        one["flops"],
        one["bytes_moved"],
    ]


def _command(row: Mapping[str, Any], folder: str) -> str:
    """Return the command that makes the program again: alone where its spec says all, or with its dataset."""
    if row["family"] in PROGRAM_FAMILIES and row["form"] in FORMS:
        return program_command(row["family"], row["spec"], row["form"])
    return f"python scripts/reproduce.py {shlex.quote(folder)}"
