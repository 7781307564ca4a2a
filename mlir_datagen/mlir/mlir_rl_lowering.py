"""Bufferizing and lowering a timed program as MLIR-RL does before it runs it: in process, or with an `mlir-opt`."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from torch_mlir import ir, passmanager

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.facts import ModuleFacts, module_facts, walk
from mlir_datagen.mlir.lower import left_over
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
_VERSION = "19"
_COUNT = "print-op-stats{json=true}"


class Examined(NamedTuple):
    """What a timed program consists of, and what was found about it.

    Attributes:
        facts: what it consists of.
        lowering_problem: why it cannot be lowered, if that is so.
        translation: that it was read in another form than its text has, if that is so.
    """

    facts: ModuleFacts
    lowering_problem: str | None
    translation: str | None


def examine(text: str, mlir_opt: str | None) -> Examined:
    """Read a timed program and lower it.

    Args:
        text: the program; anyone's.
        mlir_opt: the program that lowers it, and rewrites for our parser what only its own knows; None to do all in
            process.

    Raises:
        Rejection: at stage `verified`, when the parser or the verifier does not take it.
    """
    context = ir.Context()
    # So that a foreign dialect is named, as far as its operations are in the generic form.
    context.allow_unregistered_dialects = True
    module, translation = _parse(text, context, mlir_opt)
    facts = module_facts(module, CLOCK, MAIN)
    problem = _lowering_problem(module) if mlir_opt is None else _tool_lowering_problem(text, mlir_opt)
    return Examined(facts, problem, translation)


def _parse(text: str, context: ir.Context, mlir_opt: str | None) -> tuple[ir.Module, str | None]:
    """Parse a program: as it is, or with its named operations as the `linalg.generic` that they stand for."""
    try:
        return ir.Module.parse(text, context), None
    except ir.MLIRError as error:
        reason = first_diagnostic(error)
    generalized = None if mlir_opt is None else _generalized(text, mlir_opt)
    if mlir_opt is None or generalized is None:
        raise Rejection("verified", reason)
    try:
        module = ir.Module.parse(generalized, context)
    except ir.MLIRError as error:
        raise Rejection("verified", reason) from error
    return module, (
        f"it is checked with linalg.generic in the place of its named operations, of which neither the kind of "
        f"convolution nor the tag is checked: {Path(mlir_opt).name} parses it, and the newer MLIR of this package does "
        f"not ({reason})"
    )


def _generalized(text: str, mlir_opt: str) -> str | None:
    """Return a program with `linalg.generic` in the place of all other linalg operations; None if it does not parse."""
    command = [mlir_opt, "--linalg-generalize-named-ops", "--mlir-print-local-scope"]
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=_SECONDS, errors="replace")
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


def _lowering_problem(module: ir.Module) -> str | None:
    """Say why a module cannot be lowered to the LLVM dialect in process, or return None; it is changed."""
    pipeline = f"builtin.module({','.join(MLIR_RL_PASSES)})"
    try:
        passmanager.PassManager.parse(pipeline, module.context).run(module.operation)
    except ir.MLIRError as error:
        return f"it cannot be bufferized and lowered: {first_diagnostic(error)}"
    return _unlowered(operation.name for operation in walk(module.operation))


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
    return _unlowered(counts)


def _unlowered(names: Iterable[str]) -> str | None:
    problem = left_over(names)
    return problem and f"it cannot be lowered: {problem}"


def check_tool(mlir_opt: str) -> str | None:
    """Refuse a program that is no `mlir-opt`, and return what is to be said of one of another version than MLIR-RL's.

    Raises:
        UserError: with what to name instead.
    """
    printed = {}
    for option in ("--version", "--help"):
        try:
            done = subprocess.run([mlir_opt, option], capture_output=True, text=True, timeout=60, errors="replace")
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"{mlir_opt} cannot be run ({error}). Name an mlir-opt: --mlir-opt mlir-opt-19") from error
        printed[option] = done.stdout if done.returncode == 0 else ""
    version = re.search(r"LLVM version (\d+)", printed["--version"])
    # Other tools of LLVM print a version, too; only this kind has MLIR's passes.
    if version is None or "--one-shot-bufferize" not in printed["--help"]:
        raise UserError(
            f"{mlir_opt} is no mlir-opt: it has no version of LLVM, or no pass --one-shot-bufferize. Name one: "
            "--mlir-opt mlir-opt-19"
        )
    if version[1] == _VERSION:
        return None
    return f"it is of LLVM {version[1]}, and MLIR-RL runs programs on {_VERSION}: what it takes may fail there"
