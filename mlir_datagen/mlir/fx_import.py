"""Networks through torch-mlir: from a graph of torch.export to linalg on tensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_mlir import fx, ir
from torch_mlir.dialects import linalg, tensor
from torch_mlir.dialects import torch as torch_dialect
from torch_mlir.extras.fx_decomp_util import get_decomposition_table

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.parse import first_diagnostic

UPSTREAM_DIALECTS = frozenset(
    ("builtin", "func", "arith", "math", "complex", "tensor", "linalg", "cf", "scf", "affine", "index")
)
"""Dialects that a program may have; each is in upstream MLIR 19."""


def decomposition_table() -> dict[Any, Any]:
    """Return what torch-mlir would have operators taken apart by, before it imports a graph."""
    return dict(get_decomposition_table())


def import_network(exported: Any, name: str) -> ir.Module:
    """Lower a graph to linalg on tensors.

    Args:
        exported: a `torch.export.ExportedProgram` without parameters or buffers, already decomposed.
        name: of the function.

    Raises:
        Rejection: at stage `emitted`, when torch-mlir cannot, or leaves an operation that upstream MLIR does not have.
    """
    context = ir.Context()
    torch_dialect.register_dialect(context)
    errors: list[str] = []
    # Without a handler, they go to the standard error of the process.
    handler = context.attach_diagnostic_handler(partial(_note, errors))
    try:
        module: ir.Module = fx.export_and_import(
            exported,
            fx_importer=fx.FxImporter(context=context),
            output_type="linalg-on-tensors",
            decomposition_table={},
            func_name=name,
        )
    except MemoryError:
        raise
    except ir.MLIRError as error:
        raise Rejection("emitted", f"torch-mlir: {first_diagnostic(error)}") from error
    except Exception as error:
        # Its importer and its pipelines raise whatever they come upon, in classes without a common base.
        raise Rejection("emitted", f"torch-mlir: {errors[0] if errors else _said(error)}") from error
    finally:
        handler.detach()
    if foreign := _foreign_operation(module):
        raise Rejection("emitted", f"torch-mlir gives {foreign}, which is not of a dialect of upstream MLIR")
    return module


def plain_export(network: Any, inputs: tuple[Any, ...], name: str) -> str:
    """Convert a network as torch-mlir does by itself, with its weights in the text: what ours is measured beside."""
    return str(fx.export_and_import(network, *inputs, output_type="linalg-on-tensors", func_name=name))


def replace_arguments(module: ir.Module, constants: Mapping[int, NDArray[Any]]) -> None:
    """Turn arguments of the module's function into constants at its beginning."""
    (function,) = module.body.operations
    block = function.regions[0].blocks[0]
    with module.context, ir.Location.unknown(), ir.InsertionPoint.at_block_begin(block):
        for index, values in constants.items():
            type_ = ir.RankedTensorType(block.arguments[index].type)
            constant = ir.Operation.create(
                "arith.constant", results=[type_], attributes={"value": _elements(values, type_)}
            )
            block.arguments[index].replace_all_uses_with(constant.results[0])


def remove_unused_arguments(module: ir.Module, first: int) -> list[int]:
    """Remove the function's arguments that nothing uses, from a number on; return the numbers of those that stay."""
    (function,) = module.body.operations
    block = function.regions[0].blocks[0]
    unused = [
        index for index in range(first, len(block.arguments)) if next(iter(block.arguments[index].uses), None) is None
    ]
    total = len(block.arguments)
    for index in reversed(unused):
        block.erase_argument(index)
    type_ = ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value)
    with module.context:
        kept_types = [argument.type for argument in block.arguments]
        function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(kept_types, type_.results))
    return [index for index in range(total) if index not in set(unused)]


def copy_repeated_results(module: ir.Module) -> None:
    """Have the function return a copy of what it returns for the second time: results share no memory."""
    (function,) = module.body.operations
    (*_, returned) = function.regions[0].blocks[0].operations
    seen: list[ir.Value] = []
    for index, value in enumerate(returned.operands):
        if value in seen:
            type_ = ir.RankedTensorType(value.type)
            with ir.InsertionPoint(returned), ir.Location.unknown(module.context):
                empty = tensor.empty(type_.shape, type_.element_type)
                returned.operands[index] = linalg.copy(value, outs=[empty])
        seen.append(value)


def module_text(module: ir.Module) -> str:
    """Return a module's text."""
    return str(module)


def function_results(module: ir.Module) -> list[tuple[str, tuple[int, ...]]]:
    """Return element type and shape of each result of the module's function."""
    (function,) = module.body.operations
    type_ = ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value)
    ranked = [ir.RankedTensorType(result) for result in type_.results]
    return [(str(result.element_type), tuple(result.shape)) for result in ranked]


def _elements(values: NDArray[Any], type_: ir.RankedTensorType) -> ir.Attribute:
    if values.size > 0 and (values == values.flat[0]).all():
        scalar = type_.element_type
        element = (
            ir.FloatAttr.get(scalar, float(values.flat[0]))
            if values.dtype.kind == "f"
            else ir.IntegerAttr.get(scalar, int(values.flat[0]))
        )
        return ir.DenseElementsAttr.get_splat(type_, element)
    packed = np.packbits(values, bitorder="little") if values.dtype == np.bool_ else np.ascontiguousarray(values)
    return ir.DenseElementsAttr.get(packed, type=type_.element_type, shape=list(values.shape))


def _foreign_operation(module: ir.Module) -> str | None:
    """Return the first operation of a dialect that is not allowed."""
    found: list[str] = []

    def look(operation: ir.Operation) -> ir.WalkResult:
        if operation.name.partition(".")[0] in UPSTREAM_DIALECTS:
            return ir.WalkResult.ADVANCE
        found.append(operation.name)
        return ir.WalkResult.INTERRUPT

    # From the outside, so that the operation is named and not its terminator.
    module.operation.walk(look, ir.WalkOrder.PRE_ORDER)
    return found[0] if found else None


def _said(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _note(errors: list[str], diagnostic: Any) -> bool:
    if diagnostic.severity == ir.DiagnosticSeverity.ERROR:
        errors.append(" ".join(diagnostic.message.split())[:300])
    return True
