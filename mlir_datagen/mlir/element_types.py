"""The element types that networks have, and how MLIR writes their numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

ELEMENT_TYPES = ("i1", "i8", "i16", "i32", "i64", "f32", "f64")
"""Element types of networks, in PyTorch's order of promotion. Those of random programs are in `mlir.types`."""

_NOT_FINITE = {
    "f32": ("0x7FC00000", "0x7F800000", "0xFF800000"),
    "f64": ("0x7FF8000000000000", "0x7FF0000000000000", "0xFFF0000000000000"),
}
"""NaN, inf and -inf, which MLIR writes as bit patterns."""


_BEYOND = {"f32": 2.0**128 - 2.0**103, "f64": math.inf}
"""From where on a number is rounded to infinity: half a unit above the largest."""


def is_float(dtype: str) -> bool:
    """Return whether an element type is a floating-point type."""
    return dtype.startswith("f")


def literal(number: float, dtype: str) -> str:
    """Return a number as MLIR writes it for an element type: `1.0e-05`, `3`, `true`."""
    if dtype == "i1":
        return "true" if number else "false"
    if not is_float(dtype):
        # Modulo what the type holds, as PyTorch converts integers.
        beyond = 1 << (int(dtype[1:]) - 1)
        return str((int(number) + beyond) % (2 * beyond) - beyond)
    if abs(number) >= _BEYOND[dtype]:
        number = math.copysign(math.inf, number)
    nan, positive, negative = _NOT_FINITE[dtype]
    if math.isnan(number):
        return nan
    if math.isinf(number):
        return positive if number > 0 else negative
    mantissa, exponent_mark, exponent = repr(float(number)).partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}{exponent_mark}{exponent}"


def lowest(dtype: str) -> float:
    """Return what a maximum starts from: minus infinity, or the least integer."""
    if is_float(dtype):
        return -math.inf
    return 0 if dtype == "i1" else -(2 ** (int(dtype[1:]) - 1))


def highest(dtype: str) -> float:
    """Return what a minimum starts from: infinity, or the largest integer."""
    if is_float(dtype):
        return math.inf
    return 1 if dtype == "i1" else 2 ** (int(dtype[1:]) - 1) - 1


def dense(values: Any, dtype: str) -> str:
    """Return nested lists of numbers, or one number for all elements, as a dense attribute without its type."""
    return f"dense<{_nested(values, dtype)}>"


def promoted(dtypes: Sequence[str]) -> str:
    """Return the element type that PyTorch promotes tensors of these element types to."""
    return max(dtypes, key=ELEMENT_TYPES.index)


def _nested(values: Any, dtype: str) -> str:
    if isinstance(values, (list, tuple)):
        return f"[{', '.join([_nested(value, dtype) for value in values])}]"
    return literal(values, dtype)
