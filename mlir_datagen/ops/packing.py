"""Matrices as rows of tiles, and back: `linalg.pack` and `linalg.unpack`, without padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mlir_datagen.mlir.builder import FunctionBuilder, Value
from mlir_datagen.ops.body import Body
from mlir_datagen.ops.family import Constraint, OpFamily, Spec, Variant
from mlir_datagen.ops.notation import Access, read
from mlir_datagen.ops.structured_operation import StructuredOperation, Versions

_VERSIONS = Versions(22)
"""MLIR 19 has them as `tensor.pack` and `tensor.unpack`."""
_TILED = "m=i*ii+ii n=j*jj+jj"
_PACKED = {"rows": "i j ii jj", "columns": "j i ii jj", "columns_transposed": "j i jj ii"}
"""The orders of tiles, and of the elements within one: those of products of tiles have the first and the last."""


@dataclass(frozen=True)
class Packing(StructuredOperation):
    """A matrix as tiles, or tiles as a matrix: which of the two has windows says which it is."""

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return packing, (self.name, self.notation.line)

    @property
    def has_body(self) -> bool:
        """It has none by its name."""
        return False

    @property
    def _sides(self) -> tuple[Access, Access]:
        """The matrix, and the tiles."""
        (read_from,), written = self.notation.inputs, self.notation.result
        return (written, read_from) if self.notation.placed else (read_from, written)

    def _emit_named(
        self, builder: FunctionBuilder, operands: Sequence[Value], init: Value, sizes: Mapping[str, int]
    ) -> Value:
        matrix, tiles = self._sides
        windows = [each.window for each in matrix.dimensions if each.window is not None]
        outer, inner = ([each.position for each in windows], [each.offset for each in windows])
        order = [outer.index(name) for name in tiles.names[: len(outer)]]
        positions = [inner.index(name) for name in tiles.names[len(outer) :]]
        permuted = "" if order == sorted(order) else f"outer_dims_perm = {order} "
        extents = ", ".join(str(sizes[name]) for name in tiles.names[len(outer) :])
        (source,) = operands
        text = (
            f"linalg.{self.name} {source.name} {permuted}inner_dims_pos = {positions} inner_tiles = [{extents}]"
            f" into {init.name} : {source.type.text} -> {init.type.text}"
        )
        return builder.operation(text, init.type, source.name, init.name)


@lru_cache
def packing(name: str, line: str) -> Packing:
    """Return the operation of a name and a line."""
    return Packing(name, read(line), Body("a"), _VERSIONS)


class _Pack(OpFamily):
    """Tiles divide the matrix: what fills up others would be a value of its own."""

    def constraints(self, spec: Spec) -> Sequence[Constraint]:
        sizes = spec.sizes
        return [
            Constraint(
                sizes[extent] % sizes[tile] == 0,
                f"no tile divides the matrix: tile_{axis} must be a divisor of {axis}",
            )
            for axis, extent, tile in (("rows", "m", "ii"), ("columns", "n", "jj"))
        ]


_TILES = ("tile_rows", "tile_columns")
FAMILIES = (
    _Pack(
        "pack",
        [
            Variant(
                kind,
                packing("pack", f"{_TILED} -> {tiles}"),
                ("m", "n", "ii", "jj"),
                ("rows", "columns", *_TILES),
                None,
                says_kind=True,
            )
            for kind, tiles in _PACKED.items()
        ],
        ("matrix",),
        "tiles",
    ),
    OpFamily(
        "unpack",
        [
            Variant(
                kind,
                packing("unpack", f"{tiles} -> {_TILED}"),
                ("i", "j", "ii", "jj"),
                ("outer_rows", "outer_columns", *_TILES),
                None,
                says_kind=True,
            )
            for kind, tiles in _PACKED.items()
        ],
        ("tiles",),
        "matrix",
    ),
)
