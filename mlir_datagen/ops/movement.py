"""Operations that move elements along dimensions, or add them up there: copy, broadcast, transpose and reduce.

Nothing is computed but what a reduction accumulates. A program's shape is that of the larger side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlir_datagen.ops.body import Body
from mlir_datagen.ops.elementwise import AXES_BY_RANK, dimensions
from mlir_datagen.ops.family import OpFamily, Spec, Variant
from mlir_datagen.ops.structured_operation import StructuredOperation, Versions, from_line

_PERMUTATIONS: dict[str, Sequence[Sequence[int]]] = {
    "swap_last": ((1, 0), (0, 2, 1), (0, 1, 3, 2)),
    "reverse": ((2, 1, 0), (3, 2, 1, 0)),
    "rotate": ((1, 2, 0), (1, 2, 3, 0)),
    "channels_last": ((0, 2, 3, 1),),
    "channels_first": ((0, 3, 1, 2),),
}
"""Which dimension of the operand each of the result's is; none of them twice."""
_REPEATED: dict[str, Sequence[tuple[int, Sequence[int]]]] = {
    "first": ((2, (0,)), (3, (0,)), (4, (0,))),
    "last": ((2, (1,)), (3, (2,)), (4, (3,))),
    "around": ((3, (0, 2)), (4, (0, 2, 3))),
}
"""Along which of a number of dimensions a broadcast repeats: the last is what a bias of channels needs."""
_REDUCED: dict[str, Sequence[tuple[int, Sequence[int]]]] = {
    "first": ((2, (0,)), (3, (0,)), (4, (0,))),
    "last": ((1, (0,)), (2, (1,)), (3, (2,)), (4, (3,))),
    "around": ((3, (0, 2)), (4, (0, 2, 3))),
    "inner": ((3, (1, 2)), (4, (2, 3))),
}
"""Along which of a number of dimensions a reduction goes. Products of many numbers are zero, so that there are none."""


def _variant(kind: str, operation: StructuredOperation, rank: int, says_kind: bool = True) -> Variant:
    return Variant(kind, operation, dimensions(rank), AXES_BY_RANK[rank], rank, says_kind)


def copy(rank: int) -> StructuredOperation:
    """Return the copy of a tensor."""
    line = " ".join(dimensions(rank))
    return from_line("copy", f"{line} -> {line}", Body("a"), Versions(16), casts=True)


def transpose(permutation: Sequence[int]) -> StructuredOperation:
    """Return the transposition by which dimension i of the result is number `permutation[i]` of the operand."""
    line = " ".join(dimensions(len(permutation)))
    return from_line("transpose", f"{line} -> {' '.join(f'd{axis}' for axis in permutation)}", Body("a"), Versions(16))


def broadcast(rank: int, repeated: Sequence[int]) -> StructuredOperation:
    """Return the broadcast to a number of dimensions, along these."""
    read = " ".join(f"d{axis}" for axis in range(rank) if axis not in repeated)
    written = " ".join(f"+d{axis}" if axis in repeated else f"d{axis}" for axis in range(rank))
    return from_line("broadcast", f"{read} -> {written}", Body("a"), Versions(16))


def reduce(scalar: str, rank: int, reduced: Sequence[int]) -> StructuredOperation:
    """Return the reduction with a scalar operation of a number of dimensions, along these."""
    line, left = " ".join(dimensions(rank)), " ".join(f"d{axis}" for axis in range(rank) if axis not in reduced)
    return from_line("reduce", f"{line} -> {left}", Body("a", scalar), Versions(16), loops=line)


class _Reduction(OpFamily):
    """A reduction; its kind says with what, and along which dimensions: `add_last`."""

    def input_range(self, spec: Spec) -> tuple[float, float]:
        """Numbers on one side of zero for an extreme, as one that starts from zero is right on others."""
        ranges: Mapping[str | None, tuple[float, float]] = {"max": (-1e30, 0.0), "min": (0.0, 1e30)}
        accumulate = spec.variant.operation.body.accumulate
        return ranges[accumulate] if accumulate in ranges else super().input_range(spec)


FAMILIES = (
    OpFamily("copy", [_variant("generic", copy(rank), rank, False) for rank in AXES_BY_RANK], ("input",), "result"),
    OpFamily(
        "broadcast",
        [_variant(kind, broadcast(*each), each[0]) for kind, cases in _REPEATED.items() for each in cases],
        ("input",),
        "result",
    ),
    OpFamily(
        "transpose",
        [_variant(kind, transpose(each), len(each)) for kind, cases in _PERMUTATIONS.items() for each in cases],
        ("input",),
        "result",
    ),
    _Reduction(
        "reduce",
        [
            _variant(f"{scalar}_{kind}", reduce(scalar, *each), each[0])
            for scalar in ("add", "max", "min")
            for kind, cases in _REDUCED.items()
            for each in cases
        ],
        ("input",),
        "result",
    ),
)
