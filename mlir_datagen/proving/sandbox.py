"""Worker processes that may crash, hang or eat memory: limits within them, and what their end means outside."""

from __future__ import annotations

import math
import multiprocessing
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Self

from mlir_datagen.proving.settings import SandboxLimits

_MEANINGS = {
    signal.SIGXCPU: "it ran for longer than {key}seconds, {seconds} s of processor time",
    signal.SIGKILL: "its process was killed (SIGKILL), as by the system when memory runs out, or by somebody",
}


def limit_processor_time(seconds: int) -> None:
    """End this process by a signal when it has used so much more processor time.

    Time spent waiting for the measuring core does not count.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))


def limit_memory(extra: int) -> None:
    """Let this process have so much more memory than it has now, where the system tells how much that is."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return
    data = int(statm.read_text().split()[5]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (data + extra, hard))


def too_much_memory(key: str, limits: SandboxLimits) -> str:
    """Say that the limit on memory was met; `key` names the part of the config that has it, if one does."""
    return f"it needs more memory than {_prefix(key)}memory_bytes, {limits.memory_bytes}"


def why_ended(exit_code: int, key: str, limits: SandboxLimits) -> str:
    """Say why a worker process ended, from its exit code; `key` names the part of the config that has its limits."""
    if exit_code >= 0:
        return f"it ended its process with exit code {exit_code}"
    ended_by = signal.Signals(-exit_code)
    meaning = _MEANINGS.get(ended_by, f"it crashed its process ({ended_by.name})")
    return meaning.format(key=_prefix(key), seconds=limits.seconds)


def _prefix(key: str) -> str:
    return f"{key}." if key else ""


def prepare_workers(modules: Sequence[str]) -> None:
    """Begin to start the process that workers are forked from; it gets ready while this one goes on.

    It imports all that they need: PyTorch takes seconds to import, and a worker that a program has ended is replaced at
    once.
    """
    multiprocessing.set_forkserver_preload(list(modules))
    with without_interrupts():
        forkserver.ensure_running()


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Block SIGINT for the threads and processes that are started here, which inherit that.

    Ctrl-C is this process's to handle: a worker that is just starting would print a traceback.
    """
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)


class HiddenMain:
    """Keeps new processes from importing the script that this one runs, as multiprocessing would have them do.

    Nothing that is sent to them is defined there, and a script without `if __name__ == "__main__"` would run once more
    in each.
    """

    def __init__(self) -> None:
        self._module: Any = sys.modules["__main__"]

    def __enter__(self) -> Self:
        self._file = getattr(self._module, "__file__", None)
        self._module.__file__ = None
        return self

    def __exit__(self, *_: object) -> None:
        self._module.__file__ = self._file
