"""The one path from sources to the disk: made, new, unseen, proven, written, in the order of the plan."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Generic

from mlir_datagen.dataset.parts import Parts
from mlir_datagen.dataset.results import TaskResult, joined, result_of
from mlir_datagen.dataset.writer import SplitWriter
from mlir_datagen.errors import Resumable, UserError
from mlir_datagen.executors.engine import proves_where_made, sandbox_of, tasks_ahead
from mlir_datagen.mlir.bounds import nesting_problem
from mlir_datagen.programs.batch import Batch
from mlir_datagen.programs.production import Production, Progress, last_rejected
from mlir_datagen.programs.program import NETWORK
from mlir_datagen.programs.proof import Failure
from mlir_datagen.proving.batch import BatchProver
from mlir_datagen.proving.pool import JobEnded
from mlir_datagen.proving.where_made import ProverWhereMade
from mlir_datagen.sources.decontamination import Decontamination
from mlir_datagen.sources.sameness import Sameness, short_key
from mlir_datagen.sources.source import Plan, Source, Task

_MOST_FRUITLESS = 256


Made = Callable[[int], Iterator[TaskResult]]
"""Returns what became of a plan's tasks, proven as far as the config asks for, from the task of that number on."""


@dataclass
class Producer:
    """Has programs made and writes them.

    Attributes:
        writer_of: returns the writer of a split.
        prover: what proves programs beyond the parser, if anything.
        progress: called with the number of programs that were just tried.
        unseen: what no program that fills a split may compute; it takes in what is listed.
        production: what has been made so far.
        sameness: tells programs apart where several families may draw the same; None where their texts do.
        parts: what an earlier run has made; it takes in what is made now. None where nothing is kept.
        remote: proves programs where they are made, if the executor can do that; None where it must not.
    """

    writer_of: Callable[[str], SplitWriter]
    prover: BatchProver | None = None
    progress: Progress = lambda count: None
    unseen: Decontamination = field(default_factory=Decontamination)
    production: Production = field(default_factory=Production)
    sameness: Sameness | None = None
    parts: Parts | None = None
    remote: ProverWhereMade | None = None
    _seen: set[bytes] = field(default_factory=set)

    def produce(
        self, source: Source[Task], plan: Plan[Task], executor: Executor | None = None, made: Made | None = None
    ) -> None:
        """Make the programs of a plan and write them; in the splits that it fills, others make up for rejected ones.

        Args:
            source: where the plan comes from.
            plan: what to make first.
            executor: does the tasks, in any order; left out, they are done here, one after the other.
            made: what became of the tasks of the plan elsewhere; left out, they are done now.

        Raises:
            UserError: when the source runs out of programs, program after program is rejected, or the executor breaks.
        """
        production = self.production
        filled = {split: self.writer_of(split) for split in dict.fromkeys(quota.split for quota in plan.quotas)}
        fruitless = 0
        while True:
            for result in self._results(source, plan.tasks, bool(filled), executor, made):
                fills = result.split in filled
                kept = self._write(result if fills else self.keep_out(result))
                fruitless = 0 if kept or not fills else fruitless + result.attempted
                if fruitless >= _MOST_FRUITLESS:
                    raise UserError(f"Not one of {fruitless} programs in a row was kept. {last_rejected(production)}")
            for quota in plan.quotas:
                production.taken[quota.split, quota.family] += quota.planned
            missing = {split: writer.missing for split, writer in filled.items() if writer.missing}
            if not missing:
                return
            try:
                plan, made = source.plan(missing, production.taken), None
            except UserError as error:
                raise UserError(f"{error} {last_rejected(production)}") from error

    def prepare(self, source: Source[Task], plan: Plan[Task], executor: Executor | None = None) -> None:
        """Have tasks done, and kept, whose programs are in no split: later tasks are made of them.

        Args:
            source: where the plan comes from, which takes in what becomes of its tasks.
            plan: what to make.
            executor: does the tasks, in any order; left out, they are done here, one after the other.
        """
        unproven = dataclasses.replace(self, prover=None, progress=lambda count: None)
        for _ in unproven._results(source, plan.tasks, False, executor, None):
            pass

    def _results(
        self, source: Source[Task], tasks: Sequence[Task], fills: bool, executor: Executor | None, made: Made | None
    ) -> Iterator[TaskResult]:
        """Yield what becomes of each task, in their order: first what is known from an earlier run."""
        waiting = deque(tasks)
        while waiting and self.parts is not None and (result := self._made_before(source, waiting[0])) is not None:
            self._seen.update(map(short_key, result.identities if fills else ()))
            source.restore(waiting.popleft(), result)
            self.progress(result.attempted)
            yield result
        if made is None:
            remote = self.remote if fills and proves_where_made(executor) else None
            new = made_by(source, list(waiting), self.sameness if fills else None, executor, remote)
            prover = None if remote is not None else self.prover
            proven = (proven_result(self._sifted(result) if fills else result, prover, self.progress) for result in new)
        else:
            done = len(tasks) - len(waiting)
            fitting = _fitting(source, list(waiting), made(done), done, are_parsed=bool(self.unseen.against))
            proven = (self._sifted(result) for result in fitting)
        for unsettled in proven:
            if made is not None:
                self.progress(unsettled.attempted)
            result = unsettled.settled()
            if self.parts is not None:
                self.parts.add(result)
            yield result

    def _made_before(self, source: Source[Task], task: Task) -> TaskResult | None:
        assert self.parts is not None
        return self.parts.next(partial(source.fits, task))

    def _sifted(self, result: TaskResult) -> TaskResult:
        """Return a result without what is there already, and what must not be there."""
        result = result.without(self._repeated(result.strings("sha256"), "this text was"))
        if self.sameness is not None:
            result = result.without(self._repeated(result.strings("key"), "what computes the same was"))
        if not self.unseen.against:
            return result
        refused = enumerate(map(self.unseen.refused, result.strings("mlir")))
        return result.without({row: failure for row, failure in refused if failure is not None})

    def _repeated(self, digests: Sequence[str], what: str) -> dict[int, Failure]:
        """Take in programs, by what equal ones have in common; return which of them were there before."""
        found: dict[int, Failure] = {}
        keys = list(map(short_key, digests))
        new = set(keys)
        # Nearly always, and much faster.
        if len(new) == len(keys) and new.isdisjoint(self._seen):
            self._seen |= new
            return found
        for row, (digest, key) in enumerate(zip(digests, keys, strict=True)):
            if key in self._seen:
                found[row] = Failure("unique", f"{what} there before in this dataset (sha256 {digest})")
            self._seen.add(key)
        return found

    def keep_out(self, result: TaskResult) -> TaskResult:
        """Take in listed programs, if random splits must not have them; whole networks never are in these."""
        if result.kept_out is not None:
            pairs = zip(result.strings("family"), result.strings("mlir"), strict=True)
            self.unseen.add(result.split, (text for family, text in pairs if family != NETWORK), **result.kept_out)
        return result

    def _write(self, result: TaskResult) -> int:
        """Write what is left of a task; return how many programs that are."""
        production = self.production
        names: list[str] = []
        if result.attempted:
            writer = self.writer_of(result.split)
            for table, own in result.written_at_once():
                names += writer.write(table, own)
        for name, measurement in zip(names, result.measurements, strict=True):
            if measurement is not None:
                production.measured.append((result.split, name, measurement))
        production.machines.update({machine.id: machine for machine in result.machines})
        production.attempted += result.attempted
        production.checked += sum(level != "parse" for level in result.strings("check"))
        production.matched += sum(proven == "matched" for proven in result.strings("proven"))
        production.rejected += result.rejected
        production.remarks += result.remarks
        return len(names)


