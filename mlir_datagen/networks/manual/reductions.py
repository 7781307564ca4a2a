"""Reductions, normalizations by them, and running sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import is_float
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.manual.operands import Handler, axes_of
from mlir_datagen.ops import blocks
from mlir_datagen.ops.network_builder import NetworkBuilder

Axes = int | Sequence[int] | None


def _reduction(kind: str) -> Callable[..., Value]:
    def emit(
        builder: NetworkBuilder, result: TensorType, value: Value, dim: Axes = None, keepdim: bool = False
    ) -> Value:
        value = builder.cast(value, result.dtype)
        return builder.reduce(kind, value, axes_of(value, dim), keepdim)

    return emit


def _mean(builder: NetworkBuilder, result: TensorType, value: Value, dim: Axes = None, keepdim: bool = False) -> Value:
    value = builder.cast(value, result.dtype)
    return blocks.mean(builder, value, axes_of(value, dim), keepdim)


def _variance(
    builder: NetworkBuilder,
    result: TensorType,
    value: Value,
    dim: Axes = None,
    correction: float | None = 1,
    keepdim: bool = False,
) -> Value:
    return blocks.variance(builder, value, axes_of(value, dim), 1 if correction is None else correction, keepdim)


def _vector_norm(
    builder: NetworkBuilder, result: TensorType, value: Value, order: float = 2, dim: Axes = None, keepdim: bool = False
) -> Value:
    if order != 2:
        raise UserError(f"of vector norms only the one of order 2 is converted, not that of order {order}")
    total = builder.reduce("sum", blocks.elementwise(builder, "square", value), axes_of(value, dim), keepdim)
    return blocks.elementwise(builder, "sqrt", total)


def _batch_norm_inference(
    builder: NetworkBuilder,
    result: tuple[TensorType, ...],
    value: Value,
    weight: Value | None,
    bias: Value | None,
    mean: Value,
    variance: Value,
    momentum: float,
    epsilon: float,
) -> tuple[Value, None, None]:
    spread = blocks.elementwise(builder, "add", variance, epsilon)
    scale = blocks.elementwise(builder, "rsqrt", spread)
    if weight is not None:
        scale = blocks.elementwise(builder, "mul", scale, weight)
    moved = blocks.elementwise(builder, "mul", mean, scale)
    shift = (
        blocks.elementwise(builder, "negf", moved) if bias is None else blocks.elementwise(builder, "sub", bias, moved)
    )
    return blocks.scale_and_shift_channels(builder, value, scale, shift), None, None


def _batch_norm_of_batch(
    builder: NetworkBuilder,
    result: tuple[TensorType, ...],
    value: Value,
    weight: Value | None,
    bias: Value | None,
    training: bool,
    momentum: float,
    epsilon: float,
) -> tuple[Value, None, None]:
    """Emit a normalization by the batch's own statistics: that of instances too, which PyTorch makes of it."""
    shape = value.type.shape
    value = blocks.normalize(builder, value, [axis for axis in range(len(shape)) if axis != 1], epsilon)
    alongside = (shape[1], *[1] * (len(shape) - 2))
    if weight is not None:
        value = blocks.elementwise(builder, "mul", value, builder.reshape(weight, alongside))
    if bias is not None:
        value = blocks.elementwise(builder, "add", value, builder.reshape(bias, alongside))
    return value, None, None


def _layer_norm(
    builder: NetworkBuilder,
    result: TensorType,
    value: Value,
    shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    epsilon: float = 1e-5,
    _: bool = True,
) -> Value:
    rank = len(value.type.shape)
    value = blocks.normalize(builder, value, range(rank - len(shape), rank), epsilon)
    if weight is not None:
        value = blocks.elementwise(builder, "mul", value, weight)
    return value if bias is None else blocks.elementwise(builder, "add", value, bias)


