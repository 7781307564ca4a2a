"""The exported graph as the converter walks it: what is needed for the outputs, and which nodes are a layer's."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mlir_datagen.errors import UserError
from mlir_datagen.nn.manual.registry import LayerHandler, layer_handler, operator_handler

if TYPE_CHECKING:
    import torch

GETITEM = "<built-in function getitem>"


class LayerNodes(NamedTuple):
    """The nodes of one call of a layer that has a handler.

    Attributes:
        path: of the layer in the network.
        module: the layer.
        handler: of its class.
        nodes: all that are needed for the network's outputs, in order.
        inputs: what they take from outside, in the order of first use; parameters and buffers left out.
        outputs: those that are used outside.
    """

    path: str
    module: torch.nn.Module
    handler: LayerHandler
    nodes: Sequence[Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]


def decomposed(exported: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Return the program without in-place operators, and with PyTorch's decompositions of what has no handler."""
    from torch.export import default_decompositions

    table = {
        operator: decomposition
        for operator, decomposition in default_decompositions().items()
        if operator_handler(str(operator)) is None
    }
    with warnings.catch_warnings():
        # PyTorch uses parts of itself that it has deprecated.
        warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg|torch")
        return exported.run_decompositions(table)


def needed_nodes(graph: torch.fx.Graph) -> list[Any]:
    """Return the nodes that the graph's output depends on, in order; assertions are none of them."""
    needed: set[Any] = set()
    waiting = [graph.output_node()]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(node.all_input_nodes)
    return [node for node in graph.nodes if node in needed]


def layers_with_handlers(module: torch.nn.Module, nodes: Sequence[Any], held: Collection[str]) -> dict[Any, LayerNodes]:
    """Return, for each node that belongs to a layer with a handler, that layer's nodes: the outermost one's.

    Args:
        module: the network.
        nodes: those that are needed for its outputs, in order.
        held: names of the placeholders that stand for parameters, buffers and constants.
    """
    calls: dict[str, tuple[str, list[Any]]] = {}
    for node in nodes:
        # One entry for each module around the node, the outermost first; its key tells calls of one module apart.
        for call, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
            if node.op == "call_function" and layer_handler(type(module.get_submodule(path))) is not None:
                calls.setdefault(call, (path, []))[1].append(node)
                break
    layers: dict[Any, LayerNodes] = {}
    for path, members in calls.values():
        layer = _layer(module.get_submodule(path), path, members, set(nodes), held)
        layers.update(dict.fromkeys(members, layer))
    return layers


def _layer(
    layer: torch.nn.Module, path: str, members: Sequence[Any], needed: Collection[Any], held: Collection[str]
) -> LayerNodes:
    handler = layer_handler(type(layer))
    assert handler is not None
    inside = set(members)
    inputs = dict.fromkeys(
        source
        for node in members
        for source in node.all_input_nodes
        if source not in inside and not (source.op == "placeholder" and source.name in held)
    )
    outputs = [node for node in members if any(user in needed and user not in inside for user in node.users)]
    return LayerNodes(path, layer, handler, members, list(inputs), outputs)


def held_tensors(program: torch.export.ExportedProgram) -> dict[str, str]:
    """Return the names of parameters, buffers and constants by the placeholders that stand for them.

    Raises:
        UserError: when the network changes a buffer or an input of its own, which a function on tensors cannot.
    """
    signature = program.graph_signature
    changed = [*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()]
    if changed:
        raise UserError(
            f'The network changes "{changed[0]}" in its forward method, which a function on tensors cannot. Put it '
            "into evaluation mode with model.eval(), and turn caches off."
        )
    return {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