@dataclass(frozen=True)
class _Making(Generic[Task]):
    """Makes what a task is for. It can be pickled where its source can do tasks elsewhere.

    Attributes:
        produce: the source's.
        sameness: tells programs apart, where their texts do not.
        prover: proves them there, too, if anything does.
    """

    produce: Callable[[Task], Batch]
    sameness: Sameness | None
    prover: ProverWhereMade | None = None

    def __call__(self, task: Task) -> TaskResult:
        result = result_of(self.produce(task), None if self.sameness is None else self.sameness.keys)
        return result if self.prover is None else proven_result(result, self.prover)


def proven_result(
    result: TaskResult, prover: BatchProver | ProverWhereMade | None, progress: Progress = lambda count: None
) -> TaskResult:
    """Return a result with what is proven of its programs beyond the parser, if anything."""
    progress(len(result.rejected))
    if prover is None:
        progress(len(result))
        return result
    outcomes = []
    for outcome in prover.outcomes(result.programs()):
        outcomes.append(outcome)
        progress(1)
    return result.proven(outcomes, prover.machine)


def _fitting(
    source: Source[Task], tasks: Sequence[Task], made: Iterator[TaskResult], first: int, are_parsed: bool
) -> Iterator[TaskResult]:
    """Yield what became of tasks elsewhere, if it can be that.

    Args:
        source: of the tasks.
        tasks: the tasks.
        made: what became of them.
        first: the number of the first.
        are_parsed: whether MLIR's parser is given the programs.

    Raises:
        UserError: when it is of other programs, or of none.
    """
    for number, task in enumerate(tasks, first):
        result = next(made, None)
        if result is None or not source.fits(task, result, ()):
            problem = "is missing" if result is None else "has other programs than are drawn there"
        else:
            refused = filter(None, map(nesting_problem, result.strings("mlir") if are_parsed else ()))
            problem = next((f"has a program that is not given to MLIR's parser: {why}" for why in refused), "")
        if problem or result is None:
            raise UserError(f"Task {number} of the config, as the shards have it, {problem}. Make the shards again.")
        yield result
    if next(made, None) is not None:
        raise UserError(f"The shards have more than the {first + len(tasks)} tasks of their config. Make them again.")


