"""The settings of checks and measurements."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class CheckSettings:
    """How far programs are checked: a level of `LEVELS`, for this part of the programs; the rest is only parsed."""

    level: str
    fraction: float


@dataclass(frozen=True)
class MeasureSettings:
    """Whether and how times are measured.

    Attributes:
        kind: `none` or `baseline`.
        runs: how many runs the median is taken over, after a warm-up.
        max_seconds: the longest that one call may take.
        assumed_flops_per_second: the rate with which a call's time is estimated before anything is made; bytes moved
            count at the same rate.
    """

    kind: str
    runs: int
    max_seconds: float
    assumed_flops_per_second: float

    @property
    def enabled(self) -> bool:
        """Whether anything is measured."""
        return self.kind != "none"

    @property
    def largest_cost(self) -> int | None:
        """The most flops, and the most bytes moved, of a program that is estimated to stay within `max_seconds`."""
        return int(self.max_seconds * self.assumed_flops_per_second) if self.enabled else None


@dataclass(frozen=True)
class SandboxLimits:
    """What one program may use in its worker process: seconds of processor time, and bytes of memory."""

    seconds: int
    memory_bytes: int


def available_cores() -> list[int]:
    """Return the numbers of the processor cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


@dataclass(frozen=True)
class Cores:
    """The processor cores of this process, divided: one to measure on, the others (if there are any) for the rest."""

    measuring: int
    others: tuple[int, ...]

    @classmethod
    def available(cls) -> Cores:
        """Return the cores that this process may use."""
        cores = available_cores()
        return cls(cores[-1], tuple(cores[:-1]) or (cores[-1],))

    @property
    def workers(self) -> int:
        """How many worker processes keep them busy: one for each core, and two that are ready to be measured next."""
        return len({self.measuring, *self.others}) + 2
