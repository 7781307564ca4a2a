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
