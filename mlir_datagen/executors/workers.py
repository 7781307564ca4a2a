"""Worker processes that make programs, or look at them, as an executor."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from mlir_datagen.executors.beginning import begin_workers
from mlir_datagen.executors.engine import Engine, ahead_for
from mlir_datagen.proving.pool import Pool
from mlir_datagen.proving.settings import SandboxLimits

NO_LIMITS = SandboxLimits(seconds=24 * 3600, memory_bytes=1 << 42)
"""None that a task meets: programs are small, and only parsed."""
_IDLE_SECONDS = 600

_SMALL = """func.func @f(%0: tensor<4xf32>) -> tensor<4xf32> {
  %1 = arith.constant 0.0 : f32
  %2 = tensor.empty() : tensor<4xf32>
  %3 = linalg.fill ins(%1 : f32) outs(%2 : tensor<4xf32>) -> tensor<4xf32>
  %4 = linalg.add ins(%0, %3 : tensor<4xf32>, tensor<4xf32>) outs(%2 : tensor<4xf32>) -> tensor<4xf32>
  return %4 : tensor<4xf32>
}
"""
"""A program that has the parser load the dialects of most."""


def _begin(text: str) -> None:
    """Be ready, before there is anything to do."""
    # Only here, in the workers.
    from mlir_datagen.mlir.parse import verifier_of_thread

    verifier_of_thread().verify(text)


class Workers(Engine):
    """Worker processes that make programs.

    One that is killed from outside costs its task once more, and nothing else. A task that ends two of them raises a
    `JobEnded`. They end with this process, however that ends.

    Args:
        workers: how many.
        idle_seconds: how long a task may use no processor time.
    """

    def __init__(self, workers: int, idle_seconds: int = _IDLE_SECONDS) -> None:
        # Now, while this process goes on.
        begin_workers()
        # They look for cycles of objects as rarely as this process does now.
        self._ahead = ahead_for(workers)
        self._pool = Pool(workers, NO_LIMITS, None, idle_seconds, gc.set_threshold, gc.get_threshold())
        for _ in range(workers):
            self._pool.submit(_begin, _SMALL)

    @property
    def ahead(self) -> int:
        return self._ahead

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        """Have a function of one argument called, which is found in the worker by its name."""
        (argument,) = arguments
        return self._pool.submit(function, argument)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers, whatever they are at."""
        self._pool.__exit__(None, None, None)
