"""Timing a program on a core of its own."""

from __future__ import annotations

import fcntl
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.programs.proof import Measurement
from mlir_datagen.proving.settings import Cores, MeasureSettings

_SHORTEST_WINDOW_NS = 50_000
"""Shorter programs are called several times in a window: reading the clocks takes about half a microsecond."""
_SLICE_NS = 2_000_000
"""What is timed at once: a scheduler lets a thread run for about three milliseconds before another's turn."""
_ENOUGH_NS, _MOST_WINDOWS = 10_000_000, 100
"""More windows than are asked for are timed of short programs: so long, and so many."""
_ABSENT_NS, _ABSENT_SHARE = 1_000, 0.01
"""How long a thread may be without its core and not count as disturbed: nanoseconds, or a part of the window."""
_SLOWED = 1.1
"""How many times as long the yardstick may take as at its fastest."""
_SPREAD = 1.1
"""How many times the least time the median may be; beyond it, others take a part of the memory's bandwidth."""
_UNSTEADY = 1.25
"""From how many times the least time on a median is marked: it says more of what else went on than of the program."""
_PAUSES_SECONDS = (0.02, 0.1, 0.3)
"""Before a program is timed again because the machine was slow, or the program not always as fast."""
_MOST_REPEATED_NS = 500_000_000
"""Programs that were timed for longer are not timed again."""
_COARSEST_SECONDS = 1e-6


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


def require_clocks() -> None:
    """Refuse to measure where the clocks are too coarse.

    Raises:
        UserError: when the system has no clock of a thread's processor time, or one that ticks too slowly.
    """
    for name in ("CLOCK_MONOTONIC", "CLOCK_THREAD_CPUTIME_ID"):
        clock = getattr(time, name, None)
        resolution = math.inf if clock is None else time.clock_getres(clock)
        if resolution > _COARSEST_SECONDS:
            found = "does not have it" if clock is None else f"ticks every {resolution * 1e6:g} µs"
            raise UserError(
                f"Times cannot be measured here: they need the clock {name} with ticks of at most "
                f"{_COARSEST_SECONDS * 1e6:g} µs, and this system {found}. Leave them out (measure=none), or measure "
                "on another machine: python scripts/measure.py outputs/<dataset>."
            )


