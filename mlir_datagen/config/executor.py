"""The part of the config that says what makes the programs: it changes no dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlir_datagen.errors import UserError, shown
from mlir_datagen.proving.settings import available_cores
from mlir_datagen.values import check_keys, choice, whole_number

KINDS = ("process", "serial")
_MOST_WORKERS = 1024


@dataclass(frozen=True)
class ExecutorSettings:
    """What makes the programs.

    Attributes:
        kind: `process` for worker processes, `serial` for the process of the run.
        workers: how many worker processes; None for one for each processor core.
    """

    kind: str = "process"
    workers: int | None = None

    @property
    def processes(self) -> int:
        """How many worker processes there are to be; 0 for none."""
        if self.kind == "serial":
            return 0
        if self.workers is not None:
            return self.workers
        cores = len(available_cores())
        return cores if cores > 1 else 0


def parse_executor(raw: Mapping[str, Any]) -> ExecutorSettings:
    """Check the `executor` part.

    Raises:
        UserError: for a value that is not allowed.
    """
    check_keys(raw, ("kind", "workers"), "executor")
    kind = choice(raw.get("kind", "process"), "executor.kind", KINDS)
    workers = raw.get("workers")
    if workers is None:
        return ExecutorSettings(kind)
    if kind == "serial":
        raise UserError(
            f"executor.workers is {shown(workers)}, and executor=serial has no worker processes. Type executor=process "
            "executor.workers=2, or leave executor.workers out."
        )
    example = "executor.workers=2, or executor=serial for none"
    return ExecutorSettings(kind, whole_number(workers, "executor.workers", 1, example, _MOST_WORKERS))
