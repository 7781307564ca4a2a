"""What is made of the times of runs, with a clock and a program of known speed."""

from __future__ import annotations

import pytest

from mlir_datagen.errors import Rejection
from mlir_datagen.proving import clock
from mlir_datagen.proving.settings import MeasureSettings


class Program:
    """A program whose calls move the clock by so many nanoseconds: in each run by the next of these."""

    def __init__(self, monkeypatch, *call_ns):
        self.runs, self._now = [], 0
        self._call_ns = iter([*call_ns, *[call_ns[-1]] * 100])
        monkeypatch.setattr(clock.time, "perf_counter_ns", lambda: self._now)

    def run(self, calls):
        self.runs.append(calls)
        self._now += calls * next(self._call_ns)


def settings(max_seconds=1.0):
    return MeasureSettings("baseline", runs=5, max_seconds=max_seconds, assumed_flops_per_second=1e9)


def test_a_measurement_is_the_median_of_runs_after_a_warm_up(monkeypatch):
    milliseconds = [90, 50, 28, 20, 22, 38, 24]
    program = Program(monkeypatch, *[each * 1_000_000 for each in milliseconds])
    measured = clock.measure(program, settings(), compile_ns=7)
    assert (measured.median_ns, measured.min_ns, measured.iqr_ns) == (24e6, 20e6, 6e6)
    assert (measured.runs, measured.calls_per_run, measured.compile_ns) == (5, 1, 7)


def test_short_programs_are_called_until_a_run_is_long_enough(monkeypatch):
    program = Program(monkeypatch, 1_000)
    measured = clock.measure(program, settings(), compile_ns=0)
    assert measured.calls_per_run * 1_000 >= clock.SHORTEST_RUN_NS
    assert program.runs[-5:] == [measured.calls_per_run] * 5
    assert (measured.median_ns, measured.min_ns, measured.iqr_ns) == (1_000, 1_000, 0)


def test_one_call_may_take_as_long_as_the_limit_and_no_longer(monkeypatch):
    program = Program(monkeypatch, 500_000_000)
    assert clock.measure(program, settings(max_seconds=0.5), 0).median_ns == 500_000_000
    with pytest.raises(Rejection, match=r"longer than measure\.max_seconds, 0\.4 s"):
        clock.measure(program, settings(max_seconds=0.4), 0)
