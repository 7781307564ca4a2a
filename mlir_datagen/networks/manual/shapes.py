"""Shapes: views, slices, joins and padding; and operators that leave their tensor as it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.manual.operands import Handler
from mlir_datagen.ops.network_builder import NetworkBuilder


def _same(builder: NetworkBuilder, result: TensorType, value: Value, *_: Any, **__: Any) -> Value:
    return value


def _reshape(builder: NetworkBuilder, result: TensorType, value: Value, *_: Any) -> Value:
    return builder.reshape(value, result.shape)


def _expand(builder: NetworkBuilder, result: TensorType, value: Value, *_: Any, **__: Any) -> Value:
    return builder.broadcast(value, result.shape)


def _repeat(builder: NetworkBuilder, result: TensorType, value: Value, repeats: Sequence[int]) -> Value:
    own = [*[1] * (len(repeats) - len(value.type.shape)), *value.type.shape]
    apart = builder.reshape(value, [n for extent in own for n in (1, extent)])
    sides = zip(repeats, own, strict=True)
    return builder.reshape(builder.broadcast(apart, [n for side in sides for n in side]), result.shape)


def _upsample_nearest(
    builder: NetworkBuilder,
    result: TensorType,
    value: Value,
    size: Sequence[int] | None,
    scales: Sequence[float] | None = None,
) -> Value:
    batch, channels, height, width = value.type.shape
    factors = [after // before for before, after in zip((height, width), result.shape[2:], strict=True)]
    exact = (batch, channels, height * factors[0], width * factors[1]) == result.shape
    if not exact or (scales is not None and list(scales) != factors):
        raise UserError("nearest neighbours are converted for integer factors alone, such as scale_factor=2")
    apart = builder.reshape(value, (batch, channels, height, 1, width, 1))
    repeated = builder.broadcast(apart, (batch, channels, height, factors[0], width, factors[1]))
    return builder.reshape(repeated, result.shape)


def _permute(builder: NetworkBuilder, result: TensorType, value: Value, dims: Sequence[int]) -> Value:
    return builder.transpose(value, [dim % len(dims) for dim in dims])


def _transpose(builder: NetworkBuilder, result: TensorType, value: Value, first: int = 0, second: int = 1) -> Value:
    order = list(range(len(result.shape)))
    if len(order) > 1:
        order[first], order[second] = order[second], order[first]
    return builder.transpose(value, order)


def _window(builder: NetworkBuilder, value: Value, dim: int, start: int, size: int, step: int = 1) -> Value:
    """Take `size` elements along one dimension."""
    rank = len(value.type.shape)
    offsets, sizes, strides = [0] * rank, list(value.type.shape), [1] * rank
    offsets[dim], sizes[dim], strides[dim] = start, size, step
    return builder.slice(value, offsets, sizes, strides)


def _slice(
    builder: NetworkBuilder,
    result: TensorType,
    value: Value,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
    first, _, _ = slice(start, end, step).indices(value.type.shape[dim])
    return _window(builder, value, dim, first, result.shape[dim], step)


def _select(builder: NetworkBuilder, result: TensorType, value: Value, dim: int, index: int) -> Value:
    taken = _window(builder, value, dim, index % value.type.shape[dim], 1)
    return builder.reshape(taken, result.shape)


def _split(
    builder: NetworkBuilder, result: tuple[TensorType, ...], value: Value, _: Any, dim: int = 0
) -> tuple[Value, ...]:
    sizes = [part.shape[dim] for part in result]
    return tuple(_window(builder, value, dim, sum(sizes[:i]), size) for i, size in enumerate(sizes))


def _unbind(builder: NetworkBuilder, result: tuple[TensorType, ...], value: Value, dim: int = 0) -> tuple[Value, ...]:
    return tuple(_select(builder, part, value, dim, index) for index, part in enumerate(result))


def _cat(builder: NetworkBuilder, result: TensorType, values: Sequence[Value], dim: int = 0) -> Value:
    # An empty vector may stand among tensors of any rank.
    parts = [builder.cast(value, result.dtype) for value in values if value.type.shape != (0,)]
    return builder.concatenate(parts, dim % len(result.shape)) if len(parts) > 1 else parts[0]


def _stack(builder: NetworkBuilder, result: TensorType, values: Sequence[Value], dim: int = 0) -> Value:
    axis = dim % len(result.shape)
    single = [*result.shape[:axis], 1, *result.shape[axis + 1 :]]
    return _cat(builder, result, [builder.reshape(value, single) for value in values], axis)


def _slice_scatter(
    builder: NetworkBuilder,
    result: TensorType,
    value: Value,
    source: Value,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
    offsets, strides = [0] * len(result.shape), [1] * len(result.shape)
    offsets[dim], strides[dim] = slice(start, end, step).indices(result.shape[dim])[0], step
    return builder.insert(source, value, offsets, strides)


def _select_scatter(
    builder: NetworkBuilder, result: TensorType, value: Value, source: Value, dim: int, index: int
) -> Value:
    axis = dim % len(result.shape)
    single = builder.reshape(source, [*result.shape[:axis], 1, *result.shape[axis + 1 :]])
    offsets = [index % result.shape[axis] if each == axis else 0 for each in range(len(result.shape))]
    return builder.insert(single, value, offsets)


def _copy(builder: NetworkBuilder, result: TensorType, value: Value, source: Value) -> Value:
    return builder.broadcast(builder.cast(source, result.dtype), result.shape)


def _roll(
    builder: NetworkBuilder, result: TensorType, value: Value, shifts: Sequence[int], dims: Sequence[int] = ()
) -> Value:
    if not dims:
        value, dims = builder.reshape(value, (math.prod(result.shape),)), [0]
    for shift, dim in zip(shifts, dims, strict=True):
        extent = value.type.shape[dim]
        if moved := shift % extent:
            last = _window(builder, value, dim, extent - moved, moved)
            first = _window(builder, value, dim, 0, extent - moved)
            value = builder.concatenate([last, first], dim % len(value.type.shape))
    return builder.reshape(value, result.shape)


def _pad(builder: NetworkBuilder, result: TensorType, value: Value, pad: Sequence[int], number: float = 0) -> Value:
    """Emit padding given as pairs from the last dimension to the first; negative numbers cut off."""
    rank = len(result.shape)
    low, high = [0] * rank, [0] * rank
    for index in range(len(pad) // 2):
        low[rank - 1 - index], high[rank - 1 - index] = pad[2 * index], pad[2 * index + 1]
    offsets = [max(-before, 0) for before in low]
    ends = [extent - max(-after, 0) for extent, after in zip(value.type.shape, high, strict=True)]
    value = builder.slice(value, offsets, [end - offset for offset, end in zip(offsets, ends, strict=True)])
    return builder.pad(value, [max(n, 0) for n in low], [max(n, 0) for n in high], number)


_UNCHANGED = (
    "clone", "contiguous", "detach", "alias", "dropout", "lift_fresh_copy", "lift_fresh", "detach_copy",
    "feature_dropout",
)  # fmt: skip
_RESHAPED = (
    "view.default", "reshape.default", "_unsafe_view.default", "flatten.using_ints", "unflatten.int",
    "view_copy.default", "unsqueeze.default", "squeeze.default", "squeeze.dim", "squeeze.dims",
)  # fmt: skip

HANDLERS: dict[str, Handler] = {
    **{f"aten.{name}.default": _same for name in _UNCHANGED},
    **{f"aten.{name}": _reshape for name in _RESHAPED},
    "aten.expand.default": _expand,
    "aten.expand_as.default": _expand,
    "aten.repeat.default": _repeat,
    "aten.upsample_nearest2d.vec": _upsample_nearest,
    "aten.permute.default": _permute,
    "aten.transpose.int": _transpose,
    "aten.t.default": _transpose,
    "aten.slice.Tensor": _slice,
    "aten.select.int": _select,
    "aten.split.Tensor": _split,
    "aten.split_with_sizes.default": _split,
    "aten.chunk.default": _split,
    "aten.unbind.int": _unbind,
    "aten.cat.default": _cat,
    "aten.stack.default": _stack,
    "aten.slice_scatter.default": _slice_scatter,
    "aten.select_scatter.default": _select_scatter,
    "aten.copy.default": _copy,
    "aten.roll.default": _roll,
    "aten.constant_pad_nd.default": _pad,
}
