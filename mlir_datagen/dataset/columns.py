"""Programs as rows of the index, in Arrow tables.

Columns are computed for a block of programs at once, from the same functions of the op family that its emitter uses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mlir_datagen.dataset.arrow import (
    array_of,
    list_array,
    number_array,
    optional_number_array,
    repeated_string,
    repeated_strings,
    string_array,
    word_array,
)
from mlir_datagen.dataset.schema import PROGRAM_COLUMNS, PROGRAM_SCHEMA
from mlir_datagen.mlir.signature import Edge, Loop, Operand, Outline, OutlineNode, stored_argument
from mlir_datagen.ops.graph import Graph
from mlir_datagen.programs.batch import Block, ProgramBlock
from mlir_datagen.programs.forms import written
from mlir_datagen.programs.program import Program
from mlir_datagen.programs.proof import PARSED, Proof


def block_table(split: str, block: Block) -> Any:
    """Return the table of a block's programs, with the columns of `PROGRAM_COLUMNS`."""
    return _drawn_table(split, block) if isinstance(block, ProgramBlock) else _listed_table(split, block.programs)


def _listed_table(split: str, programs: Sequence[Program]) -> Any:
    rows = [_row(split, program) for program in programs]
    arrays = [array_of([row[field.name] for row in rows], field.type) for field in PROGRAM_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=PROGRAM_SCHEMA)


def program_row(split: str, program: Program) -> dict[str, Any]:
    """Return the columns of `PROGRAM_COLUMNS` of a program, as the rows of an index have them."""
    return {column: _plain(value) for column, value in _row(split, program).items()}


def _row(split: str, program: Program) -> dict[str, Any]:
    """Return these columns; their structures are tuples with names."""
    bytes_moved, outline = program.bytes_moved, program.outline
    flops = None if outline is None else outline.flops
    written, proof = program.written, program.proof
    return {
        "split": split,
        "source": program.source,
        "family": program.family,
        "kind": program.kind,
        "form": written.form,
        "dtype": program.results[0].dtype if program.results else None,
        "spec": program.spec,
        "arguments": program.arguments,
        "results": program.results,
        "loops": () if outline is None else outline.loops,
        "nodes": None if outline is None else outline.nodes,
        "edges": None if outline is None else outline.edges,
        "flops": flops,
        "bytes_moved": bytes_moved,
        "arithmetic_intensity": None if flops is None or not bytes_moved else flops / bytes_moved,
        "seed": program.seed,
        "check": proof.level,
        "proven": proof.proven,
        "error": proof.error,
        "absolute_error": proof.absolute_error,
        "excused": proof.excused,
        "unshown": proof.unshown,
        "minimum_mlir": written.minimum_mlir,
        "maximum_mlir": written.maximum_mlir,
        "multiplicity": program.multiplicity,
        "provenance": program.provenance,
        "sha256": hashlib.sha256(program.text.encode()).hexdigest(),
        "mlir": program.text,
    }


def program_of_row(row: Mapping[str, Any]) -> Program:
    """Return a whole network again from its row, and what stands beside that before it is written."""
    nodes = None if row["nodes"] is None else tuple(map(_node, row["nodes"]))
    edges = tuple(Edge(**edge) for edge in row["edges"] or ())
    errors = {name: row[name] for name in ("error", "absolute_error", "excused")}
    unshown = None if row["unshown"] is None else tuple(row["unshown"])
    return Program(
        **{name: row[name] for name in ("source", "family", "kind", "spec", "seed", "provenance", "multiplicity")},
        name=row["own_name"],
        text=row["mlir"],
        arguments=tuple(map(stored_argument, row["arguments"])),
        results=tuple(map(stored_argument, row["results"])),
        outline=None if nodes is None else Outline(nodes, edges, None),
        proof=Proof(row["check"], **errors, measurement=None, busy=(), unshown=unshown),
        command=row["command"],
    )


def _node(fields: Mapping[str, Any]) -> OutlineNode:
    loops = tuple(Loop(**loop) for loop in fields["loops"])
    return OutlineNode(**{**fields, "shape": tuple(fields["shape"]), "loops": loops})


def _plain(value: Any) -> Any:
    """Return tuples with names as what maps these to plain values, and others as lists."""
    if not isinstance(value, tuple):
        return value
    fields = getattr(value, "_fields", None)
    plain = [_plain(one) for one in value]
    return plain if fields is None else dict(zip(fields, plain, strict=True))


