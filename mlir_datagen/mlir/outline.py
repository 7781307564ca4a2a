"""The graph of a program that is known by its text alone: a network, or a part of one."""

from __future__ import annotations

import math

from torch_mlir import ir

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.cost import flops, loops
from mlir_datagen.mlir.facts import init_count, type_facts
from mlir_datagen.mlir.linalg_operation import parse_module, reads
from mlir_datagen.mlir.network_graph import Network
from mlir_datagen.mlir.signature import Edge, Outline, OutlineNode


def network_outline(text: str, context: ir.Context) -> Outline:
    """Return the graph of a network.

    Raises:
        UserError: when the text is not valid MLIR, or not a network whose cost is known.
    """
    # Its operations do not keep the module alive.
    module = parse_module(text, context)
    return outline_of(Network(module))


def program_outline(text: str, context: ir.Context) -> Outline:
    """Return the graph of a program with a main operation.

    Raises:
        UserError: as `network_outline`, and when nothing in it computes anything.
    """
    module = parse_module(text, context)
    return with_main(outline_of(Network(module)))


def outline_of(network: Network) -> Outline:
    """Return the graph of a network that was read, without a main operation.

    Raises:
        UserError: when the cost of an operation is not known.
    """
    places = {position: place for place, position in enumerate(network.operations)}
    nodes = tuple(_node(network, network.nodes[position]) for position in network.operations)
    found = [
        Edge(places[source], place)
        for position, place in places.items()
        for source in sorted(network.sources(position))
    ]
    return Outline(nodes, tuple(found), None)


def with_main(outline: Outline) -> Outline:
    """Return a graph with its main operation: the costliest.

    Of equally costly ones it is that with the largest iteration space, and of these the first.

    Raises:
        UserError: when it has no operation.
    """
    if not outline.nodes:
        raise UserError("The program has no linalg operation but those that fill a tensor.")
    costs = [(node.flops, math.prod(loop.bound for loop in node.loops)) for node in outline.nodes]
    return outline._replace(main=costs.index(max(costs)))


def _node(network: Network, operation: ir.Operation) -> OutlineNode:
    inits = operation.operands[-init_count(operation) :]
    read = [
        value
        for value, is_read in zip(operation.operands, reads(operation), strict=True)
        # What a reduction starts from need not be in memory.
        if is_read and not (value in inits and network.is_initial(value))
    ]
    types = [type_facts(value.type) for value in (*read, *operation.results)]
    result = type_facts(operation.results[0].type)
    return OutlineNode(
        op=operation.name.removeprefix("linalg."),
        dtype=result.element,
        shape=result.shape or (),
        loops=loops(operation),
        flops=flops(operation),
        bytes_moved=sum(type_.bytes for type_ in types if type_.shape is not None),
    )
