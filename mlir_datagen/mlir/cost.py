"""The cost of linalg operations, from their loops and bodies.

One arithmetic operation is an addition, multiplication, division, comparison, maximum, exponential and so on, of
floating-point numbers or integers: every operation of the dialects `arith`, `math` and `complex` but

- constants, casts and selects: they move or reinterpret bits;
- what computes an index, and what only an index, a run-time check or nothing depends on.

A fused multiply-add counts as two. So a convolution or matrix multiplication costs two for each point of its
iteration space, a maximum pooling one, a transposition or `linalg.fill` nothing: as the families in `mlir_datagen.ops`.
"""

from __future__ import annotations

import math

from torch_mlir import ir

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.linalg_operation import (
    body,
    is_structured,
    loops,
    needed_operations,
    nested_operations,
    network_block,
    parse_module,
)

__all__ = ["body_operations", "flops", "linalg_operations", "loops"]

_ARITHMETIC = ("arith.", "math.", "complex.")
_CASTS = (
    *("bitcast", "convertf", "extf", "truncf", "extsi", "extui", "trunci", "scaling_extf", "scaling_truncf"),
    *("fptosi", "fptoui", "sitofp", "uitofp", "index_cast", "index_castui"),
)
_FREE = frozenset(
    [f"arith.{name}" for name in ("constant", "select", *_CASTS)]
    + [f"complex.{name}" for name in ("constant", "bitcast", "create", "re", "im")]
)
_SEVERAL = {"math.fma": 2}


def linalg_operations(module: ir.Module) -> list[ir.Operation]:
    """Return the linalg operations of a network, `linalg.fill` among them, in program order.

    Raises:
        UserError: when the module is not one function without branches, or a linalg operation is inside another
            operation, such as a loop, so that nobody knows how often it runs.
    """
    block = network_block(module)
    found = []
    for view in block.operations:
        operation = view.operation
        if is_structured(operation):
            found.append(operation)
        else:
            _refuse_nested(operation)
    return found


def _refuse_nested(operation: ir.Operation) -> None:
    for nested in nested_operations(operation):
        if is_structured(nested):
            raise UserError(
                f"{nested.name} is inside {operation.name}, so that it is not known how often it runs. Only linalg "
                "operations directly in the function are allowed."
            )


def body_operations(operation: ir.Operation) -> int:
    """Return the number of arithmetic operations for one point of a linalg operation's iteration space."""
    needed = needed_operations(body(operation), with_addresses=False)
    inner = [each for outer in needed for each in (outer, *nested_operations(outer))]
    return sum(
        _SEVERAL.get(each.name, 1)
        for each in inner
        if each.name.startswith(_ARITHMETIC) and each.name not in _FREE and not _computes_an_index(each)
    )


def _computes_an_index(operation: ir.Operation) -> bool:
    return any(isinstance(value.type, ir.IndexType) for value in (*operation.results, *operation.operands))


def flops(operation: ir.Operation) -> int:
    """Return the number of arithmetic operations of a linalg operation.

    Raises:
        UserError: when it has no indexing maps, or a dimension whose size is not known.
    """
    return math.prod(loop.bound for loop in loops(operation)) * body_operations(operation)


def operation_names(text: str, context: ir.Context) -> list[str]:
    """Return the names of all linalg operations of a network, fills included, in order.

    Raises:
        UserError: as `parse_module`.
    """
    # Its operations do not keep the module alive.
    module = parse_module(text, context)
    return [operation.name for operation in linalg_operations(module)]
