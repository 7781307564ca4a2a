"""Comparing what a program computes with an independent reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import OpFamily, Spec
from mlir_datagen.proving.job import Job

_PAGE = 4096
UNIT_ROUNDOFF = {"f32": 2.0**-24}


def aligned_array(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an array, not initialised, that begins at a page: the time of memory-bound loops depends on where."""
    size = math.prod(shape) * 4
    memory = np.empty(size + _PAGE, np.uint8)
    start = -memory.ctypes.data % _PAGE
    return memory[start : start + size].view(np.float32).reshape(shape)


def random_arguments(job: Job, family: OpFamily, spec: Spec) -> list[NDArray[Any]]:
    """Return arguments that follow from the program's text alone, in the range that the family names."""
    low, high = family.input_range(spec)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(job.text.encode()))))
    arguments = []
    for shape in job.shapes[: job.arguments]:
        argument = aligned_array(shape)
        generator.random(out=argument, dtype=np.float32)
        # In place: getting fresh memory for large arrays takes longer than the arithmetic.
        argument *= np.float32(high - low)
        argument += np.float32(low)
        arguments.append(argument)
    return arguments


def tolerance(family: OpFamily, spec: Spec) -> float:
    """Return the largest relative error that rounding explains.

    Adding K products one after the other has a rounding error that grows like the square root of K for values of both
    signs (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 2.8); eight times that is allowed.
    """
    reduced = math.prod(loop.bound for loop in family.loops(spec) if loop.iterator == "reduction")
    return 8 * UNIT_ROUNDOFF[spec.dtype] * (1 + math.sqrt(reduced))


def relative_error(result: NDArray[Any], reference: NDArray[Any]) -> float:
    """Return the largest difference, relative to the reference's largest value.

    Rounded to three digits: the reference is computed in double precision, whose own rounding may differ between
    processors far behind them.

    Raises:
        Rejection: at stage `matched`, when the result is not finite.
    """
    largest = _largest(result - reference)
    if not math.isfinite(largest):
        raise Rejection("matched", "the result holds NaN or inf")
    scale = max(_largest(reference), float(np.finfo(np.float32).tiny))
    return float(f"{largest / scale:.2e}")


def _largest(values: NDArray[np.float64]) -> float:
    """Return the largest absolute value, without a copy of them all; NaN if there is one."""
    return max(float(values.max()), -float(values.min()))


def compare(job: Job, arguments: list[NDArray[Any]], results: list[NDArray[Any]]) -> float:
    """Return the error of a program's result.

    Raises:
        Rejection: at stage `matched`, when it is more than rounding explains.
    """
    family = FAMILIES[job.family]
    spec = family.spec_of_json(job.spec)
    error = relative_error(results[0], family.reference_result(spec, arguments))
    allowed = tolerance(family, spec)
    if not error <= allowed:
        raise Rejection(
            "matched", f"the result differs from the reference by {error:.1e} of it; {allowed:.1e} is allowed"
        )
    return error