def _drawn_table(split: str, block: ProgramBlock) -> Any:
    rows = len(block.texts)
    family, spec = block.family, block.spec
    graph = family.graph(spec)
    ways = {form: written(family, spec, form) for form in set(block.forms)}
    flops = np.broadcast_to(np.asarray(graph.flops, np.int64), rows)
    bytes_moved = np.broadcast_to(np.asarray(graph.bytes_moved, np.int64), rows)
    columns = {
        "split": repeated_string(split, rows),
        "source": repeated_string(block.source, rows),
        "family": repeated_string(family.name, rows),
        "kind": repeated_string(block.variant.kind, rows),
        "form": word_array([str(ways[form].form) for form in block.forms]),
        "dtype": repeated_string(graph.results[0].dtype, rows),
        "spec": string_array(family.specs_json(spec, rows)),
        "arguments": _operands(graph.arguments, "input", rows),
        "results": _operands(graph.results, "output", rows),
        "loops": _loops([graph.loops], rows),
        "nodes": _nodes(graph, rows),
        "edges": _edges(graph.edges, rows),
        "flops": number_array(flops),
        "bytes_moved": number_array(bytes_moved),
        "arithmetic_intensity": number_array(flops / bytes_moved),
        "seed": number_array(np.full(rows, block.seed, np.int64)),
        # What is drawn was parsed, and is proven further as a row.
        "check": repeated_string(PARSED.level, rows),
        "proven": repeated_string(str(PARSED.proven), rows),
        **{
            name: pa.nulls(rows, PROGRAM_COLUMNS[name][0]) for name in ("error", "absolute_error", "excused", "unshown")
        },
        "minimum_mlir": _versions([ways[form].minimum_mlir for form in block.forms]),
        "maximum_mlir": _versions([ways[form].maximum_mlir for form in block.forms]),
        "multiplicity": pa.nulls(rows, pa.int64()),
        "provenance": pa.nulls(rows, pa.string()),
        "sha256": string_array(block.digests),
        "mlir": string_array(block.texts),
    }
    return pa.Table.from_arrays(list(columns.values()), schema=PROGRAM_SCHEMA)


def _versions(numbers: Sequence[int | None]) -> Any:
    if set(numbers) == {None}:
        return pa.nulls(len(numbers), pa.int64())
    return optional_number_array(numbers, np.int64)


def _interleave(columns: Sequence[Any], rows: int) -> Any:
    """Lay columns (arrays, or one number for all rows) side by side, row after row."""
    table = np.empty((rows, len(columns)), np.int64)
    for place, column in enumerate(columns):
        table[:, place] = column
    return number_array(table.ravel())


def _operands(operands: Sequence[Operand], role: str, rows: int) -> Any:
    extents = [extent for operand in operands for extent in operand.shape]
    ranks = [len(operand.shape) for operand in operands]
    fields = {
        "role": repeated_string(role, rows * len(operands)),
        "name": repeated_strings([operand.name for operand in operands], rows),
        "dtype": repeated_strings([operand.dtype for operand in operands], rows),
        "shape": list_array(ranks, rows, _interleave(extents, rows)),
    }
    return list_array([len(operands)], rows, pa.StructArray.from_arrays(list(fields.values()), names=list(fields)))


def _loops(spaces: Sequence[Sequence[Loop]], rows: int) -> Any:
    """Return for each row the loops of each of some iteration spaces."""
    loops = [loop for space in spaces for loop in space]
    fields = {
        "bound": _interleave([loop.bound for loop in loops], rows),
        "iterator": repeated_strings([loop.iterator for loop in loops], rows),
    }
    lengths = [len(space) for space in spaces]
    return list_array(lengths, rows, pa.StructArray.from_arrays(list(fields.values()), names=list(fields)))


def _nodes(graph: Graph, rows: int) -> Any:
    nodes = graph.nodes
    fields = {
        "op": repeated_strings([node.operation.label for node in nodes], rows),
        "dtype": repeated_strings([node.dtype for node in nodes], rows),
        "shape": list_array(
            [len(node.result_shape) for node in nodes],
            rows,
            _interleave([extent for node in nodes for extent in node.result_shape], rows),
        ),
        "loops": _loops([node.loops for node in nodes], rows),
        "flops": _interleave([node.flops for node in nodes], rows),
        "bytes_moved": _interleave(graph.node_bytes, rows),
    }
    return list_array([len(nodes)], rows, pa.StructArray.from_arrays(list(fields.values()), names=list(fields)))


def _edges(edges: Sequence[Edge], rows: int) -> Any:
    fields = {
        "producer": _interleave([edge.producer for edge in edges], rows),
        "consumer": _interleave([edge.consumer for edge in edges], rows),
    }
    return list_array([len(edges)], rows, pa.StructArray.from_arrays(list(fields.values()), names=list(fields)))
