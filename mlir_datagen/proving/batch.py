"""Proving the programs of a batch as far as a config asks for."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from mlir_datagen.programs.batch import Batch, Block, ListedBlock
from mlir_datagen.programs.program import NETWORK
from mlir_datagen.programs.proof import Failure, Proof
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

        What was taken out of a network has no reference: it is run, and not compared. Whole networks are compared where
        they are converted, and may be measured here.

        Args:
            batch: parsed programs.
            progress: called with 1 for each program that is done.
        """
        outcomes = self._outcomes(batch, progress)
        return batch.sift(lambda block: islice(outcomes, len(block.texts)))

    def _outcomes(self, batch: Batch, progress: Progress) -> Iterator[Proof | Failure]:
        jobs = [job for block in batch.blocks for job in self._jobs(block)]
        before = [proof for block in batch.blocks for proof in block.proofs]
        proven = self._prover.prove([job for job in jobs if job is not None])
        for job, proof in zip(jobs, before, strict=True):
            outcome = proof if job is None else _added(proof, next(proven))
            progress(1)
            yield outcome

    def _jobs(self, block: Block) -> Iterator[Job | None]:
        if isinstance(block, ListedBlock):
            for program, digest in zip(block.programs, block.digests, strict=True):
                level = "parse" if program.family == NETWORK else self._level(digest)
                yield self._job(partial(job_of_program, program), level)
        else:
            for spec, text, digest in zip(block.specs, block.texts, block.digests, strict=True):
                yield self._job(partial(job_of, block.family, spec, text), self._level(digest))

    def _job(self, make: Callable[[str, bool], Job], level: str) -> Job | None:
        return None if level == "parse" and not self._measure else make(level, self._measure)

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


def _added(before: Proof, outcome: Proof | Failure) -> Proof | Failure:
    """Return what is proven now: of a network that was checked where it was converted, its time is added."""
    if isinstance(outcome, Proof) and before.level != "parse":
        return dataclasses.replace(before, measurement=outcome.measurement)
    return outcome
