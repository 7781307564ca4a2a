"""Timing a program on a core of its own."""

from __future__ import annotations

import fcntl
import math
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from mlir_datagen.errors import Rejection
from mlir_datagen.proving.job import Measurement
from mlir_datagen.proving.settings import Cores, MeasureSettings

SHORTEST_RUN_NS = 10_000_000
"""Shorter programs are called several times a run: calling from Python takes about a microsecond."""


def open_lock(cores: Cores) -> int:
    """Open the file whose lock goes with the measuring core: one for all runs of this user on this machine."""
    path = Path(tempfile.gettempdir()) / f"mlir_datagen_{os.getuid()}_core{cores.measuring}.lock"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


@contextmanager
def measuring_core(cores: Cores, lock: int) -> Iterator[None]:
    """Have the measuring core alone among this project's processes.

    Args:
        cores: the cores of the machine.
        lock: what `open_lock` gave; unlike a semaphore, the lock of a worker that dies is free again.
    """
    fcntl.flock(lock, fcntl.LOCK_EX)
    with _pinned(cores, lock):
        yield


@contextmanager
def any_core(cores: Cores, lock: int) -> Iterator[None]:
    """Work on the measuring core if nobody has it now, and on the others if somebody has."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield
        return
    with _pinned(cores, lock):
        yield


@contextmanager
def _pinned(cores: Cores, lock: int) -> Iterator[None]:
    try:
        pin({cores.measuring})
        yield
    finally:
        pin(set(cores.others))
        fcntl.flock(lock, fcntl.LOCK_UN)


def pin(cores: set[int]) -> None:
    """Keep this process on these cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


class Timeable(Protocol):
    """What is timed."""

    def run(self, calls: int = 1) -> None:
        """Call it so many times in a row."""


def measure(program: Timeable, settings: MeasureSettings, compile_ns: int) -> Measurement:
    """Time a program: the median of several runs after a warm-up.

    Raises:
        Rejection: at stage `measured`, when one call takes too long.
    """
    once = min(_elapsed(program, 1), _elapsed(program, 1))
    if once > settings.max_seconds * 1e9:
        raise Rejection("measured", f"one call takes longer than measure.max_seconds, {settings.max_seconds} s")
    calls = 1
    while calls * once < SHORTEST_RUN_NS:
        # A first guess from one call is wrong for the shortest programs, so it is corrected as the runs get longer.
        calls = min(8 * calls, math.ceil(SHORTEST_RUN_NS / max(once, 1)))
        once = max(1, _elapsed(program, calls) // calls)
    times = np.array([_elapsed(program, calls) / calls for _ in range(settings.runs)])
    first, median, third = np.percentile(times, [25, 50, 75])
    return Measurement(float(median), float(times.min()), float(third - first), settings.runs, calls, compile_ns)


def _elapsed(program: Timeable, calls: int) -> int:
    started = time.perf_counter_ns()
    program.run(calls)
    return time.perf_counter_ns() - started
