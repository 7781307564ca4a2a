"""Scalar operations: the table of what bodies of structured operations consist of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mlir_datagen.mlir.element_types import ELEMENT_TYPES, highest, is_float, lowest

OLDEST_MLIR = 16
"""The oldest MLIR that anything is held against."""


class Scalar(NamedTuple):
    """A scalar operation.

    Attributes:
        floats, integers, truth_values: what MLIR calls it for each kind of element type; truth values have no sign.
            None where it has none.
        torch: what PyTorch calls it.
        oldest_mlir: the oldest MLIR that knows the name of that for floating-point types; all know the others.
        arity: how many operands it takes.
        start: what a reduction with it starts from, by element type; None where none is made with it.
        is_free: whether it is no arithmetic.
    """

    floats: str | None
    integers: str | None
    truth_values: str | None
    torch: str
    oldest_mlir: int = OLDEST_MLIR
    arity: int = 2
    start: Callable[[str], float] | None = None
    is_free: bool = False

    def start_of(self, dtype: str) -> float:
        """Return what a reduction with it starts from."""
        assert self.start is not None
        return self.start(dtype)

    def oldest_for(self, dtype: str) -> int:
        """Return the oldest MLIR that knows its name for an element type, of those that anything is held against."""
        return self.oldest_mlir if is_float(dtype) else OLDEST_MLIR

    def spelled(self, dtype: str) -> str:
        """Return what MLIR calls it for an element type that has it."""
        found = self.floats if is_float(dtype) else self.truth_values if dtype == "i1" else self.integers
        assert found is not None
        return found

    def has(self, dtype: str) -> bool:
        """Return whether there is one for an element type."""
        return (self.floats if is_float(dtype) else self.truth_values if dtype == "i1" else self.integers) is not None


def _unary(floats: str, torch: str) -> Scalar:
    return Scalar(floats, None, None, torch, arity=1)


SCALARS = {
    "add": Scalar("arith.addf", "arith.addi", "arith.ori", "add", start=lambda dtype: 0),
    "sub": Scalar("arith.subf", "arith.subi", None, "sub"),
    "mul": Scalar("arith.mulf", "arith.muli", "arith.andi", "mul", start=lambda dtype: 1),
    "div": Scalar("arith.divf", "arith.divsi", "arith.divsi", "div"),
    "max": Scalar("arith.maximumf", "arith.maxsi", "arith.ori", "maximum", 19, start=lowest),
    "min": Scalar("arith.minimumf", "arith.minsi", "arith.andi", "minimum", 19, start=highest),
    "div_unsigned": Scalar(None, "arith.divui", None, "div"),
    "max_unsigned": Scalar(None, "arith.maxui", None, "maximum", start=lambda dtype: 0),
    "min_unsigned": Scalar(None, "arith.minui", None, "minimum", start=lambda dtype: -1),
    "powf": Scalar("math.powf", None, None, "pow"),
    "exp": _unary("math.exp", "exp"),
    "log": _unary("math.log", "log"),
    "abs": _unary("math.absf", "abs"),
    "ceil": _unary("math.ceil", "ceil"),
    "floor": _unary("math.floor", "floor"),
    "neg": _unary("arith.negf", "neg"),
    "sqrt": _unary("math.sqrt", "sqrt"),
    "rsqrt": _unary("math.rsqrt", "rsqrt"),
    "tanh": _unary("math.tanh", "tanh"),
    "erf": _unary("math.erf", "erf"),
    "sin": _unary("math.sin", "sin"),
    "cos": _unary("math.cos", "cos"),
    "log1p": _unary("math.log1p", "log1p"),
    "round": _unary("math.round", "round"),
    "equal": Scalar("arith.cmpf oeq,", "arith.cmpi eq,", "arith.cmpi eq,", "eq"),
    "select": Scalar("arith.select", "arith.select", "arith.select", "where", arity=3, is_free=True),
}
"""By the name that linalg's elementwise operations have, where there is one."""


def conversion(source: str, dtype: str) -> str:
    """Return the scalar operation that converts between two element types, neither of them a conversion to i1."""
    is_wider = ELEMENT_TYPES[dtype].bits > ELEMENT_TYPES[source].bits
    if is_float(source):
        if is_float(dtype):
            return "arith.extf" if is_wider else "arith.truncf"
        return "arith.fptosi"
    if is_float(dtype):
        return "arith.uitofp" if source == "i1" else "arith.sitofp"
    if not is_wider:
        return "arith.trunci"
    return "arith.extui" if source == "i1" else "arith.extsi"
