"""From torch-mlir's dialect to linalg on tensors: torch-mlir's own passes, which may crash their process.

Needs no PyTorch, so that a process that does nothing else starts quickly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch_mlir import ir, passmanager
from torch_mlir.dialects import linalg, tensor
from torch_mlir.dialects import torch as torch_dialect

from mlir_datagen.mlir.parse import first_diagnostic

UPSTREAM_DIALECTS = frozenset(
    ("builtin", "func", "arith", "math", "complex", "tensor", "linalg", "cf", "scf", "affine", "index")
)
"""Dialects that a program may have; each is in upstream MLIR 19."""

LOCATION = "node "
"""What the name of the file begins with in the location of each operation of a network's graph; its node's follows."""

_PASSES = (
    "builtin.module(func.func(torch-match-quantized-custom-ops),torchdynamo-export-to-torch-backend-pipeline)",
    "builtin.module(torch-backend-to-linalg-on-tensors-backend-pipeline{allow-non-finites=true})",
)


class NotLowered(Exception):
    """torch-mlir cannot lower a graph, or gives what no program may have.

    Attributes:
        reason: on one line.
        node: the name of the graph's node that it is about; None where it is not known.
    """

    def __init__(self, reason: str, node: str | None) -> None:
        super().__init__(reason, node)
        self.reason, self.node = reason, node


class Linalg(NamedTuple):
    """A network as linalg on tensors.

    Attributes:
        text: a module with one function.
        kept: the numbers of the graph's inputs that are arguments of the function.
        results: element type and shape of each result.
    """

    text: str
    kept: list[int]
    results: list[tuple[str, tuple[int, ...]]]


def lower_torch(text: str, first: int, constants: Mapping[int, NDArray[Any]]) -> Linalg:
    """Lower a graph to linalg on tensors.

    Args:
        text: the graph as `import_network` gives it.
        first: the number of its first input that is no argument of the function unless it is used.
        constants: the values, by number, of inputs that become constants.

    Raises:
        NotLowered: when torch-mlir cannot, leaves an operation that upstream MLIR does not have, or gives a program
            that always stops.
    """
    context = ir.Context()
    context.enable_multithreading(False)
    torch_dialect.register_dialect(context)
    # Without, a pass may report an error and go on, which ends the process.
    context.emit_error_diagnostics = True
    errors: list[tuple[str, str | None]] = []
    # Without a handler, they go to the standard error of the process.
    handler = context.attach_diagnostic_handler(partial(_note, errors))
    try:
        module = ir.Module.parse(text, context)
        for passes in _PASSES:
            passmanager.PassManager.parse(passes, context).run(module.operation)
    except ir.MLIRError as error:
        reason, node = errors[0] if errors else (first_diagnostic(error), None)
        raise NotLowered(f"torch-mlir: {reason}", node) from error
    finally:
        handler.detach()
    _refuse_foreign(module)
    _replace_arguments(module, constants)
    kept = _remove_unused_arguments(module, first)
    _copy_repeated_results(module)
    return Linalg(str(module), kept, _function_results(module))


def _refuse_foreign(module: ir.Module) -> None:
    """Refuse a module with an operation that no program may have."""

    def look(operation: ir.Operation) -> ir.WalkResult:
        if operation.name.partition(".")[0] not in UPSTREAM_DIALECTS:
            found.append((f"torch-mlir gives {operation.name}, which is not of a dialect of upstream MLIR", operation))
        elif operation.name == "cf.assert" and _is_false(operation.operands[0]):
            said = ir.StringAttr(operation.attributes["msg"]).value
            found.append((f"torch-mlir gives a program that always stops ({said})", operation))
        return ir.WalkResult.INTERRUPT if found else ir.WalkResult.ADVANCE

    found: list[tuple[str, ir.Operation]] = []
    # From the outside, so that the operation is named and not its terminator.
    module.operation.walk(look, ir.WalkOrder.PRE_ORDER)
    for reason, operation in found:
        raise NotLowered(reason, _node(operation.location))


def _is_false(condition: ir.Value) -> bool:
    made_by = condition.owner
    if isinstance(made_by, ir.Block) or made_by.name != "arith.constant":
        return False
    return not ir.IntegerAttr(made_by.attributes["value"]).value


def _replace_arguments(module: ir.Module, constants: Mapping[int, NDArray[Any]]) -> None:
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


def _remove_unused_arguments(module: ir.Module, first: int) -> list[int]:
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


def _copy_repeated_results(module: ir.Module) -> None:
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


def _function_results(module: ir.Module) -> list[tuple[str, tuple[int, ...]]]:
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
            if isinstance(scalar, ir.FloatType)
            else ir.IntegerAttr.get(scalar, int(values.flat[0]))
        )
        return ir.DenseElementsAttr.get_splat(type_, element)
    packed = np.packbits(values, bitorder="little") if values.dtype == np.bool_ else np.ascontiguousarray(values)
    return ir.DenseElementsAttr.get(packed, type=type_.element_type, shape=list(values.shape))


def _note(errors: list[tuple[str, str | None]], diagnostic: Any) -> bool:
    if diagnostic.severity == ir.DiagnosticSeverity.ERROR:
        errors.append((" ".join(diagnostic.message.split())[:300], _node(diagnostic.location)))
    return True


def _node(location: ir.Location) -> str | None:
    """Return the name of the first of the graph's nodes that a location names; the bindings only print locations."""
    named = re.search(rf'"{LOCATION}([^"]+)"', str(location))
    return named[1] if named else None
