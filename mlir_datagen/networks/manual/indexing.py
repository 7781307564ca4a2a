"""Reading at positions that are data: `linalg.generic` with `tensor.extract`, as no named operation looks up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.manual.operands import Handler
from mlir_datagen.ops import blocks
from mlir_datagen.ops.network_builder import Coordinate, NetworkBuilder


def _embedding(builder: NetworkBuilder, result: TensorType, table: Value, indices: Value, *_: Any, **__: Any) -> Value:
    rank = len(indices.type.shape)
    return builder.gather(table, [Coordinate(indices, tuple(range(rank))), Coordinate(None, (rank,))], result.shape)


def _index_select(builder: NetworkBuilder, result: TensorType, source: Value, dim: int, indices: Value) -> Value:
    rank = len(source.type.shape)
    coordinates = [Coordinate(None, (axis,)) for axis in range(rank)]
    coordinates[dim % rank] = Coordinate(builder.reshape(indices, (result.shape[dim],)), (dim % rank,))
    return builder.gather(source, coordinates, result.shape)


def _gather(
    builder: NetworkBuilder, result: TensorType, source: Value, dim: int, indices: Value, sparse_grad: bool = False
) -> Value:
    rank = len(source.type.shape)
    coordinates = [Coordinate(None, (axis,)) for axis in range(rank)]
    coordinates[dim % rank] = Coordinate(indices, tuple(range(rank)))
    return builder.gather(source, coordinates, result.shape)


def _flip(builder: NetworkBuilder, result: TensorType, value: Value, dims: Sequence[int]) -> Value:
    coordinates = [Coordinate(None, (axis,)) for axis in range(len(result.shape))]
    for dim in dims:
        axis, extent = dim % len(result.shape), result.shape[dim]
        coordinates[axis] = Coordinate(blocks.steps(builder, extent, start=extent - 1, step=-1), (axis,))
    return builder.gather(value, coordinates, result.shape)


def _index(builder: NetworkBuilder, result: TensorType, source: Value, indices: Sequence[Value | None]) -> Value:
    """Emit indexing by several tensors at once, which are broadcast to one shape.

    That shape's dimensions stand where the indexed ones stood when those are neighbours, and otherwise in front.
    """
    looked_up = [axis for axis, index in enumerate(indices) if index is not None]
    if any(index is not None and index.type.dtype == "i1" for index in indices):
        raise UserError("how much a mask selects depends on data, and shapes must not")
    common = np.broadcast_shapes(*[index.type.shape for index in indices if index is not None])
    neighbours = looked_up == list(range(looked_up[0], looked_up[-1] + 1))
    place = looked_up[0] if neighbours else 0
    coordinates = []
    passed = 0
    for axis in range(len(source.type.shape)):
        index = indices[axis] if axis < len(indices) else None
        if index is None:
            coordinates.append(Coordinate(None, (passed if passed < place else passed + len(common),)))
            passed += 1
        else:
            coordinates.append(_looked_up(index, common, place))
    return builder.gather(source, coordinates, result.shape)


def _looked_up(index: Value, common: tuple[int, ...], place: int) -> Coordinate:
    first = place + len(common) - len(index.type.shape)
    dims = [first + axis if extent != 1 else None for axis, extent in enumerate(index.type.shape)]
    return Coordinate(index, tuple(dims), wraps=True)


HANDLERS: dict[str, Handler] = {
    "aten.embedding.default": _embedding,
    "aten.index_select.default": _index_select,
    "aten.gather.default": _gather,
    "aten.flip.default": _flip,
    "aten.index.Tensor": _index,
    "aten._unsafe_index.Tensor": _index,
}
