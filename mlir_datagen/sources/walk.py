"""Walking a grid's admissible points in a seeded order, split by split, as far as somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.ops.family import OpFamily, Variant
from mlir_datagen.sources.grid import Grid
from mlir_datagen.sources.permutation import Permutation
from mlir_datagen.sources.split import Splitter

ENUMERATION_LIMIT = 10_000_000
"""Grids up to this many points are counted exactly."""

WALK_LIMIT = 50_000_000
"""How many points of a larger grid are looked at before it counts as exhausted."""

_LARGEST_COST = 1 << 62
_CHUNK = 1 << 16
_FIRST_CHUNK = 1 << 10


class Limits(NamedTuple):
    """Upper bounds on a program; None is no bound."""

    max_bytes: int | None
    max_flops: int | None


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

    def count(self, split: int) -> int | None:
        """Return how many programs the split can have, or None while that is not known."""
        return None if self._counts is None else self._counts[split]

    def find(self, split: int, wanted: int) -> bool:
        """Walk on until the split has the wanted points; False when there are not so many (then `count` tells)."""
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
        """Say which constraint no point of the grid fulfils, if there is one such."""
        possible: dict[str, bool] = {}
        for points in self._chunks():
            for constraint in self.family.constraints(self.spec(points)):
                possible[constraint.if_never] = possible.get(constraint.if_never, False) or bool(constraint.holds.any())
        return next((if_never for if_never, seen in possible.items() if not seen), None)

    def _keep(self, points: NDArray[np.int64]) -> None:
        points, splits = self._admissible(points)
        for split in range(len(self._found)):
            own = points[splits == split]
            self._found[split].append(own)
            self._lengths[split] += len(own)

    def _count(self) -> list[int]:
        counts = np.zeros(len(self._lengths), np.int64)
        for points in self._chunks():
            _, splits = self._admissible(points)
            counts += np.bincount(splits, minlength=len(counts))
        return [int(count) for count in counts]

    def _chunks(self) -> Iterator[NDArray[np.int64]]:
        """Yield the grid's points in order, up to the number that may be enumerated."""
        end = min(self.grid.size, ENUMERATION_LIMIT)
        for start in range(0, end, _CHUNK):
            yield np.arange(start, min(start + _CHUNK, end))

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
            admissible &= cost <= (_LARGEST_COST if limit is None else min(limit, _LARGEST_COST))
        kept = self.family.spec(self.variant, *(column[admissible] for column in columns))
        return points[admissible], self._splitter(self.family.name, kept)
