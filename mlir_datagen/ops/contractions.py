"""Contractions: products of matrices, vectors and batches of them, each added up along the dimensions that are reduced.

A line is an operation and a family of its own, whose axes are the loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlir_datagen.ops.body import Body
from mlir_datagen.ops.family import OpFamily, Spec, Variant
from mlir_datagen.ops.structured_operation import Category, StructuredOperation, Versions, from_line

_CONTRACT = Category("linalg.contract indexing_maps = [{maps}]", Versions(22))
_MULTIPLY_ADD = Body("mul(a, b)", "add")

CONTRACTIONS: dict[str, StructuredOperation] = {
    name: from_line(name, line, _MULTIPLY_ADD, Versions(16), _CONTRACT)
    for name, line in {
        "matmul": "m k, k n -> m n",
        "batch_matmul": "batch m k, batch k n -> batch m n",
        "batch_matvec": "batch m k, batch k -> batch m",
    }.items()
}


_PYTORCH = {"matmul": "matmul", "batch_matmul": "bmm"}
"""What PyTorch calls them; all others are an einsum."""


class _Contraction(OpFamily):
    def pytorch(self, spec: Spec) -> Callable[..., Any]:
        import torch

        return getattr(torch, _PYTORCH[self.name]) if self.name in _PYTORCH else super().pytorch(spec)


def _family(name: str, operation: StructuredOperation) -> OpFamily:
    loops = operation.notation.loops
    # As in mk_kn: the operands' layouts, by the first letters of their dimensions.
    layouts = "_".join("".join(name[0] for name in operand.names) for operand in operation.notation.inputs)
    variant = Variant(layouts, operation, loops, loops, rank=None, says_kind=False)
    return _Contraction(name, [variant], ("lhs", "rhs"), "product")


FAMILIES = tuple(_family(*pair) for pair in CONTRACTIONS.items())
