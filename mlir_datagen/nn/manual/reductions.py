"""Reductions, and normalizations by them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.network_builder import NetworkBuilder
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.nn.manual.operands import Handler, axes_of
from mlir_datagen.ops import blocks

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
    number = builder.cast(builder.cast(value, "i1"), "i8")
    return builder.cast(builder.reduce("max", number, axes_of(value, dim), keepdim), "i1")


def _all(builder: NetworkBuilder, result: TensorType, value: Value, dim: Axes = None, keepdim: bool = False) -> Value:
    number = builder.cast(builder.cast(value, "i1"), "i8")
    return builder.cast(builder.reduce("min", number, axes_of(value, dim), keepdim), "i1")


HANDLERS: dict[str, Handler] = {
    "aten.sum.default": _reduction("sum"),
    "aten.sum.dim_IntList": _reduction("sum"),
    "aten.prod.default": _reduction("product"),
    "aten.prod.dim_int": _reduction("product"),
    "aten.max.default": _reduction("max"),
    "aten.amax.default": _reduction("max"),
    "aten.min.default": _reduction("min"),
    "aten.amin.default": _reduction("min"),
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
    "aten.layer_norm.default": _layer_norm,
    "aten.group_norm.default": _group_norm,
}
