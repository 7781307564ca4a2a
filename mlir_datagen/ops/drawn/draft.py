"""A graph that is being drawn, and the numbers that its sizes are drawn from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mlir_datagen.mlir.signature import Operand
from mlir_datagen.ops.body import NUMBER
from mlir_datagen.ops.dtypes import DEFAULT
from mlir_datagen.ops.elementwise import dimensions
from mlir_datagen.ops.graph import Graph, Node
from mlir_datagen.ops.graph_json import fitted_node, made_graph
from mlir_datagen.ops.structured_operation import StructuredOperation, unnamed
from mlir_datagen.ops.vocabulary import named_operation

_AT_ONCE = 32


class CannotBeDrawn(Exception):
    """What was drawn so far does not lead to a program: another is drawn instead.

    Its text is the end of a sentence about what was said and not drawn.
    """


@dataclass(frozen=True)
class Drawing:
    """What the graphs of a family are drawn from.

    Attributes:
        axes: the values of each axis.
        vocabulary: the operations, the scalar operations of a body, or of blocks and kernels their kinds.
        length: the least and the largest number of operations; blocks and kernels have their own.
        fan_out: by how many operations a value is read at most.
        depth: how many operations are on the longest way through a graph at most; None for no limit.
        loops: the least and the largest number of loops of an operation.
        operations: the least and the largest number of scalar operations of a body.
        dtype: the element type of the graphs.
    """

    axes: Mapping[str, Sequence[int]]
    vocabulary: tuple[str, ...]
    length: tuple[int, int] = (1, 1)
    fan_out: int = 1
    depth: int | None = None
    loops: tuple[int, int] = (1, 1)
    operations: tuple[int, int] = (1, 1)
    dtype: str = DEFAULT


class Draw:
    """Random choices from the values of some axes.

    Args:
        generator: what they follow from.
        axes: the values of each axis: a list or a range.
    """

    def __init__(self, generator: np.random.Generator, axes: Mapping[str, Sequence[int]]) -> None:
        self._generator, self._axes = generator, axes
        self._ahead: list[float] = []

    def _below(self, count: int) -> int:
        # Many at once: one number alone takes twenty times as long.
        if not self._ahead:
            self._ahead = self._generator.random(_AT_ONCE).tolist()
        return int(self._ahead.pop() * count)

    def one_of(self, choices: Sequence[Any]) -> Any:
        """Return one of some things; all are as likely.

        Raises:
            CannotBeDrawn: when there is none.
        """
        if not choices:
            raise CannotBeDrawn
        return choices[self._below(len(choices))]

    def between(self, low: int, high: int) -> int:
        """Return a whole number, ends included."""
        return low + self._below(high - low + 1)

    def size(self, axis: str, least: int = 1, most: int | None = None) -> int:
        """Return a value of an axis within bounds.

        Raises:
            CannotBeDrawn: when it has none.
        """
        values = self._axes[axis]
        if least <= 1 and most is None:
            return int(self.one_of(values))
        if isinstance(values, range):
            end = len(values) if most is None else bisect_right(values, most)
            return int(self.one_of(values[bisect_left(values, least) : end]))
        return int(self.one_of([one for one in values if one >= least and (most is None or one <= most)]))


class GivenSizes(Draw):
    """Sizes that are said: of each axis one for all times that it is drawn, or a list of one for each time.

    Args:
        sizes: by axis.
    """

    def __init__(self, sizes: Mapping[str, int | Sequence[int]]) -> None:
        self._sizes = sizes
        self._drawn = dict.fromkeys(sizes, 0)

    def one_of(self, choices: Sequence[Any]) -> Any:
        """Return the only one.

        Raises:
            CannotBeDrawn: when there are others.
        """
        if len(choices) != 1:
            raise CannotBeDrawn("its sizes do not say which of its forms it has")
        return choices[0]

    def between(self, low: int, high: int) -> int:
        """Return the only number.

        Raises:
            CannotBeDrawn: when there are others.
        """
        return int(self.one_of(range(low, high + 1)))

    def size(self, axis: str, least: int = 1, most: int | None = None) -> int:
        """Return what was said of an axis.

        Raises:
            CannotBeDrawn: when there is none, or it is out of bounds.
        """
        if axis not in self._sizes:
            raise CannotBeDrawn(f"it lacks {axis}")
        given, number = self._sizes[axis], self._drawn[axis]
        self._drawn[axis] += 1
        if not isinstance(given, int) and number >= len(given):
            raise CannotBeDrawn(f"{axis} needs more numbers than {len(given)}")
        size = given if isinstance(given, int) else given[number]
        if size < least or (most is not None and size > most):
            bound = f"at least {least}" if size < least else f"at most {most}"
            raise CannotBeDrawn(f"{axis} is {size}, and must be {bound}")
        return size

    def require_all_drawn(self) -> None:
        """Check that nothing was said that has no effect.

        Raises:
            CannotBeDrawn: when something was.
        """
        for axis, given in self._sizes.items():
            number = self._drawn[axis]
            if not number:
                raise CannotBeDrawn(f"it has no {axis}")
            if not isinstance(given, int) and number < len(given):
                raise CannotBeDrawn(f"{axis} takes {number} numbers, and not {len(given)}")


class Draft:
    """A graph that is being drawn: every node reads what is there already.

    Values are numbered: nodes from 0, arguments from -1 downwards, as these turn up in between.

    Args:
        dtype: the element type of all of it.
    """

    def __init__(self, dtype: str = DEFAULT) -> None:
        self.dtype = dtype
        self.nodes: list[Node] = []
        self.arguments: list[Operand] = []
        self._shapes: list[tuple[int, ...]] = []
        self.nonnegative: set[int] = set()

    def shape(self, value: int) -> tuple[int, ...]:
        """Return the shape of a value."""
        return self.arguments[-1 - value].shape if value < 0 else self._shapes[value]

    def argument(self, *shape: int, dtype: str | None = None) -> int:
        """Add an argument, of an element type of its own if one is said; return its number."""
        self.arguments.append(Operand("", shape, dtype or self.dtype))
        return -len(self.arguments)

    def named(self, name: str, *values: int, **given: float) -> int:
        """Add an operation that linalg has a name for."""
        operation = named_operation(name, len(self.shape(values[0])))
        assert operation is not None
        return self.apply(operation, values, given)

    def generic(
        self,
        line: str,
        body: str,
        *values: int,
        accumulate: str | None = None,
        number: float | None = None,
        dtype: str | None = None,
    ) -> int:
        """Add an operation that its line and body say, and the number if the body reads one."""
        given = {} if number is None else {NUMBER: number}
        return self.apply(unnamed(line, body, accumulate), values, given, dtype)

    def windowed(self, line: str, body: str, value: int, **given: float) -> int:
        """Add what sums up elements under a window, of given sizes, and the number if the body reads one."""
        return self.apply(unnamed(line, body, "add"), [value], given)

    def elementwise(self, body: str, *values: int, number: float | None = None) -> int:
        """Add an operation on each element of values of one shape, and a number if its body reads one."""
        whole, _, _ = _operands(len(self.shape(values[0])))
        return self.generic(f"{', '.join([whole] * len(values))} -> {whole}", body, *values, number=number)

    def along_last(self, body: str, accumulate: str, value: int) -> int:
        """Add a reduction along the last dimension."""
        whole, kept, _ = _operands(len(self.shape(value)))
        return self.generic(f"{whole} -> {kept}", body, value, accumulate=accumulate)

    def with_rows(self, body: str, value: int, rows: int) -> int:
        """Add an operation on each element `a` and the number `b` that its row along the last dimension has."""
        whole, kept, _ = _operands(len(self.shape(value)))
        return self.generic(f"{whole}, {kept} -> {whole}", body, value, rows)

    def with_columns(self, body: str, value: int, *columns: int) -> int:
        """Add an operation on each element `a` and the numbers `b`, … that its place in the last dimension has."""
        whole, _, last = _operands(len(self.shape(value)))
        return self.generic(f"{', '.join([whole, *[last] * len(columns)])} -> {whole}", body, value, *columns)

    def apply(
        self,
        operation: StructuredOperation,
        values: Sequence[int],
        given: Mapping[str, Any],
        dtype: str | None = None,
    ) -> int:
        """Add a node, whose result is of an element type of its own if one is said; return its number."""
        shapes = [self.shape(value) for value in values]
        node = fitted_node(operation, tuple(values), shapes, given, dtype or self.dtype)
        self.nodes.append(node)
        self._shapes.append(node.result_shape)
        return len(self.nodes) - 1

    def finish(self, name: str, results: Sequence[int]) -> Graph:
        """Return the graph, in an order that follows from its edges alone; what no result needs is left out.

        So two drafts of one graph give one program, in whatever order they were made.
        """
        arguments: dict[int, None] = {}
        order: dict[int, None] = {}
        waiting = list(reversed(results))
        while waiting:
            value = waiting[-1]
            if value < 0:
                arguments.setdefault(waiting.pop())
                continue
            missing = [one for one in self.nodes[value].inputs if one not in (arguments if one < 0 else order)]
            if value in order or not missing:
                order.setdefault(waiting.pop())
            else:
                waiting += reversed(missing)
        numbers = {value: number for number, value in enumerate([*arguments, *order])}
        given = [self.arguments[-1 - value]._replace(name=f"arg{place}") for place, value in enumerate(arguments)]
        nodes = [
            Node(node.operation, tuple([numbers[one] for one in node.inputs]), node.sizes, node.dtype)
            for node in map(self.nodes.__getitem__, order)
        ]
        return made_graph(name, given, nodes, [numbers[value] for value in results])


@lru_cache
def _operands(rank: int) -> tuple[str, str, str]:
    """Return what a line calls a value, the same without its last dimension, and that one."""
    *kept, last = dimensions(rank)
    return " ".join([*kept, last]), " ".join(kept), last
