"""Running jobs in worker processes: a crash, a hang or too much memory costs one program, never the run."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from importlib.util import find_spec
from itertools import islice
from types import TracebackType
from typing import Any, Self

from pebble import ProcessExpired, ProcessPool

from mlir_datagen.errors import UserError
from mlir_datagen.proving import worker
from mlir_datagen.proving.clock import pin
from mlir_datagen.proving.job import EagerJob, Failure, Job, Proof
from mlir_datagen.proving.sandbox import HiddenMain, prepare_workers, why_ended, without_interrupts
from mlir_datagen.proving.settings import CheckSettings, Cores, MeasureSettings, SandboxLimits

_GRACE_SECONDS = 120


def prepare(check: CheckSettings, others: Sequence[str] = ()) -> None:
    """Begin to start what `Prover` needs, while this process goes on.

    Args:
        check: how far programs are checked.
        others: modules that other pools need, since there is one process that all workers are forked from.
    """
    prepare_workers([worker.__name__, *(["torch"] if check.level == "execute" else []), *others])


class Prover:
    """A pool of worker processes. Use it as a context.

    This process stays off the measuring core meanwhile.

    Raises:
        UserError: when programs are to be compared, and the reference's library is not installed.
    """

    def __init__(self, check: CheckSettings, measure: MeasureSettings, limits: SandboxLimits) -> None:
        if check.level == "execute" and find_spec("torch") is None:
            raise UserError(
                "check=execute compares programs with PyTorch, which is not installed. Install it with "
                "pip install 'mlir_datagen[execute]', or use check=lower."
            )
        self._limits = limits
        self._cores = Cores.available()
        prepare(check)
        self._main = HiddenMain()
        self._pool = ProcessPool(
            max_workers=self._cores.workers,
            context=multiprocessing.get_context("forkserver"),
            initializer=worker.start,
            initargs=(self._cores, limits, measure, check.level == "execute"),
        )
        # Only a program that uses no processor time, and so escapes the limit on it, can take so long.
        self._wall_seconds = (self._cores.workers + 1) * limits.seconds + _GRACE_SECONDS

    def prove(self, jobs: Iterable[Job | EagerJob]) -> Iterator[Proof | Failure]:
        """Yield the outcome of each job, in order; the next ones are worked on meanwhile."""
        waiting = iter(jobs)
        running = [self._submit(job) for job in islice(waiting, 4 * self._cores.workers)]
        while running:
            yield self._outcome(*running.pop(0))
            running += [self._submit(job) for job in islice(waiting, 1)]

    def __enter__(self) -> Self:
        self._main.__enter__()
        with without_interrupts():
            assert self._pool.active  # asking starts it
        # Not before, as the process that the workers are forked from inherits it.
        pin(set(self._cores.others))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._pool.close()
        else:
            self._pool.stop()
        self._pool.join()
        self._main.__exit__()
        pin({self._cores.measuring, *self._cores.others})

    def _submit(self, job: Job | EagerJob) -> tuple[Job | EagerJob, Any]:
        return job, self._pool.schedule(worker.prove, args=(job,), timeout=self._wall_seconds)

    def _outcome(self, job: Job | EagerJob, future: Any) -> Proof | Failure:
        try:
            outcome: Proof | Failure = future.result()
            return outcome
        except ProcessExpired as expired:
            return Failure(job.last_stage, why_ended(expired.exitcode, "sandbox", self._limits))
        except FutureTimeoutError:
            return Failure(job.last_stage, f"it did not end within {self._wall_seconds} s")
