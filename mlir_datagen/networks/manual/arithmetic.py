"""Arithmetic, comparisons and logic, element by element."""

from __future__ import annotations

import math
from typing import Any

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import is_float
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.manual.operands import Handler, Operand, converted, same_type
from mlir_datagen.ops import blocks
from mlir_datagen.ops.blocks.elementwise import broadcast_together
from mlir_datagen.ops.network_builder import NetworkBuilder


def _binary(kind: str) -> Handler:
    def emit(builder: NetworkBuilder, result: TensorType, lhs: Operand, rhs: Operand, alpha: float = 1) -> Value:
        lhs, rhs = converted(builder, result, lhs, rhs)
        if alpha != 1:
            rhs = blocks.elementwise(builder, "mul", rhs, alpha) if isinstance(rhs, Value) else rhs * alpha
        return blocks.elementwise(builder, kind, lhs, rhs)

    return emit


def _named_unary(kind: str) -> Handler:
    def emit(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
        return blocks.elementwise(builder, kind, builder.cast(value, result.dtype))

    return emit


def _mapped_unary(operation: str) -> Handler:
    def emit(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
        return builder.map(operation, builder.cast(value, result.dtype))

    return emit


def _comparison(kind: str) -> Handler:
    def emit(builder: NetworkBuilder, result: TensorType, lhs: Operand, rhs: Operand) -> Value:
        return builder.compare(kind, *same_type(builder, lhs, rhs))

    return emit


def _logical(operation: str) -> Handler:
    """For truth values and bits: operands have the result's element type, which for logic is i1."""

    def emit(builder: NetworkBuilder, result: TensorType, lhs: Operand, rhs: Operand) -> Value:
        return builder.map(operation, *broadcast_together(builder, *converted(builder, result, lhs, rhs)))

    return emit


def _not(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    value = builder.cast(value, result.dtype)
    return builder.map("arith.xori", value, builder.full(1 if result.dtype == "i1" else -1, value.type))


def _rsub(builder: NetworkBuilder, result: TensorType, lhs: Value, rhs: Operand, alpha: float = 1) -> Value:
    if alpha != 1:
        lhs = blocks.elementwise(builder, "mul", lhs, alpha)
    return blocks.elementwise(builder, "sub", *converted(builder, result, rhs, lhs))


def _divided(builder: NetworkBuilder, result: TensorType, lhs: Operand, rhs: Operand) -> Value:
    return blocks.elementwise(builder, "div", *converted(builder, result, lhs, rhs))


def _negated(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    if is_float(result.dtype):
        return blocks.elementwise(builder, "negf", value)
    return blocks.elementwise(builder, "sub", 0, value)


def _absolute(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    return blocks.elementwise(builder, "abs", value) if is_float(result.dtype) else builder.map("math.absi", value)


def _power(builder: NetworkBuilder, result: TensorType, base: Operand, exponent: Operand) -> Value:
    base, exponent = converted(builder, result, base, exponent)
    if not is_float(result.dtype):
        return _integer_power(builder, result, base, exponent)
    if isinstance(base, Value) and exponent in (2, 3, 4):
        square = blocks.elementwise(builder, "mul", base, base)
        return (
            square if exponent == 2 else blocks.elementwise(builder, "mul", square, base if exponent == 3 else square)
        )
    roots = {0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}
    if isinstance(base, Value) and not isinstance(exponent, Value) and exponent in roots:
        return blocks.elementwise(builder, roots[exponent], base)
    return blocks.elementwise(builder, "powf", base, exponent)


def _integer_power(builder: NetworkBuilder, result: TensorType, base: Operand, exponent: Operand) -> Value:
    """Emit products: what MLIR has for powers of integers is not lowered by all its versions."""
    if not isinstance(base, Value) or isinstance(exponent, Value):
        raise UserError(
            "powers of integers whose exponents are a tensor are not converted; make the base a float, as in 2.0 ** x"
        )
    if exponent < 0:
        raise UserError(
            f"PyTorch does not raise integers to negative powers such as {exponent}; make the base a float, as with "
            "x.float()"
        )
    power, factor, left = None, base, int(exponent)
    while left:
        if left % 2:
            power = factor if power is None else blocks.elementwise(builder, "mul", power, factor)
        left //= 2
        factor = blocks.elementwise(builder, "mul", factor, factor) if left else factor
    return builder.full(1, result) if power is None else power


def _where(builder: NetworkBuilder, result: TensorType, condition: Value, lhs: Operand, rhs: Operand) -> Value:
    operands = [
        builder.broadcast(operand, result.shape) if isinstance(operand, Value) else builder.full(operand, result)
        for operand in (builder.cast(condition, "i1"), *converted(builder, result, lhs, rhs))
    ]
    return builder.structured("linalg.select", operands, builder.empty(result))


def _masked_fill(builder: NetworkBuilder, result: TensorType, value: Value, mask: Value, number: Operand) -> Value:
    return _where(builder, result, mask, number, value)


def _is_nan(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    value = builder.cast(value, value.type.dtype if is_float(value.type.dtype) else "f32")
    return builder.compare("ne", value, value)


def _is_infinite(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    if not is_float(value.type.dtype):
        return builder.full(0, result)
    size = blocks.elementwise(builder, "abs", value)
    return builder.compare("eq", size, builder.full(math.inf, size.type))


def _sign(builder: NetworkBuilder, result: TensorType, value: Value) -> Value:
    """Emit 1 above zero less 1 below it; of what is not a number, PyTorch gives 0 too."""
    if result.dtype == "i1":
        return value
    zero = builder.full(0, value.type)
    above, below = (builder.cast(builder.compare(kind, value, zero), result.dtype) for kind in ("gt", "lt"))
    return blocks.elementwise(builder, "sub", above, below)


def _converted(builder: NetworkBuilder, result: TensorType, value: Value, *_: Any, **__: Any) -> Value:
    return builder.cast(value, result.dtype)


_UNARY = ("exp", "log", "sqrt", "rsqrt", "tanh", "erf", "reciprocal", "floor", "ceil", "square")
_MAPPED = ("sin", "cos", "tan", "atan", "log1p", "expm1", "log2", "exp2", "trunc")
_LOGICAL = {"and": "arith.andi", "or": "arith.ori", "xor": "arith.xori"}

HANDLERS: dict[str, Handler] = {
    **{f"aten.{kind}.{form}": _binary(kind) for kind in ("add", "sub", "mul") for form in ("Tensor", "Scalar")},
    **{f"aten.{kind}.default": _named_unary(kind) for kind in _UNARY},
    **{f"aten.{kind}.default": _mapped_unary(f"math.{kind}") for kind in _MAPPED},
    "aten.round.default": _mapped_unary("math.roundeven"),
    **{
        f"aten.{kind}.{form}": _comparison(kind)
        for kind in ("eq", "ne", "lt", "le", "gt", "ge")
        for form in ("Tensor", "Scalar")
    },
    **{
        f"aten.{name}.{form}": _logical(operation)
        for kind, operation in _LOGICAL.items()
        for name, form in (
            (f"__{kind}__", "Tensor"), (f"__{kind}__", "Scalar"), (f"bitwise_{kind}", "Tensor"),
            (f"bitwise_{kind}", "Scalar"), (f"logical_{kind}", "default"),
        )
    },
    "aten.logical_not.default": _not,
    "aten.bitwise_not.default": _not,
    "aten.maximum.default": _binary("max"),
    "aten.minimum.default": _binary("min"),
    "aten.rsub.Scalar": _rsub,
    "aten.rsub.Tensor": _rsub,
    "aten.div.Tensor": _divided,
    "aten.div.Scalar": _divided,
    "aten.neg.default": _negated,
    "aten.abs.default": _absolute,
    "aten.pow.Tensor_Scalar": _power,
    "aten.pow.Tensor_Tensor": _power,
    "aten.pow.Scalar": _power,
    "aten.isnan.default": _is_nan,
    "aten.isinf.default": _is_infinite,
    "aten.sign.default": _sign,
    "aten.where.self": _where,
    "aten.where.ScalarOther": _where,
    "aten.where.ScalarSelf": _where,
    "aten.where.Scalar": _where,
    "aten.masked_fill.Scalar": _masked_fill,
    "aten.masked_fill.Tensor": _masked_fill,
    "aten._to_copy.default": _converted,
    "aten.to.dtype": _converted,
    "aten.to.device": _converted,
    "aten.to.dtype_layout": _converted,
    "aten.type_as.default": _converted,
}  # fmt: skip
