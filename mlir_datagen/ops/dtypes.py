"""The element types that a program may have, as words: `f32`, or `i8_i32` where the operands' are not the result's."""

from __future__ import annotations

from functools import lru_cache

from mlir_datagen.mlir.element_types import ELEMENT_TYPES, is_float
from mlir_datagen.ops.scalars import SCALARS
from mlir_datagen.ops.structured_operation import StructuredOperation

DEFAULT = "f32"
DEFAULT_INTEGER = "i32"
"""That of operations which floating-point types do not have."""
_COMPUTED = (DEFAULT, "f64", "f16", "bf16", "i8", "i16", DEFAULT_INTEGER, "i64")
_WIDENED = ("f16_f32", "bf16_f32", "f32_f64", "i8_i32")
_MOVED = ("f8E4M3FN", "f8E5M2")
"""What nothing lowers the arithmetic of, so that only operations which move elements have them."""


def of_operands(word: str) -> str:
    """Return the element type of the operands with contents, but for the truth values among them."""
    return word.partition("_")[0]


def of_result(word: str) -> str:
    """Return the element type of the result."""
    return word.rpartition("_")[2]


@lru_cache(maxsize=1024)
def words_of(operations: tuple[StructuredOperation, ...], only_floats: bool) -> tuple[str, ...]:
    """Return the element types that programs of some operations, one after the other, may have.

    Args:
        operations: the main operation, and those that follow it.
        only_floats: whether its integers would be another operation.
    """
    steps = [SCALARS[step] for operation in operations for step in operation.steps]
    casts, moves = operations[0].casts, all(step.is_free for step in steps)
    coarsest = min(operation.coarsest for operation in operations)
    words = (*_COMPUTED, *(_WIDENED if casts else ()), *(_MOVED if moves else ()))
    return tuple(
        word
        for word in words
        if ELEMENT_TYPES[of_result(word)].unit <= coarsest
        and all(step.has(of_result(word)) for step in steps)
        and (is_float(of_result(word)) or not only_floats)
    )
