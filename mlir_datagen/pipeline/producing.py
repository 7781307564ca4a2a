"""Producing programs and handing them to the writers, until every split has its size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlir_datagen.dataset.columns import listed_table, program_table
from mlir_datagen.dataset.writer import SplitWriter
from mlir_datagen.errors import UserError
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.programs.batch import Batch
from mlir_datagen.programs.production import Production, last_rejected
from mlir_datagen.programs.program import Program
from mlir_datagen.programs.proof import PARSED, Failure, Proof
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.proving.batch import BatchProver, Progress
from mlir_datagen.sources.decontamination import Decontamination
from mlir_datagen.sources.random_ops import Plan, RandomOps, Taken

_MOST_FRUITLESS = 256


def produce_all(
    source: RandomOps,
    plan: Plan,
    writers: Mapping[str, SplitWriter],
    prover: BatchProver | None = None,
    taken: Taken | None = None,
    progress: Progress = lambda count: None,
    unseen: Decontamination | None = None,
    production: Production | None = None,
) -> Production:
    """Make the programs of a plan and write them; the next ones of the walks make up for rejected ones.

    Args:
        source: where the plan comes from.
        plan: what to make first.
        writers: the writer of each split.
        prover: what proves programs beyond the parser, if anything.
        taken: what was taken before this plan.
        progress: called with the number of programs that were just tried.
        unseen: what no program may compute, if anything.
        production: what the run has made so far, which is added to.

    Raises:
        UserError: when the grids run out, or program after program is rejected.
    """
    production = production or Production()
    production.taken.update(taken or {})
    verifier = Verifier()
    uniqueness = _Uniqueness()
    fruitless = 0
    while True:
        for task in plan.tasks:
            batch = uniqueness.keep_new(source.produce(task, verifier))
            if unseen is not None and unseen.against:
                batch = batch.sift(lambda block: [unseen.judge(text) for text in block.texts])
            if prover is not None:
                batch = prover.prove(batch, progress)
            else:
                progress(len(task.points))
            kept = _write(batch, writers[batch.split], production)
            production.attempted += len(task.points)
            fruitless = 0 if kept else fruitless + len(task.points)
            if fruitless >= _MOST_FRUITLESS:
                raise UserError(f"Not one of {fruitless} programs in a row was kept. {last_rejected(production)}")
        for quota in plan.quotas:
            production.taken[quota.split, quota.family] += quota.planned
        missing = {split: writer.missing for split, writer in writers.items() if writer.missing}
        if not missing:
            return production
        try:
            plan = source.plan(missing, production.taken)
        except UserError as error:
            raise UserError(f"{error} {last_rejected(production)}") from error


def produce_listed(
    programs: Iterable[Program | Rejected],
    split: str,
    writer: SplitWriter,
    production: Production,
    prover: BatchProver | None = None,
    progress: Progress = lambda count: None,
) -> None:
    """Write programs that come one by one, without any that make up for rejected ones.

    Args:
        programs: the programs, verified, or why there is none.
        split: the split that they go to.
        writer: its writer.
        production: what the run has made so far; it is added to.
        prover: what proves them further, if anything.
        progress: called with 1 for each program that was tried.
    """
    for outcome in programs if prover is None else prover.prove_listed(programs, split):
        production.attempted += 1
        progress(1)
        if isinstance(outcome, Rejected):
            production.rejected.append(outcome)
            continue
        writer.write(listed_table(split, [outcome]), [outcome.name])
        production.remarks += [outcome.remark] if outcome.remark else []
        production.checked += outcome.proof.level != "parse"
        production.matched += outcome.proof.proven == "matched"
        if outcome.proof.measurement is not None:
            production.measured.append((split, outcome.name, outcome.proof.measurement))


def _write(batch: Batch, writer: SplitWriter, production: Production) -> int:
    """Write what was kept of a batch; return how many programs that are."""
    proofs = batch.proofs
    names = writer.write(program_table(batch)) if proofs else []
    for name, proof in zip(names, proofs, strict=True):
        if proof.measurement is not None:
            production.measured.append((batch.split, name, proof.measurement))
    production.checked += sum(proof.level != "parse" for proof in proofs)
    production.matched += sum(proof.proven == "matched" for proof in proofs)
    production.rejected += batch.rejected
    return len(names)


class _Uniqueness:
    """Knows the programs that were there before, by the first half of their digests."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def keep_new(self, batch: Batch) -> Batch:
        """Return the batch without the programs that were there before."""
        return batch.sift(lambda block: [self._is_new(digest) for digest in block.digests])

    def _is_new(self, digest: str) -> Proof | Failure:
        key = bytes.fromhex(digest[:32])
        if key in self._seen:
            return Failure("unique", f"this text was there before in this dataset (sha256 {digest})")
        self._seen.add(key)
        return PARSED
