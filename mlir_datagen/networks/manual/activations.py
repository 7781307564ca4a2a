"""Activations."""

from __future__ import annotations

import math
from typing import Any

from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.manual.operands import Handler
from mlir_datagen.ops import blocks
from mlir_datagen.ops.network_builder import NetworkBuilder


def _relu(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    return blocks.relu(builder, value)


def _hardtanh(builder: NetworkBuilder, result: TensorType, value: Value, low: float = -1, high: float = 1) -> Value:
    return blocks.clamp(builder, value, low, high)


def _relu6(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    return blocks.clamp(builder, value, 0, 6)


def _sigmoid(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    return blocks.sigmoid(builder, builder.cast(value, result.dtype))


def _silu(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    return blocks.elementwise(builder, "mul", value, blocks.sigmoid(builder, value))


def _hardsigmoid(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    bounded = blocks.clamp(builder, blocks.elementwise(builder, "add", value, 3), 0, 6)
    return blocks.elementwise(builder, "div", bounded, 6)


def _hardswish(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    return blocks.elementwise(builder, "mul", value, _hardsigmoid(builder, result, value))


def _leaky_relu(builder: NetworkBuilder, result: TensorType, value: Value, slope: float = 0.01) -> Value:
    negative = blocks.elementwise(builder, "mul", blocks.clamp(builder, value, None, 0), slope)
    return blocks.elementwise(builder, "add", blocks.relu(builder, value), negative)


def _elu(
    builder: NetworkBuilder, result: TensorType, value: Value, alpha: float = 1, scale: float = 1, inner: float = 1
) -> Value:
    bent = blocks.elementwise(builder, "mul", blocks.clamp(builder, value, None, 0), inner)
    negative = blocks.elementwise(builder, "sub", blocks.elementwise(builder, "exp", bent), 1)
    scaled = blocks.elementwise(builder, "mul", negative, alpha * scale)
    positive = blocks.elementwise(builder, "mul", blocks.relu(builder, value), scale)
    return blocks.elementwise(builder, "add", positive, scaled)


def _softplus(
    builder: NetworkBuilder, result: TensorType, value: Value, beta: float = 1, threshold: float = 20
) -> Value:
    # max(x, 0) + log(1 + exp(-|x|)) does not overflow.
    scaled = blocks.elementwise(builder, "mul", value, beta)
    decayed = builder.map("math.exp", blocks.elementwise(builder, "negf", builder.map("math.absf", scaled)))
    total = blocks.elementwise(builder, "add", blocks.relu(builder, scaled), builder.map("math.log1p", decayed))
    bent = blocks.elementwise(builder, "div", total, beta)
    if math.exp(-threshold) < threshold * ELEMENT_TYPES[result.dtype].unit:
        return bent  # Beyond the threshold that is x already, for all the digits that the type has.
    beyond = builder.compare("gt", scaled, builder.full(threshold, scaled.type))
    return builder.structured("linalg.select", (beyond, value, bent), builder.empty(result))


def _gelu(builder: NetworkBuilder, result: TensorType, value: Value, approximate: str = "none") -> Value:
    return blocks.gelu(builder, value, approximate)


def _softmax(builder: NetworkBuilder, result: TensorType, value: Value, dim: int, _: Any = None) -> Value:
    return blocks.softmax(builder, builder.cast(value, result.dtype), dim % max(len(result.shape), 1))


def _log_softmax(builder: NetworkBuilder, result: TensorType, value: Value, dim: int, _: Any = None) -> Value:
    return blocks.log_softmax(builder, builder.cast(value, result.dtype), dim % max(len(result.shape), 1))


def _clamp(builder: NetworkBuilder, result: TensorType, value: Value, min: Any = None, max: Any = None) -> Value:  # noqa: A002
    return blocks.clamp(builder, builder.cast(value, result.dtype), min, max)


HANDLERS: dict[str, Handler] = {
    "aten.relu.default": _relu,
    "aten.relu6.default": _relu6,
    "aten.hardtanh.default": _hardtanh,
    "aten.sigmoid.default": _sigmoid,
    "aten.silu.default": _silu,
    "aten.hardsigmoid.default": _hardsigmoid,
    "aten.hardswish.default": _hardswish,
    "aten.leaky_relu.default": _leaky_relu,
    "aten.elu.default": _elu,
    "aten.softplus.default": _softplus,
    "aten.gelu.default": _gelu,
    "aten.softmax.int": _softmax,
    "aten._softmax.default": _softmax,
    "aten.log_softmax.int": _log_softmax,
    "aten._log_softmax.default": _log_softmax,
    "aten.clamp.default": _clamp,
    "aten.clamp_min.default": lambda builder, result, value, low: _clamp(builder, result, value, low),
    "aten.clamp_max.default": lambda builder, result, value, high: _clamp(builder, result, value, None, high),
}
