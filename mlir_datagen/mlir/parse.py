"""Parsing and verifying program text in process, through the bindings of torch-mlir."""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache
from pathlib import Path

from torch_mlir import _mlir_libs, ir

from mlir_datagen.errors import Rejection

PROGRAMS_PER_CONTEXT = 10_000
"""A context keeps every type it has seen for ever; making a new one costs a few milliseconds."""


class Verifier:
    """Parses programs; parsing runs the verifier. One per process, since making a context registers every dialect."""

    def __init__(self) -> None:
        self._context = ir.Context()
        self._used = 0

    def verify(self, text: str) -> None:
        """Parse and verify one program.

        Raises:
            Rejection: at stage `verified`, with the parser's first diagnostic.
        """
        if self._used == PROGRAMS_PER_CONTEXT:
            self._context = ir.Context()
            self._used = 0
        self._used += 1
        try:
            ir.Module.parse(text, self._context)
        except ir.MLIRError as error:
            raise Rejection("verified", _first_diagnostic(error)) from error


def _first_diagnostic(error: ir.MLIRError) -> str:
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
