"""Compiling a lowered program in process, and calling it with numpy arrays."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_mlir import ir, runtime
from torch_mlir.execution_engine import ExecutionEngine

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.lower import function_name

_SAMPLE = "mlir_datagen_sample"


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
        _add_sampling(module, function_name(module), operands)
        try:
            self._engine = ExecutionEngine(module, opt_level=optimization)
        except RuntimeError as error:
            raise Rejection("executed", f"it cannot be compiled: {str(error).splitlines()[0]}") from error
        address = self._engine.raw_lookup(_SAMPLE)
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
        self._windows, self._calls, self._samples = ctypes.c_int64(0), ctypes.c_int64(1), ctypes.c_void_p()
        descriptors = [runtime.get_ranked_memref_descriptor(_plain(array)) for array in arrays]
        pointers = [ctypes.c_void_p(ctypes.addressof(descriptor)) for descriptor in descriptors]
        # The packed interface takes the address of each argument.
        arguments = (self._windows, self._calls, self._samples, *pointers)
        self._packed = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        self._call = call
        self._alive = (program, arrays, descriptors, pointers)

    def run(self) -> None:
        """Run the program once."""
        self.sample(1, 1)

    def sample(self, windows: int, calls: int) -> NDArray[np.int64]:
        """Time the program so many times in a row, each time over a window of so many calls.

        The clocks are read by machine code: a call from Python takes longer than a short program.

        Returns:
            An array of shape (windows, 2): the wall time of each window, and the processor time that the thread had
            meanwhile, in nanoseconds. The second begins earlier and ends later, by the time of reading a clock.
        """
        samples = np.zeros((windows, 2), np.int64)
        self._windows.value, self._calls.value, self._samples.value = windows, calls, samples.ctypes.data
        self._call(self._packed)
        return samples


def _add_sampling(module: ir.Module, name: str, operands: int) -> None:
    """Add a function that calls the program in windows, and writes down how long each took."""
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
llvm.func @clock_gettime(i32, !llvm.ptr) -> i32
llvm.func @{_SAMPLE}(%windows: i64, %calls: i64, %samples: !llvm.ptr, {parameters}) {{
  %zero = llvm.mlir.constant(0 : i64) : i64
  %one = llvm.mlir.constant(1 : i64) : i64
  %two = llvm.mlir.constant(2 : i64) : i64
  %billion = llvm.mlir.constant(1000000000 : i64) : i64
  %wall = llvm.mlir.constant({time.CLOCK_MONOTONIC} : i32) : i32
  %processor = llvm.mlir.constant({time.CLOCK_THREAD_CPUTIME_ID} : i32) : i32
  %wall_begin = llvm.alloca %two x i64 : (i64) -> !llvm.ptr
  %wall_end = llvm.alloca %two x i64 : (i64) -> !llvm.ptr
  %processor_begin = llvm.alloca %two x i64 : (i64) -> !llvm.ptr
  %processor_end = llvm.alloca %two x i64 : (i64) -> !llvm.ptr
  llvm.br ^window(%zero : i64)
^window(%index: i64):
  %more_windows = llvm.icmp "slt" %index, %windows : i64
  llvm.cond_br %more_windows, ^begin, ^end
^begin:
  %r0 = llvm.call @clock_gettime(%processor, %processor_begin) : (i32, !llvm.ptr) -> i32
  %r1 = llvm.call @clock_gettime(%wall, %wall_begin) : (i32, !llvm.ptr) -> i32
  llvm.br ^call(%zero : i64)
^call(%done: i64):
  llvm.call @{interface}({arguments}) : ({types}) -> ()
  %called = llvm.add %done, %one : i64
  %more_calls = llvm.icmp "slt" %called, %calls : i64
  llvm.cond_br %more_calls, ^call(%called : i64), ^write
^write:
  %r2 = llvm.call @clock_gettime(%wall, %wall_end) : (i32, !llvm.ptr) -> i32
  %r3 = llvm.call @clock_gettime(%processor, %processor_end) : (i32, !llvm.ptr) -> i32
  %place = llvm.mul %index, %two : i64
{_write_elapsed("wall", "%place")}
  %next_place = llvm.add %place, %one : i64
{_write_elapsed("processor", "%next_place")}
  %next = llvm.add %index, %one : i64
  llvm.br ^window(%next : i64)
^end:
  llvm.return
}}
"""
    # The parsed module must outlive its operations, which do not keep it alive.
    parsed = ir.Module.parse(text, module.context)
    taken = {ir.StringAttr(operation.attributes["sym_name"]).value for operation in module.body.operations}
    for operation in parsed.body.operations:
        if ir.StringAttr(operation.attributes["sym_name"]).value not in taken:
            ir.InsertionPoint(module.body).insert(operation.operation.clone())


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as integers on the same memory: the bindings do not take every element type that numpy has."""
    return np.ascontiguousarray(array).view(f"u{array.itemsize}")


def _write_elapsed(clock: str, place: str) -> str:
    """Return the text that writes what passed on a clock, two pairs of seconds and nanoseconds, to a place."""
    lines = []
    for moment in ("begin", "end"):
        at = f"%{clock}_{moment}"
        lines += [
            f"{at}_s = llvm.load {at} : !llvm.ptr -> i64",
            f"{at}_rest = llvm.getelementptr {at}[1] : (!llvm.ptr) -> !llvm.ptr, i64",
            f"{at}_rest_ns = llvm.load {at}_rest : !llvm.ptr -> i64",
            f"{at}_s_ns = llvm.mul {at}_s, %billion : i64",
            f"{at}_ns = llvm.add {at}_s_ns, {at}_rest_ns : i64",
        ]
    lines += [
        f"%{clock}_elapsed = llvm.sub %{clock}_end_ns, %{clock}_begin_ns : i64",
        f"%{clock}_at = llvm.getelementptr %samples[{place}] : (!llvm.ptr, i64) -> !llvm.ptr, i64",
        f"llvm.store %{clock}_elapsed, %{clock}_at : i64, !llvm.ptr",
    ]
    return "\n".join(f"  {line}" for line in lines)
