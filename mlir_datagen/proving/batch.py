"""Proving the programs of a batch as far as a config asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from mlir_datagen.program import PARSED, Batch, ProgramBlock, spec_json
from mlir_datagen.proving.job import Failure, Job, Proof
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

    def _outcomes(self, jobs: Sequence[Job | None], progress: Progress) -> Iterator[Proof | Failure]:
        proven = self._prover.prove([job for job in jobs if job is not None])
        for job in jobs:
            outcome = PARSED if job is None else next(proven)
            progress(1)
            yield outcome

    def _job(self, block: ProgramBlock, row: int) -> Job | None:
        level = self._check.level if self._is_checked(block.digests[row]) else "parse"
        if level == "parse" and not self._measure:
            return None
        return job_of(block.family, block.specs[row], block.texts[row], level, self._measure)

    def _is_checked(self, digest: str) -> bool:
        drawn = hashlib.sha256(f"check {self._seed} {digest}".encode()).digest()[:8]
        return int.from_bytes(drawn, "big") < self._check.fraction * 2**64


def job_of(family: Any, spec: Any, text: str, level: str, measure: bool) -> Job:
    """Return the job of proving one program of a family."""
    arguments, results = family.arguments(spec), family.results(spec)
    shapes = tuple(operand.shape for operand in (*arguments, *results))
    return Job(family.name, spec_json(spec), text, shapes, len(arguments), level, measure)