def made_by(
    source: Source[Task],
    tasks: Sequence[Task],
    sameness: Sameness | None,
    executor: Executor | None,
    prover: ProverWhereMade | None = None,
) -> Iterator[TaskResult]:
    """Yield what each task makes, in the order of the tasks.

    Args:
        source: makes it.
        tasks: the tasks.
        sameness: tells programs apart, where their texts do not.
        executor: does the tasks; None where this process does.
        prover: proves programs where they are made, if anything does.

    Raises:
        UserError: when the executor breaks, as one of processes may when one of them is killed.
    """
    make = _Making(source.produce, sameness, prover)
    if executor is None:
        yield from map(make, tasks)
        return
    waiting = iter(tasks)
    given: deque[tuple[Task, Future[TaskResult]]] = deque()

    def give() -> None:
        # As many as it has use for now: workers may come and go.
        number = max(1, tasks_ahead(executor) - len(given))
        given.extend((task, executor.submit(make, task)) for task in islice(waiting, number))

    with breaks_for_people():
        give()
        while given:
            task, future = given.popleft()
            try:
                yield future.result()
            except JobEnded as reason:
                yield joined(list(_made_by_parts(source, make, task, sandbox_of(executor), str(reason))))
            give()


@contextmanager
def breaks_for_people() -> Iterator[None]:
    """Raise in place of what an executor raises when it breaks what a person can use."""
    try:
        yield
    except BrokenExecutor as error:
        raise Resumable(
            "A process of the executor has ended in the middle of its work, so that the run was stopped. The system "
            "ends one when memory runs out; and one that is not forked ends at once where the program that starts it "
            'has no `if __name__ == "__main__":`. The same call with a new executor goes on where this one was. '
            f"({error})"
        ) from error
    except JobEnded as reason:
        raise UserError(
            f"A worker process that drew programs was ended by what it did, twice: {reason}. With executor=serial, "
            "they are drawn in the process of the run, which shows what happens."
        ) from reason


def _made_by_parts(
    source: Source[Task], make: _Making[Task], task: Task, executor: Executor, reason: str
) -> Iterator[TaskResult]:
    """Yield what a task makes that ended its processes: all but the program that did so."""
    parts = source.parts(task)
    if not parts:
        yield result_of(source.ended(task, reason))
    for part in parts:
        try:
            yield executor.submit(make, part).result()
        except JobEnded as again:
            yield from _made_by_parts(source, make, part, executor, str(again))
