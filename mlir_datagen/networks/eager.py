"""Calling what a program computes in PyTorch, eagerly, so that it can be timed like the program."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.element_types import as_tensor
from mlir_datagen.networks.building import build_model, example_inputs, first_line, is_about_memory
from mlir_datagen.networks.model_spec import ModelSpec, require_trusted
from mlir_datagen.ops import FAMILIES
from mlir_datagen.proving.job import EagerJob
from mlir_datagen.proving.reference import zero_arguments

_SEED = 0
"""Of a network's weights and inputs, on which its time does not depend."""


class EagerProgram:
    """A call of PyTorch with its arguments, in the program's own precision.

    Raises:
        Rejection: at stage `measured`, when a network cannot be built or called.
    """

    def __init__(self, job: EagerJob) -> None:
        self._call = _family_call(job) if job.model is None else _network_call(job.model)

    def sample(self, windows: int, calls: int) -> NDArray[np.int64]:
        """Time it so many times in a row, each time over a window of so many calls, as `BoundProgram.sample` does.

        Raises:
            MemoryError: when there is not enough memory.
        """
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


def _family_call(job: EagerJob) -> Callable[[], Any]:
    program = job.program
    assert program.family is not None
    family = FAMILIES[program.family]
    spec = family.spec_of_json(program.spec)
    tensors = [as_tensor(*pair) for pair in zip(zero_arguments(program), program.dtypes, strict=False)]
    return lambda: family.reference(spec, *tensors)


def _network_call(spec: ModelSpec) -> Callable[[], Any]:
    try:
        # A dataset may be a stranger's.
        require_trusted(spec, trust=())
    except UserError as error:
        reason = f"{spec.class_path} is of a package that only the run trusted which made the dataset"
        raise Rejection("measured", reason) from error
    try:
        model = build_model(spec, _SEED, trust=())
        inputs = example_inputs(spec, _SEED)
        with torch.no_grad():
            model(**inputs)
    except UserError as error:
        raise Rejection("measured", str(error)) from error
    except Exception as error:
        # The network's own code raises what it likes.
        raise Rejection("measured", f"{type(error).__name__}: {first_line(error)}") from error
    return lambda: model(**inputs)
