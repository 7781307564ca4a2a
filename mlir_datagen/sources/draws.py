"""Going through the draws of a family in their order, split by split, as far as somebody asks."""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.programs.content import Splitter
from mlir_datagen.sources.apportion import UNLIMITED
from mlir_datagen.sources.strata import OUTSIDE, WHOLE, Strata
from mlir_datagen.sources.streams import DrawnStream
from mlir_datagen.sources.walk import LARGEST_COST, Existing, Limits

FRUITLESS_LIMIT = 20_000
"""After so many draws in a row that give no program for a split, there are taken to be no more."""
_AT_ONCE = 256
_AHEAD = 4
"""How many draws an executor makes at once, and how often ahead of what was asked for."""


class Judged(NamedTuple):
    """A draw that is a program within the limits.

    Attributes:
        key: equal for equal graphs.
        split: its split, as an index.
        stratum: its stratum.
    """

    key: bytes
    split: int
    stratum: int


@dataclass(frozen=True)
class Judge:
    """Says which draws of a family are programs, and which split and stratum each is of.

    It can be pickled, so that any process may judge.
    """

    stream: DrawnStream
    limits: Limits
    splitter: Splitter
    seed: int
    strata: Strata

    def judged(self, number: int) -> Judged | None:
        """Return what is known of a draw; None where it leads to no program within the limits."""
        spec = self.stream.draw(number, self.seed)
        if spec is None:
            return None
        graph, limits = spec.graph, self.limits
        costs = ((graph.bytes_moved, limits.max_bytes), (graph.flops, limits.max_flops))
        if any(cost > (LARGEST_COST if limit is None else limit) for cost, limit in costs):
            return None
        if graph.flops < (limits.min_flops or 0):
            return None
        family = self.stream.family
        stratum = int(self.strata.of(family, spec, 1)[0])
        if stratum == OUTSIDE:
            return None
        self.stream.keep(number, self.seed, spec)
        key = hashlib.sha256(spec.content.encode()).digest()[:16]
        return Judged(key, int(self.splitter(family.name, spec)), stratum)

    def all_judged(self, numbers: range) -> list[Judged | None]:
        """Return the same for some draws."""
        return [self.judged(number) for number in numbers]


class DrawnWalk:
    """The draws of a family that are programs within the limits, in order, by split and stratum.

    It is used as a `VariantWalk` is. A graph that was drawn before is no other program.

    Args:
        stream: the draws.
        limits: on each program.
        splitter: says which split a program is of.
        seed: of the run.
        strata: the classes of estimated times.
        executor: makes and judges draws, many at once; left out, this process does.
    """

    def __init__(
        self,
        stream: DrawnStream,
        limits: Limits,
        splitter: Splitter,
        seed: int,
        strata: Strata = WHOLE,
        executor: Executor | None = None,
    ) -> None:
        self._stream, self._strata, self._seed = stream, strata, seed
        self._judged = _all_judged(Judge(stream, limits, splitter, seed, strata), executor)
        self._position = 0
        self._seen: set[bytes] = set()
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
        return "what its vocabulary can do to values of its grid never leads to a program"

    def _cell(self, split: int, stratum: int) -> int:
        return split * len(self._strata) + stratum

    def _next(self) -> None:
        number, self._position = self._position, self._position + 1
        judged = next(self._judged)
        if judged is None or judged.key in self._seen:
            return
        self._seen.add(judged.key)
        self._found[self._cell(judged.split, judged.stratum)].append(number)


def _all_judged(judge: Judge, executor: Executor | None) -> Iterator[Judged | None]:
    """Yield what becomes of each draw, in their order and without an end."""
    if executor is None:
        yield from map(judge.judged, itertools.count())
        return
    starts = itertools.count(0, _AT_ONCE)
    waiting: deque[Future[list[Judged | None]]] = deque()
    while True:
        while len(waiting) < _AHEAD:
            start = next(starts)
            waiting.append(executor.submit(judge.all_judged, range(start, start + _AT_ONCE)))
        yield from waiting.popleft().result()
