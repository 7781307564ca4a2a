"""Going through the draws of a family in their order, split by split, as far as somebody asks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.programs.content import Splitter
from mlir_datagen.sources.apportion import UNLIMITED
from mlir_datagen.sources.strata import OUTSIDE, WHOLE, Strata
from mlir_datagen.sources.streams import DrawnStream
from mlir_datagen.sources.walk import LARGEST_COST, Existing, Limits

FRUITLESS_LIMIT = 20_000
"""After so many draws in a row that give no program for a split, there are taken to be no more."""


class DrawnWalk:
    """The draws of a family that are programs within the limits, in order, by split and stratum.

    It is used as a `VariantWalk` is. A graph that was drawn before is no other program.
    """

    def __init__(
        self, stream: DrawnStream, limits: Limits, splitter: Splitter, seed: int, strata: Strata = WHOLE
    ) -> None:
        self._stream, self._limits, self._splitter = stream, limits, splitter
        self._seed, self._strata = seed, strata
        self._position = 0
        self._seen: set[str] = set()
        cells = len(splitter.names) * len(strata)
        self._found: list[list[int]] = [[] for _ in range(cells)]
        self._is_at_end = False

    def capacity(self, split: int, stratum: int) -> int:
        """Return how many programs can be had for a stratum of the split, unlimited while that is not known."""
        return len(self._found[self._cell(split, stratum)]) if self._is_at_end else UNLIMITED

    def existing(self, split: int) -> Existing:
        """Return how many programs were found for the split so far."""
        return Existing(sum(len(self._found[self._cell(split, one)]) for one in range(len(self._strata))), "at least")

    def find(self, split: int, stratum: int, wanted: int) -> bool:
        """Draw on until the stratum has the wanted programs; False when they are not found (`capacity` then tells)."""
        found = self._found[self._cell(split, stratum)]
        fruitless = 0
        while len(found) < wanted and not self._is_at_end:
            before = len(found)
            self._next()
            fruitless = fruitless + 1 if len(found) == before else 0
            self._is_at_end = fruitless >= FRUITLESS_LIMIT
        return len(found) >= wanted

    def points(self, split: int, stratum: int, count: int) -> NDArray[np.int64]:
        """Return the numbers of the first `count` programs of a stratum of the split, which `find` has found."""
        return np.array(self._found[self._cell(split, stratum)][:count], np.int64)

    def obstacle(self) -> str | None:
        """Say why there is no program, if that is known."""
        if any(self._stream.draw(number, self._seed) is not None for number in range(FRUITLESS_LIMIT)):
            return None
        return "what its vocabulary can do to values of its grid never leads to a program of its length"

    def _cell(self, split: int, stratum: int) -> int:
        return split * len(self._strata) + stratum

    def _next(self) -> None:
        number, self._position = self._position, self._position + 1
        spec = self._stream.draw(number, self._seed)
        if spec is None or spec.content in self._seen:
            return
        graph, limits = spec.graph, self._limits
        costs = ((graph.bytes_moved, limits.max_bytes), (graph.flops, limits.max_flops))
        if any(cost > (LARGEST_COST if limit is None else limit) for cost, limit in costs):
            return
        if graph.flops < (limits.min_flops or 0):
            return
        stratum = int(self._strata.of(self._stream.family, spec, 1)[0])
        if stratum == OUTSIDE:
            return
        self._seen.add(spec.content)
        split = int(self._splitter(self._stream.family.name, spec))
        self._found[self._cell(split, stratum)].append(number)
        self._stream.keep(number, self._seed, spec)
