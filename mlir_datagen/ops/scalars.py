"""Scalar operations: what the body of a structured operation computes at a point of its iteration space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mlir_datagen.mlir.element_types import highest, is_float, lowest


class Scalar(NamedTuple):
    """A scalar operation.

    Attributes:
        floats, integers, truth_values: what MLIR calls it for each kind of element type; truth values have no sign.
        torch: what PyTorch calls it.
        oldest_mlir: the oldest MLIR that knows these names.
        start: what a reduction with it starts from, by element type; None where none is made with it.
    """

    floats: str
    integers: str
    truth_values: str
    torch: str
    oldest_mlir: int
    start: Callable[[str], float] | None = None

    def start_of(self, dtype: str) -> float:
        """Return what a reduction with it starts from."""
        assert self.start is not None
        return self.start(dtype)

    def spelled(self, dtype: str) -> str:
        """Return what MLIR calls it for an element type."""
        return self.floats if is_float(dtype) else self.truth_values if dtype == "i1" else self.integers


SCALARS = {
    "add": Scalar("arith.addf", "arith.addi", "arith.ori", "add", 16, lambda dtype: 0),
    "mul": Scalar("arith.mulf", "arith.muli", "arith.andi", "mul", 16, lambda dtype: 1),
    "max": Scalar("arith.maximumf", "arith.maxsi", "arith.ori", "maximum", 19, lowest),
    "min": Scalar("arith.minimumf", "arith.minsi", "arith.andi", "minimum", 19, highest),
    "div": Scalar("arith.divf", "arith.divsi", "arith.divsi", "div", 16),
}
"""By the name that linalg's elementwise operations have."""


class Body(NamedTuple):
    """What is computed at a point: the inputs are combined, and the result is accumulated.

    Attributes:
        combine: what combines the inputs, from the first on; None where there is one, which is taken as it is.
        accumulate: what adds that to the result so far; None where nothing is reduced.
        has_number: whether the inputs are combined with a number, too, after the last.
    """

    combine: str | None
    accumulate: str | None
    has_number: bool = False

    @property
    def steps(self) -> tuple[str, ...]:
        """The scalar operations, in order, of one point, with at most two inputs."""
        return tuple(each for each in (self.combine, self.accumulate) if each is not None)

    def start(self, dtype: str) -> float:
        """Return what a result starts from that is accumulated."""
        assert self.accumulate is not None
        return SCALARS[self.accumulate].start_of(dtype)

    def emit(self, inputs: Sequence[str], result: str, dtype: str, fresh: Callable[[], str]) -> tuple[list[str], str]:
        """Return its lines of text, and the name of what they compute.

        Args:
            inputs: the names of the elements that are read, the number's name last where there is one.
            result: the name of the result's element so far.
            dtype: the element type.
            fresh: gives the next name.
        """
        lines: list[str] = []

        def computed(kind: str, lhs: str, rhs: str) -> str:
            name = fresh()
            lines.append(f"{name} = {SCALARS[kind].spelled(dtype)} {lhs}, {rhs} : {dtype}")
            return name

        value = inputs[0]
        for other in inputs[1:]:
            assert self.combine is not None
            value = computed(self.combine, value, other)
        if self.accumulate is not None:
            value = computed(self.accumulate, result, value)
        return lines, value

    def torch_function(self, kind: str) -> Any:
        """Return PyTorch's function of a scalar operation."""
        import torch

        return getattr(torch, SCALARS[kind].torch)
