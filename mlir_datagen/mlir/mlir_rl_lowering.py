"""Bufferizing and lowering a timed program as MLIR-RL does before it runs it: in process, or with an `mlir-opt`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from torch_mlir import ir, passmanager

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.facts import ModuleFacts, module_facts, walk
from mlir_datagen.mlir.parse import first_diagnostic
from mlir_datagen.mlir.timed_main import CLOCK, MAIN

MLIR_RL_PASSES = (
    "eliminate-empty-tensors",
    "empty-tensor-to-alloc-tensor",
    "one-shot-bufferize{bufferize-function-boundaries=1 function-boundary-type-conversion=identity-layout-map}",
    "canonicalize",
    "buffer-deallocation-pipeline",
    "convert-bufferization-to-memref",
    "convert-linalg-to-loops",
    "scf-forall-to-parallel",
    "expand-strided-metadata",
    "convert-scf-to-cf",
    "lower-affine",
    "convert-vector-to-llvm",
    "convert-math-to-llvm",
    "convert-math-to-libm",
    "finalize-memref-to-llvm",
    "convert-func-to-llvm",
    "convert-index-to-llvm",
    "convert-arith-to-llvm",
    "convert-cf-to-llvm",
    "reconcile-unrealized-casts",
    "canonicalize",
    "cse",
)
"""How MLIR-RL bufferizes and lowers a program, in order, less what only its transformations need."""

_SECONDS = 300
_COUNT = "print-op-stats{json=true}"


def examine(text: str, mlir_opt: str | None) -> tuple[ModuleFacts, str | None]:
    """Return what a timed program consists of, and why it cannot be lowered, if that is so.

    Args:
        text: the program; anyone's.
        mlir_opt: the program that lowers it; None to lower it in process.

    Raises:
        Rejection: at stage `verified`, when the parser or the verifier does not take it.
    """
    context = ir.Context()
    # So that a foreign dialect is named, as far as its operations are in the generic form.
    context.allow_unregistered_dialects = True
    try:
        module = ir.Module.parse(text, context)
    except ir.MLIRError as error:
        raise Rejection("verified", first_diagnostic(error)) from error
    facts = module_facts(module, CLOCK, MAIN)
    return facts, _lowering_problem(module) if mlir_opt is None else _tool_lowering_problem(text, mlir_opt)


def _lowering_problem(module: ir.Module) -> str | None:
    """Say why a module cannot be lowered to the LLVM dialect in process, or return None; it is changed."""
    pipeline = f"builtin.module({','.join(MLIR_RL_PASSES)})"
    try:
        passmanager.PassManager.parse(pipeline, module.context).run(module.operation)
    except ir.MLIRError as error:
        return f"it cannot be bufferized and lowered: {first_diagnostic(error)}"
    return _left_over(operation.name for operation in walk(module.operation))


def _tool_lowering_problem(text: str, mlir_opt: str) -> str | None:
    """Say why an `mlir-opt` cannot parse a module and lower it to the LLVM dialect, or return None."""
    pipeline = f"builtin.module({','.join((*MLIR_RL_PASSES, _COUNT))})"
    command = [mlir_opt, f"--pass-pipeline={pipeline}", "-o", "/dev/null"]
    name = Path(mlir_opt).name
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=_SECONDS, errors="replace")
    except subprocess.TimeoutExpired:
        return f"{name} needs longer than {_SECONDS} s to lower it"
    if done.returncode != 0:
        lines = done.stderr.splitlines() or [f"it ended with {done.returncode}"]
        first = next((line for line in lines if "error:" in line), lines[0])
        return f"{name} cannot bufferize and lower it: {first}"
    # What the pass that counts the operations prints, after any warnings.
    counts = json.loads(done.stderr[done.stderr.index("{\n") :])
    return _left_over(counts)


def check_tool(mlir_opt: str) -> None:
    """Refuse a program that is no `mlir-opt`.

    Raises:
        UserError: with what to name instead.
    """
    try:
        done = subprocess.run([mlir_opt, "--version"], capture_output=True, text=True, timeout=60, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{mlir_opt} cannot be run ({error}). Name an mlir-opt: --mlir-opt mlir-opt-19") from error
    if done.returncode != 0 or "LLVM version" not in done.stdout:
        raise UserError(f"{mlir_opt} is no mlir-opt: it prints no LLVM version. Name one: --mlir-opt mlir-opt-19")


def _left_over(names: Iterable[str]) -> str | None:
    """Say which operation no pass has lowered: the passes succeed with one that they do not know."""
    unknown = {name for name in names if name != "builtin.module" and not name.startswith("llvm.")}
    # The conversions between types are left over because something else is.
    left = sorted(unknown, key=lambda name: (name.startswith("builtin."), name))
    return f"it cannot be lowered: {left[0]} is left over, which is not of the LLVM dialect" if left else None
