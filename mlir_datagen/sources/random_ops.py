"""Random single ops: programs sampled without replacement from the families' grids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.ops.family import OpFamily, Spec
from mlir_datagen.programs.batch import Batch, ProgramBlock
from mlir_datagen.programs.content import Splitter
from mlir_datagen.programs.proof import PARSED, Failure, Proof
from mlir_datagen.sources.mix import FamilyWalk, allot, check_admissible
from mlir_datagen.sources.quotas import Quota
from mlir_datagen.sources.settings import RandomSettings
from mlir_datagen.sources.source import Plan, Taken
from mlir_datagen.sources.walk import VariantWalk

PROGRAMS_PER_TASK = 8192
PROGRAMS_PER_SLOW_TASK = 256
"""When each program is lowered, run or measured, which takes a thousand times longer."""


@dataclass(frozen=True)
class RandomTask:
    """Some consecutive programs of one split: for each its variant, as an index, and its grid point."""

    split: str
    variants: NDArray[np.int16]
    points: NDArray[np.int64]

    def first(self, programs: int) -> RandomTask:
        """Return a task with the first programs of this one only."""
        return RandomTask(self.split, self.variants[:programs], self.points[:programs])


class RandomOps:
    """The source of random single ops: it fills splits."""

    name = "random"

    def __init__(self, settings: RandomSettings) -> None:
        self._settings = settings
        splitter = Splitter(settings.split_ratios)
        limits, strata = settings.limits, settings.strata
        self._families: dict[str, FamilyWalk] = {}
        self._variants: list[VariantWalk] = []
        for name, op in settings.ops.items():
            walks = [
                VariantWalk(op.family, variant, op.variant_grid(variant), limits, splitter, settings.seed, strata)
                for variant in op.variants
            ]
            self._families[name] = FamilyWalk(op, walks, len(self._variants), strata)
            self._variants += walks
        check_admissible(self._families, limits, strata, len(settings.split_ratios))

    def plan(self, sizes: Mapping[str, int], taken: Taken | None = None) -> Plan[RandomTask]:
        """Plan the next programs of each split, after those that were taken.

        Raises:
            UserError: when the grids have not enough programs left.
        """
        tasks: list[RandomTask] = []
        quotas: list[Quota] = []
        split_names = list(self._settings.split_ratios)
        step = PROGRAMS_PER_SLOW_TASK if self._settings.is_slow else PROGRAMS_PER_TASK
        for split, size in sizes.items():
            own = {name: (taken or {}).get((split, name), 0) for name in self._families}
            allotment = allot(self._families, split, split_names.index(split), size, own, self._settings.on_exhausted)
            quotas += allotment.quotas
            for start in range(0, size, step):
                chunk = slice(start, start + step)
                tasks.append(RandomTask(split, allotment.variants[chunk], allotment.points[chunk]))
        return Plan(tasks, quotas)

    def specs(self, task: RandomTask) -> list[tuple[OpFamily, Spec]]:
        """Return the family and the spec of each of the task's programs, in order, without making them."""
        found: list[Any] = [None] * len(task.points)
        for index in np.unique(task.variants):
            positions = np.flatnonzero(task.variants == index)
            walk = self._variants[index]
            for position, spec in zip(positions, _specs(walk, walk.grid.columns(task.points[positions])), strict=True):
                found[position] = walk.family, spec
        return found

    def produce(self, task: RandomTask) -> Batch:
        """Make the task's programs, parsed and verified."""
        verifier = Verifier()
        blocks = []
        for index in np.unique(task.variants):
            positions = np.flatnonzero(task.variants == index)
            blocks.append(self._emit(self._variants[index], task.points[positions], positions))
        # One stage after the other for a whole block: emitting and parsing in turn drive each other out of the
        # processor's caches.
        return Batch(task.split, blocks).sift(lambda block: [_verified(text, verifier) for text in block.texts])

    def _emit(self, walk: VariantWalk, points: NDArray[np.int64], positions: NDArray[np.int64]) -> ProgramBlock:
        family, variant, settings = walk.family, walk.variant, self._settings
        columns = walk.grid.columns(points)
        specs = _specs(walk, columns)
        forms = [settings.forms.of(settings.seed, family, spec) for spec in specs]
        texts = [family.program(*pair) for pair in zip(specs, forms, strict=True)]
        digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        proofs = [PARSED] * len(texts)
        origin = self.name, settings.seed, family, variant
        return ProgramBlock(*origin, columns, specs, forms, texts, digests, positions, proofs)


def _specs(walk: VariantWalk, columns: Sequence[NDArray[np.int64]]) -> list[Spec]:
    return [walk.family.spec(walk.variant, *row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _verified(text: str, verifier: Verifier) -> Proof | Failure:
    try:
        verifier.verify(text)
    except Rejection as rejection:
        return Failure(rejection.stage, rejection.reason)
    return PARSED
