"""Tensors that are made of numbers alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.manual.operands import Handler
from mlir_datagen.ops import blocks
from mlir_datagen.ops.network_builder import NetworkBuilder


def _filled(number: float) -> Callable[..., Value]:
    def emit(builder: NetworkBuilder, result: TensorType, *_: Any) -> Value:
        return builder.full(number, result)

    return emit


def _full(builder: NetworkBuilder, result: TensorType, _: Any, number: float) -> Value:
    return builder.full(number, result)


def _new_full(builder: NetworkBuilder, result: TensorType, _: Any, __: Any, number: float) -> Value:
    return builder.full(number, result)


def _scalar(builder: NetworkBuilder, result: TensorType, number: float) -> Value:
    return builder.full(number, result)


def _arange(builder: NetworkBuilder, result: TensorType, *bounds: float) -> Value:
    start = bounds[0] if len(bounds) > 1 else 0
    step = bounds[2] if len(bounds) > 2 else 1
    return blocks.steps(builder, result.shape[0], result.dtype, start, step)


HANDLERS: dict[str, Handler] = {
    **{f"aten.{name}.default": _filled(0) for name in ("zeros", "new_zeros", "zeros_like", "empty", "empty_like")},
    **{f"aten.{name}.default": _filled(1) for name in ("ones", "new_ones", "ones_like")},
    "aten.empty.memory_format": _filled(0),
    "aten.new_empty.default": _filled(0),
    "aten.full.default": _full,
    "aten.full_like.default": _full,
    "aten.new_full.default": _new_full,
    "aten.fill.Scalar": _full,
    "aten.scalar_tensor.default": _scalar,
    "aten.arange.default": _arange,
    "aten.arange.start": _arange,
    "aten.arange.start_step": _arange,
}
