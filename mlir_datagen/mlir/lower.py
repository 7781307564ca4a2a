"""Lowering programs to the LLVM dialect: plain loops, no tiling, no vectorizing, no threads."""

from __future__ import annotations

from torch_mlir import ir, passmanager
from torch_mlir._mlir_libs import _torchMlir  # noqa: F401  (registers refback-munge-memref-copy)

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.parse import first_diagnostic
from mlir_datagen.mlir.pipelines import BASELINE_PIPELINE


def lower(text: str, context: ir.Context) -> ir.Module:
    """Parse a program and lower it to the LLVM dialect.

    Raises:
        Rejection: at stage `lowered`, with MLIR's first diagnostic, or the operation that is left over.
    """
    try:
        module = ir.Module.parse(text, context)
        passmanager.PassManager.parse(f"builtin.module({BASELINE_PIPELINE})", context).run(module.operation)
    except ir.MLIRError as error:
        raise Rejection("lowered", first_diagnostic(error)) from error
    if left_over := _left_over(module):
        raise Rejection("lowered", f"{left_over} is left over, which is not of the LLVM dialect")
    return module


def _left_over(module: ir.Module) -> str | None:
    """Return the name of an operation that no pass has lowered: the passes succeed with one that they do not know."""
    names: list[str] = []

    def look(operation: ir.Operation) -> ir.WalkResult:
        if operation.name == "builtin.module" or operation.name.startswith("llvm."):
            return ir.WalkResult.ADVANCE
        names.append(operation.name)
        return ir.WalkResult.INTERRUPT

    module.operation.walk(look)
    return names[0] if names else None


def function_name(module: ir.Module) -> str:
    """Return the name of a lowered module's function, which the pipeline has given a C interface."""
    prefix = "_mlir_ciface_"
    for operation in module.body.operations:
        name = ir.StringAttr(operation.attributes["sym_name"]).value
        if name.startswith(prefix):
            return str(name[len(prefix) :])
    raise Rejection("lowered", "the module has no function")
