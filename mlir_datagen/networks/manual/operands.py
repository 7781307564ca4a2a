"""What several handlers do with their operands first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import is_float, number_type, promoted
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.ops.blocks.elementwise import Number, broadcast_together
from mlir_datagen.ops.network_builder import NetworkBuilder

Operand = Value | Number
Handler = Callable[..., Any]
"""Emits an operator; see `registry`."""


def converted(builder: NetworkBuilder, result: TensorType, *operands: Operand) -> tuple[Operand, ...]:
    """Return the operands with values converted to the result's element type."""
    return tuple(builder.cast(operand, result.dtype) if isinstance(operand, Value) else operand for operand in operands)


def same_type(builder: NetworkBuilder, *operands: Operand) -> tuple[Value, ...]:
    """Return the operands with one shape and the element type that PyTorch promotes them to."""
    dtype = common_type(*operands)
    values = [builder.cast(operand, dtype) if isinstance(operand, Value) else operand for operand in operands]
    return broadcast_together(builder, *values)


def common_type(*operands: Operand) -> str:
    """Return the element type that PyTorch promotes operands to, of which one is a value.

    Tensors with dimensions come before those without, and these before numbers: what comes later counts only where it
    is of a higher category (floats, then integers, then truth values). It is `torch.result_type`.
    """
    ranked = [[], [], []]  # type: list[list[str]]
    for operand in operands:
        if isinstance(operand, Value):
            ranked[0 if operand.type.shape else 1].append(operand.type.dtype)
        else:
            ranked[2].append(number_type(operand))
    found, *others = [promoted(dtypes) for dtypes in ranked if dtypes]
    for other in others:
        if _category(other) > _category(found):
            found = promoted([found, other])
    return found


def _category(dtype: str) -> int:
    return 2 if is_float(dtype) else int(dtype != "i1")


def axes_of(value: Value, dim: int | Sequence[int] | None) -> list[int]:
    """Return dimensions counted from the first; none named means all."""
    rank = len(value.type.shape)
    if dim is None or (not isinstance(dim, int) and not dim):
        return list(range(rank))
    return [axis % rank if rank else 0 for axis in ([dim] if isinstance(dim, int) else dim)][: max(rank, 0)]


def pair(numbers: Any) -> tuple[int, int]:
    """Return a setting of height and width, which PyTorch allows to be given once for both."""
    if isinstance(numbers, int):
        return numbers, numbers
    return (numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])
