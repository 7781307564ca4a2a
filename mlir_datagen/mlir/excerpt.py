"""Some operations of a network as a program of their own.

The program has exactly the arguments that it needs:

- initial values (see `Network.is_initial`) and scalars that come from constants are copied into it;
- an operand of which only the shape matters becomes a `tensor.empty`;
- a scalar that is computed is computed again, from the tensors that it was read from; one that the network takes as an
  argument becomes an argument of rank 0;
- everything else is a tensor, and an argument.

An operation that MLIR 19 does not know becomes the `linalg.generic` that it stands for.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from torch_mlir import ir
from torch_mlir.dialects import arith, func, linalg, tensor

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.linalg_operation import (
    body,
    indexing_maps,
    iterators,
    nested_operands,
    nested_operations,
    reads,
    static_shape,
)
from mlir_datagen.mlir.network_graph import Network

_UNKNOWN_TO_MLIR_19 = frozenset(
    f"linalg.{name}"
    for name in ("contract", "conv_2d_nchw_fchw_q", "conv_2d_nhwgc_gfhwc", "conv_2d_nhwgc_gfhwc_q", "elementwise")
)
_DEFAULT_MAPS = {
    "linalg.matmul": ((0, 2), (2, 1), (0, 1)),
    "linalg.batch_matmul": ((0, 1, 3), (0, 3, 2), (0, 1, 2)),
    "linalg.batch_reduce_matmul": ((0, 1, 3), (0, 3, 2), (1, 2)),
}
"""The loops that index each operand; MLIR 19 knows these operations without other maps."""
_IN_C = frozenset(("abs", "ceil", "div", "erf", "exp", "floor", "log", "powf", "round", "select", "sqrt", "tanh"))
"""Names of linalg operations that a function must not have, as it would replace one of the C library."""


class Excerpt(NamedTuple):
    """A program, and what its main operation is called in it, such as `linalg.matmul`."""

    module: ir.Module
    main_operation: str


def excerpt(network: Network, chosen: Collection[int], main: int) -> Excerpt:
    """Make a program of some of a network's nodes.

    Args:
        network: the network; it is not changed.
        chosen: positions of nodes.
        main: the one that the function is named after.

    Raises:
        UserError: when an argument would not be a tensor of static shape.
    """
    return _Writer(network, chosen).excerpt(main)


def name_of_function(operation_name: str) -> str:
    """Return what the function of a program is called whose main operation has this name: without the dialect.

    The few operations that are named like a function of the C library keep it, as `linalg_exp`.
    """
    name = operation_name.removeprefix("linalg.")
    return f"linalg_{name}" if name in _IN_C else name


class _Writer:
    def __init__(self, network: Network, chosen: Collection[int]) -> None:
        self._network = network
        self._chosen = frozenset(chosen)
        self._copies: dict[ir.Value, ir.Value] = {}

    def excerpt(self, main: int) -> Excerpt:
        network = self._network
        with ir.Location.unknown(network.nodes[main].context):
            module = ir.Module.create()
            with ir.InsertionPoint(module.body):
                function = func.FuncOp("main", ([], []))
            self._block = function.regions[0].blocks.append()
            with ir.InsertionPoint(self._block):
                for position in sorted(self._chosen):
                    copy = self._copy(network.nodes[position])
                    if position == main:
                        main_operation = str(copy.name)
                results = [self._copies[value] for value in network.results(self._chosen)]
                func.ReturnOp(results)
            types = [argument.type for argument in self._block.arguments], [result.type for result in results]
            function.attributes["sym_name"] = ir.StringAttr.get(name_of_function(main_operation))
            function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(*types))
        return Excerpt(module, main_operation)

    def _copy(self, operation: ir.Operation) -> ir.Operation:
        """Copy an operation of the network to the end of the program."""
        operands = [
            self._value(operand) if is_read else self._shape(operand)
            for operand, is_read in zip(operation.operands, reads(operation), strict=True)
        ]
        captured = [value for value in dict.fromkeys(nested_operands(operation)) if self._network.is_outer(value)]
        replaced = {value: self._value(value) for value in captured}
        copy = operation.clone().operation
        for index, operand in enumerate(operands):
            copy.operands[index] = operand
        if replaced:
            _replace(copy, replaced)
        if _is_unknown_to_mlir_19(copy):
            copy = _generalized(copy)
        for value, result in zip(operation.results, copy.results, strict=True):
            self._copies[value] = result
        return copy

    def _value(self, value: ir.Value) -> ir.Value:
        """Return what stands for a value of the network in the program."""
        if value not in self._copies:
            producer = self._network.producer(value)
            is_tensor = isinstance(value.type, ir.ShapedType)
            if producer is not None and (not is_tensor or self._network.is_initial(value)):
                self._copy(self._network.nodes[producer])
            elif is_tensor:
                self._copies[value] = self._argument(value.type)
            else:
                self._copies[value] = self._scalar_argument(value.type)
        return self._copies[value]

    def _shape(self, value: ir.Value) -> ir.Value:
        """Return a tensor of which only the shape matters; an argument would be written into."""
        producer = self._network.producer(value)
        if producer in self._chosen or (producer is not None and self._network.nodes[producer].name == "tensor.empty"):
            return self._value(value)
        return tensor.EmptyOp(static_shape(value.type), value.type.element_type).result

    def _argument(self, type_: ir.Type) -> ir.Value:
        if not isinstance(type_, ir.RankedTensorType):
            raise UserError(f"{type_} is no type that a program can take; only ranked tensors are allowed.")
        static_shape(type_)
        return self._block.add_argument(type_, ir.Location.unknown())

    def _scalar_argument(self, type_: ir.Type) -> ir.Value:
        """Take a scalar as a tensor of rank 0; an index as an i64, since tensors of indices are no data."""
        is_index = isinstance(type_, ir.IndexType)
        element = ir.IntegerType.get_signless(64) if is_index else type_
        scalar = tensor.ExtractOp(self._argument(ir.RankedTensorType.get([], element)), []).result
        return arith.IndexCastOp(type_, scalar).result if is_index else scalar


def _replace(operation: ir.Operation, replaced: dict[ir.Value, ir.Value]) -> None:
    """Replace values in the regions of an operation."""
    for nested in nested_operations(operation):
        for index, operand in enumerate(nested.operands):
            if operand in replaced:
                nested.operands[index] = replaced[operand]


def _is_unknown_to_mlir_19(operation: ir.Operation) -> bool:
    # MLIR 19 gives the body of linalg.map no argument for the init.
    if operation.name in _UNKNOWN_TO_MLIR_19 or operation.name == "linalg.map":
        return True
    default = _DEFAULT_MAPS.get(operation.name)
    if default is None:
        return False
    loops = [
        tuple(getattr(expression, "position", None) for expression in map_.results) for map_ in indexing_maps(operation)
    ]
    return loops != list(default)


def _generalized(operation: ir.Operation) -> ir.Operation:
    """Replace a named linalg operation by the `linalg.generic` that it stands for."""
    results = len(operation.results)
    attributes = {
        "indexing_maps": linalg.get_indexing_maps(operation),
        "iterator_types": ir.ArrayAttr.get(
            [ir.Attribute.parse(f"#linalg.iterator_type<{iterator}>") for iterator in iterators(operation)]
        ),
        "operandSegmentSizes": ir.DenseI32ArrayAttr.get([len(operation.operands) - results, results]),
    }
    types = [result.type for result in operation.results]
    generic = ir.Operation.create("linalg.generic", types, list(operation.operands), attributes, regions=1)
    body(operation).append_to(generic.regions[0])
    operation.erase()
    return generic
