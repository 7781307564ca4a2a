"""What programs are called on, and comparing what they compute with an independent reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.element_types import ELEMENT_TYPES, fill_random, is_float, unwritten, widened
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.program_family import LARGEST_TOLERANCE, Bounds, HeldAgainst, largest
from mlir_datagen.proving.job import Job

_PAGE = 4096
_LEAST_COMPARED = 64
"""How many elements of a result are compared, over several draws of arguments where it has fewer.

Few elements can be right by chance: the maximum of two numbers is the first one half of the time.
"""


class Errors(NamedTuple):
    """How far results are from their references.

    Attributes:
        absolute: the largest difference.
        relative: the same, relative to the reference's maximum.
        hidden: the places of arguments that show in no result: it is the same for others, as rounding goes.
        proves: whether another result would have been found: rounding explains less than half of this one.
    """

    absolute: float
    relative: float
    hidden: frozenset[int] = frozenset()
    proves: bool = True


def aligned_zeros(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return an array of zeros that begins at a page: the time of memory-bound loops depends on where.

    Where it is large and not written to, the system gives it one page of zeros for all that is read.
    """
    type_ = ELEMENT_TYPES[dtype].numpy
    size = math.prod(shape) * type_.itemsize
    memory = np.zeros(size + _PAGE, np.uint8)
    start = -memory.ctypes.data % _PAGE
    return memory[start : start + size].view(type_).reshape(shape)


def draws(job: Job) -> int:
    """Return how many draws of arguments a program is run on: several where its result is compared, and small."""
    if job.family is None or job.level != "execute":
        return 1
    return math.ceil(_LEAST_COMPARED / math.prod(job.shapes[job.arguments]))


def random_arguments(job: Job, draw: int = 0) -> list[NDArray[Any]]:
    """Return arguments that follow from the program's text and the draw's number alone.

    They are in the ranges that the family names. Without a family, integers are zero: they may be indices, which every
    extent allows.
    """
    # Without a family nothing is compared: values that may be variances, whose roots torch-mlir's programs check.
    ranges: Sequence[Bounds] = [(0.0, 1.0)] * job.arguments
    if job.family is not None:
        family = PROGRAM_FAMILIES[job.family]
        ranges = family.input_ranges(family.spec_of_json(job.spec))
    sequence = np.random.SeedSequence(list(job.text.encode()), spawn_key=(draw,) if draw else ())
    generator = np.random.Generator(np.random.PCG64(sequence))
    arguments = []
    for shape, dtype, bounds in zip(job.shapes[: job.arguments], job.dtypes, ranges, strict=False):
        argument = aligned_zeros(shape, dtype)
        if isinstance(bounds, range):
            argument[...] = generator.integers(bounds.start, bounds.stop, shape)
        elif job.family is not None or is_float(dtype):
            fill_random(argument, dtype, generator, *bounds)
        arguments.append(argument)
    return arguments


def zero_arguments(job: Job) -> list[NDArray[Any]]:
    """Return the arguments that a program is measured on: zeros that were never written, as MLIR-RL has them."""
    return [aligned_zeros(*operand) for operand in zip(job.shapes[: job.arguments], job.dtypes, strict=False)]


def empty_results(job: Job) -> list[NDArray[Any]]:
    """Return the arrays that a program writes its results into."""
    results = []
    for shape, dtype in zip(job.shapes[job.arguments :], job.dtypes[job.arguments :], strict=True):
        result = aligned_zeros(shape, dtype)
        result.fill(unwritten(dtype))
        results.append(result)
    return results


def difference(result: NDArray[Any], reference: NDArray[Any]) -> Errors:
    """Return the largest difference of a result from its reference.

    Rounded to three digits: the reference is computed in double precision, whose own rounding may differ between
    processors far behind them.

    Raises:
        Rejection: at stage `matched`, when the result is not finite.
    """
    if result.size == 0:
        return Errors(0.0, 0.0)
    precise = reference.astype(np.float64, copy=False)
    error = largest(widened(result) - precise)
    if not math.isfinite(error):
        raise Rejection("matched", "the result holds NaN or inf")
    scale = max(largest(precise), float(np.finfo(np.float32).tiny))
    return Errors(float(f"{error:.2e}"), float(f"{error / scale:.2e}"))


def compare(job: Job, arguments: list[NDArray[Any]], results: list[NDArray[Any]], is_only: bool = True) -> Errors:
    """Return the errors of the results of a family's program.

    Args:
        job: the program.
        arguments: what it was called on.
        results: what it returned.
        is_only: whether it is compared on nothing else, so that this has to prove something.

    Raises:
        Rejection: at stage `matched`, when it is more than rounding explains.
    """
    assert job.family is not None
    family = PROGRAM_FAMILIES[job.family]
    spec = family.spec_of_json(job.spec)
    held = family.held_against(spec, arguments)
    found = [_errors(result, one, is_only) for result, one in zip(results, held, strict=True)]
    return worst(found)._replace(hidden=family.hidden(spec, arguments, held))


def _errors(result: NDArray[Any], held: HeldAgainst, is_only: bool) -> Errors:
    errors = difference(result, held.reference)
    if held.added_up is None:
        require(errors.absolute, min(held.allowed, LARGEST_TOLERANCE * largest(held.reference)))
    elif not errors.relative <= held.allowed:
        # Where terms cancel, rounding is relative to what is added up, which is more than the result.
        bound, telling = held.allowed * held.added_up(), LARGEST_TOLERANCE * largest(held.reference)
        # A sum of few numbers may cancel altogether; others do not.
        require(errors.absolute, min(bound, telling) if is_only else bound)
        errors = errors._replace(proves=bound <= telling)
    return errors


def worst(found: Sequence[Errors]) -> Errors:
    """Return the largest errors of several comparisons, what is hidden in all of them, and whether one proves it."""
    hidden = frozenset.intersection(*(errors.hidden for errors in found))
    absolute, relative = (max(getattr(errors, which) for errors in found) for which in ("absolute", "relative"))
    return Errors(absolute, relative, hidden, any(errors.proves for errors in found))


def require(error: float, allowed: float) -> None:
    """Refuse a result that is too far from its reference.

    Raises:
        Rejection: at stage `matched`.
    """
    if not error <= allowed:
        raise Rejection(
            "matched", f"the result differs from the reference by {error:.1e}; rounding explains {allowed:.1e}"
        )
