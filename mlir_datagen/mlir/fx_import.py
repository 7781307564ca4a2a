"""Networks into torch-mlir: from a graph of torch.export to the text of a module in its dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch_mlir import fx, ir
from torch_mlir.dialects import torch as torch_dialect
from torch_mlir.extras.fx_decomp_util import get_decomposition_table

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.torch_lowering import LOCATION


def decomposition_table() -> dict[Any, Any]:
    """Return what torch-mlir would have operators taken apart by, before it imports a graph."""
    return dict(get_decomposition_table())


class Imported(NamedTuple):
    """A network in torch-mlir's dialect.

    Attributes:
        text: a module with one function; the location of each operation names the node that it comes from.
        nodes: the graph's nodes by name.
    """

    text: str
    nodes: Mapping[str, Any]


def import_network(exported: Any, name: str) -> Imported:
    """Write a graph in torch-mlir's dialect. No pass runs, and nothing was seen to crash here.

    Args:
        exported: a `torch.export.ExportedProgram` without parameters or buffers, already decomposed.
        name: of the function.

    Raises:
        Rejection: at stage `emitted`, when torch-mlir cannot.
    """
    context = ir.Context()
    context.enable_multithreading(False)
    torch_dialect.register_dialect(context)
    importer = fx.FxImporter(context=context)
    try:
        with _located_by_name(exported.graph):
            importer.import_frozen_program(exported, func_name=name)
    except MemoryError:
        raise
    except Exception as error:
        # It raises whatever it comes upon, in classes without a common base.
        raise Rejection("emitted", f"torch-mlir: {_said(error)}") from error
    text = importer.module.operation.get_asm(enable_debug_info=True)
    return Imported(text, {node.name: node for node in exported.graph.nodes})


def plain_export(network: Any, inputs: tuple[Any, ...], name: str) -> str:
    """Convert a network as torch-mlir does by itself, with its weights in the text: what ours is measured beside."""
    return str(fx.export_and_import(network, *inputs, output_type="linalg-on-tensors", func_name=name))


@contextmanager
def _located_by_name(graph: Any) -> Iterator[None]:
    """Have the importer, which makes locations of the nodes' stack traces, give each node's name as its location."""
    traces = {node: node.meta.get("stack_trace") for node in graph.nodes}
    for node in traces:
        node.meta["stack_trace"] = f'File "{LOCATION}{node.name}", line 0, in graph'
    try:
        yield
    finally:
        for node, trace in traces.items():
            node.meta["stack_trace"] = trace


def _said(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