def _group_norm(
    builder: NetworkBuilder,
    result: TensorType,
    value: Value,
    groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    epsilon: float = 1e-5,
    _: bool = True,
) -> Value:
    batch, channels, *extents = value.type.shape
    grouped = builder.reshape(value, (batch, groups, channels // groups * math.prod(extents)))
    value = builder.reshape(blocks.normalize(builder, grouped, [2], epsilon), result.shape)
    ones = [1] * len(extents)
    if weight is not None:
        value = blocks.elementwise(builder, "mul", value, builder.reshape(weight, (channels, *ones)))
    return (
        value if bias is None else blocks.elementwise(builder, "add", value, builder.reshape(bias, (channels, *ones)))
    )


def _any(builder: NetworkBuilder, result: TensorType, value: Value, dim: Axes = None, keepdim: bool = False) -> Value:
    if 0 in value.type.shape:
        return builder.full(0, result)
    number = builder.cast(builder.cast(value, "i1"), "i8")
    return builder.cast(builder.reduce("max", number, axes_of(value, dim), keepdim), "i1")


def _all(builder: NetworkBuilder, result: TensorType, value: Value, dim: Axes = None, keepdim: bool = False) -> Value:
    number = builder.cast(builder.cast(value, "i1"), "i8")
    return builder.cast(builder.reduce("min", number, axes_of(value, dim), keepdim), "i1")


def _position(kind: str) -> Callable[..., Value]:
    def emit(
        builder: NetworkBuilder, result: TensorType, value: Value, dim: int | None = None, keepdim: bool = False
    ) -> Value:
        """Emit the least of the positions at which the extreme is: NaN where there is one, as in PyTorch's order."""
        if dim is None:
            value = builder.reshape(value, (math.prod(value.type.shape),))
        if not value.type.shape:
            return builder.full(0, result)
        shape, axis = value.type.shape, (dim or 0) % len(value.type.shape)
        extreme = builder.broadcast(builder.reduce(kind, value, [axis], keep=True), shape)
        found = builder.compare("eq", value, extreme)
        if is_float(value.type.dtype):
            found = builder.map("arith.ori", found, builder.compare("ne", value, value))
        alongside = [extent if each == axis else 1 for each, extent in enumerate(shape)]
        positions = builder.broadcast(builder.reshape(blocks.steps(builder, shape[axis]), alongside), shape)
        beyond = builder.full(shape[axis], positions.type)
        candidates = builder.structured("linalg.select", (found, positions, beyond), builder.empty(positions.type))
        return builder.reshape(builder.reduce("min", candidates, [axis]), result.shape)

    return emit


def _extreme_and_position(kind: str) -> Callable[..., tuple[Value, Value]]:
    def emit(
        builder: NetworkBuilder, result: tuple[TensorType, TensorType], value: Value, dim: int, keepdim: bool = False
    ) -> tuple[Value, Value]:
        extreme = builder.reduce(kind, value, axes_of(value, dim)) if value.type.shape else value
        return builder.reshape(extreme, result[0].shape), _position(kind)(builder, result[1], value, dim)

    return emit


def _cumulative_sum(builder: NetworkBuilder, result: TensorType, value: Value, dim: int) -> Value:
    """Emit sums of 2, 4, 8, … neighbours: each step adds what is as far before as the steps so far have reached."""
    value = builder.cast(value, result.dtype)
    shape, reach = result.shape, 1
    axis = dim % max(len(shape), 1)
    while shape and reach < shape[axis]:
        before = [reach if each == axis else 0 for each in range(len(shape))]
        sizes = [extent - moved for extent, moved in zip(shape, before, strict=True)]
        earlier = builder.slice(value, [0] * len(shape), sizes)
        value = blocks.elementwise(builder, "add", value, builder.pad(earlier, before, [0] * len(shape)))
        reach *= 2
    return value


HANDLERS: dict[str, Handler] = {
    "aten.sum.default": _reduction("sum"),
    "aten.sum.dim_IntList": _reduction("sum"),
    "aten.prod.default": _reduction("product"),
    "aten.prod.dim_int": _reduction("product"),
    "aten.max.default": _reduction("max"),
    "aten.amax.default": _reduction("max"),
    "aten.min.default": _reduction("min"),
    "aten.amin.default": _reduction("min"),
    "aten.argmax.default": _position("max"),
    "aten.argmin.default": _position("min"),
    "aten.max.dim": _extreme_and_position("max"),
    "aten.min.dim": _extreme_and_position("min"),
    "aten.cumsum.default": _cumulative_sum,
    "aten.mean.default": _mean,
    "aten.mean.dim": _mean,
    "aten.linalg_vector_norm.default": _vector_norm,
    "aten.var.correction": _variance,
    "aten.any.default": _any,
    "aten.any.dim": _any,
    "aten.any.dims": _any,
    "aten.all.default": _all,
    "aten.all.dim": _all,
    "aten.all.dims": _all,
    "aten._native_batch_norm_legit_no_training.default": _batch_norm_inference,
    "aten._native_batch_norm_legit.no_stats": _batch_norm_of_batch,
    "aten.layer_norm.default": _layer_norm,
    "aten.group_norm.default": _group_norm,
}
