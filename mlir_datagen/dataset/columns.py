"""The index: one row for each program, one schema for every source, as Arrow tables.

Columns are computed for a block of programs at once, from the same functions of the op family that its emitter uses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mlir_datagen.dataset.arrow import (
    list_array,
    number_array,
    optional_number_array,
    repeated_string,
    string_array,
)
from mlir_datagen.mlir.signature import Argument, Edge, Loop, Operand, OutlineNode
from mlir_datagen.ops.graph import Graph
from mlir_datagen.programs.batch import Batch, ProgramBlock
from mlir_datagen.programs.forms import written
from mlir_datagen.programs.program import Program
from mlir_datagen.programs.spec import spec_json

_OPERANDS = pa.list_(
    pa.struct([("role", pa.string()), ("name", pa.string()), ("dtype", pa.string()), ("shape", pa.list_(pa.int64()))])
)

_LOOPS = pa.list_(pa.struct([("bound", pa.int64()), ("iterator", pa.string())]))
_NODES = pa.list_(
    pa.struct(
        [
            ("op", pa.string()),
            ("dtype", pa.string()),
            ("shape", pa.list_(pa.int64())),
            ("loops", _LOOPS),
            ("flops", pa.int64()),
            ("bytes_moved", pa.int64()),
        ]
    )
)
_EDGES = pa.list_(pa.struct([("producer", pa.int64()), ("consumer", pa.int64())]))

PROGRAM_COLUMNS = {
    "split": (pa.string(), "the split it belongs to"),
    "source": (pa.string(), "where it comes from: `random` for a sampled single op, `network` for a whole network"),
    "family": (pa.string(), "the op family, which is also the function's name; `network` for a network"),
    "kind": (pa.string(), "the kind within the family; for a network the converter"),
    "form": (
        pa.string(),
        "how its main operation is written: `named`, `generic` or `category`; null for what is of no op family",
    ),
    "dtype": (pa.string(), "the element type of the first result"),
    "spec": (pa.string(), "JSON from which the program can be made again"),
    "arguments": (_OPERANDS, "the function's arguments in order: role, name, dtype, shape"),
    "results": (_OPERANDS, "the function's results in order: role, name, dtype, shape"),
    "loops": (
        _LOOPS,
        "the iteration space of the main operation: bound, and iterator (parallel or reduction); empty for a network",
    ),
    "nodes": (
        _NODES,
        "its operations that compute something, in order: op, dtype and shape of the result, loops, flops, bytes_moved "
        "(of what it reads and its result); null where nothing could read them",
    ),
    "edges": (
        _EDGES,
        "which node reads, at once or through reshapes and the like, what another computed: producer and consumer, by "
        "their place in `nodes`",
    ),
    "flops": (pa.int64(), "arithmetic operations; an addition, multiplication, comparison or division is one"),
    "bytes_moved": (pa.int64(), "size of arguments and results in bytes"),
    "arithmetic_intensity": (pa.float64(), "flops for each byte moved"),
    "seed": (pa.int64(), "the seed of the run"),
    "check": (
        pa.string(),
        "how far it was checked: parse, lower or execute, each of which includes the one before; or unverified",
    ),
    "proven": (
        pa.string(),
        "what is proven: `parsed`; `lowered`; `executed`, it was run; `matched`, its results are PyTorch's within what "
        "rounding explains, and all that it computes shows in them; null where no parser has seen it",
    ),
    "error": (
        pa.float64(),
        "largest difference of its result from PyTorch's, relative to the largest value; null if it was not compared",
    ),
    "absolute_error": (pa.float64(), "that difference itself"),
    "excused": (
        pa.int64(),
        "how many elements of its results differ where PyTorch itself changes its mind when it rounds otherwise (floor "
        "of a near-integer, argmax of near-equals), and were left out; null if it was not compared",
    ),
    "unshown": (
        pa.list_(pa.string()),
        "inputs, parameters and operations that no compared result shows, so that it is not `matched`; null for what "
        "is not a network, or was not compared",
    ),
    "minimum_mlir": (pa.int64(), "the oldest of MLIR 16, 19 and 22 that parses it; null where that is not known"),
    "maximum_mlir": (pa.int64(), "the newest release of MLIR that parses it; null where no end is known"),
    "multiplicity": (pa.int64(), "how often the network that it was taken from has it; null for all others"),
    "provenance": (pa.string(), "JSON that says what it was made from; null for a sampled single op"),
    "sha256": (pa.string(), "of the program's text"),
    "mlir": (pa.string(), "the program's text"),
}
"""What is known of a program before it is written, and what it means."""

PLACE_COLUMNS = {
    "name": (pa.string(), "the program's name, unique in its split"),
    "file": (pa.string(), "its .mlir file, relative to the folder; null when only Parquet is stored"),
    "index": (pa.int64(), "its number in the split"),
}
"""What the writer adds."""

INDEX_METADATA = {b"mlir_datagen": b"index"}
"""Marks an index file as one of ours."""


def index_schema(with_text: bool) -> Any:
    """Return the schema of a written index; the text is left out where it is stored in files alone."""
    columns = {**PLACE_COLUMNS, **PROGRAM_COLUMNS}
    if not with_text:
        del columns["mlir"]
    return pa.schema([(name, type_) for name, (type_, _) in columns.items()], metadata=INDEX_METADATA)


_PROGRAM_SCHEMA = pa.schema([(name, type_) for name, (type_, _) in PROGRAM_COLUMNS.items()])


def program_tables(batch: Batch) -> Iterator[tuple[Any, list[str] | None]]:
    """Yield tables of a batch's programs, in plan order, with the columns of `PROGRAM_COLUMNS`.

    It is one for all that were drawn, and one for each that has a name already, with it.
    """
    if any(program.name for program in batch.programs):
        for program in batch.programs:
            yield _listed_table(batch.split, [program]), [program.name]
        return
    drawn = [
        _block_table(batch.split, block)
        if isinstance(block, ProgramBlock)
        else _listed_table(batch.split, block.programs)
        for block in batch.blocks
    ]
    if any(map(len, drawn)):
        yield pa.concat_tables(drawn).take(number_array(batch.order)), None


def _listed_table(split: str, programs: Sequence[Program]) -> Any:
    return pa.Table.from_pylist([program_row(split, program) for program in programs], schema=_PROGRAM_SCHEMA)


def program_row(split: str, program: Program) -> dict[str, Any]:
    """Return the columns of `PROGRAM_COLUMNS` of a program, as the rows of an index have them."""
    bytes_moved, outline = program.bytes_moved, program.outline
    flops = None if outline is None else outline.flops
    return {
        "split": split,
        "source": program.source,
        "family": program.family,
        "kind": program.kind,
        "form": program.written.form,
        "dtype": program.results[0].dtype if program.results else None,
        "spec": program.spec,
        "arguments": [_operand(argument) for argument in program.arguments],
        "results": [_operand(result) for result in program.results],
        "loops": _saved_loops(() if outline is None else outline.loops),
        "nodes": None if outline is None else [_saved_node(node) for node in outline.nodes],
        "edges": None if outline is None else [edge._asdict() for edge in outline.edges],
        "flops": flops,
        "bytes_moved": bytes_moved,
        "arithmetic_intensity": None if flops is None or not bytes_moved else flops / bytes_moved,
        "seed": program.seed,
        "check": program.proof.level,
        "proven": program.proof.proven,
        "error": program.proof.error,
        "absolute_error": program.proof.absolute_error,
        "excused": program.proof.excused,
        "unshown": program.proof.unshown,
        "minimum_mlir": program.written.minimum_mlir,
        "maximum_mlir": program.written.maximum_mlir,
        "multiplicity": program.multiplicity,
        "provenance": program.provenance,
        "sha256": hashlib.sha256(program.text.encode()).hexdigest(),
        "mlir": program.text,
    }


def _saved_loops(loops: Sequence[Loop]) -> list[dict[str, Any]]:
    return [loop._asdict() for loop in loops]


def _saved_node(node: OutlineNode) -> dict[str, Any]:
    return {**node._asdict(), "shape": list(node.shape), "loops": _saved_loops(node.loops)}


def _operand(argument: Argument) -> dict[str, Any]:
    return {**argument._asdict(), "shape": list(argument.shape)}


def _block_table(split: str, block: ProgramBlock) -> Any:
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
        "form": string_array([str(ways[form].form) for form in block.forms]),
        "dtype": repeated_string(graph.results[0].dtype, rows),
        "spec": string_array([spec_json(one) for one in block.specs]),
        "arguments": _operands(graph.arguments, "input", rows),
        "results": _operands(graph.results, "output", rows),
        "loops": _loops([graph.loops], rows),
        "nodes": _nodes(graph, rows),
        "edges": _edges(graph.edges, rows),
        "flops": number_array(flops),
        "bytes_moved": number_array(bytes_moved),
        "arithmetic_intensity": number_array(flops / bytes_moved),
        "seed": number_array(np.full(rows, block.seed, np.int64)),
        "check": string_array([proof.level for proof in block.proofs]),
        "proven": string_array([str(proof.proven) for proof in block.proofs]),
        "error": optional_number_array([proof.error for proof in block.proofs]),
        "absolute_error": optional_number_array([proof.absolute_error for proof in block.proofs]),
        "excused": optional_number_array([proof.excused for proof in block.proofs], np.int64),
        "unshown": pa.nulls(rows, PROGRAM_COLUMNS["unshown"][0]),
        "minimum_mlir": optional_number_array([ways[form].minimum_mlir for form in block.forms], np.int64),
        "maximum_mlir": optional_number_array([ways[form].maximum_mlir for form in block.forms], np.int64),
        "multiplicity": pa.nulls(rows, pa.int64()),
        "provenance": pa.nulls(rows, pa.string()),
        "sha256": string_array(block.digests),
        "mlir": string_array(block.texts),
    }
    return pa.Table.from_arrays(list(columns.values()), schema=_PROGRAM_SCHEMA)


def _interleave(columns: Sequence[Any], rows: int) -> Any:
    """Lay columns (arrays, or one number for all rows) side by side, row after row."""
    if not columns:
        return number_array(np.empty(0, np.int64))
    return number_array(
        np.stack([np.broadcast_to(np.asarray(column, np.int64), rows) for column in columns], axis=1).ravel()
    )


def _operands(operands: Sequence[Operand], role: str, rows: int) -> Any:
    extents = [extent for operand in operands for extent in operand.shape]
    ranks = [len(operand.shape) for operand in operands]
    fields = {
        "role": repeated_string(role, rows * len(operands)),
        "name": string_array([operand.name for operand in operands] * rows),
        "dtype": string_array([operand.dtype for operand in operands] * rows),
        "shape": list_array(ranks, rows, _interleave(extents, rows)),
    }
    return list_array([len(operands)], rows, pa.StructArray.from_arrays(list(fields.values()), names=list(fields)))


def _loops(spaces: Sequence[Sequence[Loop]], rows: int) -> Any:
    """Return for each row the loops of each of some iteration spaces."""
    loops = [loop for space in spaces for loop in space]
    fields = {
        "bound": _interleave([loop.bound for loop in loops], rows),
        "iterator": string_array([loop.iterator for loop in loops] * rows),
    }
    lengths = [len(space) for space in spaces]
    return list_array(lengths, rows, pa.StructArray.from_arrays(list(fields.values()), names=list(fields)))


def _nodes(graph: Graph, rows: int) -> Any:
    nodes = graph.nodes
    fields = {
        "op": string_array([node.operation.label for node in nodes] * rows),
        "dtype": string_array([node.dtype for node in nodes] * rows),
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
