"""Calling what a program computes in PyTorch, eagerly, so that it can be timed like the program."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.errors import first_line, is_about_memory
from mlir_datagen.mlir.element_types import as_tensor, torch_dtype
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.proving.job import Job
from mlir_datagen.proving.reference import zero_arguments


class EagerProgram:
    """A call of PyTorch, timed.

    Args:
        call: the call, with its arguments, in the program's own precision.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call

    def sample(self, windows: int, calls: int) -> NDArray[np.int64]:
        """Time it so many times in a row, each time over a window of so many calls, as `BoundProgram.sample` does.

        Raises:
            MemoryError: when there is not enough memory.
        """
        import torch

        samples = np.zeros((windows, 2), np.int64)
        try:
            with torch.no_grad():
                for window in range(windows):
                    processor, wall = time.thread_time_ns(), time.monotonic_ns()
                    for _ in range(calls):
                        self._call()
                    samples[window] = time.monotonic_ns() - wall, time.thread_time_ns() - processor
            return samples
        except RuntimeError as error:
            if not is_about_memory(error):
                raise
            raise MemoryError(first_line(error)) from error


def family_call(program: Job) -> Callable[[], Any]:
    """Return the call of what PyTorch has for a family's program, on the arguments that the program is measured on."""
    assert program.family is not None
    family = PROGRAM_FAMILIES[program.family]
    spec = family.spec_of_json(program.spec)
    tensors = [as_tensor(*pair) for pair in zip(zero_arguments(program), program.dtypes, strict=False)]
    call, graph = family.pytorch(spec), family.graph(spec)
    if not graph.converts:
        return partial(call, *tensors)
    # PyTorch has no operations on other types than the result's.
    result = torch_dtype(graph.results[0].dtype)
    return lambda: call(*(tensor.to(result) for tensor in tensors))
