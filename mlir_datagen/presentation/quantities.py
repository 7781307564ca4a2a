"""What is compared between programs and splits: numbers with their names and units, and how far groups differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.presentation.dimensions import PARALLEL, REDUCTION
from mlir_datagen.presentation.facts import Facts

Groups = Mapping[str, NDArray[Any]]
"""The known values of each split, by its name."""

TIME, TEXT, OPERATIONS, LOOPS = "time of a call", "text (bytes)", "operations", "loops of main operation"
"""Names of quantities."""

_LEVEL = 0.01
"""How often chance may explain what is called a shift."""


class Roof(NamedTuple):
    """The highest speeds among the measured programs of a dataset; no others are known of the machine.

    Attributes:
        gigaflops: arithmetic operations in a nanosecond.
        gigabytes: bytes of arguments and results in a nanosecond.
    """

    gigaflops: float
    gigabytes: float


def empirical_roof(facts: Facts) -> Roof | None:
    """Return the highest speeds of the undisturbed measured programs, of all where there is none; None without any."""
    measured = np.isfinite(facts.time_ns) & (facts.time_ns > 0)
    calm = measured & ~facts.disturbed
    chosen = calm if calm.any() else measured
    flops, moved, times = facts.flops[chosen], facts.bytes_moved[chosen], facts.time_ns[chosen]
    rates = [np.nanmax(values / times, initial=0.0) for values in (flops, moved)]
    return Roof(*map(float, rates)) if all(rates) else None


def quantities(facts: Facts) -> Iterator[tuple[str, NDArray[Any], NDArray[np.int64]]]:
    """Yield what is known of programs, as (name with its unit, values, the place of the program of each)."""
    everywhere = np.arange(len(facts.names))
    numbers = {
        "flops": facts.flops,
        "bytes moved": facts.bytes_moved,
        "intensity (flops per byte)": facts.intensity,
        TIME: facts.time_ns,
        TEXT: facts.text_bytes,
        OPERATIONS: facts.nodes,
        LOOPS: facts.loops,
    }
    for name, values in numbers.items():
        known = np.isfinite(values)
        yield name, values[known], everywhere[known]
    for name in (PARALLEL, REDUCTION):
        if name in facts.extents:
            rows, bounds = facts.extents[name]
            yield f"bounds of {name}", bounds, rows


def by_split(facts: Facts, splits: list[str], values: NDArray[Any], rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return values by the split of their program."""
    codes = facts.split.codes[rows]
    words = facts.split.words
    return {split: values[codes == words.index(split)] for split in splits if split in words}


def distinct(groups: Groups) -> NDArray[Any]:
    """Return the different values of all groups, in order."""
    return np.unique(np.concatenate(list(groups.values()))) if groups else np.empty(0)


def largest_gap(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the largest difference of two samples' cumulative shares: 0 where they agree, 1 where nothing overlaps."""
    values = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(each), values, side="right") / len(each) for each in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def chance_gap(one: int, other: int, comparisons: int = 1) -> float:
    """Return the gap that two samples of one distribution exceed by chance once in a hundred times at most.

    By the two-sample test of Kolmogorov and Smirnov, with Bonferroni's correction.

    Args:
        one: the size of a sample.
        other: that of the other.
        comparisons: how many pairs are looked at together: once in a hundred times, one of them or more has such a gap.
    """
    factor = math.sqrt(-math.log(_LEVEL / comparisons / 2) / 2)
    return min(factor * math.sqrt((one + other) / (one * other)), 1.0)