def measure(
    program: Timed,
    settings: MeasureSettings,
    compile_ns: int,
    yardstick: Callable[[], float],
    machine: str,
    core: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Measurement:
    """Time a program: the median of undisturbed windows of calls, after a warm-up.

    Args:
        program: what is timed.
        settings: how many windows at least, and how long a call may take.
        compile_ns: what compiling it took; it is passed on.
        yardstick: says how many times as long as at its fastest the machine takes now.
        machine: the id of this machine; it is passed on.
        core: the context in which this thread has a core for itself; others may have it while nothing is timed.

    Raises:
        Rejection: at stage `measured`, when one call takes too long.
    """
    with core():
        session = _session(program, settings)
        best = session.attempt(yardstick)
    for pause in _PAUSES_SECONDS:
        if best.is_quiet or session.spent_ns > _MOST_REPEATED_NS:
            break
        time.sleep(pause)
        with core():
            best = min(best, session.attempt(yardstick), key=lambda attempt: attempt.rank)
    return best.measurement(session.calls, compile_ns, machine)


def _session(program: Timed, settings: MeasureSettings) -> _Session:
    """Warm a program up, and find out how often it is called in a window."""
    once = int(program.sample(2, 1)[:, 1].min())
    if once > settings.max_seconds * 1e9:
        raise Rejection("measured", f"one call takes longer than measure.max_seconds, {settings.max_seconds} s")
    calls = 1
    while calls * once < _SHORTEST_WINDOW_NS:
        # A first guess from one call is wrong for the shortest programs, so it is corrected as windows get longer.
        calls = min(8 * calls, math.ceil(_SHORTEST_WINDOW_NS / max(once, 1)))
        once = max(1, int(program.sample(1, calls)[0, 0]) // calls)
    return _Session(program, settings.runs, calls, once * calls)


class Timed(Protocol):
    """What can be timed."""

    def sample(self, windows: int, calls: int) -> NDArray[np.int64]:
        """Return wall time and processor time of so many windows of so many calls, in nanoseconds."""


class _Attempt(NamedTuple):
    """Windows that were timed one after another.

    Attributes:
        samples: wall time and processor time of each window, in nanoseconds.
        undisturbed: which of them had the core to themselves.
        slowness: how slow the machine was, before or after.
        needed: how many undisturbed windows there must be.
    """

    samples: NDArray[np.int64]
    undisturbed: NDArray[np.bool_]
    slowness: float
    needed: int

    @property
    def is_disturbed(self) -> bool:
        """Whether too few windows were undisturbed, the machine was slow, or times differ by much."""
        return int(self.undisturbed.sum()) < self.needed or self.slowness > _SLOWED or self._spread > _UNSTEADY

    @property
    def is_quiet(self) -> bool:
        """Whether timing again would hardly give another time; where others have the core, they will have it again."""
        return self.slowness <= _SLOWED and self._spread <= _SPREAD

    @property
    def rank(self) -> tuple[bool, float]:
        """Orders attempts: those that were not disturbed first, and of these the fastest."""
        return self.is_disturbed, float(np.median(self._times))

    @property
    def _spread(self) -> float:
        return float(np.median(self._times) / max(self._times.min(), 1))

    @property
    def _kept(self) -> NDArray[np.int64]:
        return self.samples[self.undisturbed] if self.undisturbed.any() else self.samples

    @property
    def _times(self) -> NDArray[np.int64]:
        # Where the thread never had the core for itself, the time that it had it is the nearest to undisturbed.
        return self._kept[:, 0 if self.undisturbed.any() else 1]

    def measurement(self, calls: int, compile_ns: int, machine: str) -> Measurement:
        times = self._times / calls
        first, median, third = np.percentile(times, [25, 50, 75])
        return Measurement(
            median_ns=float(median),
            min_ns=float(times.min()),
            iqr_ns=float(third - first),
            runs=len(times),
            set_aside=len(self.samples) - int(self.undisturbed.sum()),
            calls_per_run=calls,
            cpu_ns=float(np.median(self._kept[:, 1]) / calls),
            disturbed=self.is_disturbed,
            compile_ns=compile_ns,
            machine=machine,
        )


class _Session:
    """The attempts to time one program, which last no longer than they must.

    Args:
        program: what is timed.
        needed: how many undisturbed windows there must be at least.
        calls: how many calls a window has.
        window_ns: how long a window takes, about.

    Attributes:
        calls: how many calls a window has.
        spent_ns: how long the windows took so far.
    """

    def __init__(self, program: Timed, needed: int, calls: int, window_ns: int) -> None:
        self._program, self.calls, self._needed = program, calls, needed
        self._wanted = max(needed, min(_MOST_WINDOWS, math.ceil(_ENOUGH_NS / max(window_ns, 1))))
        self._at_once = max(1, _SLICE_NS // max(window_ns, 1))
        self.spent_ns = 0

    def attempt(self, yardstick: Callable[[], float]) -> _Attempt:
        """Time windows until enough are undisturbed, or it shows that there are hardly any."""
        before = yardstick()
        samples = np.empty((0, 2), np.int64)
        undisturbed = np.empty(0, np.bool_)
        while (kept := int(undisturbed.sum())) < self._wanted and len(samples) - kept <= self._wanted + kept:
            samples = np.concatenate([samples, self._program.sample(min(self._at_once, self._wanted), self.calls)])
            undisturbed = _are_undisturbed(samples)
        self.spent_ns += int(samples[:, 0].sum())
        return _Attempt(samples, undisturbed, max(before, yardstick()), self._needed)


def _are_undisturbed(samples: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which windows had the core to themselves: those whose wall time is hardly more than the thread's own."""
    wall, processor = samples.T
    disturbed: NDArray[np.bool_] = wall - processor > np.maximum(_ABSENT_NS, _ABSENT_SHARE * wall)
    return ~disturbed
