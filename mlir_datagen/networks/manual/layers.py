"""Layers that have a handler: what their calls take and return, and which nodes of the graph they stand for.

An exported graph knows of each node which call of which layer it belongs to, but not what the call took and returned,
nor in which order. The network is therefore exported once more, with hooks that copy the tensors at the entrance and
the exit of those layers and add the copies to the network's results.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from mlir_datagen.errors import UserError
from mlir_datagen.networks.manual.registry import LayerHandler, layer_handler

if TYPE_CHECKING:
    import torch


class LayerNodes(NamedTuple):
    """One call of a layer that has a handler, and the nodes of the graph that it is.

    Attributes:
        path: of the layer in the network.
        module: the layer.
        handler: of its class.
        nodes: all that belong to the call, in order.
        inputs: the tensors that it takes, in the order of the forward method's arguments.
        outputs: the tensors that it returns, in that order.
    """

    path: str
    module: torch.nn.Module
    handler: LayerHandler
    nodes: Sequence[Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]


class _Copy(NamedTuple):
    """A copied tensor of some call: one that it takes, or one that it returns."""

    tensor: torch.Tensor
    is_input: bool


def exported_with_copies(
    module: torch.nn.Module, exported: torch.export.ExportedProgram
) -> tuple[torch.export.ExportedProgram, list[bool]]:
    """Return the program with copies of what layers with handlers take and return among its results, after its own.

    Args:
        module: the network.
        exported: its program, which is returned as it is when no layer has a handler.

    Returns:
        The program, and for each copy whether it is of an input.
    """
    paths = [path for path, layer in module.named_modules() if layer_handler(type(layer)) is not None]
    if not paths or exported.example_inputs is None:
        return exported, []
    import torch

    copies: list[_Copy] = []
    arguments, keywords = exported.example_inputs
    with _copying(module, paths, copies):
        program = torch.export.export(module, arguments, keywords)
    return program, [copy.is_input for copy in copies]


@contextmanager
def _copying(module: torch.nn.Module, paths: Sequence[str], copies: list[_Copy]) -> Iterator[None]:
    """Hook the layers for as long as the context lasts; the export calls the network more than once."""
    from mlir_datagen.networks.results import tensors_of

    handles = [module.register_forward_pre_hook(lambda *_: copies.clear())]

    def before(layer: torch.nn.Module, arguments: Any, keywords: Any) -> None:
        copies.extend(_Copy(each.clone(), True) for each in tensors_of(_in_order(layer, arguments, keywords)))

    def after(layer: torch.nn.Module, arguments: Any, returned: Any) -> None:
        copies.extend(_Copy(each.clone(), False) for each in tensors_of(returned))

    for path in paths:
        layer = module.get_submodule(path)
        handles.append(layer.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(layer.register_forward_hook(after))
    handles.append(module.register_forward_hook(lambda _, __, own: (tensors_of(own), [one.tensor for one in copies])))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _in_order(layer: torch.nn.Module, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """Return a call's arguments in the order in which the forward method names them."""
    bound = inspect.signature(layer.forward).bind(*arguments, **keywords)
    return list(bound.arguments.values())


def layers_with_handlers(
    module: torch.nn.Module, graph: torch.fx.Graph, copies: Sequence[Any], are_inputs: Sequence[bool]
) -> dict[Any, LayerNodes]:
    """Return, for each node that belongs to a layer with a handler, that layer's call: the outermost one.

    Args:
        module: the network.
        graph: with the copies.
        copies: the nodes that make them.
        are_inputs: for each copy whether it is of an input.
    """
    members: dict[str, list[Any]] = {}
    paths: dict[str, str] = {}
    for node in graph.nodes:
        call, path = _outermost_call(module, node)
        if call and node not in copies:
            paths[call] = path
            members.setdefault(call, []).append(node)
    ends: dict[str, tuple[list[Any], list[Any]]] = {call: ([], []) for call in members}
    for copy, is_input in zip(copies, are_inputs, strict=True):
        call = list(copy.meta["nn_module_stack"])[-1]
        if call in ends:
            ends[call][0 if is_input else 1].append(copy.args[0])
    layers = {}
    for call, nodes in members.items():
        layer = module.get_submodule(paths[call])
        handler = layer_handler(type(layer))
        assert handler is not None
        layers.update(dict.fromkeys(nodes, LayerNodes(paths[call], layer, handler, nodes, *ends[call])))
    return layers


def _outermost_call(module: torch.nn.Module, node: Any) -> tuple[str, str]:
    """Return the key of the outermost call of a layer with a handler that a node belongs to, and the layer's path."""
    if node.op == "call_function":
        # One entry for each module around the node, the outermost first; its key tells calls of one module apart.
        for call, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
            if layer_handler(type(module.get_submodule(path))) is not None:
                return call, path
    return "", ""


def refuse_other_results(layers: Mapping[Any, LayerNodes], needed: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Refuse a layer of which the network uses more than it returns, as when it changes its input in place.

    Args:
        layers: by the nodes that belong to them.
        needed: the nodes that the network needs.
        outputs: those that it returns.

    Raises:
        UserError: when there is one.
    """
    uses = [(source, layers.get(node)) for node in needed for source in node.all_input_nodes]
    for source, user in [*uses, *((output, None) for output in outputs)]:
        layer = layers.get(source)
        if layer is not None and user is not layer and source not in layer.outputs:
            raise UserError(
                f'The network uses a tensor that the layer "{layer.path}" of class {type(layer.module).__name__} makes '
                "and does not return, as when it changes its input in place; a handler gives what the forward method "
                "returns. Write forward without in-place operations, and let it return the tensor."
            )
