"""Operations that scale what they read by a sum of it: the softmax along a dimension."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.ops.elementwise import AXES_BY_RANK, dimensions
from mlir_datagen.ops.family import Constraint, OpFamily, Spec, Variant
from mlir_datagen.ops.graph import Node
from mlir_datagen.ops.program_family import LARGEST_TOLERANCE
from mlir_datagen.ops.softmax import Softmax, softmax

_ALONG: Mapping[str, Sequence[tuple[int, int]]] = {
    "last": tuple((rank, rank - 1) for rank in AXES_BY_RANK),
    "first": ((2, 0), (3, 0), (4, 0)),
}
"""Along which of a number of dimensions: the first one of a single one is the last."""


def _operation(spec: Spec) -> Softmax:
    operation = spec.variant.operation
    assert isinstance(operation, Softmax)
    return operation


class _Softmax(OpFamily):
    """Its kind says along which dimension."""

    def constraints(self, spec: Spec) -> Sequence[Constraint]:
        """Along one element, all are 1, whatever is read."""
        reduced = spec.sizes[_operation(spec).along]
        return [
            Constraint(reduced > 1, "the softmax of one element is 1: the dimension that it goes along is always 1")
        ]

    def input_range(self, spec: Spec) -> tuple[float, float]:
        """Return numbers whose exponentials overflow, unless the largest is taken from them before."""
        least = math.ceil(math.log(ELEMENT_TYPES[spec.dtype].largest))
        return least, least + 8.0

    def pytorch(self, spec: Spec) -> Callable[..., Any]:
        import torch

        return partial(torch.softmax, dim=_operation(spec).axis)

    def baseline_seconds(self, spec: Spec) -> Any:
        """Estimate how long one call of the program takes as plain loops: of each part, one after the other."""
        graph, (node,) = self.graph(spec), self.nodes(spec)
        parts = tuple(Node(part, numbers, node.sizes, node.dtype) for part, numbers in _operation(spec).parts)
        taken_apart = replace(graph, nodes=parts, returned={len(parts): ""})
        return sum(taken_apart.node_seconds(place, moved) for place, moved in enumerate(taken_apart.node_bytes))

    def tolerance(self, spec: Spec) -> float:
        """Return the largest error that rounding explains: of the sum that is divided by, as a reduction has it."""
        added = spec.sizes[_operation(spec).along]
        return min(8 * ELEMENT_TYPES[spec.variant.result_dtype].unit * (1 + math.sqrt(added)), LARGEST_TOLERANCE)


FAMILIES = (
    _Softmax(
        "softmax",
        [
            Variant(kind, softmax(*case), dimensions(case[0]), AXES_BY_RANK[case[0]], case[0], says_kind=True)
            for kind, cases in _ALONG.items()
            for case in cases
        ],
        ("input",),
        "result",
    ),
)
