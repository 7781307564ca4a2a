"""A converted network as a graph: which operation reads, directly or through others, what another computed.

Its **operations** are the linalg operations that compute something. All others (pads, reshapes, slices, constants,
`tensor.empty`, and operations that fill a tensor with one scalar) are **helpers**: they stand between operations, or
make the values that these start from.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection

from torch_mlir import ir

from mlir_datagen.mlir.cost import linalg_operations
from mlir_datagen.mlir.linalg_operation import (
    drop_checks,
    is_fill,
    is_structured,
    nested_operands,
    network_block,
    reads,
)

_INITIAL_DIALECTS = ("arith.", "tensor.", "linalg.", "math.")


class Network:
    """The graph of a network's only function.

    Run-time checks (`cf.assert`) are erased from the bodies: they are no part of the computation, abort on inputs of
    zeros, and keep an operation from being transformed.

    Attributes:
        nodes: all operations of the function but its terminator, in program order.
        operations: the positions, among the nodes, of the operations.

    Raises:
        UserError: when the module is not one function without branches, or has linalg operations inside others.
    """

    def __init__(self, module: ir.Module) -> None:
        computing = [operation for operation in linalg_operations(module) if not is_fill(operation)]
        for operation in computing:
            drop_checks(operation)
        block = network_block(module)
        *self.nodes, self._terminator = [view.operation for view in block.operations]
        self._arguments = set(block.arguments)
        self._producers = {
            result: position for position, operation in enumerate(self.nodes) for result in operation.results
        }
        chosen = set(computing)
        self.operations = [position for position, operation in enumerate(self.nodes) if operation in chosen]
        self._read = [self._values_read(operation) for operation in self.nodes]
        self._users: dict[ir.Value, list[int]] = {}
        for position, values in enumerate(self._read):
            for value in values:
                self._users.setdefault(value, []).append(position)
        self._returned = set(self._terminator.operands)
        self._sources = self._find_sources()
        self._successors = self._find_successors()
        self._initial: dict[ir.Value, bool] = {}

    def _values_read(self, operation: ir.Operation) -> list[ir.Value]:
        """Return the function's values that an operation reads: operands, then what its body captures, in order."""
        operands = [value for value, is_read in zip(operation.operands, reads(operation), strict=True) if is_read]
        captured = [value for value in nested_operands(operation) if self.is_outer(value)]
        return list(dict.fromkeys([*operands, *captured]))

    def is_outer(self, value: ir.Value) -> bool:
        """Return whether it is a value of the function itself, not of a body inside it."""
        return value in self._producers or value in self._arguments

    def producer(self, value: ir.Value) -> int | None:
        """Return the position of the node that makes a value; None for an argument of the function."""
        return self._producers.get(value)

    def _find_sources(self) -> list[frozenset[int]]:
        """Return for each node the operations whose results it reads, directly or through helpers only."""
        operations = set(self.operations)
        sources: list[frozenset[int]] = []
        for values in self._read:
            found: set[int] = set()
            for producer in map(self.producer, values):
                if producer is not None:
                    found.update({producer} if producer in operations else sources[producer])
            sources.append(frozenset(found))
        return sources

    def sources(self, position: int) -> frozenset[int]:
        """Return the operations whose results a node reads, directly or through helpers only."""
        return self._sources[position]

    def is_initial(self, value: ir.Value) -> bool:
        """Return whether a value is what a computation starts from: made of scalar constants and nothing else.

        So are `tensor.empty`, tensors with one constant everywhere, and views of these; tensors of different constants
        are data.
        """
        known = self._initial.get(value)
        if known is None:
            known = self._initial[value] = self._find_initial(value)
        return known

    def _find_initial(self, value: ir.Value) -> bool:
        position = self.producer(value)
        if position is None:
            return False
        operation = self.nodes[position]
        if operation.name == "arith.constant":
            literal = operation.attributes["value"]
            if isinstance(literal, ir.DenseElementsAttr):
                return bool(literal.is_splat)
            return not isinstance(value.type, ir.ShapedType)
        if not operation.name.startswith(_INITIAL_DIALECTS) or (is_structured(operation) and not is_fill(operation)):
            return False
        return all(self.is_initial(read) for read in self._read[position])

    def window(self, start: int, size: int) -> tuple[int, ...]:
        """Return a window of connected operations, as positions among the nodes in program order.

        It begins with `start` and grows by the first operation in program order that reads, directly or through
        helpers, what one in the window computed. So nothing that it needs is computed from what it gives out, and it
        may be smaller than `size` where the network ends.
        """
        window: list[int] = []
        waiting = [start]
        seen = {start}
        while waiting and len(window) < size:
            position = heapq.heappop(waiting)
            window.append(position)
            for successor in self._successors[position]:
                if successor not in seen:
                    seen.add(successor)
                    heapq.heappush(waiting, successor)
        return tuple(window)

    def _find_successors(self) -> dict[int, list[int]]:
        """Return for each operation those that read its results, directly or through helpers only."""
        found: dict[int, list[int]] = {position: [] for position in self.operations}
        for position in self.operations:
            for source in self._sources[position]:
                found[source].append(position)
        return found

    def with_helpers(self, window: Collection[int]) -> list[int]:
        """Return a window and the helpers that connect two operations of it, in program order."""
        chosen = set(window)
        waiting = list(window)
        while waiting:
            for value in self._read[waiting.pop()]:
                position = self.producer(value)
                if position is None or position in chosen or position in self._successors:
                    continue
                if not self._sources[position].isdisjoint(window):
                    chosen.add(position)
                    waiting.append(position)
        return sorted(chosen)

    def results(self, chosen: Collection[int]) -> list[ir.Value]:
        """Return the tensors that some nodes give to others or to the caller, in program order.

        What nobody uses counts when an operation makes it: without it, there would be no reason to compute it.
        """
        inside = set(chosen)
        found = []
        for position in sorted(chosen):
            for value in self.nodes[position].results:
                users = self._users.get(value, [])
                is_given = value in self._returned or any(user not in inside for user in users)
                is_last = not users and position in self._successors
                if isinstance(value.type, ir.RankedTensorType) and (is_given or is_last):
                    found.append(value)
        return found
