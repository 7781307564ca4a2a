"""The structured operations by name: what the nodes of a graph may be, besides those that a line alone says."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from mlir_datagen.ops.contractions import CONTRACTIONS
from mlir_datagen.ops.elementwise import KINDS, elementwise
from mlir_datagen.ops.structured_operation import StructuredOperation
from mlir_datagen.ops.windows import CONVOLUTIONS, POOLINGS

_FIXED = {
    operation.name: operation for operation in (*CONTRACTIONS.values(), *CONVOLUTIONS.values(), *POOLINGS.values())
}
_OF_ANY_RANK: dict[str, Callable[[int], StructuredOperation]] = {
    kind: lambda rank, kind=kind: elementwise(kind, rank)  # type: ignore[misc]
    for kind in KINDS
}


@lru_cache(maxsize=1024)
def named_operation(name: str, rank: int) -> StructuredOperation | None:
    """Return the operation that linalg calls by a name; None where the vocabulary has none.

    Args:
        name: the name, without the dialect.
        rank: of its first operand, for those that take any.
    """
    if name in _OF_ANY_RANK:
        return _OF_ANY_RANK[name](rank)
    return _FIXED.get(name)
