"""Elementwise operations, on operands of one shape of one to four dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from mlir_datagen.mlir.element_types import is_float
from mlir_datagen.ops.body import NUMBER, Body
from mlir_datagen.ops.dtypes import of_operands
from mlir_datagen.ops.family import LARGE, OpFamily, Spec, Variant
from mlir_datagen.ops.structured_operation import Category, StructuredOperation, Versions, from_line, unnamed

AXES_BY_RANK = {
    1: ("length",),
    2: ("rows", "columns"),
    3: ("batch", "rows", "columns"),
    4: ("batch", "channels", "height", "width"),
}
_NAMED = Versions(19, 23)
"""LLVM's main branch has no names for them since September 2026; 23 is the last release that does."""

Range = tuple[float, float]

_ANY, _FROM_ZERO, _OFF_ZERO = (-1.0, 1.0), (0.1, 10.0), (0.5, 2.0)
_DIVISORS = (3.0, 20.0)
"""Of integers: what is divided by more has few quotients, and unsigned ones are then within a signed integer."""
_BINARY: dict[str, tuple[Range, Range]] = {
    "add": (_ANY, _ANY),
    "mul": (_ANY, _ANY),
    "max": (_ANY, _ANY),
    "sub": (_ANY, _ANY),
    "div": (_ANY, _OFF_ZERO),
    "div_unsigned": (_ANY, _OFF_ZERO),
    "min": (_ANY, _ANY),
    "powf": (_OFF_ZERO, (-2.0, 3.0)),
}
"""Operations of two operands, and ranges of these in which they are defined and wrong ones show."""
_UNARY: dict[str, tuple[str, Range]] = {
    "exp": ("exp(a)", (-4.0, 4.0)),
    "log": ("log(a)", _FROM_ZERO),
    "abs": ("abs(a)", _ANY),
    "ceil": ("ceil(a)", (-8.0, 8.0)),
    "floor": ("floor(a)", (-8.0, 8.0)),
    "negf": ("neg(a)", _ANY),
    "round": ("round(a)", (-8.0, 8.0)),
    "sqrt": ("sqrt(a)", _FROM_ZERO),
    "rsqrt": ("rsqrt(a)", _FROM_ZERO),
    "tanh": ("tanh(a)", (-3.0, 3.0)),
    "erf": ("erf(a)", (-2.0, 2.0)),
    "square": ("mul(a, a)", (-3.0, 3.0)),
    "reciprocal": ("div(1, a)", _OFF_ZERO),
}
"""Operations of one operand: what they compute, and the same ranges."""
_MAPPED: dict[str, Range] = {"sin": (-3.0, 3.0), "cos": (-3.0, 3.0), "log1p": (-0.9, 9.0)}
"""What `linalg.map` is made of: scalar operations that linalg has no name for. A map of others would be theirs."""
KINDS = (*_BINARY, *_UNARY, "select")
"""What linalg has names for, on operands of any rank."""
_CATEGORIES = {"max": "max_signed", "min": "min_signed"}
"""What `linalg.elementwise` calls those that it has by another name."""


def dimensions(rank: int) -> tuple[str, ...]:
    """Return the names of dimensions."""
    return tuple(f"d{axis}" for axis in range(rank))


@lru_cache
def elementwise(kind: str, rank: int) -> StructuredOperation:
    """Return the named operation of a kind, on operands of a rank."""
    body = _UNARY[kind][0] if kind in _UNARY else "select(a, b, c)" if kind == "select" else f"{kind}(a, b)"
    operand = " ".join(dimensions(rank))
    operands = ", ".join([operand] * (1 if kind in _UNARY else 3 if kind == "select" else 2))
    # The syntax is another one in later versions.
    what = f"linalg.elementwise kind=#linalg.elementwise_kind<{_CATEGORIES.get(kind, kind)}>"
    return from_line(kind, f"{operands} -> {operand}", Body(body), _NAMED, Category(what, Versions(22, 23)))


def with_number(kind: str, rank: int) -> StructuredOperation:
    """Return the operation of each element and a number; linalg has no names for these."""
    line = " ".join(dimensions(rank))
    return unnamed(f"{line} -> {line}", f"{kind}(a, {NUMBER})")


def mapped(kind: str, rank: int) -> StructuredOperation:
    """Return a scalar operation that is done to each element."""
    line = " ".join(dimensions(rank))
    return from_line("map", f"{line} -> {line}", Body(f"{kind}(a)"), Versions(16))


def _variants(
    make: Callable[[str, int], StructuredOperation], kinds: Iterable[str], says_kind: bool, only_floats: bool = False
) -> list[Variant]:
    """Return the variants of some kinds on operands of each rank."""
    return [
        Variant(kind, make(kind, rank), dimensions(rank), axes, rank, says_kind, only_floats=only_floats)
        for kind in kinds
        for rank, axes in AXES_BY_RANK.items()
    ]


class _Binary(OpFamily):
    """Operations of two operands."""

    def input_ranges(self, spec: Spec) -> Sequence[Range]:
        """Numbers for which they are defined."""
        if is_float(of_operands(spec.dtype)):
            return _BINARY[spec.kind]
        whole = (-LARGE, LARGE)
        return whole, _DIVISORS if spec.kind in ("div", "div_unsigned") else whole


class _Unary(OpFamily):
    """Operations of one operand."""

    def input_range(self, spec: Spec) -> Range:
        """Numbers for which they are defined."""
        return _MAPPED[spec.kind] if spec.kind in _MAPPED else _UNARY[spec.kind][1]


class _Relu(OpFamily):
    """The rectified linear unit, max(x, 0)."""

    def number(self, sizes: Mapping[str, Any]) -> int:
        """The zero."""
        return 0

    def input_range(self, spec: Spec) -> Range:
        """Both signs, as on positive elements the identity is right; and beyond 6, where a ReLU6 ends."""
        return -10.0, 10.0

    def pytorch(self, spec: Spec) -> Callable[..., Any]:
        import torch

        relu: Callable[..., Any] = torch.relu
        return relu


FAMILIES = (
    _Binary("elementwise", _variants(elementwise, _BINARY, True), ("lhs", "rhs"), "result"),
    _Relu("relu", _variants(lambda _, rank: with_number("max", rank), ["generic"], False), ("input",), "result"),
    _Unary("unary", _variants(elementwise, _UNARY, True, only_floats=True), ("input",), "result"),
    OpFamily("select", _variants(elementwise, ["select"], False), ("condition", "lhs", "rhs"), "result"),
    _Unary("map", _variants(mapped, _MAPPED, True), ("input",), "result"),
)
