"""The exported graph as the converter walks it: decomposed, and what is needed of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlir_datagen.errors import UserError
from mlir_datagen.nn.manual.layers import LayerNodes
from mlir_datagen.nn.manual.registry import operator_handler

if TYPE_CHECKING:
    import torch

GETITEM = "<built-in function getitem>"


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


def needed_nodes(graph: torch.fx.Graph, outputs: Sequence[Any], layers: Mapping[Any, LayerNodes]) -> list[Any]:
    """Return the nodes that outputs depend on, in order; assertions are none of them.

    Args:
        graph: the nodes in order.
        outputs: some of its nodes.
        layers: the layer of each node that belongs to one with a handler, which is given all that the layer takes.
    """
    needed: set[Any] = set()
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(node.all_input_nodes)
            waiting.extend(layers[node].inputs if node in layers else ())
    return [node for node in graph.nodes if node in needed]


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
