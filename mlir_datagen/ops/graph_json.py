"""Graphs to JSON and back: the spec of a program of several operations.

    {"arguments": [{"dtype": "f32", "shape": [64, 32]}, {"dtype": "f32", "shape": [32, 8]}],
     "nodes": [{"op": "matmul", "inputs": [0, 1]},
               {"line": "d0 d1 -> d0 d1", "body": "max(a, number)", "inputs": [2], "sizes": {"number": 0}}],
     "results": [3]}

An operation that linalg has a name for is said by it, and any other by its line and its body, and by its loops where
they are not in the order that follows from the line. Values are numbered as in `graph`; their shapes follow.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlir_datagen.errors import shown
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.signature import Operand
from mlir_datagen.ops.body import NUMBER, read_expression
from mlir_datagen.ops.graph import Graph, Node
from mlir_datagen.ops.notation import read
from mlir_datagen.ops.scalars import SCALARS
from mlir_datagen.ops.structured_operation import StructuredOperation, unnamed
from mlir_datagen.ops.vocabulary import named_operation

_LARGEST_SIZE = (1 << 31) - 1
_ACCUMULATE = tuple(name for name, scalar in SCALARS.items() if scalar.start is not None)
_NODE_FIELDS = {"op", "line", "body", "accumulate", "loops", "inputs", "sizes", "dtype"}


class NoGraph(ValueError):
    """What is no graph: why, as the end of a sentence."""


def graph_fields(graph: Graph) -> dict[str, Any]:
    """Return a graph as plain values."""
    values = graph.values
    return {
        "arguments": [{"dtype": one.dtype, "shape": list(one.shape)} for one in graph.arguments],
        "nodes": [_node_fields(node, values) for node in graph.nodes],
        "results": list(graph.returned),
    }


def _node_fields(node: Node, values: Sequence[Operand]) -> dict[str, Any]:
    operation = node.operation
    fields: dict[str, Any] = {"op": operation.name}
    if operation.name is None:
        fields = {"line": operation.notation.line, "body": operation.body.text}
        if operation.body.accumulate is not None:
            fields["accumulate"] = operation.body.accumulate
        if operation.notation.loops != read(operation.notation.line).loops:
            fields["loops"] = " ".join(operation.notation.loops)
    else:
        assert named_operation(operation.name, len(values[node.inputs[0]].shape)) == operation
    fields["inputs"] = list(node.inputs)
    if operation.given:
        fields["sizes"] = {name: node.sizes[name] for name in operation.given}
    if node.dtype != values[node.inputs[0]].dtype:
        fields["dtype"] = node.dtype
    return fields


def graph_from_fields(name: str, fields: Any) -> Graph:
    """Return the graph of plain values, which may be a stranger's.

    Args:
        name: of its function.
        fields: as `graph_fields` returns them.

    Raises:
        NoGraph: when they are none.
    """
    if not isinstance(fields, Mapping) or set(fields) != {"arguments", "nodes", "results"}:
        raise NoGraph("its fields are arguments, nodes and results")
    arguments = [_argument(place, one) for place, one in enumerate(_list(fields["arguments"], "arguments"))]
    values = list(arguments)
    nodes: list[Node] = []
    for one in _list(fields["nodes"], "nodes"):
        nodes.append(_node(one, values))
        values.append(Operand("", nodes[-1].result_shape, nodes[-1].dtype))
    results = [
        _number(one, range(len(arguments), len(values)), "result") for one in _list(fields["results"], "results")
    ]
    if not results or len(set(results)) < len(results):
        raise NoGraph("its results are some of its nodes, each once")
    return made_graph(name, arguments, nodes, results)


def made_graph(name: str, arguments: Iterable[Operand], nodes: Sequence[Node], results: Sequence[int]) -> Graph:
    """Return the graph of some nodes, the costliest of which is the main operation."""
    flops = [node.flops for node in nodes]
    most = max(flops)
    costliest = [place for place, one in enumerate(flops) if one == most]
    return Graph(
        name,
        tuple(arguments),
        tuple(nodes),
        {number: f"result{place}" for place, number in enumerate(results)},
        costliest[0] if len(costliest) == 1 else max(costliest, key=lambda place: (nodes[place].points, -place)),
    )


def _argument(place: int, fields: Any) -> Operand:
    if not isinstance(fields, Mapping) or set(fields) != {"dtype", "shape"}:
        raise NoGraph("an argument has a dtype and a shape")
    return Operand(f"arg{place}", tuple(map(_size, _list(fields["shape"], "shape"))), _dtype(fields["dtype"]))


def _node(fields: Any, values: Sequence[Operand]) -> Node:
    if not isinstance(fields, Mapping) or not set(fields) <= _NODE_FIELDS:
        raise NoGraph(f"the fields of a node are some of {', '.join(sorted(_NODE_FIELDS))}")
    inputs = tuple(_number(one, range(len(values)), "input") for one in _list(fields.get("inputs"), "inputs"))
    if not inputs:
        raise NoGraph("a node reads something")
    operation = _operation(fields, len(values[inputs[0]].shape))
    given = fields.get("sizes", {})
    if not isinstance(given, Mapping) or set(given) != set(operation.given):
        raise NoGraph(f"the sizes of {operation.label} that its inputs do not say are {', '.join(operation.given)}")
    sizes = {name: size if name == NUMBER else _size(size) for name, size in given.items()}
    if NUMBER in sizes and (not isinstance(sizes[NUMBER], (int, float)) or isinstance(sizes[NUMBER], bool)):
        raise NoGraph(f"the number of {operation.label} is {shown(sizes[NUMBER])}")
    dtype = _dtype(fields.get("dtype", values[inputs[0]].dtype))
    _check_types(operation, [values[number].dtype for number in inputs], dtype)
    return fitted_node(operation, inputs, [values[number].shape for number in inputs], sizes, dtype)


def _check_types(operation: StructuredOperation, inputs: Sequence[str], dtype: str) -> None:
    body, label = operation.body, operation.label
    takes_scalars = any(access.is_scalar for access in operation.notation.inputs)
    if body.is_typed or takes_scalars or operation.notation.placed:
        raise NoGraph(
            f"{label} takes scalars, computes in a type of its own or writes through a window, which is for named "
            "operations alone"
        )
    if any(not SCALARS[step].has(dtype) for step in body.steps):
        raise NoGraph(f"{label} has no element type {dtype}")
    if body.indices and not _counts(dtype):
        raise NoGraph(f"{label} gives places in its loops, and {dtype} is no type of such: i32 or i64")
    by_letter = dict(zip(string.ascii_lowercase, inputs, strict=False))
    if wrong := [letter for letter in operation.looked_up_by if not _counts(by_letter.get(letter, ""))]:
        raise NoGraph(f"{label} looks up by {wrong[0]!r}, which must be of i32 or i64")
    compared = {by_letter.get(letter) for letter in body.compared}
    if len(compared) > 1 or any(by_letter.get(letter) != dtype for letter in body.compared & body.converted):
        raise NoGraph(f"{label} compares or mixes what is of different element types")


def _counts(dtype: str) -> bool:
    return dtype in ("i32", "i64")


def fitted_node(
    operation: StructuredOperation,
    inputs: tuple[int, ...],
    shapes: list[tuple[int, ...]],
    given: Mapping[str, Any],
    dtype: str,
) -> Node:
    """Return a node that reads values of some shapes.

    Raises:
        NoGraph: when their shapes do not fit the operation.
    """
    try:
        sizes = operation.sizes_of(shapes, given)
    except ValueError as error:
        raise NoGraph(f"{operation.label} does not take operands of such ranks") from error
    if not operation.always_fits and (operation.argument_shapes(sizes) != shapes or min(operation.extents(sizes)) < 1):
        raise NoGraph(f"the operands of {operation.label} do not fit together")
    return Node(operation, inputs, sizes, dtype)


def _operation(fields: Mapping[str, Any], rank: int) -> StructuredOperation:
    if "op" in fields:
        if set(fields) & {"line", "body", "accumulate", "loops"} or not isinstance(fields["op"], str):
            raise NoGraph("an operation is said by its name, or by its line and its body")
        found = named_operation(fields["op"], rank)
        if found is None:
            raise NoGraph(f"there is no operation {shown(fields['op'])}")
        return found
    line, body, accumulate, loops = (fields.get(key) for key in ("line", "body", "accumulate", "loops"))
    if not isinstance(line, str) or not isinstance(body, str) or not isinstance(loops, str | None):
        raise NoGraph("an operation is said by its name, or by its line and its body")
    if accumulate is not None and (not isinstance(accumulate, str) or accumulate not in _ACCUMULATE):
        raise NoGraph(f"nothing accumulates with {shown(accumulate)}")
    try:
        read_expression(body)
        operation = unnamed(line, body, accumulate, loops or "")
    except ValueError as error:
        raise NoGraph(str(error)) from error
    contents = sum(access.has_contents for access in operation.notation.inputs)
    if not operation.body.letters <= set(string.ascii_lowercase[:contents]):
        raise NoGraph(f"{shown(body)} reads more than {shown(line)} does")
    if not operation.body.indices <= (set() if operation.notation.windows else set(operation.notation.loops)):
        raise NoGraph(f"{shown(body)} reads the index of what is no loop of {shown(line)}, or of one beside a window")
    if (accumulate is None) != (not operation.notation.reductions):
        raise NoGraph(f"{shown(line)} reduces and its body does not, or the other way round")
    return operation


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise NoGraph(f"{key} is {shown(value)}, and must be a list")
    return list(value)


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LARGEST_SIZE:
        raise NoGraph("its sizes must be whole numbers of at least 1")
    return value


def checked_sizes(value: Any, key: str) -> int | tuple[int, ...]:
    """Return a size, or several.

    Raises:
        NoGraph: when it is neither.
    """
    try:
        return tuple(map(_size, value)) if isinstance(value, (list, tuple)) else _size(value)
    except NoGraph as error:
        raise NoGraph(f"{key} is {shown(value)}, and {error}") from error


def _number(value: Any, allowed: range, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise NoGraph(f"{shown(value)} is no {what}")
    return value


def _dtype(value: Any) -> str:
    if not isinstance(value, str) or value not in ELEMENT_TYPES:
        raise NoGraph(f"there is no element type {shown(value)}")
    return value
