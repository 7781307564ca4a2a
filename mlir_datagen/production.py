"""Producing programs and handing them to the writers, until every split has its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlir_datagen.dataset.arrow import number_array
from mlir_datagen.dataset.columns import program_table
from mlir_datagen.dataset.writer import SplitWriter
from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.program import Rejected, rejected_program
from mlir_datagen.sources.random_ops import Plan, RandomOps, Taken

Progress = Callable[[int], object]

_MOST_FRUITLESS = 256


@dataclass
class Production:
    """What a run has made so far.

    Attributes:
        attempted: how many programs were tried.
        rejected: those that were not kept.
        taken: how many points of each (split, family) were used.
    """

    attempted: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)


def produce_all(
    source: RandomOps,
    plan: Plan,
    writers: Mapping[str, SplitWriter],
    taken: Taken | None = None,
    progress: Progress = lambda count: None,
) -> Production:
    """Make the programs of a plan and write them; the next ones of the walks make up for rejected ones.

    Args:
        source: where the plan comes from.
        plan: what to make first.
        writers: the writer of each split.
        taken: what was taken before this plan.
        progress: called with the number of programs that were just written.

    Raises:
        UserError: when the grids run out, or program after program is rejected.
    """
    production = Production(taken=Counter(taken or {}))
    verifier = Verifier()
    uniqueness = _Uniqueness()
    fruitless = 0
    while True:
        for task in plan.tasks:
            batch = source.produce(task, verifier)
            table, repeated = uniqueness.keep_new(program_table(batch))
            if len(table):
                writers[batch.split].write(table)
            production.attempted += len(task.points)
            production.rejected += [*batch.rejected, *repeated]
            fruitless = 0 if len(table) else fruitless + len(task.points)
            progress(len(table))
        for quota in plan.quotas:
            production.taken[quota.split, quota.family] += quota.planned
        missing = {split: writer.missing for split, writer in writers.items() if writer.missing}
        if not missing:
            return production
        try:
            plan = source.plan(missing, production.taken)
        except UserError as error:
            raise UserError(f"{error} {_last_rejected(production)}") from error
        if fruitless >= _MOST_FRUITLESS:
            raise UserError(f"Not one of {fruitless} programs in a row was kept. {_last_rejected(production)}")


def _last_rejected(production: Production) -> str:
    last = production.rejected[-1]
    return (
        f"{len(production.rejected)} of {production.attempted} programs were rejected, and nothing was left behind. "
        f'The last failed at the stage "{last.stage}": {last.reason}. To see it: {last.command}'
    )


class _Uniqueness:
    """Knows the programs that were kept, by the first half of their digests."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def keep_new(self, table: Any) -> tuple[Any, list[Rejected]]:
        """Return the table without the programs that were there before, and their rejections."""
        new, rejected = [], []
        for row, digest in enumerate(table.column("sha256").to_pylist()):
            key = bytes.fromhex(digest[:32])
            new.append(key not in self._seen)
            self._seen.add(key)
            if not new[-1]:
                again = table.slice(row, 1).to_pylist()[0]
                rejection = Rejection("unique", f"this text was there before in this dataset (sha256 {digest})")
                rejected.append(rejected_program(again["family"], again["split"], again["spec"], rejection))
        return (table.take(number_array(np.flatnonzero(new))) if rejected else table), rejected
