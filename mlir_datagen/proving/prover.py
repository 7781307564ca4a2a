"""Proving programs in worker processes: one that crashes, hangs or wants too much memory is rejected, no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from mlir_datagen.errors import UserError
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.proving import worker
from mlir_datagen.proving.clock import pin, require_clocks
from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.job import EagerJob, Job
from mlir_datagen.proving.machine import machine
from mlir_datagen.proving.pool import Pool
from mlir_datagen.proving.settings import CheckSettings, Cores, MeasureSettings, SandboxLimits, available_cores

_GRACE_SECONDS = 120


def prepare(check: CheckSettings, others: Sequence[str] = ()) -> None:
    """Begin to start what `Prover` needs, while this process goes on.

    PyTorch takes seconds to import, and a worker that a program has ended is replaced at once.

    Args:
        check: how far programs are checked.
        others: modules that other pools need, since there is one process that all workers are forked from.
    """
    SERVER.load([worker.__name__, *(["torch"] if check.level == "execute" else []), *others])


class Prover:
    """Worker processes that prove programs. Use it as a context.

    This process stays off the measuring core meanwhile, if there is one.

    Args:
        check: how far programs are checked.
        measure: whether and how they are measured.
        limits: what each may use.
        workers: how many processes; left out, as many as keep all cores busy.

    Raises:
        UserError: when programs are to be compared, and the reference's library is not installed; or to be measured,
            and the system has no clock for it.

    Attributes:
        machine: this one, if programs are measured.
    """

    def __init__(
        self, check: CheckSettings, measure: MeasureSettings, limits: SandboxLimits, workers: int | None = None
    ) -> None:
        if check.level == "execute" and find_spec("torch") is None:
            raise UserError(
                "check=execute compares programs with PyTorch, which is not installed. Install it with "
                "pip install 'mlir_datagen[execute]', or use check=lower."
            )
        self.machine = machine() if measure.enabled else None
        if measure.enabled:
            require_clocks()
        self._cores = Cores.available()
        workers = workers or self._cores.workers
        prepare(check)
        self._pool = Pool(
            workers,
            limits,
            "sandbox",
            # The other workers, of other pools on this machine, too, may have the measuring core for so long.
            idle_seconds=(max(workers, len(available_cores())) + 1) * limits.seconds + _GRACE_SECONDS,
            start=worker.start,
            arguments=(self._cores, measure, check.level == "execute", self.machine.id if self.machine else ""),
        )

    def prove(self, jobs: Iterable[Job | EagerJob]) -> Iterator[Proof | Failure]:
        """Yield the outcome of each job, in order; the next ones are worked on meanwhile.

        Raises:
            UserError: when workers are killed from outside again and again.
        """
        return self._pool.run(worker.prove, jobs, lambda job, reason: Failure(job.last_stage, reason))

    def __enter__(self) -> Self:
        self._pool.__enter__()
        if self.machine:
            # Not before, as the process that the workers are forked from inherits it.
            pin(set(self._cores.others))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.__exit__(kind, error, trace)
        if self.machine:
            pin({self._cores.measuring, *self._cores.others})
