"""The index's columns: what is known of each program, its type in Arrow, and what it means; one schema for all."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

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

PROGRAM_SCHEMA = pa.schema([(name, type_) for name, (type_, _) in PROGRAM_COLUMNS.items()])

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
