"""Proving programs in the process that makes them, wherever that is: it has a worker process of its own for that."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache

from mlir_datagen.programs.program import StoredProgram
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.proving.batch import BatchProver
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings, SandboxLimits

_NOT_MEASURED = MeasureSettings("none", 1, 0.0, 1.0)


@dataclass(frozen=True)
class ProverWhereMade:
    """Proves as a `BatchProver` does, without times, which are to be of one machine. It can be pickled.

    Attributes:
        check: how far programs are checked, and which part of them.
        limits: what each may use.
        seed: the run's.
    """

    check: CheckSettings
    limits: SandboxLimits
    seed: int

    def outcomes(self, programs: Iterable[StoredProgram]) -> Iterator[Proof | Failure]:
        """Yield what becomes of each program, in order."""
        return _prover(self).outcomes(programs)


@lru_cache(maxsize=1)
def _prover(settings: ProverWhereMade) -> BatchProver:
    # Only here, since the pool's library is not needed where nothing is proven.
    from mlir_datagen.proving.prover import Prover

    stack = ExitStack()
    prover = stack.enter_context(Prover(settings.check, _NOT_MEASURED, settings.limits, workers=1))
    atexit.register(stack.close)
    return BatchProver(prover, settings.check, _NOT_MEASURED, settings.seed)
