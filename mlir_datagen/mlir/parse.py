"""Parsing and verifying program text in process, through the bindings of torch-mlir."""

from __future__ import annotations

import re
import subprocess
import threading
from functools import lru_cache
from pathlib import Path

from torch_mlir import _mlir_libs, ir

from mlir_datagen.errors import Rejection, UserError

PROGRAMS_PER_CONTEXT = 10_000
"""A context keeps every type it has seen for ever; making a new one costs a few milliseconds."""


class Contexts:
    """Hands out a context for each program: the same one for many, since making one registers every dialect.

    The first one is made for the first program: of those that a run may need, it needs few.
    """

    def __init__(self) -> None:
        self._context: ir.Context | None = None
        self._used = 0

    def next(self) -> ir.Context:
        """Return the context for the next program."""
        if self._context is None or self._used == PROGRAMS_PER_CONTEXT:
            self._context = ir.Context()
            self._used = 0
        self._used += 1
        return self._context


class Verifier:
    """Parses programs; parsing runs the verifier. One per process is enough."""

    def __init__(self) -> None:
        self._contexts = Contexts()

    def verify(self, text: str) -> None:
        """Parse and verify one program.

        Raises:
            Rejection: at stage `verified`, with the parser's first diagnostic.
        """
        context = self._contexts.next()
        try:
            ir.Module.parse(text, context)
        except ir.MLIRError as error:
            raise Rejection("verified", first_diagnostic(error)) from error


_OF_THREAD = threading.local()


def verifier_of_thread() -> Verifier:
    """Return the verifier that this thread keeps: it does not know a context's dialects and types again each time."""
    try:
        kept: Verifier = _OF_THREAD.verifier
    except AttributeError:
        kept = _OF_THREAD.verifier = Verifier()
    return kept


def function_types(
    text: str, context: ir.Context, memrefs: bool = False
) -> tuple[list[tuple[str, tuple[int, ...]]], ...]:
    """Return element type and shape of each argument, and of each result, of the function of a valid program.

    Args:
        text: the program.
        context: to parse it in.
        memrefs: whether they may be memrefs, too.

    Raises:
        UserError: when it is not one function, on ranked tensors.
    """
    module = ir.Module.parse(text, context)
    functions = [view.operation for view in module.body.operations]
    if [function.name for function in functions] != ["func.func"]:
        raise UserError("The program is not one function.")
    (function,) = functions
    type_ = ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value)
    ranked = (ir.RankedTensorType, ir.MemRefType) if memrefs else (ir.RankedTensorType,)
    if not all(isinstance(operand, ranked) for operand in (*type_.inputs, *type_.results)):
        raise UserError("The program's function takes or returns something that is no ranked tensor.")
    return tuple(
        [(str(shaped.element_type), tuple(shaped.shape)) for shaped in map(ir.ShapedType, types)]
        for types in (type_.inputs, type_.results)
    )


def first_diagnostic(error: ir.MLIRError) -> str:
    """Return the first thing that MLIR found wrong, with its place, on one line."""
    for diagnostic in error.error_diagnostics:
        return f"{diagnostic.location}: {diagnostic.message}".splitlines()[0]
    return str(error).splitlines()[0]


@lru_cache(maxsize=1)
def llvm_version() -> str:
    """Return the version of LLVM that the bindings were built from, as their own `torch-mlir-opt` prints it."""
    tool = Path(_mlir_libs.__file__).with_name("torch-mlir-opt")
    printed = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"LLVM version (\S+)", printed)
    if match is None:
        raise RuntimeError(f"{tool.name} --version prints no LLVM version: {printed!r}")
    return match[1]
