"""Random programs: single ops sampled without replacement from the families' grids, and drawn graphs."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.dataset.results import TaskResult
from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.parse import Verifier, verifier_of_thread
from mlir_datagen.ops.program_family import AnyFamily, AnySpec
from mlir_datagen.programs.batch import Batch, Block
from mlir_datagen.programs.content import Splitter
from mlir_datagen.programs.proof import Failure
from mlir_datagen.programs.rejected import Rejected, rejected_program
from mlir_datagen.programs.spec import spec_json
from mlir_datagen.sources.draws import DrawnWalk
from mlir_datagen.sources.mix import FamilyWalk, allot, check_admissible
from mlir_datagen.sources.quotas import Quota
from mlir_datagen.sources.settings import RandomSettings
from mlir_datagen.sources.source import Plan, Taken
from mlir_datagen.sources.strata import Strata
from mlir_datagen.sources.streams import SOURCE, DrawnStream, GridStream
from mlir_datagen.sources.walk import Limits, VariantWalk

PROGRAMS_PER_TASK = 2048
PROGRAMS_PER_SLOW_TASK = 256
"""When each program is lowered, run or measured, which takes a thousand times longer."""


@dataclass(frozen=True)
class RandomTask:
    """Some consecutive programs of one split: for each its stream, as an index, and its number there."""

    settings: RandomSettings
    split: str
    variants: NDArray[np.int16]
    points: NDArray[np.int64]

    def first(self, programs: int) -> RandomTask:
        """Return a task with the first programs of this one only."""
        return self._cut(slice(programs))

    def halves(self) -> Sequence[RandomTask]:
        """Return two tasks with half of the programs each; none where there is one."""
        half = len(self.points) // 2
        return [self._cut(slice(half)), self._cut(slice(half, None))] if half else ()

    def _cut(self, part: slice) -> RandomTask:
        return dataclasses.replace(self, variants=self.variants[part], points=self.points[part])

    def specs(self) -> list[tuple[AnyFamily, AnySpec]]:
        """Return the family and the spec of each program, in order, without making them."""
        found: list[Any] = [None] * len(self.points)
        for stream, positions in self._parts():
            specs = stream.specs(self.points[positions], self.settings.seed)
            for position, spec in zip(positions, specs, strict=True):
                found[position] = stream.family, spec
        return found

    def blocks(self) -> list[Block]:
        """Make the programs."""
        settings = self.settings
        return [
            stream.block(self.points[positions], positions, settings.seed, settings.forms)
            for stream, positions in self._parts()
        ]

    def _parts(self) -> Iterator[tuple[GridStream | DrawnStream, NDArray[np.int64]]]:
        """Yield what the programs are numbered by, with the positions of those of each."""
        streams = self.settings.streams
        for index in np.unique(self.variants):
            yield streams[index], np.flatnonzero(self.variants == index)


class RandomOps:
    """The source of random programs: it fills splits.

    Args:
        settings: what they are drawn from, and how.
        executor: draws graphs while a plan is made; left out, this process does.
    """

    name = SOURCE

    def __init__(self, settings: RandomSettings, executor: Executor | None = None) -> None:
        self._settings = settings
        splitter = Splitter(settings.split_ratios)
        limits, strata = settings.limits, settings.strata
        self._families: dict[str, FamilyWalk] = {}
        first_index = 0
        for name, op in settings.ops.items():
            walks = [_walk(stream, limits, splitter, settings.seed, strata, executor) for stream in op.streams]
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
        verifier = verifier_of_thread()
        # One stage after the other for a whole block: emitting and parsing in turn drive each other out of the
        # processor's caches.
        return Batch(task.split, task.blocks()).sift(lambda block: [_failure(text, verifier) for text in block.texts])

    def fits(self, task: RandomTask, result: TaskResult, weights: Collection[str]) -> bool:
        """Tell whether programs are those of a task, in its order, and the rejected ones its others: by their specs."""
        if (result.split, result.kept_out, len(weights)) != (task.split, None, 0):
            return False
        if any(result.table.column(name).null_count < len(result) for name in ("own_name", "command")):
            return False
        kept = zip(result.strings("family"), result.strings("spec"), strict=True)
        following = next(kept, None)
        lost = {}
        for family, spec in task.specs():
            if following == (family.name, spec_json(spec)):
                following = next(kept, None)
            else:
                lost[family.name, spec_json(spec)] = family, spec
        if following is not None or len(lost) != len(result.rejected):
            return False
        return all(_is_of(task, lost.pop((one.family, one.spec), None), one) for one in result.rejected)

    def restore(self, task: RandomTask, result: TaskResult) -> None:
        """Do nothing: a plan hangs on how many programs were kept, and not on which."""

    def parts(self, task: RandomTask) -> Sequence[RandomTask]:
        """Return tasks with half of the programs each."""
        return task.halves()

    def ended(self, task: RandomTask, reason: str) -> Batch:
        """Reject the only program of a task, which ends the processes that it is made in."""
        ((family, spec),) = task.specs()
        form = task.settings.forms.of(task.settings.seed, family, spec)
        failure = Failure("verified", reason)
        return Batch.listed(task.split, [rejected_program(family.name, task.split, spec_json(spec), failure, form)])


def _walk(
    stream: GridStream | DrawnStream,
    limits: Limits,
    splitter: Splitter,
    seed: int,
    strata: Strata,
    executor: Executor | None,
) -> VariantWalk | DrawnWalk:
    if isinstance(stream, DrawnStream):
        return DrawnWalk(stream, limits, splitter, seed, strata, executor)
    return VariantWalk(stream.family, stream.variant, stream.grid, limits, splitter, seed, strata)


def _is_of(task: RandomTask, drawn: tuple[AnyFamily, AnySpec] | None, one: Rejected) -> bool:
    """Tell whether a reject is said to be what a task has drawn."""
    if drawn is None:
        return False
    form = task.settings.forms.of(task.settings.seed, *drawn)
    return one == rejected_program(one.family, task.split, one.spec, Failure(one.stage, one.reason), form)


def _failure(text: str, verifier: Verifier) -> Failure | None:
    try:
        verifier.verify(text)
    except Rejection as rejection:
        return Failure(rejection.stage, rejection.reason)
    return None
