"""The dimensions of programs: those that their spec names, and the bounds of their loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlir_datagen.values import LARGEST

PARALLEL, REDUCTION = "parallel loops", "reduction loops"
"""The names under which the bounds of loops are found, those of all operations of a program."""

_MOST_NAMES = 64
_LONGEST_NAME = 40


class Extents(NamedTuple):
    """The values of a dimension.

    Attributes:
        rows: the place of the program that has each value; a program may have several.
        values: the values.
    """

    rows: NDArray[np.int64]
    values: NDArray[np.int64]


def named_dimensions(spec: str | None) -> dict[str, list[int]]:
    """Return the dimensions that the spec of a single operation names; nothing of a graph or a network.

    `{"m": 64, "n": 32, "k": 128, "dtype": "f32"}` has m, n and k; `{"shape": [7, 5], "dtype": "f32"}` a shape of two.
    """
    try:
        fields = orjson.loads(spec or "null")
    except orjson.JSONDecodeError:
        # Programs of other sources, and strangers', may say anything there.
        return {}
    if not isinstance(fields, dict) or "nodes" in fields or len(fields) > _MOST_NAMES:
        return {}
    found = {}
    for name, value in fields.items():
        values = value if isinstance(value, list) else [value]
        if values and len(name) <= _LONGEST_NAME and name.isidentifier() and all(map(_is_extent, values)):
            found[name] = values
    return found


def _is_extent(value: Any) -> bool:
    return type(value) is int and 0 < value <= LARGEST


def dimension_text(named: Mapping[str, Sequence[int]], loops: Sequence[Mapping[str, Any]]) -> str:
    """Return dimensions on one line: `m=64 n=32`, `shape=7x5`, or a graph's main loops, `64x32x128`."""
    if named:
        return " ".join(f"{name}={'x'.join(map(str, values))}" for name, values in named.items())
    return "x".join(str(loop["bound"]) for loop in loops)


def loop_bounds(nodes: Any) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the bounds of the loops of all operations, as (name, place of the program in the column, bound).

    Args:
        nodes: the column of an index, of Arrow.
    """
    loops = nodes.flatten().field("loops")
    of_node = pc.list_parent_indices(nodes).to_numpy()
    rows = of_node[pc.list_parent_indices(loops).to_numpy()]
    flat = loops.flatten()
    bounds = flat.field("bound").fill_null(1).to_numpy(zero_copy_only=False)
    is_reduction = pc.equal(flat.field("iterator"), "reduction").fill_null(False).to_numpy(zero_copy_only=False)
    for name, chosen in ((PARALLEL, ~is_reduction), (REDUCTION, is_reduction)):
        if chosen.any():
            yield name, rows[chosen].astype(np.int64), bounds[chosen].astype(np.int64)
