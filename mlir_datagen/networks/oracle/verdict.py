"""The verdict on a program: its results beside PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection, listed
from mlir_datagen.mlir.element_types import widened
from mlir_datagen.mlir.signature import Argument
from mlir_datagen.networks.oracle.expected import Expected, ExpectedResult
from mlir_datagen.programs.proof import Proof
from mlir_datagen.proving.reference import Errors

LARGEST_EXCUSED_SHARE = 0.01
"""How many elements of a result may differ from PyTorch's where PyTorch itself changes its mind."""

_ALWAYS_EXCUSED = 2
"""How many may in any case: a tie between two elements concerns both."""

_MOST_NAMED = 5


class Verdict(NamedTuple):
    """What was found of a program that was not refused.

    Attributes:
        errors: the largest difference of its results from PyTorch's, of the elements that were compared.
        excused: how many elements differ that hang on a rounding.
        unshown: what does not show in the results, so that a fault there would not have been found.
    """

    errors: Errors
    excused: int
    unshown: tuple[str, ...]

    def proof(self) -> Proof:
        """Return what is proven of the program."""
        return Proof("execute", self.errors.relative, None, (), self.errors.absolute, self.excused, self.unshown)

    def warning(self, name: str) -> str:
        """Say to people that a network is not called matched."""
        more = len(self.unshown) - _MOST_NAMED
        named = ", ".join(self.unshown[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        return (
            f"{name} gives PyTorch's results, but is not called matched: its results do not show {named}, so that a "
            'fault there would not be found. The column "unshown" of the index has them all. Give inputs, or weights, '
            "with which they make a difference."
        )


def judge(answers: Sequence[Sequence[NDArray[Any]]], results: Sequence[Argument], expected: Expected) -> Verdict:
    """Compare a program's results with PyTorch's. Infinities and integers have to be equal; a NaN never is.

    Args:
        answers: the results of each call.
        results: how the program has them.
        expected: what PyTorch says.

    Raises:
        Rejection: at stage `matched`, when a result has another shape or element type, is not finite where PyTorch's
            is, or differs by more than rounding explains.
    """
    found = [(one.dtype, one.shape) for one in results]
    wanted = [(one.dtype, one.values.shape) for one in expected.cases[0].results]
    if found != wanted:
        raise Rejection("matched", f"the results are {_typed(found)} instead of {_typed(wanted)}")
    absolute = relative = 0.0
    excused = 0
    for answer, case in zip(answers, expected.cases, strict=True):
        for index, (result, value) in enumerate(zip(answer, case.results, strict=True)):
            errors, left_out = _compared(f"output{index}", widened(result), value)
            absolute, relative = max(absolute, errors.absolute), max(relative, errors.relative)
            excused += left_out
    return Verdict(Errors(absolute, relative), excused, expected.unshown)


def _compared(name: str, result: NDArray[Any], expected: ExpectedResult) -> tuple[Errors, int]:
    """Return the errors of a result, rounded to three digits, and how many of its elements were left out."""
    with np.errstate(invalid="ignore", over="ignore"):
        differences = np.array(np.abs(result.astype(np.float64) - expected.values))
    differences[result == expected.values] = 0
    # Integers, too, that double precision does not tell apart.
    differences[(result != expected.values) & (differences == 0)] = 1
    far = ~(differences <= expected.allowed)
    wrong = far & ~expected.unsettled
    if wrong.any():
        raise Rejection("matched", _said(name, result, expected, differences, wrong))
    excused = int(far.sum())
    if excused > max(_ALWAYS_EXCUSED, LARGEST_EXCUSED_SHARE * result.size):
        raise Rejection(
            "matched",
            f"{name} differs from PyTorch's in {excused} of {result.size} elements that hang on a rounding; "
            f"{LARGEST_EXCUSED_SHARE:.0%} of them may",
        )
    compared = differences[~far]
    largest = float(compared.max(initial=0))
    finite = expected.values[np.isfinite(expected.values)]
    scale = max(float(np.abs(finite.astype(np.float64)).max(initial=0)), float(np.finfo(np.float32).tiny))
    return Errors(float(f"{largest:.2e}"), float(f"{largest / scale:.2e}")), excused


def _said(
    name: str, result: NDArray[Any], expected: ExpectedResult, differences: NDArray[Any], wrong: NDArray[np.bool_]
) -> str:
    """Say how a result differs, where it does so the most by what is allowed there."""
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(wrong, np.nan_to_num(differences / expected.allowed, nan=np.inf), -1)
    place = np.unravel_index(int(excess.argmax()), result.shape)
    if not math.isfinite(differences[place]):
        return f"the result holds NaN or inf where PyTorch's has {_number(expected.values[place])} ({name})"
    return (
        f"{name} differs from PyTorch's in {int(wrong.sum())} of {result.size} elements, as at "
        f"{[int(each) for each in place]}, where it is {_number(result[place])} instead of "
        f"{_number(expected.values[place])}; rounding explains a difference of {expected.allowed[place]:.1e}"
    )


def _number(value: Any) -> str:
    return f"{float(value):.9g}" if np.asarray(value).dtype.kind == "f" else str(value)


def _typed(results: Sequence[tuple[str, tuple[int, ...]]]) -> str:
    return listed(f"{dtype} {list(shape)}" for dtype, shape in results)
