"""Means, variances, softmax, and normalization by them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.ops.blocks.elementwise import elementwise
from mlir_datagen.ops.network_builder import NetworkBuilder


def mean(builder: NetworkBuilder, value: Value, axes: Sequence[int], keep: bool = False) -> Value:
    """Emit the mean over dimensions, as a sum and a division; `keep` leaves them with size 1."""
    average = elementwise(builder, "div", builder.reduce("sum", value, axes), _count(value, axes))
    return _with_axes(builder, average, value, axes) if keep else average


def variance(builder: NetworkBuilder, value: Value, axes: Sequence[int], correction: float, keep: bool) -> Value:
    """Emit the sum of squared distances from the mean, divided by their number less the correction."""
    distance = elementwise(builder, "sub", value, mean(builder, value, axes, keep=True))
    total = builder.reduce("sum", elementwise(builder, "square", distance), axes)
    spread = elementwise(builder, "div", total, max(_count(value, axes) - correction, 0))
    return _with_axes(builder, spread, value, axes) if keep else spread


def softmax(builder: NetworkBuilder, value: Value, axis: int) -> Value:
    """Emit exp(x - max) over its sum. `linalg.softmax` is not used: it does not bufferize."""
    exponentials = elementwise(builder, "exp", _below_maximum(builder, value, axis))
    return elementwise(builder, "div", exponentials, builder.reduce("sum", exponentials, [axis], keep=True))


def softmax_or_zero(builder: NetworkBuilder, value: Value, axis: int) -> Value:
    """Emit softmax, and zero where all are minus infinity, as attention does with what a mask hides entirely.

    Elsewhere the numbers are softmax's own: the maximum is finite, and the sum is at least exp(0).
    """
    least = ELEMENT_TYPES["f32"].least  # Which f64 has too.
    maximum = elementwise(builder, "max", builder.reduce("max", value, [axis], keep=True), least)
    exponentials = elementwise(builder, "exp", elementwise(builder, "sub", value, maximum))
    total = elementwise(builder, "max", builder.reduce("sum", exponentials, [axis], keep=True), 1)
    return elementwise(builder, "div", exponentials, total)


def log_softmax(builder: NetworkBuilder, value: Value, axis: int) -> Value:
    """Emit x - max - log(sum of exp(x - max))."""
    shifted = _below_maximum(builder, value, axis)
    total = builder.reduce("sum", elementwise(builder, "exp", shifted), [axis], keep=True)
    return elementwise(builder, "sub", shifted, elementwise(builder, "log", total))


def _below_maximum(builder: NetworkBuilder, value: Value, axis: int) -> Value:
    return elementwise(builder, "sub", value, builder.reduce("max", value, [axis], keep=True))


def normalize(builder: NetworkBuilder, value: Value, axes: Sequence[int], epsilon: float) -> Value:
    """Emit (x - mean) / sqrt(variance + epsilon) over dimensions: layer normalization without weights."""
    centered = elementwise(builder, "sub", value, mean(builder, value, axes, keep=True))
    spread = mean(builder, elementwise(builder, "square", centered), axes)
    scale = elementwise(builder, "rsqrt", elementwise(builder, "add", spread, epsilon))
    return elementwise(builder, "mul", centered, _with_axes(builder, scale, value, axes))


def _count(value: Value, axes: Sequence[int]) -> int:
    """Return how many elements are reduced to one."""
    return math.prod(value.type.shape[axis] for axis in axes)


def _with_axes(builder: NetworkBuilder, reduced: Value, value: Value, axes: Sequence[int]) -> Value:
    """Give a reduced value the reduced dimensions back, with size 1."""
    return builder.reshape(reduced, [1 if axis in axes else n for axis, n in enumerate(value.type.shape)])


def scale_and_shift_channels(builder: NetworkBuilder, value: Value, scale: Value, shift: Value) -> Value:
    """Emit x * scale + shift, with one number for each channel: dimension 1 of (batch, channels, …)."""
    alongside = (scale.type.shape[0], *[1] * (len(value.type.shape) - 2))
    scaled = elementwise(builder, "mul", value, builder.reshape(scale, alongside))
    return elementwise(builder, "add", scaled, builder.reshape(shift, alongside))
