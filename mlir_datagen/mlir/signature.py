"""What a program takes, gives and consists of, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

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


class OutlineNode(NamedTuple):
    """An operation of a program.

    Attributes:
        op: what the vocabulary calls it, or, in what was read from elsewhere, what linalg does, such as `matmul`.
        dtype: the element type of its result.
        shape: of its result.
        loops: its iteration space.
        flops: the number of its arithmetic operations.
        bytes_moved: the size of the tensors that it reads, and of its results.
    """

    op: str
    dtype: str
    shape: tuple[int, ...]
    loops: tuple[Loop, ...]
    flops: int
    bytes_moved: int


class Edge(NamedTuple):
    """An operation's result, and an operation that reads it: both by their place among the nodes."""

    producer: int
    consumer: int


class Outline(NamedTuple):
    """A program as the graph of its operations that compute something: not those that only fill or reshape.

    Attributes:
        nodes: the operations, in program order.
        edges: which reads, at once or through others that compute nothing, what another computed; by consumer.
        main: the place of the main operation; None for a network.
    """

    nodes: tuple[OutlineNode, ...]
    edges: tuple[Edge, ...]
    main: int | None

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The iteration space of the main operation, if there is one."""
        return () if self.main is None else self.nodes[self.main].loops

    @property
    def flops(self) -> int:
        """The number of arithmetic operations of all of them."""
        return sum(node.flops for node in self.nodes)


def signature(role: str, operands: Iterable[Operand]) -> tuple[Argument, ...]:
    """Return operands as the arguments or results of a function, all of one role."""
    return tuple(Argument(role, operand.name, operand.dtype, operand.shape) for operand in operands)


def stored_argument(stored: Mapping[str, Any]) -> Argument:
    """Return an argument or a result as a row of an index has it."""
    return Argument(stored["role"], stored["name"], stored["dtype"], tuple(stored["shape"]))
