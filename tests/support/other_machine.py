"""Has a Dask worker pass for another machine than the one that it is on: `dask worker --preload other_machine`."""

from __future__ import annotations

from typing import Any

from mlir_datagen.proving import machine

CPU = "Other"


def dask_setup(worker: Any) -> None:
    """Say of the processor what it is not."""
    machine._cpu_model = lambda: CPU
