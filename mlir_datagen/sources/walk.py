"""Walking a grid's admissible points in a seeded order, split by split, as far as somebody asks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.apportion import UNLIMITED
from mlir_datagen.ops.family import OpFamily, Variant
from mlir_datagen.sources.grid import Grid
from mlir_datagen.sources.permutation import Permutation
from mlir_datagen.sources.split import Splitter

ENUMERATION_LIMIT = 10_000_000
"""Grids up to this many points are counted exactly."""

WALK_LIMIT = 10_000_000
"""How many points of a larger grid are looked at before the search is given up."""

LARGEST_COST = 1 << 62
"""No program has more flops or bytes, so that they fit into 64 bits."""

_CHUNK = 1 << 16
_FIRST_CHUNK = 1 << 10


class Limits(NamedTuple):
    """Upper bounds on a program; None is no bound."""

    max_bytes: int | None
    max_flops: int | None


class Existing(NamedTuple):
    """How many programs there are: a number, and how it is meant (`exact`, `at most`, `at least`)."""

    number: int
    meaning: str

    def __str__(self) -> str:
        return str(self.number) if self.meaning == "exact" else f"{self.meaning} {self.number}"


class VariantWalk:
    """The points of one variant that are admissible, in seeded order."""

    def __init__(
        self, family: OpFamily, variant: Variant, grid: Grid, limits: Limits, splitter: Splitter, seed: int
    ) -> None:
        self.family, self.variant, self.grid = family, variant, grid
        self._limits, self._splitter = limits, splitter
        self._order = Permutation(grid.size, seed, f"{family.name}/{variant.name}")
        self._position = 0
        self._found: list[list[NDArray[np.int64]]] = [[] for _ in splitter.names]
        self._lengths = [0] * len(splitter.names)
        self._counts = self._count() if grid.size <= ENUMERATION_LIMIT else None

    def capacity(self, split: int) -> int:
        """Return how many programs can be had for the split, unlimited while that is not known."""
        return UNLIMITED if self._counts is None else self._counts[split]

    def existing(self, split: int) -> Existing:
        """Return how many programs there are for the split, as far as that is known."""
        if self._counts is None:
            return Existing(self.grid.size, "at most")
        given_up = self.grid.size > ENUMERATION_LIMIT
        return Existing(self._counts[split], "at least" if given_up else "exact")

    def find(self, split: int, wanted: int) -> bool:
        """Walk on until the split has the wanted points; False when they are not found (`capacity` then tells)."""
        chunk = _FIRST_CHUNK
        end = self.grid.size if self.grid.size <= ENUMERATION_LIMIT else min(self.grid.size, WALK_LIMIT)
        while self._lengths[split] < wanted and self._position < end:
            stop = min(self._position + chunk, end)
            self._keep(self._order(self._position, stop))
            self._position = stop
            chunk = min(4 * chunk, _CHUNK)
        if self._lengths[split] >= wanted:
            return True
        self._counts = list(self._lengths)
        return False

    def points(self, split: int, count: int) -> NDArray[np.int64]:
        """Return the first `count` points of the split, which `find` has found."""
        return np.concatenate([np.empty(0, np.int64), *self._found[split]])[:count]

    def spec(self, points: NDArray[np.int64]) -> Any:
        """Return the spec of columns of the points."""
        return self.family.spec(self.variant, *self.grid.columns(points))

    def obstacle(self) -> str | None:
        """Say which constraint no point of the grid fulfils, if there is one such.

        Only the grid's corners are looked at: a family's constraints compare dimensions, so that they hold at one of
        the corners if they hold anywhere.
        """
        for constraint in self.family.constraints(self.spec(self.grid.corners())):
            if not constraint.holds.any():
                return constraint.if_never
        return None

    def _keep(self, points: NDArray[np.int64]) -> None:
        points, splits = self._admissible(points)
        for split in range(len(self._found)):
            own = points[splits == split]
            self._found[split].append(own)
            self._lengths[split] += len(own)

    def _count(self) -> list[int]:
        counts = np.zeros(len(self._lengths), np.int64)
        for start in range(0, self.grid.size, _CHUNK):
            points = np.arange(start, min(start + _CHUNK, self.grid.size))
            _, splits = self._admissible(points)
            counts += np.bincount(splits, minlength=len(counts))
        return [int(count) for count in counts]

    def _admissible(self, points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return those of the points that are programs within the limits, and the split of each."""
        columns = self.grid.columns(points)
        # In floating point, so that a product beyond 64 bits is large instead of negative.
        spec = self.family.spec(self.variant, *(column.astype(float) for column in columns))
        admissible = np.ones(len(points), np.bool_)
        for constraint in self.family.constraints(spec):
            admissible &= constraint.holds
        for cost, limit in (
            (self.family.bytes_moved(spec), self._limits.max_bytes),
            (self.family.flops(spec), self._limits.max_flops),
        ):
            admissible &= cost <= (LARGEST_COST if limit is None else min(limit, LARGEST_COST))
        kept = self.family.spec(self.variant, *(column[admissible] for column in columns))
        return points[admissible], self._splitter(self.family.name, kept)
