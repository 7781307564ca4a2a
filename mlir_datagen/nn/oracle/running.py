"""Running a converted network. It needs the program's text and arrays alone, and may crash the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.mlir.cost import module_flops
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.nn.signature import Converted
from mlir_datagen.proving.reference import NUMPY_DTYPES

_WORTH_OPTIMIZING = 2_000_000_000


def run(lowered: Any, converted: Converted, calls: Sequence[Sequence[NDArray[Any]]]) -> list[list[NDArray[Any]]]:
    """Compile a converted network once, and call it: on arguments that PyTorch accepts.

    Args:
        lowered: the program's module as `lower` returned it; it is changed.
        converted: the same before.
        calls: the arguments of each call, in order.

    Returns:
        The results of each call, in order.

    Raises:
        Rejection: at stage `executed`, when it cannot be compiled.
    """
    # A small network would spend nearly all of its time being optimised.
    optimization = 0 if module_flops(converted.text, Contexts().next()) < _WORTH_OPTIMIZING else 3
    program = CompiledProgram(lowered, len(converted.arguments) + len(converted.results), optimization)
    answers = []
    for given in calls:
        # A copy: programs may write into their arguments' memory only by mistake, but then into ours.
        arguments = [np.array(argument, order="C") for argument in given]
        results = [np.zeros(result.shape, NUMPY_DTYPES[result.dtype]) for result in converted.results]
        for result in results:
            # An element that the program does not write stays NaN, also in bf16, and the largest of integers.
            result.fill(np.nan if result.dtype.kind == "f" else _largest(result.dtype))
        program.bind([*arguments, *results]).run()
        answers.append(results)
    return answers


def _largest(dtype: np.dtype[Any]) -> int:
    return 1 if dtype == np.bool_ else int(np.iinfo(dtype).max)
