"""Dask workers of this machine: processes like the other workers, which last as long as the run.

Those that Dask itself starts import the program that starts them, show a traceback on Ctrl-C, and end by a thread that
watches.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from types import TracebackType
from typing import Any, NamedTuple, Self

from distributed import Worker

from mlir_datagen.errors import UserError
from mlir_datagen.executors.workers import NO_LIMITS
from mlir_datagen.proving.fork_server import SERVER
from mlir_datagen.proving.pool import JobEnded, Pool
from mlir_datagen.sources import random_ops

_IDLE_SECONDS = 30 * 24 * 3600


class Place(NamedTuple):
    """Where a worker belongs: to the scheduler at an address, with a folder for its files."""

    address: str
    folder: str


class LocalWorkers:
    """So many workers of a scheduler; one that ends is replaced. Use it as a context."""

    def __init__(self, workers: int, place: Place) -> None:
        SERVER.load([random_ops.__name__, __name__])
        self._place = place
        self._has_ended = False
        self._pool = Pool(workers, NO_LIMITS, None, _IDLE_SECONDS, reused=False)
        for _ in range(workers):
            self._start()

    def _start(self) -> None:
        self._pool.submit(be_worker, self._place).add_done_callback(self._replace)

    def _replace(self, ended: Future[None]) -> None:
        # Whatever it was that ended it, the scheduler counts how often a task was there.
        if not self._has_ended and not ended.cancelled() and isinstance(ended.exception(), (JobEnded, UserError)):
            self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._has_ended = True
        self._pool.__exit__(kind, error, trace)


def be_worker(place: Place) -> None:
    """Be a worker of a scheduler as long as that is there."""
    # Who it lost is told by the run, if it matters.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    asyncio.run(_serve(place))


async def _serve(place: Place) -> None:
    settings: dict[str, Any] = {"nthreads": 1, "memory_limit": 0, "local_directory": place.folder, "dashboard": False}
    async with Worker(place.address, **settings) as worker:
        await worker.finished()
