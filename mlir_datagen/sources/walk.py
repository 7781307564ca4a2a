"""Walking a grid's admissible points in a seeded order, split by split, as far as somebody asks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.ops.family import OpFamily, Variant
from mlir_datagen.programs.content import Splitter
from mlir_datagen.sources.apportion import UNLIMITED
from mlir_datagen.sources.grid import Grid
from mlir_datagen.sources.permutation import Permutation
from mlir_datagen.sources.strata import OUTSIDE, WHOLE, Strata

ENUMERATION_LIMIT = 10_000_000
"""Grids up to this many points are counted exactly."""

WALK_LIMIT = 10_000_000
"""How many points of a larger grid are looked at before the search is given up."""

LARGEST_COST = 1 << 62
"""No program has more flops or bytes, so that they fit into 64 bits."""

_CHUNK = 1 << 16
_FIRST_CHUNK = 1 << 10


class Limits(NamedTuple):
    """Bounds on a program; None is no bound."""

    max_bytes: int | None
    max_flops: int | None
    min_flops: int | None = None


class Existing(NamedTuple):
    """How many programs there are: a number, and how it is meant (`exact`, `at most`, `at least`)."""

    number: int
    meaning: str

    def __str__(self) -> str:
        return str(self.number) if self.meaning == "exact" else f"{self.meaning} {self.number}"


class VariantWalk:
    """The points of one variant that are admissible, in seeded order, by split and stratum."""

    def __init__(
        self,
        family: OpFamily,
        variant: Variant,
        grid: Grid,
        limits: Limits,
        splitter: Splitter,
        seed: int,
        strata: Strata = WHOLE,
    ) -> None:
        self.family, self.variant, self.grid = family, variant, grid
        self._limits, self._splitter, self._strata = limits, splitter, strata
        self._order = Permutation(grid.size, seed, f"{family.name}/{variant.name}")
        self._position = 0
        # A cell is a stratum of a split.
        cells = len(splitter.names) * len(strata)
        self._found: list[list[NDArray[np.int64]]] = [[] for _ in range(cells)]
        self._lengths = [0] * cells
        self._counts = self._count() if grid.size <= ENUMERATION_LIMIT else None

    def capacity(self, split: int, stratum: int) -> int:
        """Return how many programs can be had for a stratum of the split, unlimited while that is not known."""
        return UNLIMITED if self._counts is None else self._counts[self._cell(split, stratum)]

    def existing(self, split: int) -> Existing:
        """Return how many programs there are for the split, as far as that is known."""
        if self._counts is None:
            return Existing(self.grid.size, "at most")
        given_up = self.grid.size > ENUMERATION_LIMIT
        cells = slice(self._cell(split, 0), self._cell(split + 1, 0))
        return Existing(sum(self._counts[cells]), "at least" if given_up else "exact")

    def find(self, split: int, stratum: int, wanted: int) -> bool:
        """Walk on until the stratum has the wanted points; False when they are not found (`capacity` then tells)."""
        cell = self._cell(split, stratum)
        chunk = _FIRST_CHUNK
        end = self.grid.size if self.grid.size <= ENUMERATION_LIMIT else min(self.grid.size, WALK_LIMIT)
        while self._lengths[cell] < wanted and self._position < end:
            stop = min(self._position + chunk, end)
            self._keep(self._order(self._position, stop))
            self._position = stop
            chunk = min(4 * chunk, _CHUNK)
        if self._lengths[cell] >= wanted:
            return True
        # The walk is at its end, so that the other cells have no more than was found, either.
        self._counts = list(self._lengths)
        return False

    def points(self, split: int, stratum: int, count: int) -> NDArray[np.int64]:
        """Return the first `count` points of a stratum of the split, which `find` has found."""
        return np.concatenate([np.empty(0, np.int64), *self._found[self._cell(split, stratum)]])[:count]

    def _cell(self, split: Any, stratum: Any) -> Any:
        """Return the cell of a stratum of a split, of numbers or of columns of them."""
        return split * len(self._strata) + stratum

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
        points, cells = self._admissible(points)
        for cell in range(len(self._found)):
            own = points[cells == cell]
            self._found[cell].append(own)
            self._lengths[cell] += len(own)

    def _count(self) -> list[int]:
        counts = np.zeros(len(self._lengths), np.int64)
        for start in range(0, self.grid.size, _CHUNK):
            points = np.arange(start, min(start + _CHUNK, self.grid.size))
            _, cells = self._admissible(points)
            counts += np.bincount(cells, minlength=len(counts))
        return [int(count) for count in counts]

    def _admissible(self, points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return those of the points that are programs within the limits and the strata, and the cell of each."""
        columns = self.grid.columns(points)
        # In floating point, so that a product beyond 64 bits is large instead of negative.
        spec = self.family.spec(self.variant, *(column.astype(float) for column in columns))
        admissible = np.ones(len(points), np.bool_)
        for constraint in self.family.constraints(spec):
            admissible &= constraint.holds
        graph = self.family.graph(spec)
        bytes_moved, flops = graph.bytes_moved, graph.flops
        for cost, limit in ((bytes_moved, self._limits.max_bytes), (flops, self._limits.max_flops)):
            admissible &= cost <= (LARGEST_COST if limit is None else min(limit, LARGEST_COST))
        admissible &= flops >= (self._limits.min_flops or 0)
        strata = self._strata.of(self.family, spec, len(points))
        admissible &= strata != OUTSIDE
        kept = self.family.spec(self.variant, *(column[admissible] for column in columns))
        splits = self._splitter(self.family.name, kept)
        return points[admissible], self._cell(splits, strata[admissible])
