"""Proving programs as far as a config asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mlir_datagen.programs.machine import Machine
from mlir_datagen.programs.program import NETWORK, StoredProgram
from mlir_datagen.programs.proof import PARSED, Failure, Proof
from mlir_datagen.proving.job import Job, job_of_program
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings

if TYPE_CHECKING:
    from mlir_datagen.proving.prover import Prover


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

    @property
    def machine(self) -> Machine | None:
        """Where programs are measured, if they are."""
        return self._prover.machine

    def outcomes(self, programs: Iterable[StoredProgram]) -> Iterator[Proof | Failure]:
        """Yield what becomes of each program, in order.

        What was taken out of a network has no reference: it is run, and not compared. Whole networks are compared where
        they are converted, and may be measured here.

        Args:
            programs: parsed ones.
        """
        jobs = [self._job(program) for program in programs]
        proven = self._prover.prove([job for job in jobs if job is not None])
        for job in jobs:
            yield PARSED if job is None else next(proven)

    def _job(self, program: StoredProgram) -> Job | None:
        is_network = program.family == NETWORK
        level = "parse" if is_network else check_level(self._check, self._seed, program.sha256)
        return None if level == "parse" and not self._measure else job_of_program(program, level, self._measure)


def check_level(check: CheckSettings, seed: int, digest: str) -> str:
    """Return how far a program is checked: as far as the settings say, or only parsed if it is not of the part drawn.

    Args:
        check: the settings.
        seed: the run's seed, for choosing the part.
        digest: of the program's text.
    """
    drawn = hashlib.sha256(f"check {seed} {digest}".encode()).digest()[:8]
    return check.level if int.from_bytes(drawn, "big") < check.fraction * 2**64 else "parse"
