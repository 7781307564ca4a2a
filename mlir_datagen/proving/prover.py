"""Running jobs in worker processes: a crash, a hang or too much memory costs one program, never the run."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from multiprocessing import forkserver
from types import TracebackType
from typing import Any, Self

from pebble import ProcessExpired, ProcessPool

from mlir_datagen.errors import UserError
from mlir_datagen.proving import worker
from mlir_datagen.proving.clock import pin
from mlir_datagen.proving.job import Failure, Job, Proof
from mlir_datagen.proving.settings import CheckSettings, Cores, MeasureSettings, SandboxLimits

_GRACE_SECONDS = 120
_SIGNAL_MEANINGS = {
    signal.SIGXCPU: "it ran for longer than sandbox.seconds, {seconds} s of processor time",
    signal.SIGSEGV: (
        "it crashed its process (SIGSEGV), as asking for more memory than sandbox.memory_bytes, {memory_bytes}, may"
    ),
}


def prepare_workers(check: CheckSettings) -> None:
    """Begin to start the process that the workers are forked from; it gets ready while this one goes on.

    It imports all that they need: PyTorch takes seconds to import, and a worker that a program has ended is replaced at
    once.
    """
    multiprocessing.set_forkserver_preload([worker.__name__, *(["torch"] if check.level == "execute" else [])])
    with _without_interrupts():
        forkserver.ensure_running()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block SIGINT for the threads and processes that are started here, which inherit that.

    Ctrl-C is this process's to handle: a worker that is just starting would print a traceback.
    """
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)


class _HiddenMain:
    """Keeps new processes from importing the script that this one runs, as multiprocessing would have them do.

    Nothing that is sent to them is defined there, and a script without `if __name__ == "__main__"` would run once more
    in each.
    """

    def __init__(self) -> None:
        self._module = sys.modules["__main__"]
        self._file = getattr(self._module, "__file__", None)

    def hide(self) -> None:
        """From now on, new processes import nothing of the kind."""
        self._module.__file__ = None

    def show(self) -> None:
        """Put it back."""
        self._module.__file__ = self._file


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
        prepare_workers(check)
        self._main = _HiddenMain()
        self._pool = ProcessPool(
            max_workers=self._cores.workers,
            context=multiprocessing.get_context("forkserver"),
            initializer=worker.start,
            initargs=(self._cores, limits, measure, check.level == "execute"),
        )
        # Only a program that uses no processor time, and so escapes the limit on it, can take so long.
        self._wall_seconds = (self._cores.workers + 1) * limits.seconds + _GRACE_SECONDS

    def prove(self, jobs: Iterable[Job]) -> Iterator[Proof | Failure]:
        """Yield the outcome of each job, in order; the next ones are worked on meanwhile."""
        waiting = iter(jobs)
        running = [self._submit(job) for job in islice(waiting, 4 * self._cores.workers)]
        while running:
            yield self._outcome(*running.pop(0))
            running += [self._submit(job) for job in islice(waiting, 1)]

    def __enter__(self) -> Self:
        self._main.hide()
        with _without_interrupts():
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
        self._main.show()
        pin({self._cores.measuring, *self._cores.others})

    def _submit(self, job: Job) -> tuple[Job, Any]:
        return job, self._pool.schedule(worker.prove, args=(job,), timeout=self._wall_seconds)

    def _outcome(self, job: Job, future: Any) -> Proof | Failure:
        try:
            outcome: Proof | Failure = future.result()
            return outcome
        except ProcessExpired as expired:
            return Failure(job.last_stage, self._why(expired.exitcode))
        except FutureTimeoutError:
            return Failure(job.last_stage, f"it did not end within {self._wall_seconds} s")

    def _why(self, exit_code: int) -> str:
        if exit_code >= 0:
            return f"it ended its process with exit code {exit_code}"
        ended_by = signal.Signals(-exit_code)
        meaning = _SIGNAL_MEANINGS.get(ended_by, f"it crashed its process ({ended_by.name})")
        return meaning.format(seconds=self._limits.seconds, memory_bytes=self._limits.memory_bytes)
