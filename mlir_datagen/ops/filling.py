"""Operations that fill a tensor, from scalars: each of these is an argument without dimensions, so that it shows."""

from __future__ import annotations

from collections.abc import Sequence

from mlir_datagen.mlir.element_types import is_float
from mlir_datagen.ops.body import Body
from mlir_datagen.ops.dtypes import of_operands
from mlir_datagen.ops.elementwise import AXES_BY_RANK, dimensions
from mlir_datagen.ops.family import LARGE, OpFamily, Spec, Variant
from mlir_datagen.ops.structured_operation import StructuredOperation, Versions, from_line

_MULTIPLIER, _INCREMENT = 1103515245, 12345
"""Of the linear congruential generator of ANSI C, which linalg steps once for each dimension."""


def _step(state: str) -> str:
    return f"add(mul({state}, i64({_MULTIPLIER})), i64({_INCREMENT}))"


_RANDOM = _step(f"add(index(n), {_step('add(index(m), c)')})")
"""A whole number for each row and column, of all that 32 bits hold; overflows wrap around."""
FILL_RNG_2D = from_line(
    "fill_rng_2d",
    "(f64), (f64), (i32) -> +m +n",
    Body(f"f64(add(mul(add(i64(2147483647), i32({_RANDOM})), mul(sub(b, a), 2.3283064e-10)), a))"),
    Versions(16),
)


def fill(rank: int) -> StructuredOperation:
    """Return the operation that gives all elements of a tensor one value."""
    written = " ".join(f"+{name}" for name in dimensions(rank))
    return from_line("fill", f"() -> {written}", Body("a"), Versions(16))


class _Fill(OpFamily):
    def input_range(self, spec: Spec) -> tuple[float, float]:
        """Return numbers off zero and one, which a wrong value might be."""
        return (1.5, 100.0) if is_float(of_operands(spec.dtype)) else (2.0, 100.0)


class _RandomFill(OpFamily):
    """Two bounds and a seed; what is made of them is the same on every machine."""

    def input_ranges(self, spec: Spec) -> Sequence[tuple[float, float]]:
        """Return bounds on both sides of zero, which every element type holds, and seeds."""
        return (-100.0, -20.0), (20.0, 100.0), (1.0, LARGE)


FAMILIES = (
    _Fill(
        "fill",
        [
            Variant("generic", fill(rank), dimensions(rank), axes, rank, says_kind=False)
            for rank, axes in AXES_BY_RANK.items()
        ],
        ("value",),
        "filled",
    ),
    _RandomFill(
        "fill_rng_2d",
        [Variant("mn", FILL_RNG_2D, ("m", "n"), ("rows", "columns"), None, says_kind=False)],
        ("minimum", "maximum", "seed"),
        "filled",
    ),
)
