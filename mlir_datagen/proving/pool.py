"""A pool of worker processes that may crash, hang, eat memory or be killed.

What becomes of a job is the job's own doing alone, and the same on every machine. A worker that something else has
ended, as the system does when memory runs out, costs time and no outcome. Each worker has a connection of its own:
where they share queues, one that is killed while it has a lock, or in the middle of a message, stops them all.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from mlir_datagen.errors import Resumable
from mlir_datagen.proving.sandbox import is_own_doing, signal_name, too_much_memory, why_ended
from mlir_datagen.proving.settings import SandboxLimits
from mlir_datagen.proving.worker_loop import OutOfMemory, Raised, Returned, Setup
from mlir_datagen.proving.worker_process import Ended, WorkerProcess

_Job = TypeVar("_Job")
_Outcome = TypeVar("_Outcome")

_MOST_KILLS = 3


@dataclass(frozen=True)
class _Reason:
    """Why a job has no outcome."""

    text: str


class JobEnded(Exception):
    """A job has ended its processes, by what it did; its text says how."""


class Pool:
    """Worker processes that do jobs, each within limits. Use it as a context.

    A job that ends its process gets another one, and is at fault when it ends that, too: a signal may come from
    anywhere, and a process may suffer from what earlier jobs did in it. Of time, only the processor's counts: on a busy
    machine all takes longer. A job that uses none of it for long waits for what does not come, and is ended.

    Args:
        workers: how many there are at most.
        limits: what each job may use.
        key: the part of the config that has the limits, for messages; None where no config has them.
        idle_seconds: how long a job may use no processor time.
        start: called with `arguments` in each worker, before its first job.
        arguments: what `start` is given.
        reused: whether a worker does one job after another; otherwise each job has a process of its own.
    """

    def __init__(
        self,
        workers: int,
        limits: SandboxLimits,
        key: str | None,
        idle_seconds: int,
        start: Callable[..., object] | None = None,
        arguments: tuple[Any, ...] = (),
        reused: bool = True,
    ) -> None:
        self._workers = workers
        self._limits = limits
        self._key = key or "limits"
        self._is_configured = key is not None
        self._idle_seconds = idle_seconds
        self._setup = pickle.dumps(Setup(limits, start, arguments, os.getcwd(), list(sys.path)))
        self._reused = reused
        # Each waits for the answers of one worker.
        self._threads = ThreadPoolExecutor(workers, "worker")
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._all: set[WorkerProcess] = set()
        self._free: list[WorkerProcess] = []

    def submit(self, function: Callable[[_Job], _Outcome], job: _Job) -> Future[_Outcome]:
        """Have a job done, when a worker is free.

        Args:
            function: does it, in a worker. It is found there by its name.
            job: the job.

        Returns:
            Its outcome. What it raises is what the job raised, or a `JobEnded` when it ended its processes, or a
            `Resumable` when processes with it are killed again and again, and not by the job.
        """
        return self._threads.submit(self._done, function, job)

    def _done(self, function: Callable[[_Job], _Outcome], job: _Job) -> _Outcome:
        outcome = self._do(function, job)
        if isinstance(outcome, _Reason):
            raise JobEnded(outcome.text)
        return outcome

    def run(
        self,
        function: Callable[[_Job], _Outcome],
        jobs: Iterable[_Job],
        ended: Callable[[_Job, str], _Outcome],
    ) -> Iterator[_Outcome]:
        """Yield the outcome of each job, in order; the next ones are worked on meanwhile.

        Args:
            function: does a job, in a worker. It is found there by its name.
            jobs: the jobs.
            ended: gives the outcome of a job that ended its processes, from the reason.

        Raises:
            Resumable: when processes with the same job are killed again and again, and not by the job.
        """
        waiting = iter(jobs)
        running: deque[tuple[_Job, Future[_Outcome | _Reason]]] = deque()

        def submit(number: int) -> None:
            running.extend((job, self._threads.submit(self._do, function, job)) for job in islice(waiting, number))

        submit(4 * self._workers)
        while running:
            job, future = running.popleft()
            outcome = future.result()
            yield ended(job, outcome.text) if isinstance(outcome, _Reason) else outcome
            submit(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stopped.set()
            for worker in self._all:
                worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._free:
            worker.end()

    def _do(self, function: Callable[[_Job], _Outcome], job: _Job) -> _Outcome | _Reason:
        message = pickle.dumps((function, job))
        crashes, kills = 0, list[Ended | OutOfMemory]()
        worker = self._free_worker()
        is_fresh = worker is None
        while True:
            worker = worker or self._fresh_worker(kills)
            answer = worker.ask(message)
            if isinstance(answer, Returned):
                self._give_back(worker)
                outcome: _Outcome = answer.value
                return outcome
            self._end(worker)
            if isinstance(answer, Raised):
                raise answer.error
            if isinstance(answer, OutOfMemory):
                if is_fresh:
                    return _Reason(too_much_memory(self._key, self._limits))
            elif (reason := self._own_doing(answer)) is None:
                kills.append(answer)
            else:
                crashes += 1
                # The limit on processor time is not met by anything else.
                if crashes == 2 or answer.exit_code == -signal.SIGXCPU:
                    return _Reason(reason)
            worker, is_fresh = None, True

    def _own_doing(self, ended: Ended) -> str | None:
        """Say what a job did to end its process; None when it was not the job."""
        if ended.was_idle:
            return f"it used no processor time for {self._idle_seconds} s, and was ended"
        if ended.exit_code is None or not is_own_doing(ended.exit_code, ended.seconds, self._limits):
            return None
        return why_ended(ended.exit_code, self._key, self._limits)

    def _free_worker(self) -> WorkerProcess | None:
        with self._lock:
            return self._free.pop() if self._free else None

    def _fresh_worker(self, kills: list[Ended | OutOfMemory]) -> WorkerProcess:
        """Start a worker, and once more if it was killed meanwhile; those before count, too."""
        while len(kills) < _MOST_KILLS:
            with self._lock:
                if self._stopped.is_set():
                    raise CancelledError
                worker = WorkerProcess(self._idle_seconds, self._stopped)
                self._all.add(worker)
            answer = worker.ask(self._setup)
            if isinstance(answer, Returned):
                return worker
            self._end(worker)
            if isinstance(answer, Raised):
                raise answer.error
            kills.append(answer)
        raise self._killed(kills[-1])

    def _killed(self, last: Ended | OutOfMemory) -> Resumable:
        memory = (
            f", or set {self._key}.memory_bytes, now {self._limits.memory_bytes}, to what one process can have here, "
            "so that what wants more is rejected here and everywhere"
        )
        return Resumable(
            f"The worker process of one job was killed {_MOST_KILLS} times ({_how(last)}), and not by what the job "
            "did, so that nothing can be said of it, and the run was stopped. The system does so when memory runs out: "
            "give the run fewer processor cores, and with them fewer processes (taskset --cpu-list 0 python …)"
            f"{memory if self._is_configured else ''}. Type the same command again: a dataset goes on where it was."
        )

    def _give_back(self, worker: WorkerProcess) -> None:
        if not self._reused:
            self._end(worker)
            return
        with self._lock:
            self._free.append(worker)

    def _end(self, worker: WorkerProcess) -> None:
        worker.end()
        with self._lock:
            self._all.discard(worker)


def _how(kill: Ended | OutOfMemory) -> str:
    if isinstance(kill, OutOfMemory):
        return "there was no memory left"
    if kill.exit_code is None:
        return "with the process that it was forked from"
    return signal_name(-kill.exit_code) if kill.exit_code < 0 else f"exit code {kill.exit_code}"
