"""A source whose programs may end the worker process that makes them, or have it killed from outside."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from mlir_datagen.sources.random_ops import RandomOps

CRASHES, KILLED = 2, 3
"""The extents of a matmul that ends its process by what it does, and of one that is killed with it once."""
MARKER = "CRASHING_MARKER"
"""The environment variable with the path of a file that is there once a process was killed."""


class Crashing(RandomOps):
    @staticmethod
    def produce(task):
        extents = {spec.fields["m"] for _, spec in task.specs()}
        marker = Path(os.environ[MARKER])
        if KILLED in extents and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if CRASHES in extents:
            os.abort()
        return RandomOps.produce(task)


class EndsWhoSends:
    """What ends the process that is to send it."""

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def lost(marks: str) -> str | EndsWhoSends:
    """Return what cannot be sent the first time, end the process the next two times, and return "made" at last."""
    number = len(list(Path(marks).iterdir()))
    (Path(marks) / str(number)).touch()
    if number == 0:
        return EndsWhoSends()
    if number < 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return "made"
