"""How a program is timed, on a machine that others use too: a scripted one, since real ones are noisy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat

import numpy as np
import pytest
from helpers import run_script

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.proving import clock
from mlir_datagen.proving.clock import measure, require_clocks
from mlir_datagen.proving.settings import MeasureSettings
from mlir_datagen.proving.yardstick import Yardstick

CLOCKS_NS = 500
"""What reading the clocks takes of the processor time of a window."""


class Scripted:
    """A program that takes so long a call; others have the core for so long during a window."""

    def __init__(self, call_ns: float, absent_ns: Callable[[int], float] = lambda window: 0) -> None:
        self._call_ns, self._absent_ns = call_ns, absent_ns
        self.windows: list[int] = []

    def sample(self, windows: int, calls: int) -> np.ndarray:
        samples = []
        for _ in range(windows):
            work = calls * self._call_ns
            samples.append((work + self._absent_ns(len(self.windows)), work + CLOCKS_NS))
            self.windows.append(calls)
        return np.array(samples, np.int64)


def quick() -> float:
    return 1.0


def told(*slowness: float) -> Callable[[], float]:
    answers: Iterator[float] = iter(slowness)
    return lambda: next(answers)


def timed(program: Scripted, yardstick: Callable[[], float] = quick, runs: int = 5, max_seconds: float = 1.0):
    return measure(program, MeasureSettings("baseline", runs, max_seconds, 1e9), 7, yardstick, "here")


@pytest.mark.parametrize(
    ("call_ns", "calls", "runs"), [(10, 5000, 100), (9_000, 6, 100), (50_000, 1, 100), (1e6, 1, 10), (3e8, 1, 5)]
)
def test_long_programs_are_timed_call_by_call_and_short_ones_in_short_windows(call_ns, calls, runs):
    program = Scripted(call_ns)
    result = timed(program)
    assert result.calls_per_run == pytest.approx(calls, rel=0.1)
    assert result.calls_per_run * call_ns >= min(call_ns, 45_000)
    assert result.runs >= runs
    assert (result.median_ns, result.min_ns, result.iqr_ns) == (call_ns, call_ns, 0)
    assert result.cpu_ns == pytest.approx(call_ns + CLOCKS_NS / calls, rel=0.01)
    assert (result.set_aside, result.disturbed, result.compile_ns) == (0, False, 7)


def test_windows_in_which_others_had_the_core_are_set_aside():
    # Every third window waits for others, for as long as a scheduler's turn lasts.
    result = timed(Scripted(2e6, lambda window: 3e6 if window % 3 == 0 else 0))
    assert (result.median_ns, result.iqr_ns) == (2e6, 0)
    assert result.runs == 5
    assert result.set_aside in (2, 3)
    assert not result.disturbed


def test_a_program_that_never_has_the_core_alone_has_its_processor_time_and_is_marked():
    program = Scripted(2e7, lambda window: 1.9e7)
    result = timed(program)
    assert result.median_ns == result.cpu_ns == 2e7 + CLOCKS_NS
    assert result.disturbed
    assert result.set_aside == result.runs <= 6
    assert len(program.windows) <= 8


def test_too_few_undisturbed_windows_are_used_and_marked():
    result = timed(Scripted(2e7, lambda window: 0 if window == 4 else 1.9e7))
    assert (result.median_ns, result.runs) == (2e7, 1)
    assert result.disturbed


def test_a_short_absence_does_not_count_and_a_longer_one_does():
    assert timed(Scripted(1e6, lambda window: 9_000)).set_aside == 0
    assert timed(Scripted(1e6, lambda window: 12_000)).disturbed


def test_what_was_timed_while_the_machine_was_slow_is_timed_again(monkeypatch):
    pauses = []
    monkeypatch.setattr(clock.time, "sleep", pauses.append)
    for slowness, attempts, disturbed in (
        ((1.0, 1.09), 1, False),
        ((1.0, 1.5, 1.0, 1.0), 2, False),
        ((1.5, 1.0, 1.4, 1.0, 1.0, 1.05), 3, False),
        ((1.5, 1.0, 1.4, 1.0, 1.3, 1.0, 1.0, 1.2), 4, True),
    ):
        pauses.clear()
        program = Scripted(1e6)
        assert timed(program, told(*slowness)).disturbed is disturbed
        assert len(pauses) == attempts - 1
        assert len(program.windows) == 2 + 10 * attempts
    # The best of the attempts is the one that counts.
    speeds = iter([*repeat(1e6, 2), *repeat(3e6, 10), *repeat(2e6, 10), *repeat(2.5e6, 10), *repeat(2.6e6, 10)])

    class Slowed(Scripted):
        def sample(self, windows, calls):
            times = [next(speeds) for _ in range(windows)]
            return np.array([(time_, time_ + CLOCKS_NS) for time_ in times], np.int64)

    result = timed(Slowed(0), told(2.0, 2.0, 1.2, 1.3, 1.5, 1.4, 1.2, 1.0))
    assert (result.median_ns, result.disturbed) == (2e6, True)


def test_what_is_not_always_as_fast_is_timed_again_and_marked_if_it_stays_so(monkeypatch):
    monkeypatch.setattr(clock.time, "sleep", lambda seconds: None)

    class Unsteady(Scripted):
        """As fast as it can be in one window of each attempt, and so much slower in the others."""

        def __init__(self, *factors):
            super().__init__(1e6)
            self.factors = factors

        def sample(self, windows, calls):
            samples = super().sample(windows, calls).astype(np.float64)
            first = len(self.windows) - windows
            for place in range(windows):
                attempt, window = divmod(first + place - 2, 10)
                if first >= 2 and window > 0:
                    samples[place] *= self.factors[min(attempt, len(self.factors) - 1)]
            return samples.astype(np.int64)

    for factors, windows, median, disturbed in (
        ((1.05,), 12, 1.05e6, False),
        ((1.5, 1.0), 22, 1e6, False),
        ((1.2, 1.5, 1.15), 42, 1.15e6, False),
        ((1.5, 1.4), 42, 1.4e6, True),
    ):
        program = Unsteady(*factors)
        result = timed(program)
        assert (len(program.windows), result.median_ns, result.disturbed) == (windows, median, disturbed)


def test_the_core_is_anothers_while_a_program_waits(monkeypatch):
    told_of = []

    @contextmanager
    def core():
        told_of.append("taken")
        yield
        told_of.append("left")

    monkeypatch.setattr(clock.time, "sleep", lambda seconds: told_of.append("waits"))
    measure(Scripted(1e6), MeasureSettings("baseline", 5, 1.0, 1e9), 7, told(1.0, 1.5, 1.0, 1.0), "here", core)
    assert told_of == ["taken", "left", "waits", "taken", "left"]


def test_a_long_program_is_not_timed_again():
    program = Scripted(2e8)
    assert timed(program, told(1.0, 1.5)).disturbed
    assert len(program.windows) == 7


def test_what_takes_too_long_does_so_by_itself():
    assert timed(Scripted(9e8, lambda window: 5e9)).disturbed
    with pytest.raises(Rejection, match=r"one call takes longer than measure.max_seconds, 1.0 s"):
        timed(Scripted(1.1e9))


@pytest.mark.parametrize(
    ("name", "resolution", "said"),
    [
        (
            "CLOCK_THREAD_CPUTIME_ID",
            None,
            "CLOCK_THREAD_CPUTIME_ID with ticks of at most 1 µs, and this system does not",
        ),
        ("CLOCK_MONOTONIC", 0.01, "CLOCK_MONOTONIC with ticks of at most 1 µs, and this system ticks every 10000 µs"),
    ],
)
def test_without_a_usable_clock_nothing_is_measured(name, resolution, said, monkeypatch):
    if resolution is None:
        monkeypatch.delattr(time, name)
    else:
        real, chosen = time.clock_getres, getattr(time, name)
        monkeypatch.setattr(time, "clock_getres", lambda one: resolution if one == chosen else real(one))
    with pytest.raises(UserError, match=said):
        require_clocks()


def test_a_command_without_a_usable_clock_says_what_to_type(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.clock_getres = lambda clock: 0.01\n")
    done = run_script(
        "generate", "experiment=tiny", "measure=baseline", cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path)}
    )
    assert done.returncode == 2
    assert "measure=none" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("outputs/*"))


def test_compiled_programs_are_timed_by_both_clocks():
    text = (
        "func.func @f(%a: tensor<64x64xf32>, %b: tensor<64x64xf32>, %c: tensor<64x64xf32>) -> tensor<64x64xf32> {\n"
        "%0 = linalg.matmul ins(%a, %b : tensor<64x64xf32>, tensor<64x64xf32>) outs(%c : tensor<64x64xf32>)"
        " -> tensor<64x64xf32>\nreturn %0 : tensor<64x64xf32>\n}"
    )
    arrays = [np.ones((64, 64), np.float32) for _ in range(4)]
    program = CompiledProgram(lower(text, Contexts().next()), 4).bind(arrays)
    before = time.perf_counter_ns()
    samples = program.sample(20, 3)
    wall = time.perf_counter_ns() - before
    assert samples.shape == (20, 2)
    # Each call adds 64 to what the one before gave.
    assert np.array_equal(arrays[3], np.full((64, 64), 1 + 64 * 20 * 3))
    assert 0 < samples[:, 0].sum() <= wall
    # The processor's clock is read outside of the other, so it is ahead wherever nothing came between.
    assert (samples[:, 1] > 0).all()
    one, hundred = (program.sample(5, calls)[:, 1].min() for calls in (1, 100))
    assert hundred > 20 * one


def test_the_yardstick_knows_the_fastest_it_has_seen(monkeypatch):
    yardstick = Yardstick()
    times = iter([200.0, 300.0, 100.0, 150.0])
    monkeypatch.setattr(yardstick, "_time", lambda windows: next(times))
    assert [yardstick.slowness() for _ in range(4)] == [1.0, 1.5, 1.0, 1.5]
    real = Yardstick()
    assert 1 <= real.slowness() < math.inf
