"""Walking an exported graph and emitting each operator through its handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.signature import Argument
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.converted import Converted
from mlir_datagen.networks.manual.calling import Callee, called
from mlir_datagen.networks.manual.errors import (
    UnknownOperatorError,
    module_path,
    place,
    source_line,
    unknown_operators,
)
from mlir_datagen.networks.manual.graph import GETITEM, decomposed, held_tensors, needed_nodes, returned_nodes
from mlir_datagen.networks.manual.layers import (
    LayerNodes,
    exported_with_copies,
    layers_with_handlers,
    refuse_other_results,
)
from mlir_datagen.networks.manual.registry import BUILT_IN, LayerCall, operator_handler
from mlir_datagen.networks.manual.tensors import tensor_type, types_of
from mlir_datagen.networks.manual.weights import Weights
from mlir_datagen.ops.network_builder import NetworkBuilder

if TYPE_CHECKING:
    import torch

__all__ = ["UnknownOperatorError", "convert_manual"]

_ABOUT_PLACE = ("device", "layout", "pin_memory", "memory_format", "non_blocking", "copy", "dtype", "implicit")
"""Keyword arguments that handlers do not see: where and how PyTorch stores a result, whose type they are given."""

_ARGUMENTS_OF_OPERATORS = "the builder, the result's type and the operator's arguments, as PyTorch's schema has them"
_ARGUMENTS_OF_LAYERS = "the builder, a LayerCall, and the tensors that the layer's forward method takes"


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
        with_copies, are_inputs = exported_with_copies(module, exported)
        self._program = decomposed(with_copies)
        self._held = held_tensors(self._program)
        graph = self._program.graph
        results = returned_nodes(self._program, module)
        own = len(results) - len(are_inputs)
        self._layers = layers_with_handlers(module, graph, results[own:], are_inputs)
        self._outputs = [node for node in results[:own] if hasattr(node, "all_input_nodes")]
        self._nodes = needed_nodes(graph, self._outputs, self._layers)
        refuse_other_results(self._layers, self._nodes, self._outputs)
        self._builder = NetworkBuilder(function_name)
        self._inputs = self._input_arguments()
        self._weights = Weights(self._builder, module, self._program.constants, literals)
        self._values: dict[Any, Any] = {}

    def converted(self) -> Converted:
        self._refuse_unknown_operators()
        emitted: set[int] = set()
        for node in self._nodes:
            if node in self._layers:
                if id(self._layers[node]) not in emitted:
                    emitted.add(id(self._layers[node]))
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
        if str(node.target) == GETITEM:
            source, index = self._value_of(node.args)
            if source[index] is None:
                raise UserError(f"The {_operator(node.args[0])} is converted without its result number {index}.")
            return source[index]
        types = types_of(node.meta["val"])
        if (empty := self._without_elements(types)) is not None:
            return empty
        arguments = self._value_of(node.args)
        name = str(node.target)
        handler = operator_handler(name)
        assert handler is not None
        callee = Callee(handler, _operator(node), _ARGUMENTS_OF_OPERATORS, handler is not BUILT_IN.get(name))
        settings = {name: self._value_of(value) for name, value in node.kwargs.items() if name not in _ABOUT_PLACE}
        return called(callee, types, (self._builder, types, *arguments), settings)

    def _without_elements(self, types: Any) -> Any:
        """Return the value or values of an operator whose results have no elements, which takes no work; else None."""
        several = types if isinstance(types, tuple) and not isinstance(types, TensorType) else (types,)
        if not several or not all(isinstance(type_, TensorType) and 0 in type_.shape for type_ in several):
            return None
        values = tuple(self._builder.empty(type_) for type_ in several)
        return values[0] if several[0] is types else values

    def _emit_layer(self, layer: LayerNodes) -> None:
        inside = set(layer.nodes)
        prefix = f"{layer.path}." if layer.path else ""
        types = tuple(tensor_type(node.meta["val"]) for node in layer.outputs)
        call = LayerCall(layer.module, types, lambda name: self._weights[prefix + name])
        name = type(layer.module).__name__
        emits = f'layer "{layer.path}" of class {name}' if layer.path else f"network itself, of class {name},"
        callee = Callee(layer.handler, emits, _ARGUMENTS_OF_LAYERS, is_users=True, may_leave_out=False)
        arguments = (self._builder, call, *[self._value_of(node) for node in layer.inputs])
        returned = called(callee, types[0] if len(types) == 1 else types, arguments, {})
        values = (returned,) if len(types) == 1 else returned
        # What the layer returns as it took it, or has computed outside, keeps the value that it has.
        self._values.update((node, value) for node, value in zip(layer.outputs, values, strict=True) if node in inside)

    def _results(self) -> list[Value]:
        """Return the values of the outputs that are tensors; those that are arguments or repeated are copied."""
        results: list[Value] = []
        taken = {value.name for value in self._inputs.values()}
        taken |= {value.name for _, value in self._weights.arguments()}
        for node in self._outputs:
            value = self._value_of(node)
            if isinstance(value, Value):
                results.append(self._builder.copy(value) if value.name in taken else value)
                taken.add(value.name)
        return results


def _operator(node: Any) -> str:
    """Say which operator a node is, and where in the model it stands."""
    return f"operator {node.target} in {place(module_path(node), source_line(node))}"
