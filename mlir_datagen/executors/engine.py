"""What an executor may know of itself beside `submit`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from mlir_datagen.proving.settings import available_cores


class Engine(Executor):
    """An executor that says how many tasks keep it busy, and where those are done that end their processes."""

    @property
    def ahead(self) -> int:
        """How many tasks it is to have at once. All of these, or what they made, are in memory."""
        return ahead_for(len(available_cores()))

    @property
    def proves(self) -> bool:
        """Whether programs are proven in the processes that make them, since these have cores of their own."""
        return False

    @property
    def sandbox(self) -> Executor:
        """What does a task that has ended its processes, in parts."""
        return self


class Waiting(Engine):
    """Threads that do tasks each of which waits for a process elsewhere.

    Args:
        threads: how many.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "waiting")
        self._ahead = ahead_for(threads)

    @property
    def ahead(self) -> int:
        return self._ahead

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        """Have a function called on a thread."""
        return self._threads.submit(function, *arguments)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what is being done; nothing else is begun."""
        self._threads.shutdown(wait, cancel_futures=True)


def ahead_for(workers: int) -> int:
    """Return how many tasks keep so many workers busy."""
    return 2 * workers + 2


def tasks_ahead(executor: Executor) -> int:
    """Return how many tasks an executor is to have at once."""
    return executor.ahead if isinstance(executor, Engine) else ahead_for(len(available_cores()))


def sandbox_of(executor: Executor) -> Executor:
    """Return what does a task in parts that has ended the executor's processes."""
    return executor.sandbox if isinstance(executor, Engine) else executor


def proves_where_made(executor: Executor | None) -> bool:
    """Tell whether an executor's processes prove what they make."""
    return isinstance(executor, Engine) and executor.proves
