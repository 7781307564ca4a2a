"""Proving the programs of a batch as far as a config asks for."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from mlir_datagen.programs.batch import Batch, ProgramBlock
from mlir_datagen.programs.program import NETWORK, Program
from mlir_datagen.programs.proof import PARSED, Failure, Proof
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.proving.job import Job, job_of, job_of_program
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings

if TYPE_CHECKING:
    from mlir_datagen.proving.prover import Prover

Progress = Callable[[int], object]


class BatchProver:
    """Chooses what is proven of which program, and has it done.

    Args:
        prover: the worker processes.
        check: how far programs are checked, and which part of them.
        measure: whether they are measured; that they all are.
        seed: the run's seed, for choosing the part.
    """

    def __init__(self, prover: Prover, check: CheckSettings, measure: MeasureSettings, seed: int) -> None:
        self._prover = prover
        self._check = check
        self._measure = measure.enabled
        self._seed = seed

    def prove(self, batch: Batch, progress: Progress) -> Batch:
        """Return the batch without the programs that fail.

        Args:
            batch: parsed programs.
            progress: called with 1 for each program that is done.
        """
        jobs = [self._job(block, row) for block in batch.blocks for row in range(len(block.texts))]
        outcomes = self._outcomes(jobs, progress)
        return batch.sift(lambda block: islice(outcomes, len(block.texts)))

    def prove_listed(self, programs: Iterable[Program | Rejected], split: str) -> Iterator[Program | Rejected]:
        """Prove programs that were not drawn from a grid, as they come.

        Their own families have a reference. What was taken out of a network has none: it is run, and not compared.
        Whole networks are compared where they are converted.
        """
        given: deque[tuple[Program | Rejected, bool]] = deque()

        def jobs() -> Iterator[Job]:
            for program in programs:
                job = None if isinstance(program, Rejected) else self._listed_job(program)
                given.append((program, job is not None))
                if job is not None:
                    yield job

        for outcome in self._prover.prove(jobs()):
            yield from _without_job(given)
            program, _ = given.popleft()
            assert isinstance(program, Program)
            yield _proven(program, split, outcome)
        yield from _without_job(given)

    def _listed_job(self, program: Program) -> Job | None:
        digest = hashlib.sha256(program.text.encode()).hexdigest()
        level = self._level(digest) if program.family != NETWORK else "parse"
        if level == "parse" and not self._measure:
            return None
        return job_of_program(program, level, self._measure)

    def _outcomes(self, jobs: Sequence[Job | None], progress: Progress) -> Iterator[Proof | Failure]:
        proven = self._prover.prove([job for job in jobs if job is not None])
        for job in jobs:
            outcome = PARSED if job is None else next(proven)
            progress(1)
            yield outcome

    def _job(self, block: ProgramBlock, row: int) -> Job | None:
        level = self._level(block.digests[row])
        if level == "parse" and not self._measure:
            return None
        return job_of(block.family, block.specs[row], block.texts[row], level, self._measure)

    def _level(self, digest: str) -> str:
        return check_level(self._check, self._seed, digest)


def check_level(check: CheckSettings, seed: int, digest: str) -> str:
    """Return how far a program is checked: as far as the settings say, or only parsed if it is not of the part drawn.

    Args:
        check: the settings.
        seed: the run's seed, for choosing the part.
        digest: of the program's text.
    """
    drawn = hashlib.sha256(f"check {seed} {digest}".encode()).digest()[:8]
    return check.level if int.from_bytes(drawn, "big") < check.fraction * 2**64 else "parse"


def _without_job(given: deque[tuple[Program | Rejected, bool]]) -> Iterator[Program | Rejected]:
    """Pass on the programs at the front that nothing is proven of."""
    while given and not given[0][1]:
        yield given.popleft()[0]


def _proven(program: Program, split: str, outcome: Proof | Failure) -> Program | Rejected:
    if isinstance(outcome, Failure):
        stage, reason = outcome.stage, outcome.reason
        return Rejected(program.family, split, program.spec, stage, reason, program.command, program.name)
    if program.proof.level != "parse":
        # A network, which was checked where it was converted.
        outcome = dataclasses.replace(program.proof, measurement=outcome.measurement)
    return dataclasses.replace(program, proof=outcome)
