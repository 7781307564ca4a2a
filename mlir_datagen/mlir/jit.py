"""Compiling a lowered program in process, and calling it with numpy arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_mlir import ir, runtime
from torch_mlir.execution_engine import ExecutionEngine

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.lower import function_name

_REPEAT = "mlir_datagen_repeat"


class CompiledProgram:
    """Machine code of a program, made with LLVM's -O3 unless another level is asked for.

    A wrong number or shape of arrays reads foreign memory, so this belongs into a process that may crash.

    Args:
        module: a module that `lower` returned; it is changed.
        operands: how many arguments and results the program has together.
        optimization: LLVM's level, 0 to 3. Compiling a network of hundreds of loops takes about a minute from level 1
            on, and seconds at 0.

    Raises:
        Rejection: at stage `executed`, when it cannot be compiled.
    """

    def __init__(self, module: ir.Module, operands: int, optimization: int = 3) -> None:
        _add_repeat(module, function_name(module), operands)
        try:
            self._engine = ExecutionEngine(module, opt_level=optimization)
        except RuntimeError as error:
            raise Rejection("executed", f"it cannot be compiled: {str(error).splitlines()[0]}") from error
        address = self._engine.raw_lookup(_REPEAT)
        if not address:
            # As for bf16, whose conversions some processors leave to functions of the compiler's library.
            raise Rejection("executed", "it cannot be compiled: it calls functions that this process does not have")
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)

    def bind(self, arrays: Sequence[NDArray[Any]]) -> BoundProgram:
        """Return the program with its arguments and results, in order; they are read and written in place."""
        return BoundProgram(self, self._call, arrays)


class BoundProgram:
    """A compiled program and the arrays that it works on."""

    def __init__(self, program: CompiledProgram, call: Any, arrays: Sequence[NDArray[Any]]) -> None:
        self._count = ctypes.c_int64(1)
        descriptors = [runtime.get_ranked_memref_descriptor(np.ascontiguousarray(array)) for array in arrays]
        pointers = [ctypes.c_void_p(ctypes.addressof(descriptor)) for descriptor in descriptors]
        # The packed interface takes the address of each argument.
        addresses = [ctypes.addressof(argument) for argument in (self._count, *pointers)]
        self._packed = (ctypes.c_void_p * len(addresses))(*addresses)
        self._call = call
        self._alive = (program, arrays, descriptors, pointers)

    def run(self, calls: int = 1) -> None:
        """Run the program so many times in a row, with nothing but the loop between."""
        self._count.value = calls
        self._call(self._packed)


def _add_repeat(module: ir.Module, name: str, operands: int) -> None:
    """Add a function that calls the program n times: a call from Python costs more than a short program takes."""
    interface = f"_mlir_ciface_{name}"
    with module.context:
        for operation in module.body.operations:
            if ir.StringAttr(operation.attributes["sym_name"]).value == interface:
                # Inlined, LLVM could move parts of the program out of the loop.
                operation.attributes["no_inline"] = ir.UnitAttr.get()
    parameters = ", ".join(f"%operand{index}: !llvm.ptr" for index in range(operands))
    arguments = ", ".join(f"%operand{index}" for index in range(operands))
    types = ", ".join(["!llvm.ptr"] * operands)
    text = f"""
llvm.func @{interface}({types})
llvm.func @{_REPEAT}(%calls: i64, {parameters}) {{
  %zero = llvm.mlir.constant(0 : i64) : i64
  %one = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^call(%zero : i64)
^call(%done: i64):
  llvm.call @{interface}({arguments}) : ({types}) -> ()
  %next = llvm.add %done, %one : i64
  %more = llvm.icmp "slt" %next, %calls : i64
  llvm.cond_br %more, ^call(%next : i64), ^end
^end:
  llvm.return
}}
"""
    # The parsed module must outlive its operations, which do not keep it alive.
    parsed = ir.Module.parse(text, module.context)
    _, repeat = parsed.body.operations
    ir.InsertionPoint(module.body).insert(repeat.operation.clone())
