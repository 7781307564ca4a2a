"""Rewriting a captured graph before it is converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mlir_datagen.errors import UserError, first_line, is_about_memory
from mlir_datagen.networks.decompositions import COMPARED_WITH_NUMBERS, DECOMPOSITIONS


def decomposed_by(exported: torch.export.ExportedProgram, table: Mapping[Any, Any]) -> torch.export.ExportedProgram:
    """Return a captured network without operators that work in place, and with those of a table taken apart.

    Raises:
        UserError: when PyTorch refuses an operator with these arguments, or the network changes a tensor that is
            neither an input nor a parameter nor a buffer.
        MemoryError: when there is not enough memory.
    """
    try:
        return exported.run_decompositions(dict(table))
    except MemoryError:
        raise
    except UserError as error:
        # PyTorch adds to it what it was executing.
        raise UserError(str(error).partition("\n\nWhile executing")[0]) from error
    except Exception as error:
        if is_about_memory(error):
            raise MemoryError(first_line(error)) from error
        if "is mutated in the forward method" in str(error):
            raise UserError(
                "The network changes a tensor of its own in its forward method that is neither a parameter nor a "
                "buffer, which a function on tensors cannot. Let it compute with a copy, as with tensor.clone()."
            ) from error
        # Decompositions are PyTorch's own code, and refuse arguments that PyTorch itself may have taken.
        raise UserError(f"PyTorch cannot take the network's graph apart: {first_line(error)[:300]}") from error


def rewritten(exported: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Return a captured network as torch-mlir is to import it: decomposed, without operators that work in place.

    Raises:
        UserError: when PyTorch refuses an operator with these arguments, or the network changes a tensor that is
            neither an input nor a parameter nor a buffer.
        MemoryError: when there is not enough memory.
    """
    from mlir_datagen.mlir.fx_import import decomposition_table

    program = decomposed_by(exported, {**decomposition_table(), **DECOMPOSITIONS})
    _compare_constants_with_floats(program.graph)
    return program


def _compare_constants_with_floats(graph: torch.fx.Graph) -> None:
    """Have floats that the graph itself makes compared with floats: with integers torch-mlir takes 1.0 > 0 for false.

    It computes that while it converts, so that only tensors that no input decides are concerned.
    """
    decided: set[torch.fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or not decided.isdisjoint(node.all_input_nodes):
            decided.add(node)
        elif node.target in COMPARED_WITH_NUMBERS and isinstance(node.args[1], int):
            (made,) = node.all_input_nodes
            if made.meta["val"].dtype.is_floating_point:
                node.args = (made, float(node.args[1]))
