"""Dask's workers as an executor.

A worker that goes costs its tasks once more: the scheduler gives them to others. How it went, nobody there can tell. So
a task that was on several workers which all went is done in a sandbox of this machine, where what a program does
itself is told from what is done to its process.
"""

from __future__ import annotations

import gc
import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from typing import Any

from distributed import Client, KilledWorker

from mlir_datagen.errors import Resumable, UserError, said
from mlir_datagen.executors.engine import Engine, ahead_for
from mlir_datagen.executors.workers import Workers
from mlir_datagen.version import GENERATOR_VERSION, PACKAGE_VERSION, Versions, installed, said_of_versions

_SECONDS_BETWEEN_COUNTS = 2.0
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_TO_ANSWER = 30
_SANDBOX_IDLE_SECONDS = 24 * 3600
_LIBRARIES = ("torch-mlir", "numpy")


class DaskExecutor(Engine):
    """The workers of a Dask scheduler. Use it as a context.

    Args:
        client: of the scheduler.
        name: of the scheduler, for messages.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name
        self._versions = versions()
        self._lock = threading.Lock()
        self._sandbox: Workers | None = None
        self._threads, self._counted_at = 1, float("-inf")
        self._waiting: set[Future[Any]] = set()
        self._has_ended = threading.Event()
        threading.Thread(target=self._watch, name="dask-watch", daemon=True).start()

    @property
    def ahead(self) -> int:
        """How many tasks keep the workers busy that there are now; more may come, as jobs start."""
        if time.monotonic() > self._counted_at + _SECONDS_BETWEEN_COUNTS:
            try:
                # As `nthreads` does, which waits for ever for a scheduler that does not answer.
                asked = self._client.sync(self._client.scheduler.ncores, callback_timeout=_SECONDS_TO_ANSWER)
            except (OSError, CancelledError, AttributeError, NameError) as error:
                # The last two are what a client that is being closed raises.
                raise self._gone() from error
            self._threads = max(1, sum(asked.values()))
            self._counted_at = time.monotonic()
        return ahead_for(self._threads)

    @property
    def proves(self) -> bool:
        return True

    @property
    def sandbox(self) -> Workers:
        with self._lock:
            if self._sandbox is None:
                # What it does may wait for long for a process of its own, which has limits.
                self._sandbox = Workers(1, idle_seconds=_SANDBOX_IDLE_SECONDS)
            return self._sandbox

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        """Have a function of one argument called, which is found in the worker by its name."""
        (argument,) = arguments
        outcome: Future[Any] = Future()
        self._waiting.add(outcome)
        outcome.add_done_callback(self._waiting.discard)
        # As bytes: Dask would look through the argument for results of other tasks.
        job = pickle.dumps((function, argument))
        try:
            # Equal calls are not one task: telling that they are equal costs more than it saves. What a task raises, it
            # would raise again; one whose worker has gone is done again in any case.
            given = self._client.submit(do_job, job, self._versions, gc.get_threshold(), pure=False, retries=0)
        except (OSError, RuntimeError) as error:
            raise self._gone() from error
        self._client.loop.add_callback(self._follow, given, outcome, function, argument)
        return outcome

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Have nobody wait for it any more; the workers stay, and what they have begun ends with the client."""
        self._has_ended.set()
        for outcome in list(self._waiting):
            outcome.cancel()
        if self._sandbox is not None:
            self._sandbox.shutdown()

    async def _follow(self, given: Any, outcome: Future[Any], function: Callable[..., Any], argument: Any) -> None:
        """Hand on what becomes of a task of Dask.

        Its own executor never does where a result is lost with its worker, and the task fails when it is done again.
        """
        done: Future[Any] = Future()
        # What is raised here, nobody sees.
        try:
            try:
                done.set_result(await self._client.gather(given, asynchronous=True))
            except BaseException as error:
                done.set_exception(error)
            self._settle(outcome, done, function, argument)
        except BaseException as error:
            _fail(outcome, error)

    def _settle(self, outcome: Future[Any], done: Future[Any], function: Callable[..., Any], argument: Any) -> None:
        error = done.exception()
        if error is None:
            _hand_on(done, outcome)
        elif isinstance(error, (KilledWorker, MemoryError)):
            self.sandbox.submit(function, argument).add_done_callback(lambda again: _hand_on(again, outcome))
        else:
            _fail(outcome, self._for_people(error))

    def _watch(self) -> None:
        """Have nobody wait for a scheduler that has gone: of what it is given while it goes, Dask says nothing."""
        while not self._has_ended.wait(_SECONDS_BETWEEN_LOOKS):
            if self._client.status != "running":
                for outcome in list(self._waiting):
                    _fail(outcome, self._gone())

    def _for_people(self, error: BaseException) -> BaseException:
        if isinstance(error, CancelledError):
            return self._gone()
        causes = [error, error.__cause__]
        lacking = next((cause for cause in causes if isinstance(cause, ModuleNotFoundError)), None)
        if lacking is None and "deserialization of the task graph" not in str(error):
            return error
        return UserError(
            f"The scheduler of {self._name} or one of its workers cannot import what makes the programs "
            f"({said(lacking or error)}). Start both in an environment that has mlir_datagen {PACKAGE_VERSION} "
            "installed, as this one."
        )

    def _gone(self) -> Resumable:
        return Resumable(
            f"The scheduler of {self._name} has gone in the middle of the work, so that the run was stopped. The same "
            "command goes on where it was, once there is one."
        )


def do_job(job: bytes, sender: Versions, threshold: tuple[int, int, int]) -> Any:
    """Call a function with its argument; in a worker.

    Args:
        job: both, pickled.
        sender: the versions there, on which the bytes of programs depend.
        threshold: how rarely Python looks for cycles of objects meanwhile.
    """
    here = versions()
    if here != sender:
        raise UserError(
            f"A Dask worker has {said_of_versions(here, sender)}, so that it may make other programs. Start the "
            "workers in an environment like this one."
        )
    before = gc.get_threshold()
    gc.set_threshold(*threshold)
    try:
        function, argument = pickle.loads(job)  # noqa: S301, whoever gives tasks to a worker has code run there
        return function(argument)
    finally:
        gc.set_threshold(*before)


def versions() -> Versions:
    """Return the versions that the bytes of programs depend on."""
    own = (("mlir_datagen", PACKAGE_VERSION), ("its generator", str(GENERATOR_VERSION)))
    return (*own, *installed(_LIBRARIES))


def _hand_on(done: Future[Any], outcome: Future[Any]) -> None:
    error = CancelledError() if done.cancelled() else done.exception()
    if error is not None:
        _fail(outcome, error)
        return
    with suppress(InvalidStateError):
        outcome.set_result(done.result())


def _fail(outcome: Future[Any], error: BaseException) -> None:
    # It may have been failed before, with the scheduler.
    with suppress(InvalidStateError):
        outcome.set_exception(error)
