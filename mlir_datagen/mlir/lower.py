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
        Rejection: at stage `lowered`, with MLIR's first diagnostic.
    """
    try:
        module = ir.Module.parse(text, context)
        passmanager.PassManager.parse(f"builtin.module({BASELINE_PIPELINE})", context).run(module.operation)
    except ir.MLIRError as error:
        raise Rejection("lowered", first_diagnostic(error)) from error
    return module


def function_name(module: ir.Module) -> str:
    """Return the name of a lowered module's function, which the pipeline has given a C interface."""
    prefix = "_mlir_ciface_"
    for operation in module.body.operations:
        name = ir.StringAttr(operation.attributes["sym_name"]).value
        if name.startswith(prefix):
            return str(name[len(prefix) :])
    raise Rejection("lowered", "the module has no function")
