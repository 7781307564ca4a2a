"""Softmax, which linalg has as one operation without a body: what it computes are four in a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from mlir_datagen.mlir.builder import FunctionBuilder, Value
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.ops.body import Body
from mlir_datagen.ops.notation import read
from mlir_datagen.ops.structured_operation import StructuredOperation, Versions, unnamed

_VERSIONS = Versions(19)


@dataclass(frozen=True)
class Softmax(StructuredOperation):
    """The exponentials along a dimension, divided by their sum: from the largest element, so that nothing overflows.

    Its loops are those that MLIR tiles it by: they go over all elements, and along the dimension they depend on each
    other.

    Attributes:
        axis: the place of the dimension.
    """

    axis: int = 0

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return softmax, (len(self.notation.loops), self.axis)

    @property
    def has_body(self) -> bool:
        """It has none by its name."""
        return False

    @cached_property
    def parts(self) -> tuple[tuple[StructuredOperation, tuple[int, ...]], ...]:
        """The operations that it consists of, and the numbers of the values that each reads: first of all its input."""
        loops = self.notation.loops
        whole, kept = " ".join(loops), " ".join(loop for loop in loops if loop != self.along)
        return (
            (unnamed(f"{whole} -> {kept}", "a", "max", whole), (0,)),
            (unnamed(f"{whole}, {kept} -> {whole}", "exp(sub(a, b))"), (0, 1)),
            (unnamed(f"{whole} -> {kept}", "a", "add", whole), (2,)),
            (unnamed(f"{whole}, {kept} -> {whole}", "div(a, b)"), (2, 3)),
        )

    @property
    def along(self) -> str:
        """The loop along which its elements depend on each other."""
        return self.notation.loops[self.axis]

    @cached_property
    def steps(self) -> tuple[str, ...]:
        """The scalar operations of one point, in order: each part has one point for each of its elements."""
        return tuple(step for part, _ in self.parts for step in part.steps)

    @property
    def coarsest(self) -> float:
        """That of f16: sums of a thousand elements in bf16 are off by as much as another base of the power is."""
        return ELEMENT_TYPES["f16"].unit

    @cached_property
    def _flops(self) -> int:
        return sum(part.body.flops for part, _ in self.parts)

    @cached_property
    def iterators(self) -> tuple[str, ...]:
        """`reduction` for the dimension, and `parallel` for all others."""
        return tuple("reduction" if loop == self.along else "parallel" for loop in self.notation.loops)

    @property
    def _tail(self) -> str | None:
        return None

    def _head(self, dtype: str) -> str:
        return f"softmax dimension({self.axis})"

    def _emit_generic(
        self,
        builder: FunctionBuilder,
        operands: Sequence[Value],
        init: Value,
        scalars: Sequence[str],
        sizes: Mapping[str, int],
    ) -> Value:
        values = list(operands)
        for place, (part, numbers) in enumerate(self.parts, 1):
            own = init if place == len(self.parts) else None
            read_here = [values[number] for number in numbers]
            values.append(part.emit(builder, read_here, sizes, own, init.type.dtype))
        return values[-1]


@lru_cache
def softmax(rank: int, axis: int) -> Softmax:
    """Return the softmax along a dimension of a tensor of so many."""
    line = " ".join(f"d{place}" for place in range(rank))
    return Softmax("softmax", read(f"{line} -> {line}"), Body("a"), _VERSIONS, axis=axis)
