"""A program as a graph: its operations, what each of them reads, and all that follows from that.

Values are numbered: first the arguments, then what each node computes. A program of a family is a graph of one node, or
of a few in a row; its sizes may be columns, and what follows then are columns as well.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from mlir_datagen.mlir.builder import Value, module_text
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.signature import Edge, Loop, Operand, Outline, OutlineNode
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.baseline import baseline_seconds
from mlir_datagen.ops.evaluation import evaluation
from mlir_datagen.ops.node_text import FIRST_MARK, Pattern, differences, marked, node_text
from mlir_datagen.ops.structured_operation import NAMED, StructuredOperation


class Node(NamedTuple):
    """One operation of a graph.

    Attributes:
        operation: what it is.
        inputs: the numbers of the values that it reads.
        sizes: of all its dimensions, with strides and dilations, and the number that its body reads, if one.
        dtype: the element type of what it computes.
    """

    operation: StructuredOperation
    inputs: tuple[int, ...]
    sizes: Mapping[str, Any]
    dtype: str

    @property
    def result_shape(self) -> tuple[Any, ...]:
        """The shape of what it computes."""
        return self.operation.result_shape(self.sizes)

    def input_of(self, letter: str) -> int:
        """Return the number of the value that its body has a letter for."""
        return self.inputs[string.ascii_lowercase.index(letter)]

    @property
    def mapped_inputs(self) -> tuple[int, ...]:
        """The numbers of the values that it reads, but for those of which an element is looked up."""
        if not self.operation.looks_up:
            return self.inputs
        read = (access for access in self.operation.notation.inputs if access.has_contents)
        return tuple(number for number, access in zip(self.inputs, read, strict=True) if not access.is_looked_up)

    @property
    def flops(self) -> Any:
        """The number of its arithmetic operations."""
        return self.operation.flops(self.sizes)

    @property
    def points(self) -> Any:
        """The number of points of its iteration space."""
        return math.prod(self.operation.extents(self.sizes))

    @property
    def reduced(self) -> Any:
        """How many points are reduced to one element of its result: 1 where none are."""
        return math.prod([self.sizes[loop] for loop in self.operation.notation.reductions])

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Its iteration space, in linalg's order of its dimensions."""
        return tuple(map(Loop, self.operation.extents(self.sizes), self.operation.iterators))


