"""Elementwise operations with PyTorch's broadcasting, and activations made of them."""

from __future__ import annotations

import math

import numpy as np

from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import is_float
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.network_builder import NetworkBuilder
from mlir_datagen.ops.scalars import SCALARS

Number = float | int | bool

_LONGEST_CONSTANT = 4096
"""Numbers that are written out; where there are more, they are computed in the program."""
_SIGNED = ("max", "min")
"""Operations whose named form would take i1 as signed, so that true were less than false."""


def elementwise(builder: NetworkBuilder, kind: str, *operands: Value | Number) -> Value:
    """Emit a named elementwise operation: `add`, `sub`, `mul`, `div`, `max`, `min`, `exp`, `tanh`, `sqrt`, ….

    Args:
        builder: what it is emitted into.
        kind: the name of the operation in linalg.
        operands: at least one of them a value; their shapes are broadcast, and numbers become filled tensors. All
            values have one element type.
    """
    operands = broadcast_together(builder, *operands)
    result = operands[0].type
    if result.dtype == "i1" and kind in _SIGNED:
        return builder.map(SCALARS[kind].spelled("i1"), *operands)
    return builder.structured(f"linalg.{kind}", operands, builder.empty(result))


def broadcast_together(builder: NetworkBuilder, *operands: Value | Number) -> tuple[Value, ...]:
    """Return the operands with one shape, numbers as filled tensors of the first value's element type."""
    values = [operand for operand in operands if isinstance(operand, Value)]
    shape = np.broadcast_shapes(*[value.type.shape for value in values])
    filled = tensor(shape, values[0].type.dtype)
    return tuple(
        builder.broadcast(operand, shape) if isinstance(operand, Value) else builder.full(operand, filled)
        for operand in operands
    )


def steps(builder: NetworkBuilder, length: int, dtype: str = "i64", start: Number = 0, step: Number = 1) -> Value:
    """Emit start, start + step, … in one dimension: a constant, or computed where that would be a long text."""
    if length <= _LONGEST_CONSTANT:
        return builder.iota(length, dtype, start, step)
    # Computed in the widest type of its kind, and rounded once, as PyTorch does.
    wide = "f64" if is_float(dtype) else "i64"
    rows = -(-length // _LONGEST_CONSTANT)
    firsts = builder.reshape(steps(builder, rows, wide, 0, _LONGEST_CONSTANT), (rows, 1))
    square = elementwise(builder, "add", firsts, builder.iota(_LONGEST_CONSTANT, wide))
    numbers = builder.slice(builder.reshape(square, (rows * _LONGEST_CONSTANT,)), [0], [length])
    if step != 1:
        numbers = elementwise(builder, "mul", numbers, step)
    if start != 0:
        numbers = elementwise(builder, "add", numbers, start)
    return builder.cast(numbers, dtype)


def relu(builder: NetworkBuilder, value: Value) -> Value:
    """Emit max(x, 0)."""
    return elementwise(builder, "max", value, 0)


def clamp(builder: NetworkBuilder, value: Value, low: Number | None, high: Number | None) -> Value:
    """Emit min(max(x, low), high); a bound that is None is none."""
    if low is not None:
        value = elementwise(builder, "max", value, low)
    return value if high is None else elementwise(builder, "min", value, high)


def sigmoid(builder: NetworkBuilder, value: Value) -> Value:
    """Emit 1 / (1 + exp(-x))."""
    decayed = elementwise(builder, "exp", elementwise(builder, "negf", value))
    return elementwise(builder, "reciprocal", elementwise(builder, "add", decayed, 1))


def gelu(builder: NetworkBuilder, value: Value, approximate: str = "none") -> Value:
    """Emit x times the normal distribution's cumulative function, exact by erf or approximated by `tanh`.

    Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, section 2.
    """
    if approximate == "tanh":
        cube = elementwise(builder, "mul", elementwise(builder, "square", value), value)
        inner = elementwise(builder, "add", value, elementwise(builder, "mul", cube, 0.044715))
        bounded = elementwise(builder, "tanh", elementwise(builder, "mul", inner, math.sqrt(2 / math.pi)))
    else:
        bounded = elementwise(builder, "erf", elementwise(builder, "mul", value, math.sqrt(0.5)))
    half = elementwise(builder, "mul", value, 0.5)
    return elementwise(builder, "mul", half, elementwise(builder, "add", bounded, 1))
