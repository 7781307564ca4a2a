"""What a run has made so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from mlir_datagen.programs.machine import Machine
from mlir_datagen.programs.proof import Measurement
from mlir_datagen.programs.rejected import Rejected

Progress = Callable[[int], object]
"""Called with the number of programs that were just done."""


@dataclass
class Production:
    """What a run has made so far.

    Attributes:
        attempted: how many programs were tried.
        checked: how many were checked beyond the parser, and kept.
        matched: how many of them were compared with PyTorch, and all that they compute shows.
        rejected: those that were not kept.
        remarks: what the person is told of programs that were.
        measured: the times, with the split and the name of each program.
        machines: where they were taken, by id.
        taken: how many points of each (split, family) were used.
    """

    attempted: int = 0
    checked: int = 0
    matched: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    measured: list[tuple[str, str, Measurement]] = field(default_factory=list)
    machines: dict[str, Machine] = field(default_factory=dict)
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)


def last_rejected(production: Production) -> str:
    """Say what became of the programs that were rejected, and how to see the last."""
    last = production.rejected[-1]
    return (
        f"{len(production.rejected)} of {production.attempted} programs were rejected, and nothing was left behind. "
        f'The last failed at the stage "{last.stage}": {last.reason}. To see it: {last.command}'
    )
