"""What a program takes, gives and iterates over, as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

ROLES = ("input", "parameter", "buffer", "output")


class Argument(NamedTuple):
    """An argument or a result of a network's function.

    Attributes:
        role: one of `ROLES`.
        name: in PyTorch: of an argument of the forward method, or of a parameter or buffer (`layer1.0.conv1.weight`).
        dtype: the element type as MLIR spells it, such as `f32` or `i64`.
        shape: the static shape.
    """

    role: str
    name: str
    dtype: str
    shape: tuple[int, ...]


class Operand(NamedTuple):
    """An argument or a result of a program's function."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class Loop(NamedTuple):
    """One dimension of an operation's iteration space; `iterator` is `parallel` or `reduction`."""

    bound: int
    iterator: str


def signature(role: str, operands: Iterable[Operand]) -> tuple[Argument, ...]:
    """Return operands as the arguments or results of a function, all of one role."""
    return tuple(Argument(role, operand.name, operand.dtype, operand.shape) for operand in operands)
