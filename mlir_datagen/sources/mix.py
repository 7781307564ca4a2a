"""Filling a split with the families' programs: exact quotas, and what happens when a grid runs out.

A family's own programs are a sequence of theirs: first the strata take turns, in their shares, and in each stratum the
variants, in equal ones. So a program of a family follows from how many of it came before, whatever the others give.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.errors import UserError
from mlir_datagen.sources.apportion import UNLIMITED, sequence, shares
from mlir_datagen.sources.draws import DrawnWalk
from mlir_datagen.sources.quotas import Quota, StratumQuota
from mlir_datagen.sources.settings import DrawnSettings, OpSettings
from mlir_datagen.sources.strata import WHOLE, Strata
from mlir_datagen.sources.walk import LARGEST_COST, WALK_LIMIT, Existing, Limits, VariantWalk


@dataclass(frozen=True)
class Allotment:
    """The programs of one split in order, each as (variant, grid point)."""

    variants: NDArray[np.int16]
    points: NDArray[np.int64]
    quotas: list[Quota]


class FamilyWalk:
    """The walks over a family's variants, taken in turn: equal shares of all kinds and ranks that have points left.

    With strata, these have their shares, and the variants equal ones of each.
    """

    def __init__(
        self,
        op: OpSettings | DrawnSettings,
        walks: Sequence[VariantWalk | DrawnWalk],
        first_index: int,
        strata: Strata = WHOLE,
    ) -> None:
        self.op = op
        self.walks = tuple(walks)
        self._first_index = first_index
        self._strata = strata

    def capacity(self, split: int) -> int:
        """Return how many programs can be had for the split, unlimited while that is not known."""
        return min(UNLIMITED, sum(self._capacities(split)))

    def _capacities(self, split: int) -> list[int]:
        """Return the same for each stratum; nothing of one without a share."""
        return [
            min(UNLIMITED, sum(walk.capacity(split, stratum) for walk in self.walks)) if share else 0
            for stratum, share in enumerate(self._strata.shares)
        ]

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
            strata, turns = self._turns(split, wanted)
            cells = [(stratum, place) for stratum in range(len(self._strata)) for place in range(len(self.walks))]
            counts = [int(np.count_nonzero((strata == stratum) & (turns == place))) for stratum, place in cells]
            if all(
                self.walks[place].find(split, stratum, count)
                for (stratum, place), count in zip(cells, counts, strict=True)
            ):
                return len(turns) == wanted

    def take(self, split: int, start: int, stop: int) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """Return variants and points of the family's programs start to stop of the split, which `find` has found."""
        strata, turns = self._turns(split, stop)
        points = np.empty(len(turns), np.int64)
        for stratum in range(len(self._strata)):
            for place, walk in enumerate(self.walks):
                own = (strata == stratum) & (turns == place)
                points[own] = walk.points(split, stratum, int(np.count_nonzero(own)))
        return (turns + self._first_index).astype(np.int16)[start:], points[start:]

    def quotas(self, split: int, start: int, stop: int) -> tuple[StratumQuota, ...]:
        """Return what each stratum gives of the family's programs start to stop of the split."""
        bounds = self._strata.bounds()
        if not bounds:
            return ()
        asked = sequence(stop, self._strata.shares, [UNLIMITED] * len(bounds))[start:]
        planned, _ = self._turns(split, stop)
        counts = [np.bincount(of, minlength=len(bounds)) for of in (asked, planned[start:])]
        return tuple(
            StratumQuota(begin, end, int(one), int(other))
            for (begin, end), one, other in zip(bounds, *counts, strict=True)
        )

    def _turns(self, split: int, wanted: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Return the stratum and the variant of each of the family's first programs of the split."""
        strata = sequence(wanted, self._strata.shares, self._capacities(split))
        turns = np.empty(len(strata), np.int16)
        for stratum in range(len(self._strata)):
            own = strata == stratum
            capacities = [walk.capacity(split, stratum) for walk in self.walks]
            turns[own] = sequence(int(np.count_nonzero(own)), [Fraction(1)] * len(self.walks), capacities)
        return strata, turns


def check_admissible(families: Mapping[str, FamilyWalk], limits: Limits, strata: Strata, splits: int) -> None:
    """Refuse grids that hold no program at all.

    Raises:
        UserError: when a family's constraints exclude all its points, or the limits exclude all points of all families.
    """
    for name, family in families.items():
        obstacles = [walk.obstacle() for walk in family.walks]
        if None not in obstacles:
            raise UserError(
                f"No program of {name} exists: {obstacles[0]}. Change {family.op.bounded_by}, or leave {name} out of "
                "ops."
            )
    if not any(family.capacity(split) for family in families.values() for split in range(splits)):
        raise UserError(_nothing_left(families, limits, strata))


def _nothing_left(families: Iterable[str], limits: Limits, strata: Strata) -> str:
    least = "" if limits.min_flops is None else f"at least {limits.min_flops} and "
    times, lower = "", "" if limits.min_flops is None else ", lower limits.min_flops"
    if strata.seconds:
        times = f", and is estimated to take {strata.seconds[0]:g} to {strata.seconds[-1]:g} s (strata.seconds)"
        lower += ", widen strata.seconds"
    return (
        f"The limits leave nothing: no program of {', '.join(families)} moves at most {_limit(limits.max_bytes)} bytes "
        f"and needs {least}at most {_limit(limits.max_flops)} flops{times}. Raise limits.max_bytes or limits.max_flops "
        f"(or measure.max_seconds, where times are measured){lower}, or choose other dimensions (dims=small)."
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
        strata = family.quotas(index, taken[name], wanted[place])
        quotas.append(Quota(split, name, asked, int(planned[place]), family.existing(index), exhausted, strata))
    short = len(turns) < size
    if short or (on_exhausted == "error" and any(quota.exhausted or quota.scarce for quota in quotas)):
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
    remedy = "" if short else ", or type on_exhausted=redistribute to let others make up for it"
    scarce = "".join(
        f" {quota.family} has {stratum.planned} of {stratum.asked} programs that are estimated to take "
        f"{stratum.begin:g} to {stratum.end:g} s."
        for quota in quotas
        for stratum in quota.scarce
    )
    return (
        f"The grids have too few programs for the {size} of the split {split}. There exist for it: {counts}."
        f"{scarce}{search} "
        "Ask for fewer (num_samples=…), widen the dimensions (dims=large, or ops.<op>.grid.<dimension>=[…]), or raise "
        f"the limits{remedy}."
    )


def _limit(value: int | None) -> str:
    return str(LARGEST_COST if value is None else value)
