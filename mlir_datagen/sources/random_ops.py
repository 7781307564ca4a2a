"""Random single ops: programs sampled without replacement from the families' grids."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.ops.family import OpFamily, Spec, Variant
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

    settings: RandomSettings
    split: str
    variants: NDArray[np.int16]
    points: NDArray[np.int64]

    def first(self, programs: int) -> RandomTask:
        """Return a task with the first programs of this one only."""
        return dataclasses.replace(self, variants=self.variants[:programs], points=self.points[:programs])

    def specs(self) -> list[tuple[OpFamily, Spec]]:
        """Return the family and the spec of each program, in order, without making them."""
        found: list[Any] = [None] * len(self.points)
        for part in self.parts():
            for position, spec in zip(part.positions, part.specs(), strict=True):
                found[position] = part.family, spec
        return found

    def parts(self) -> Iterator[_Part]:
        """Yield the programs of each variant."""
        variants = self.settings.variants
        for index in np.unique(self.variants):
            positions = np.flatnonzero(self.variants == index)
            family, variant, grid = variants[index]
            yield _Part(family, variant, grid.columns(self.points[positions]), positions)


class _Part(NamedTuple):
    """The programs of a task that are of one variant, by column, and where they stand in the task."""

    family: OpFamily
    variant: Variant
    columns: list[NDArray[np.int64]]
    positions: NDArray[np.int64]

    def specs(self) -> list[Spec]:
        rows = zip(*(column.tolist() for column in self.columns), strict=True)
        return [self.family.spec(self.variant, *row) for row in rows]


class RandomOps:
    """The source of random single ops: it fills splits."""

    name = "random"

    def __init__(self, settings: RandomSettings) -> None:
        self._settings = settings
        splitter = Splitter(settings.split_ratios)
        limits, strata = settings.limits, settings.strata
        self._families: dict[str, FamilyWalk] = {}
        first_index = 0
        for name, op in settings.ops.items():
            walks = [
                VariantWalk(op.family, variant, op.variant_grid(variant), limits, splitter, settings.seed, strata)
                for variant in op.variants
            ]
            self._families[name] = FamilyWalk(op, walks, first_index, strata)
            first_index += len(walks)
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
                tasks.append(RandomTask(self._settings, split, allotment.variants[chunk], allotment.points[chunk]))
        return Plan(tasks, quotas)

    @staticmethod
    def produce(task: RandomTask) -> Batch:
        """Make the task's programs, parsed and verified."""
        verifier = Verifier()
        blocks = [_emitted(part, task.settings) for part in task.parts()]
        # One stage after the other for a whole block: emitting and parsing in turn drive each other out of the
        # processor's caches.
        return Batch(task.split, blocks).sift(lambda block: [_verified(text, verifier) for text in block.texts])


def _emitted(part: _Part, settings: RandomSettings) -> ProgramBlock:
    family, variant, columns, positions = part
    specs = part.specs()
    forms = [settings.forms.of(settings.seed, family, spec) for spec in specs]
    texts = [family.program(*pair) for pair in zip(specs, forms, strict=True)]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    proofs = [PARSED] * len(texts)
    origin = RandomOps.name, settings.seed, family, variant
    return ProgramBlock(*origin, columns, specs, forms, texts, digests, positions, proofs)


def _verified(text: str, verifier: Verifier) -> Proof | Failure:
    try:
        verifier.verify(text)
    except Rejection as rejection:
        return Failure(rejection.stage, rejection.reason)
    return PARSED
