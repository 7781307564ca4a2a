"""The one path from sources to the disk: made, new, unseen, proven, written, in the order of the plan."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field
from itertools import islice

from mlir_datagen.dataset.columns import program_tables
from mlir_datagen.dataset.writer import SplitWriter
from mlir_datagen.errors import UserError
from mlir_datagen.executors.engine import sandbox_of, tasks_ahead
from mlir_datagen.programs.batch import Batch
from mlir_datagen.programs.production import Production, last_rejected
from mlir_datagen.programs.proof import PARSED, Failure, Proof
from mlir_datagen.proving.batch import BatchProver, Progress
from mlir_datagen.proving.pool import JobEnded
from mlir_datagen.sources.decontamination import Decontamination
from mlir_datagen.sources.sameness import Sameness
from mlir_datagen.sources.source import Plan, Source, Task

_MOST_FRUITLESS = 256
_COMPUTES = "what computes the same was"


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
    """

    writer_of: Callable[[str], SplitWriter]
    prover: BatchProver | None = None
    progress: Progress = lambda count: None
    unseen: Decontamination = field(default_factory=Decontamination)
    production: Production = field(default_factory=Production)
    sameness: Sameness | None = None
    _seen: set[bytes] = field(default_factory=set)

    def produce(self, source: Source[Task], plan: Plan[Task], executor: Executor | None = None) -> None:
        """Make the programs of a plan and write them; in the splits that it fills, others make up for rejected ones.

        Args:
            source: where the plan comes from.
            plan: what to make first.
            executor: does the tasks, in any order; left out, they are done here, one after the other.

        Raises:
            UserError: when the source runs out of programs, program after program is rejected, or the executor breaks.
        """
        production = self.production
        filled = {split: self.writer_of(split) for split in dict.fromkeys(quota.split for quota in plan.quotas)}
        fruitless = 0
        while True:
            for batch in _made(source, plan.tasks, executor):
                fills = batch.split in filled
                kept = self._write(self._proven(self._sifted(batch) if fills else self.unseen.keep_out(batch)))
                fruitless = 0 if kept or not fills else fruitless + batch.attempted
                if fruitless >= _MOST_FRUITLESS:
                    raise UserError(f"Not one of {fruitless} programs in a row was kept. {last_rejected(production)}")
            for quota in plan.quotas:
                production.taken[quota.split, quota.family] += quota.planned
            missing = {split: writer.missing for split, writer in filled.items() if writer.missing}
            if not missing:
                return
            try:
                plan = source.plan(missing, production.taken)
            except UserError as error:
                raise UserError(f"{error} {last_rejected(production)}") from error

    def _sifted(self, batch: Batch) -> Batch:
        """Return a batch without what is there already, and what must not be there."""
        batch = batch.sift(lambda block: [self._is_new(digest, "this text was") for digest in block.digests])
        if self.sameness is not None:
            keys = self.sameness.keys
            batch = batch.sift(lambda block: [self._is_new(key, _COMPUTES) for key in keys(block)])
        if not self.unseen.against:
            return batch
        return batch.sift(lambda block: [self.unseen.judge(text) for text in block.texts])

    def _is_new(self, digest: str, what: str) -> Proof | Failure:
        # Half of it tells programs apart, and takes less memory.
        key = bytes.fromhex(digest[:32])
        if key in self._seen:
            return Failure("unique", f"{what} there before in this dataset (sha256 {digest})")
        self._seen.add(key)
        return PARSED

    def _proven(self, batch: Batch) -> Batch:
        self.progress(len(batch.rejected))
        if self.prover is not None:
            return self.prover.prove(batch, self.progress)
        self.progress(len(batch))
        return batch

    def _write(self, batch: Batch) -> int:
        """Write what was kept of a batch; return how many programs that are."""
        production, proofs = self.production, batch.proofs
        names: list[str] = []
        if batch.attempted:
            writer = self.writer_of(batch.split)
            names = [name for table, own in program_tables(batch) for name in writer.write(table, own)]
        for name, proof in zip(names, proofs, strict=True):
            if proof.measurement is not None:
                production.measured.append((batch.split, name, proof.measurement))
        production.attempted += batch.attempted
        production.checked += sum(proof.level != "parse" for proof in proofs)
        production.matched += sum(proof.proven == "matched" for proof in proofs)
        production.rejected += batch.rejected
        production.remarks += [program.remark for program in batch.programs if program.remark]
        return len(names)


def _made(source: Source[Task], tasks: Sequence[Task], executor: Executor | None) -> Iterator[Batch]:
    """Yield what each task makes, in the order of the tasks.

    Raises:
        UserError: when the executor breaks, as one of processes may when one of them is killed.
    """
    if executor is None:
        yield from map(source.produce, tasks)
        return
    waiting = iter(tasks)
    given: deque[tuple[Task, Future[Batch]]] = deque()

    def give() -> None:
        # As many as it has use for now: workers may come and go.
        number = max(1, tasks_ahead(executor) - len(given))
        given.extend((task, executor.submit(source.produce, task)) for task in islice(waiting, number))

    try:
        give()
        while given:
            task, future = given.popleft()
            try:
                yield future.result()
            except JobEnded as reason:
                yield from _made_by_parts(source, task, sandbox_of(executor), str(reason))
            give()
    except BrokenExecutor as error:
        raise UserError(
            "A process of the executor has ended in the middle of its work, so that the run was stopped, and nothing "
            "was left behind. The system ends one when memory runs out; and one that is not forked ends at once where "
            'the program that starts it has no `if __name__ == "__main__":`. The same call with a new executor starts '
            f"again. ({error})"
        ) from error


def _made_by_parts(source: Source[Task], task: Task, executor: Executor, reason: str) -> Iterator[Batch]:
    """Yield what a task makes that ended its processes: all but the program that did so."""
    parts = source.parts(task)
    if not parts:
        yield source.ended(task, reason)
    for part in parts:
        try:
            yield executor.submit(source.produce, part).result()
        except JobEnded as again:
            yield from _made_by_parts(source, part, executor, str(again))
