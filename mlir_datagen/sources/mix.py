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
from mlir_datagen.sources.walk import LARGEST_COST, WALK_LIMIT, Existing, Limits, VariantWalk


@dataclass(frozen=True)
class Quota:
    """What one family gives to one split.

    Attributes:
        asked: its exact share of the split.
        planned: its programs in the plan, which differ where a family ran out.
        existing: how many programs there are for the split.
        exhausted: whether it has fewer left than asked for.
    """

    split: str
    family: str
    asked: int
    planned: int
    existing: Existing
    exhausted: bool


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
        """Return how many programs can be had for the split, unlimited while that is not known."""
        return min(UNLIMITED, sum(walk.capacity(split) for walk in self.walks))

    def existing(self, split: int) -> Existing:
        """Return how many programs there are for the split, as far as that is known."""
        known = [walk.existing(split) for walk in self.walks]
        meanings = {existing.meaning for existing in known} - {"exact"}
        if meanings == {"at most", "at least"}:
            # No bound on the sum, but each number that was found counts.
            known = [existing for existing in known if existing.meaning != "at most"]
            meanings = {"at least"}
        return Existing(sum(existing.number for existing in known), *(meanings or {"exact"}))

    def find(self, split: int, wanted: int) -> bool:
        """Walk until the split has the wanted programs; False when they are not found (`capacity` then tells)."""
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

    def _turns(self, split: int, wanted: int) -> NDArray[np.int16]:
        return sequence(wanted, [Fraction(1)] * len(self.walks), [walk.capacity(split) for walk in self.walks])


def check_admissible(families: Mapping[str, FamilyWalk], limits: Limits, splits: int) -> None:
    """Refuse grids that hold no program at all.

    Raises:
        UserError: when a family's constraints exclude all its points, or the limits exclude all points of all families.
    """
    for name, family in families.items():
        obstacles = [walk.obstacle() for walk in family.walks]
        if None not in obstacles:
            raise UserError(
                f"No program of {name} exists: {obstacles[0]}. Change ops.{name}.grid, or leave {name} out of ops."
            )
    if not any(family.capacity(split) for family in families.values() for split in range(splits)):
        raise UserError(
            f"The limits leave nothing: no program of {', '.join(families)} moves at most "
            f"{_limit(limits.max_bytes)} bytes and needs at most {_limit(limits.max_flops)} flops. Raise "
            "limits.max_bytes or limits.max_flops (or measure.max_seconds, where times are measured), or choose "
            "smaller dimensions (dims=small)."
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
        capacities = [family.capacity(index) for family in families.values()]
        turns = _next_turns(size, weights, capacities, [taken[name] for name in families])
        planned = np.bincount(turns, minlength=len(families))
        wanted = [taken[name] + int(count) for name, count in zip(families, planned, strict=True)]
        if all(family.find(index, count) for family, count in zip(families.values(), wanted, strict=True)):
            break
    quotas = []
    for place, (asked, (name, family)) in enumerate(zip(shares(size, weights), families.items(), strict=True)):
        exhausted = wanted[place] == capacities[place] and int(planned[place]) < asked
        quotas.append(Quota(split, name, asked, int(planned[place]), family.existing(index), exhausted))
    short = len(turns) < size
    if short or (on_exhausted == "error" and any(quota.exhausted for quota in quotas)):
        raise UserError(_too_few(quotas, split, size, short))
    variants = np.empty(size, np.int16)
    points = np.empty(size, np.int64)
    for position, (name, family) in enumerate(families.items()):
        own = turns == position
        variants[own], points[own] = family.take(index, taken[name], wanted[position])
    return Allotment(variants, points, quotas)


def _next_turns(
    size: int, weights: Sequence[Fraction], capacities: Sequence[int], taken: Sequence[int]
) -> NDArray[np.int16]:
    """Return which family gives each of the next programs: the sequence goes on where the earlier plans left it.

    Where the families have changed since, so that they were not taken in this sequence, it begins anew.
    """
    start = sum(taken)
    whole = sequence(start + size, weights, capacities)
    if list(np.bincount(whole[:start], minlength=len(weights))) == list(taken):
        return whole[start:]
    return sequence(size, weights, [capacity - used for capacity, used in zip(capacities, taken, strict=True)])


def _too_few(quotas: Sequence[Quota], split: str, size: int, short: bool) -> str:
    counts = ", ".join(f"{quota.family} {quota.existing} (asked for {quota.asked})" for quota in quotas)
    given_up = any(quota.existing.meaning == "at least" for quota in quotas)
    search = f" A grid too large to count is searched through {WALK_LIMIT} points only." if given_up else ""
    remedy = "" if short else ", or type on_exhausted=redistribute to let the other ops make up for it"
    return (
        f"The grids have too few programs for the {size} of the split {split}. There exist for it: {counts}.{search} "
        "Ask for fewer (num_samples=…), widen the dimensions (dims=large, or ops.<op>.grid.<dimension>=[…]), or raise "
        f"the limits{remedy}."
    )


def _limit(value: int | None) -> str:
    return str(LARGEST_COST if value is None else value)
