"""Divisions with a rounding, and remainders."""

from __future__ import annotations

from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import is_float
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.manual.operands import Handler, Operand, converted
from mlir_datagen.ops import blocks
from mlir_datagen.ops.blocks.elementwise import broadcast_together
from mlir_datagen.ops.network_builder import NetworkBuilder


def _divided(
    builder: NetworkBuilder, result: TensorType, lhs: Operand, rhs: Operand, rounding_mode: str | None = None
) -> Value:
    lhs, rhs = broadcast_together(builder, *converted(builder, result, lhs, rhs))
    if rounding_mode == "floor":
        return (_floored if is_float(result.dtype) else _floored_integers)(builder, lhs, rhs)
    quotient = blocks.elementwise(builder, "div", lhs, rhs)
    return builder.map("math.trunc", quotient) if rounding_mode and is_float(result.dtype) else quotient


def _floor_divided(builder: NetworkBuilder, result: TensorType, lhs: Operand, rhs: Operand) -> Value:
    return _divided(builder, result, lhs, rhs, "floor")


def _floored_integers(builder: NetworkBuilder, lhs: Value, rhs: Value) -> Value:
    quotient = blocks.elementwise(builder, "div", lhs, rhs)
    return _less_one(builder, quotient, _truncated_rest(builder, lhs, rhs), rhs)


def _floored(builder: NetworkBuilder, lhs: Value, rhs: Value) -> Value:
    """Round down as PyTorch does: from the remainder, since a quotient may have been rounded up to an integer."""
    rest = _truncated_rest(builder, lhs, rhs)
    whole = blocks.elementwise(builder, "sub", lhs, rest)
    quotient = _less_one(builder, blocks.elementwise(builder, "div", whole, rhs), rest, rhs)
    floor = blocks.elementwise(builder, "floor", quotient)
    half = builder.full(0.5, floor.type)
    beyond = builder.compare("gt", blocks.elementwise(builder, "sub", quotient, floor), half)
    rounded = _chosen(builder, beyond, blocks.elementwise(builder, "add", floor, 1), floor)
    by_zero = builder.compare("eq", rhs, builder.full(0, rhs.type))
    return _chosen(builder, by_zero, blocks.elementwise(builder, "div", lhs, rhs), rounded)


def _less_one(builder: NetworkBuilder, quotient: Value, rest: Value, divisor: Value) -> Value:
    """Return a quotient less 1 where there is a rest whose sign is not the divisor's."""
    return _chosen(
        builder, _is_astray(builder, rest, divisor), blocks.elementwise(builder, "sub", quotient, 1), quotient
    )


def _remainder(builder: NetworkBuilder, result: TensorType, lhs: Operand, rhs: Operand) -> Value:
    """Emit the remainder with the divisor's sign."""
    lhs, rhs = broadcast_together(builder, *converted(builder, result, lhs, rhs))
    rest = _truncated_rest(builder, lhs, rhs)
    return _chosen(builder, _is_astray(builder, rest, rhs), blocks.elementwise(builder, "add", rest, rhs), rest)


def _truncated_remainder(builder: NetworkBuilder, result: TensorType, lhs: Operand, rhs: Operand) -> Value:
    return _truncated_rest(builder, *broadcast_together(builder, *converted(builder, result, lhs, rhs)))


def _truncated_rest(builder: NetworkBuilder, lhs: Value, rhs: Value) -> Value:
    """Return the remainder with the dividend's sign."""
    return builder.map("arith.remf" if is_float(lhs.type.dtype) else "arith.remsi", lhs, rhs)


def _is_astray(builder: NetworkBuilder, rest: Value, divisor: Value) -> Value:
    """Tell where there is a rest whose sign is not the divisor's."""
    zero = builder.full(0, rest.type)
    signs = builder.map("arith.xori", builder.compare("lt", rest, zero), builder.compare("lt", divisor, zero))
    return builder.map("arith.andi", builder.compare("ne", rest, zero), signs)


def _chosen(builder: NetworkBuilder, condition: Value, lhs: Value, rhs: Value) -> Value:
    return builder.structured("linalg.select", (condition, lhs, rhs), builder.empty(lhs.type))


HANDLERS: dict[str, Handler] = {
    "aten.div.Tensor_mode": _divided,
    "aten.div.Scalar_mode": _divided,
    "aten.floor_divide.default": _floor_divided,
    "aten.floor_divide.Scalar": _floor_divided,
    "aten.remainder.Tensor": _remainder,
    "aten.remainder.Scalar": _remainder,
    "aten.remainder.Scalar_Tensor": _remainder,
    "aten.fmod.Tensor": _truncated_remainder,
    "aten.fmod.Scalar": _truncated_remainder,
}
