"""Elementwise operations, on operands of one shape of one to four dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlir_datagen.ops.body import Body
from mlir_datagen.ops.family import OpFamily, Spec, Variant
from mlir_datagen.ops.structured_operation import Category, StructuredOperation, Versions, from_line

_AXES_BY_RANK = {
    1: ("length",),
    2: ("rows", "columns"),
    3: ("batch", "rows", "columns"),
    4: ("batch", "channels", "height", "width"),
}
_NAMED = Versions(19, 23)
"""LLVM's main branch has no names for them since September 2026; 23 is the last release that does."""
KINDS = {"add": "add", "mul": "mul", "max": "max_signed"}
"""Operations of two operands, and what `linalg.elementwise` calls them."""


def dimensions(rank: int) -> tuple[str, ...]:
    """Return the names of the dimensions of elementwise operations of a rank."""
    return tuple(f"d{axis}" for axis in range(rank))


def elementwise(kind: str, rank: int) -> StructuredOperation:
    """Return the named operation of a kind, on operands of a rank."""
    line = " ".join(dimensions(rank))
    # The syntax is another one in later versions.
    category = Category(f"linalg.elementwise kind=#linalg.elementwise_kind<{KINDS[kind]}>", Versions(22, 23))
    return from_line(kind, f"{line}, {line} -> {line}", Body(f"{kind}(a, b)"), _NAMED, category)


def with_number(kind: str, rank: int) -> StructuredOperation:
    """Return the operation of each element and a number; linalg has no names for these."""
    line = " ".join(dimensions(rank))
    return from_line(None, f"{line} -> {line}", Body(f"{kind}(a, number)"), Versions(16))


def _variant(kind: str, operation: StructuredOperation, rank: int, says_kind: bool) -> Variant:
    return Variant(kind, operation, dimensions(rank), _AXES_BY_RANK[rank], rank, says_kind)


class _Relu(OpFamily):
    """The rectified linear unit, max(x, 0)."""

    def number(self, sizes: Mapping[str, Any]) -> int:
        """The zero."""
        return 0

    def input_range(self, spec: Spec) -> tuple[float, float]:
        """Both signs, as on positive elements the identity is right; and beyond 6, where a ReLU6 ends."""
        return -10.0, 10.0

    def pytorch(self, spec: Spec) -> Callable[..., Any]:
        import torch

        relu: Callable[..., Any] = torch.relu
        return relu


FAMILIES = (
    OpFamily(
        "elementwise",
        [_variant(kind, elementwise(kind, rank), rank, True) for kind in KINDS for rank in _AXES_BY_RANK],
        ("lhs", "rhs"),
        "result",
    ),
    _Relu(
        "relu",
        [_variant("generic", with_number("max", rank), rank, False) for rank in _AXES_BY_RANK],
        ("input",),
        "result",
    ),
)
