"""Filling a split with the families' programs: exact quotas, and what happens when a grid runs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.apportion import UNLIMITED, sequence, shares
from mlir_datagen.config.ops import OpConfig
from mlir_datagen.errors import UserError
from mlir_datagen.sources.walk import Limits, VariantWalk


@dataclass(frozen=True)
class Quota:
    """What one family gives to one split.

    Attributes:
        asked: its exact share of the split.
        planned: its programs in the plan, which differ where a family ran out.
        existing: admissible programs that the split can have, or a bound on them where `exact` is false.
    """

    split: str
    family: str
    asked: int
    planned: int
    existing: int
    exact: bool


@dataclass(frozen=True)
class Allotment:
    """The programs of one split in order, each as (variant, grid point)."""

    variants: NDArray[np.int16]
    points: NDArray[np.int64]
    quotas: list[Quota]


class FamilyWalk:
    """The walks over a family's variants, taken in turn: equal shares of all kinds and ranks that have points left."""

    def __init__(self, op: OpConfig, walks: Sequence[VariantWalk], first_index: int) -> None:
        self.op = op
        self.walks = tuple(walks)
        self._first_index = first_index

    def capacity(self, split: int) -> int:
        """Return how many programs the split can have, unlimited while that is not known."""
        return min(UNLIMITED, sum(self._capacities(split)))

    def existing(self, split: int) -> tuple[int, bool]:
        """Return how many programs the split can have, and whether that is exact or the size of an uncounted grid."""
        counts = [walk.count(split) for walk in self.walks]
        sizes = [walk.grid.size if count is None else count for walk, count in zip(self.walks, counts, strict=True)]
        return sum(sizes), None not in counts

    def find(self, split: int, wanted: int) -> bool:
        """Walk until the split has the wanted programs; False when there are not so many (then `capacity` tells)."""
        while True:
            turns = self._turns(split, wanted)
            counts = np.bincount(turns, minlength=len(self.walks))
            if all(walk.find(split, int(count)) for walk, count in zip(self.walks, counts, strict=True)):
                return len(turns) == wanted

    def take(self, split: int, start: int, stop: int) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """Return variants and points of the family's programs start to stop of the split, which `find` has found."""
        turns = self._turns(split, stop)
        points = np.empty(len(turns), np.int64)
        for index, walk in enumerate(self.walks):
            own = turns == index
            points[own] = walk.points(split, int(np.count_nonzero(own)))
        return (turns + self._first_index).astype(np.int16)[start:], points[start:]

    def _capacities(self, split: int) -> list[int]:
        counts = [walk.count(split) for walk in self.walks]
        return [UNLIMITED if count is None else count for count in counts]

    def _turns(self, split: int, wanted: int) -> NDArray[np.int16]:
        return sequence(wanted, [Fraction(1)] * len(self.walks), self._capacities(split))


def check_admissible(families: Mapping[str, FamilyWalk], limits: Limits, splits: int) -> None:
    """Refuse grids that hold no program at all.

    Raises:
        UserError: when a family's constraints exclude all its points, or the limits exclude all points of all families.
    """
    empty = []
    for name, family in families.items():
        if any(family.capacity(split) for split in range(splits)):
            continue
        empty.append(name)
        obstacles = [walk.obstacle() for walk in family.walks]
        if None not in obstacles:
            raise UserError(
                f"No program of {name} exists: {obstacles[0]}. Change ops.{name}.grid, or leave {name} out of ops."
            )
    if len(empty) == len(families):
        raise UserError(
            f"The limits leave nothing: no program of {', '.join(empty)} has at most "
            f"{_limit(limits.max_bytes, 'bytes')} and {_limit(limits.max_flops, 'flops')}. Raise limits.max_bytes or "
            "limits.max_flops (null is no limit), or choose smaller dimensions (dims=small)."
        )


def allot(
    families: Mapping[str, FamilyWalk], split: str, index: int, size: int, taken: Mapping[str, int], on_exhausted: str
) -> Allotment:
    """Fill one split.

    Args:
        families: the walks, by family.
        split: the split's name.
        index: its place in canonical order.
        size: how many programs it gets.
        taken: how many programs of each family the split already has elsewhere.
        on_exhausted: whether the other families make up for one that runs out, or that is an error.

    Raises:
        UserError: when the grids have not enough programs.
    """
    weights = [family.op.weight for family in families.values()]
    while True:
        capacities = [family.capacity(index) - taken[name] for name, family in families.items()]
        turns = sequence(size, weights, capacities)
        planned = np.bincount(turns, minlength=len(families))
        wanted = [taken[name] + int(count) for name, count in zip(families, planned, strict=True)]
        if all(family.find(index, count) for family, count in zip(families.values(), wanted, strict=True)):
            break
    quotas = [
        Quota(split, name, asked, int(count), *family.existing(index))
        for (name, family), asked, count in zip(families.items(), shares(size, weights), planned, strict=True)
    ]
    short = len(turns) < size
    if short or (on_exhausted == "error" and any(quota.planned < quota.asked for quota in quotas)):
        raise UserError(_too_few(quotas, split, size, short))
    variants = np.empty(size, np.int16)
    points = np.empty(size, np.int64)
    for position, (name, family) in enumerate(families.items()):
        own = turns == position
        variants[own], points[own] = family.take(index, taken[name], wanted[position])
    return Allotment(variants, points, quotas)


def _too_few(quotas: Sequence[Quota], split: str, size: int, short: bool) -> str:
    counts = ", ".join(f"{quota.family} {quota.existing} (asked for {quota.asked})" for quota in quotas)
    remedy = "" if short else ", or type on_exhausted=redistribute to let the other ops make up for it"
    return (
        f"The grids have too few programs for the {size} of the split {split}. There exist for it: {counts}. Ask for "
        f"fewer (num_samples=…), widen the dimensions (dims=large, or ops.<op>.grid.<dimension>=[…]), or raise the "
        f"limits{remedy}."
    )


def _limit(value: int | None, unit: str) -> str:
    return f"any number of {unit}" if value is None else f"{value} {unit}"
