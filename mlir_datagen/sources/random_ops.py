"""Random single ops: programs sampled without replacement from the families' grids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.config import RunConfig
from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.ops.family import Spec
from mlir_datagen.program import Batch, ProgramBlock, Rejected, rejected_program, spec_json
from mlir_datagen.sources.mix import FamilyWalk, Quota, allot, check_admissible
from mlir_datagen.sources.split import Splitter
from mlir_datagen.sources.walk import VariantWalk

PROGRAMS_PER_TASK = 8192

Taken = Mapping[tuple[str, str], int]
"""How many programs of each (split, family) earlier plans have taken."""


@dataclass(frozen=True)
class RandomTask:
    """Some consecutive programs of one split: for each its variant, as an index, and its grid point."""

    split: str
    variants: NDArray[np.int16]
    points: NDArray[np.int64]

    def first(self, programs: int) -> RandomTask:
        """Return a task with the first programs of this one only."""
        return RandomTask(self.split, self.variants[:programs], self.points[:programs])


@dataclass(frozen=True)
class Plan:
    """Tasks in the order in which their programs are written, and what each family was asked for."""

    tasks: list[RandomTask]
    quotas: list[Quota]

    @property
    def total(self) -> int:
        """How many programs it has."""
        return sum(quota.planned for quota in self.quotas)


class RandomOps:
    """The source of random single ops that a config describes."""

    name = "random"

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        splitter = Splitter(config.split_ratios)
        self._families: dict[str, FamilyWalk] = {}
        self._variants: list[VariantWalk] = []
        for name, op in config.ops.items():
            walks = [
                VariantWalk(op.family, variant, op.variant_grid(variant), config.limits, splitter, config.seed)
                for variant in op.variants
            ]
            self._families[name] = FamilyWalk(op, walks, first_index=len(self._variants))
            self._variants += walks
        check_admissible(self._families, config.limits, len(config.splits))

    def plan(self, sizes: Mapping[str, int], taken: Taken | None = None) -> Plan:
        """Plan the next programs of each split, after those that were taken.

        Raises:
            UserError: when the grids have not enough programs left.
        """
        tasks: list[RandomTask] = []
        quotas: list[Quota] = []
        split_names = list(self._config.split_ratios)
        for split, size in sizes.items():
            own = {name: (taken or {}).get((split, name), 0) for name in self._families}
            allotment = allot(self._families, split, split_names.index(split), size, own, self._config.on_exhausted)
            quotas += allotment.quotas
            for start in range(0, size, PROGRAMS_PER_TASK):
                chunk = slice(start, start + PROGRAMS_PER_TASK)
                tasks.append(RandomTask(split, allotment.variants[chunk], allotment.points[chunk]))
        return Plan(tasks, quotas)

    def produce(self, task: RandomTask, verifier: Verifier) -> Batch:
        """Make and prove the task's programs."""
        rejected: list[Rejected] = []
        blocks = []
        for index in np.unique(task.variants):
            positions = np.flatnonzero(task.variants == index)
            walk = self._variants[index]
            columns = walk.grid.columns(task.points[positions])
            # One stage after the other for the whole block: emitting and parsing in turn drive each other out of the
            # processor's caches.
            specs, texts = _emit(walk, columns)
            failed = _failures(texts, verifier)
            kept = np.asarray([row for row in range(len(texts)) if row not in failed], np.int64)
            rejected += [
                rejected_program(walk.family.name, task.split, spec_json(specs[row]), rejection)
                for row, rejection in failed.items()
            ]
            blocks.append(_block(walk, columns, specs, texts, kept, positions))
        return Batch(task.split, self.name, self._config.seed, blocks, rejected)


def _emit(walk: VariantWalk, columns: list[NDArray[np.int64]]) -> tuple[list[Spec], list[str]]:
    family, variant = walk.family, walk.variant
    specs = [family.spec(variant, *row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    return specs, [family.program(spec) for spec in specs]


def _failures(texts: list[str], verifier: Verifier) -> dict[int, Rejection]:
    failed = {}
    for row, text in enumerate(texts):
        try:
            verifier.verify(text)
        except Rejection as rejection:
            failed[row] = rejection
    return failed


def _block(
    walk: VariantWalk,
    columns: list[NDArray[np.int64]],
    specs: list[Spec],
    texts: list[str],
    kept: NDArray[np.int64],
    positions: NDArray[np.int64],
) -> ProgramBlock:
    if len(kept) < len(texts):
        specs = [specs[row] for row in kept]
        texts = [texts[row] for row in kept]
    return ProgramBlock(
        family=walk.family,
        kind=walk.variant.kind,
        spec=walk.family.spec(walk.variant, *(column[kept] for column in columns)),
        specs=specs,
        texts=texts,
        digests=[hashlib.sha256(text.encode()).hexdigest() for text in texts],
        positions=positions[kept],
    )
