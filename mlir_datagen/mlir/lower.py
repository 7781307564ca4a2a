"""Lowering programs to the LLVM dialect: plain loops, no tiling, no vectorizing, no threads."""

from __future__ import annotations

from collections.abc import Iterable

from torch_mlir import ir, passmanager
from torch_mlir._mlir_libs import _torchMlir  # noqa: F401  (registers refback-munge-memref-copy)

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.decompose import decompose
from mlir_datagen.mlir.facts import walk
from mlir_datagen.mlir.parse import first_diagnostic
from mlir_datagen.mlir.pipelines import BASELINE_PIPELINES


def lower(text: str, context: ir.Context) -> ir.Module:
    """Parse a program and lower it to the LLVM dialect.

    Raises:
        Rejection: at stage `lowered`, with MLIR's first diagnostic, or the operation that is left over.
    """
    try:
        module = ir.Module.parse(text, context)
        decompose(module, text)
        to_loops, to_llvm = BASELINE_PIPELINES
        passmanager.PassManager.parse(f"builtin.module({to_loops})", context).run(module.operation)
        _call_expm1(module)
        passmanager.PassManager.parse(f"builtin.module({to_llvm})", context).run(module.operation)
    except ir.MLIRError as error:
        raise Rejection("lowered", first_diagnostic(error)) from error
    if problem := left_over(operation.name for operation in walk(module.operation)):
        raise Rejection("lowered", problem)
    return module


def _call_expm1(module: ir.Module) -> None:
    """Have the C library compute exp(x) - 1 where a program has it as one operation.

    The pass that lowers it subtracts 1 from the exponential, and so loses all digits near 0.
    """
    found = [operation for operation in walk(module.operation) if operation.name == "math.expm1"]
    declared: dict[str, None] = {}
    for operation in found:
        (given,) = operation.operands
        if str(given.type) not in ("f32", "f64"):
            continue
        function = "expm1f" if str(given.type) == "f32" else "expm1"
        declared.setdefault(f"func.func private @{function}({given.type}) -> {given.type}")
        callee = ir.FlatSymbolRefAttr.get(function, module.context)
        with ir.Location.unknown(module.context), ir.InsertionPoint(operation):
            call = ir.Operation.create(
                "func.call", results=[given.type], operands=[given], attributes={"callee": callee}
            )
        operation.result.replace_all_uses_with(call.result)
        operation.erase()
    for declaration in declared:
        module.body.append(ir.Operation.parse(declaration, context=module.context))


def left_over(names: Iterable[str]) -> str | None:
    """Say which operation no pass has lowered: the passes succeed with one that they do not know.

    Args:
        names: of all operations of a module.
    """
    unknown = {name for name in names if name != "builtin.module" and not name.startswith("llvm.")}
    # The conversions between types are left over because something else is.
    left = sorted(unknown, key=lambda name: (name.startswith("builtin."), name))
    return f"{left[0]} is left over, which is not of the LLVM dialect" if left else None


def function_name(module: ir.Module) -> str:
    """Return the name of a lowered module's function, which the pipeline has given a C interface."""
    prefix = "_mlir_ciface_"
    for operation in module.body.operations:
        name = ir.StringAttr(operation.attributes["sym_name"]).value
        if name.startswith(prefix):
            return str(name[len(prefix) :])
    raise Rejection("lowered", "the module has no function")
