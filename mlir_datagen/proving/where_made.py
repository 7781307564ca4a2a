"""Proving programs in the process that makes them, wherever that is: it has a worker process of its own for that."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from mlir_datagen.programs.machine import Machine
from mlir_datagen.programs.program import StoredProgram
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.proving.batch import BatchProver
from mlir_datagen.proving.clock import pin
from mlir_datagen.proving.machine import machine
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings, SandboxLimits, available_cores


@dataclass(frozen=True)
class ProverWhereMade:
    """Proves as a `BatchProver` does. It can be pickled.

    Where several of these processes are on one machine, one of them measures at a time.

    Attributes:
        check: how far programs are checked, and which part of them.
        measure: whether and how they are measured.
        limits: what each may use.
        seed: the run's.
    """

    check: CheckSettings
    measure: MeasureSettings
    limits: SandboxLimits
    seed: int

    @property
    def machine(self) -> Machine | None:
        """Where programs are measured, if they are: the machine of this process."""
        return machine() if self.measure.enabled else None

    def outcomes(self, programs: Iterable[StoredProgram]) -> Iterator[Proof | Failure]:
        """Yield what becomes of each program, in order."""
        with _PROVERS.lock:
            yield from _PROVERS.prover(self).outcomes(programs)


class _Provers:
    """The prover of this process: of the run that it works for now.

    Attributes:
        lock: for one thread at a time, as there is one worker process.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._cores = set(available_cores())
        self._open = ExitStack()
        self._settings: ProverWhereMade | None = None
        self._prover: BatchProver
        atexit.register(self._close)

    def prover(self, settings: ProverWhereMade) -> BatchProver:
        """Return the prover of a run; that of another one is closed."""
        # Only here, since the pool's library is not needed where nothing is proven.
        from mlir_datagen.proving.prover import Prover

        if self._settings != settings:
            self._close()
            # The one before kept a thread off one of them.
            pin(self._cores)
            prover = self._open.enter_context(Prover(settings.check, settings.measure, settings.limits, workers=1))
            self._prover = BatchProver(prover, settings.check, settings.measure, settings.seed)
            self._settings = settings
        return self._prover

    def _close(self) -> None:
        self._settings = None
        self._open.close()


_PROVERS = _Provers()
