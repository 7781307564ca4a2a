"""The exported graph as the converter walks it: decomposed, and what is needed of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlir_datagen.networks.manual.layers import LayerNodes
from mlir_datagen.networks.manual.registry import operator_handler

if TYPE_CHECKING:
    import torch

GETITEM = "<built-in function getitem>"


def decomposed(exported: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Return the program without in-place operators, and with what has no handler taken apart where that is possible.

    Raises:
        UserError: when PyTorch refuses an operator with these arguments, or the network changes a tensor that is
            neither an input nor a parameter nor a buffer.
        MemoryError: when there is not enough memory.
    """
    from mlir_datagen.networks.rewriting import decomposed_by

    with warnings.catch_warnings():
        # PyTorch uses parts of itself that it has deprecated.
        warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg|torch")
        return decomposed_by(exported, decompositions())


def decompositions() -> dict[Any, Any]:
    """Return what operators without a handler are taken apart by: PyTorch's own decompositions, and ours."""
    from torch.export import default_decompositions

    from mlir_datagen.networks.decompositions import DECOMPOSITIONS

    return {
        operator: decomposition
        for operator, decomposition in {**default_decompositions(), **DECOMPOSITIONS}.items()
        if operator_handler(str(operator)) is None
    }


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
    """Return the names of parameters, buffers and constants by the placeholders that stand for them."""
    signature = program.graph_signature
    return {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }


def returned_nodes(program: torch.export.ExportedProgram, module: torch.nn.Module) -> list[Any]:
    """Return what the forward method returns, without the inputs that it changes in place, which come before.

    Raises:
        UserError: when the network changes a parameter or a buffer, which a function on tensors cannot.
    """
    from mlir_datagen.networks.changes import change_refused, changed_state

    inputs = set(program.graph_signature.user_inputs)
    changed = changed_state(program)
    for name in changed:
        if name not in inputs:
            raise change_refused(module, name)
    return list(program.graph.output_node().args[0])[len(changed) :]