@dataclass(frozen=True)
class Graph:
    """A program.

    Attributes:
        name: of its function.
        arguments: what the function takes.
        nodes: in an order in which each reads only what is there already.
        returned: the numbers of the values that the function returns, with what each is called.
        main: which node is the main operation.
    """

    name: str
    arguments: tuple[Operand, ...]
    nodes: tuple[Node, ...]
    returned: Mapping[int, str]
    main: int = 0

    @cached_property
    def values(self) -> list[Operand]:
        """All values by number: their shapes and element types; only arguments and results have names."""
        computed = enumerate(self.nodes, len(self.arguments))
        made = [Operand(self.returned.get(number, ""), node.result_shape, node.dtype) for number, node in computed]
        return [*self.arguments, *made]

    @property
    def results(self) -> tuple[Operand, ...]:
        """What the function returns."""
        values = self.values
        return tuple([values[number] for number in self.returned])

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The iteration space of the main operation."""
        return self.nodes[self.main].loops

    @property
    def flops(self) -> Any:
        """The number of arithmetic operations; an addition, multiplication, comparison or division is one."""
        return sum(self.node_flops)

    @cached_property
    def node_flops(self) -> list[Any]:
        """The same of each node."""
        return [node.flops for node in self.nodes]

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Which node reads what another computes."""
        first = len(self.arguments)
        return tuple(
            Edge(producer, consumer)
            for consumer, node in enumerate(self.nodes)
            for producer in sorted({number - first for number in node.inputs if number >= first})
        )

    @property
    def converts(self) -> bool:
        """Whether a node reads what is of another element type as numbers of its result's."""
        values = self.values
        return any(
            values[node.input_of(letter)].dtype != node.dtype
            for node in self.nodes
            for letter in node.operation.body.converted
        )

    def outline(self) -> Outline:
        """Return what the graph is, as plain values; its sizes must be numbers."""
        count = len(self.arguments)
        nodes = [
            OutlineNode(node.operation.label, node.dtype, value.shape, node.loops, int(flops), int(moved))
            for node, value, flops, moved in zip(
                self.nodes, self.values[count:], self.node_flops, self.node_bytes, strict=True
            )
        ]
        return Outline(tuple(nodes), self.edges, self.main)

    @property
    def node_bytes(self) -> list[Any]:
        """The size of what each node reads, and of its result, in bytes; not of what is looked up, if only in part."""
        sizes = self._value_bytes
        computed = enumerate(self.nodes, len(self.arguments))
        return [sizes[place] + sum([sizes[number] for number in node.mapped_inputs]) for place, node in computed]

    @property
    def bytes_moved(self) -> Any:
        """The size of arguments and results in bytes: the least that any schedule must move."""
        sizes = self._value_bytes
        return sum(sizes[: len(self.arguments)]) + sum([sizes[number] for number in self.returned])

    @cached_property
    def _value_bytes(self) -> list[Any]:
        return [math.prod(one.shape) * ELEMENT_TYPES[one.dtype].size for one in self.values]

    def node_seconds(self, place: int, bytes_moved: Any) -> Any:
        """Estimate how long a node takes as plain loops that move so many bytes."""
        node, values = self.nodes[place], self.values
        step = node.operation.innermost_step(node.sizes) * ELEMENT_TYPES[values[node.inputs[-1]].dtype].size
        parallel, reduced = (
            [loop.bound for loop in node.loops if loop.iterator == kind] for kind in ("parallel", "reduction")
        )
        return baseline_seconds(parallel, reduced, bytes_moved, step)

    def text(self, form: str = NAMED) -> str:
        """Return the text of a module with its function.

        Args:
            form: the form of its operations, where they have it.
        """
        values = self.values
        names: list[str | int] = [one.name for one in self.arguments]
        texts, count = [], 0
        for node in self.nodes:
            operation, inputs = node.operation, node.inputs
            dtypes = tuple([values[number].dtype for number in inputs])
            own = node_text(operation, form, node.dtype, dtypes, differences(operation, node.sizes))
            texts.append(own.text(node.sizes, [names[number] for number in inputs], count))
            names.append(count + own.result)
            count += own.count
        arguments, results = (
            [Value(f"%{names[number]}", tensor(values[number].shape, values[number].dtype)) for number in numbers]
            for numbers in (range(len(self.arguments)), self.returned)
        )
        return module_text(self.name, arguments, "\n".join(texts), results)

    def evaluation(self) -> Callable[..., Any]:
        """Return a function of tensors of one element type that computes the results: one, or a tuple of several."""
        made = [evaluation(node.operation, node.sizes, node.dtype) for node in self.nodes]

        def results(*arguments: Any) -> Any:
            values = list(arguments)
            for node, function in zip(self.nodes, made, strict=True):
                values.append(function(*(values[number] for number in node.inputs)))
            found = tuple(values[number] for number in self.returned)
            return found if len(found) > 1 else found[0]

        return results


class GraphText:
    """The text of all graphs of one structure, in which their sizes are filled in.

    Graphs are of one structure when they have the same names, operations, edges and element types, and `differences`.

    Args:
        graph: one of them.
        form: the form of its operations.
    """

    def __init__(self, graph: Graph, form: str) -> None:
        nodes: list[Node] = []
        shapes: dict[int, tuple[Any, ...]] = {}
        first = FIRST_MARK
        for node in graph.nodes:
            operation = node.operation
            nodes.append(node._replace(sizes=marked(operation, differences(operation, node.sizes), first)))
            first += len(operation.sizes)
            shapes.update(zip(node.inputs, operation.argument_shapes(nodes[-1].sizes), strict=True))
        arguments = tuple(one._replace(shape=shapes[number]) for number, one in enumerate(graph.arguments))
        self._pattern = Pattern(replace(graph, arguments=arguments, nodes=tuple(nodes)).text(form))

    def filled(self, sizes: Sequence[int]) -> str:
        """Return the text of the graph whose operations have these sizes, of one after the other."""
        return self._pattern.filled(sizes)
