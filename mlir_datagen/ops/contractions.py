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
_WITHOUT_CASTS = "batch_reduce_matmul"
"""What MLIR 19 does not convert the operands of."""

CONTRACTIONS: dict[str, StructuredOperation] = {
    name: from_line(name, line, _MULTIPLY_ADD, Versions(oldest), _CONTRACT, loops, casts=name != _WITHOUT_CASTS)
    for name, oldest, line, loops in (
        ("matmul", 16, "m k, k n -> m n", ""),
        ("batch_matmul", 16, "batch m k, batch k n -> batch m n", ""),
        ("batch_matvec", 16, "batch m k, batch k -> batch m", ""),
        ("batch_vecmat", 19, "batch k, batch k n -> batch n", ""),
        ("batch_reduce_matmul", 16, "batch m k, batch k n -> m n", "batch m n k"),
        ("matvec", 16, "m k, k -> m", ""),
        ("vecmat", 16, "k, k n -> n", ""),
        ("dot", 16, "k, k ->", ""),
        ("mmt4d", 16, "m k m0 k0, n k n0 k0 -> m n m0 n0", "m n k m0 n0 k0"),
        ("batch_mmt4d", 19, "batch m k m0 k0, batch n k n0 k0 -> batch m n m0 n0", "batch m n k m0 n0 k0"),
    )
}
_TILED = {f"{axis}{inner}": f"{which}_{axis}" for axis in "mnk" for inner, which in (("", "outer"), ("0", "tile"))}
"""What the axes of a product of tiles are called."""


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
    axes = tuple(_TILED.get(loop, loop) for loop in loops) if "m0" in loops else loops
    variant = Variant(layouts, operation, loops, axes, rank=None, says_kind=False)
    return _Contraction(name, [variant], ("lhs", "rhs"), "product")


FAMILIES = tuple(_family(*pair) for pair in CONTRACTIONS.items())
