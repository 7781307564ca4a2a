"""Walking an exported graph and emitting each operator through its handler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.network_builder import NetworkBuilder
from mlir_datagen.nn.manual.errors import UnknownOperatorError, module_path, place, source_line, unknown_operators
from mlir_datagen.nn.manual.graph import (
    GETITEM,
    LayerNodes,
    decomposed,
    held_tensors,
    layers_with_handlers,
    needed_nodes,
)
from mlir_datagen.nn.manual.registry import LayerCall, operator_handler
from mlir_datagen.nn.manual.tensors import tensor_type, types_of
from mlir_datagen.nn.manual.weights import Weights
from mlir_datagen.nn.signature import Argument, Converted

if TYPE_CHECKING:
    import torch

__all__ = ["UnknownOperatorError", "convert_manual"]

_ABOUT_PLACE = ("device", "layout", "pin_memory", "memory_format", "non_blocking", "copy", "dtype", "implicit")
"""Keyword arguments that handlers do not see: where and how PyTorch stores a result, whose type they are given."""


def convert_manual(
    module: torch.nn.Module,
    exported: torch.export.ExportedProgram,
    function_name: str,
    literals: Mapping[str, str] | None = None,
) -> Converted:
    """Convert a network to named linalg operations on tensors.

    Arguments of the function are the network's inputs that are tensors, then those of its parameters, then those of
    its buffers that the program uses, in the order of `named_parameters` and `named_buffers`; large constants of the
    graph follow the buffers.

    Args:
        module: the network, in evaluation mode.
        exported: what `torch.export.export` gives for it, without dynamic shapes.
        function_name: of the function in the module.
        literals: text of a dense attribute, such as `dense<0.5>`, by PyTorch's name of a parameter or buffer; these
            become constants instead of arguments.

    Raises:
        UnknownOperatorError: when an operator has no handler, and PyTorch does not take it apart.
        UserError: when the network has something else that cannot be converted: a dtype, a change of its own buffers.
    """
    return _Conversion(module, exported, function_name, literals or {}).converted()


class _Conversion:
    """One conversion: the graph, what it has become so far, and the text that grows."""

    def __init__(
        self,
        module: torch.nn.Module,
        exported: torch.export.ExportedProgram,
        function_name: str,
        literals: Mapping[str, str],
    ) -> None:
        self._program = decomposed(exported)
        self._held = held_tensors(self._program)
        self._nodes = needed_nodes(self._program.graph)
        self._layers = layers_with_handlers(module, self._nodes, self._held)
        self._builder = NetworkBuilder(function_name)
        self._inputs = self._input_arguments()
        self._weights = Weights(self._builder, module, self._program.constants, literals)
        self._values: dict[Any, Any] = {}

    def converted(self) -> Converted:
        self._refuse_unknown_operators()
        for node in self._nodes:
            if node in self._layers:
                if node is self._layers[node].nodes[-1]:
                    self._emit_layer(self._layers[node])
            elif node.op == "call_function":
                self._values[node] = self._emitted(node)
        results = self._results()
        weights = list(self._weights.arguments())
        values = [*self._inputs.values(), *(value for _, value in weights)]
        inputs = [Argument("input", name, value.type.dtype, value.type.shape) for name, value in self._inputs.items()]
        names = ["output"] if len(results) == 1 else [f"output_{index}" for index in range(len(results))]
        return Converted(
            self._builder.finish_network(values, results),
            (*inputs, *(argument for argument, _ in weights)),
            tuple(
                Argument("output", name, value.type.dtype, value.type.shape)
                for name, value in zip(names, results, strict=True)
            ),
        )

    def _input_arguments(self) -> dict[str, Value]:
        placeholders = [node for node in self._program.graph.nodes if node.op == "placeholder"]
        return {
            node.name: self._builder.argument(node.name, tensor_type(node.meta["val"]))
            for node in placeholders
            if node.name not in self._held and hasattr(node.meta.get("val"), "dtype")
        }

    def _refuse_unknown_operators(self) -> None:
        unknown = [
            node
            for node in self._nodes
            if node.op not in ("placeholder", "output")
            and node not in self._layers
            and str(node.target) != GETITEM
            and operator_handler(str(node.target)) is None
        ]
        if unknown:
            raise unknown_operators(unknown)

    def _value_of(self, argument: Any) -> Any:
        """Return what a handler gets for an argument of a node: nodes become values, in lists too."""
        if isinstance(argument, (list, tuple)):
            return [self._value_of(each) for each in argument]
        if not hasattr(argument, "all_input_nodes"):
            return argument
        if argument.op != "placeholder":
            return self._values[argument]
        if argument.name in self._held:
            return self._weights[self._held[argument.name]]
        return self._inputs.get(argument.name)

    def _emitted(self, node: Any) -> Any:
        """Return the value of a node, or the values of one with several results."""
        arguments = self._value_of(node.args)
        if str(node.target) == GETITEM:
            source, index = arguments
            return source[index]
        handler = operator_handler(str(node.target))
        assert handler is not None
        settings = {name: self._value_of(value) for name, value in node.kwargs.items() if name not in _ABOUT_PLACE}
        try:
            return handler(self._builder, types_of(node.meta["val"]), *arguments, **settings)
        except UserError as error:
            where = place(module_path(node), source_line(node))
            raise UserError(f"The operator {node.target} in {where} cannot be converted: {error}.") from error

    def _emit_layer(self, layer: LayerNodes) -> None:
        prefix = f"{layer.path}." if layer.path else ""
        types = tuple(tensor_type(node.meta["val"]) for node in layer.outputs)
        call = LayerCall(layer.module, types, lambda name: self._weights[prefix + name])
        returned = layer.handler(self._builder, call, *[self._value_of(node) for node in layer.inputs])
        values = (returned,) if isinstance(returned, Value) else tuple(returned)
        if [value.type for value in values] != list(types):
            raise UserError(
                f'The handler of {type(layer.module).__name__} returned {_types(values)} for the layer "{layer.path}", '
                f"which gives {', '.join(map(str, types))}."
            )
        self._values.update(zip(layer.outputs, values, strict=True))

    def _results(self) -> list[Value]:
        """Return the values of the outputs that are tensors; those that are arguments or repeated are copied."""
        (outputs,) = self._nodes[-1].args
        results: list[Value] = []
        taken = {value.name for value in self._inputs.values()}
        taken |= {value.name for _, value in self._weights.arguments()}
        for node in _flattened(outputs):
            value = self._value_of(node) if hasattr(node, "all_input_nodes") else None
            if isinstance(value, Value):
                results.append(self._builder.copy(value) if value.name in taken else value)
                taken.add(value.name)
        return results


def _flattened(outputs: Any) -> Sequence[Any]:
    if isinstance(outputs, (list, tuple)):
        return [each for output in outputs for each in _flattened(output)]
    return [outputs]


def _types(values: Sequence[Value]) -> str:
    return ", ".join([str(value.type) for value in values]) or "nothing"
