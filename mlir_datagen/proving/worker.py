"""The work of a worker process: everything that may crash, hang or eat memory happens here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.programs.proof import Failure, Measurement, Proof
from mlir_datagen.proving.clock import Timed, any_core, measure, measuring_core, open_lock, pin
from mlir_datagen.proving.eager import EagerProgram
from mlir_datagen.proving.job import EagerJob, Job
from mlir_datagen.proving.reference import (
    Errors,
    compare,
    draws,
    empty_results,
    random_arguments,
    worst,
    zero_arguments,
)
from mlir_datagen.proving.settings import Cores, MeasureSettings
from mlir_datagen.proving.yardstick import Yardstick

_MOST_DRAWS = 64


class Worker:
    """What a worker process keeps from one program to the next.

    Args:
        cores: the cores of the machine.
        settings: how times are measured.
        with_reference: whether programs are compared; the reference's library is then loaded at once, so that its
            memory does not count for the first program.
        machine: the id of the machine.
    """

    def __init__(self, cores: Cores, settings: MeasureSettings, with_reference: bool, machine: str) -> None:
        pin(set(cores.others))
        self._cores, self._settings, self._machine = cores, settings, machine
        self._contexts = Contexts()
        self._lock = open_lock(cores)
        if with_reference:
            import torch

            torch.set_num_threads(1)
        self._yardstick = Yardstick() if settings.enabled else None

    def prove(self, job: Job | EagerJob) -> Proof | Failure:
        """Prove or measure one program; a program that does not pass is an answer, not an error."""
        try:
            return self._prove(job) if isinstance(job, Job) else self._measure_eager(job)
        except Rejection as rejection:
            return Failure(rejection.stage, rejection.reason)

    def _prove(self, job: Job) -> Proof:
        busy: list[tuple[int, int]] = []
        measurement: Measurement | None = None
        with any_core(self._cores, self._lock):
            processor_time = time.process_time_ns()
            with _timed(busy):
                module = lower(job.text, self._contexts.next())
                program = CompiledProgram(module, len(job.shapes)) if job.is_run else None
            compile_ns = time.process_time_ns() - processor_time
        if program is None:
            return Proof(job.level, None, None, tuple(busy))
        # Again, as the measuring core may be free now: without it, several workers share the others.
        with any_core(self._cores, self._lock):
            error = _compared(job, program, busy) if job.level == "execute" else None
        if job.measure:
            bound = program.bind([*zero_arguments(job), *empty_results(job)])
            measurement = self._measured(bound, compile_ns, busy)
        excused = None if error is None else 0
        return Proof(job.level, error and error.relative, measurement, tuple(busy), error and error.absolute, excused)

    def _measure_eager(self, job: EagerJob) -> Proof:
        busy: list[tuple[int, int]] = []
        with any_core(self._cores, self._lock):
            program = EagerProgram(job.prepare())
        return Proof("parse", None, self._measured(program, 0, busy), tuple(busy))

    def _measured(self, program: Timed, compile_ns: int, busy: list[tuple[int, int]]) -> Measurement:
        assert self._yardstick is not None

        @contextmanager
        def core() -> Iterator[None]:
            with measuring_core(self._cores, self._lock), _timed(busy):
                yield

        return measure(program, self._settings, compile_ns, self._yardstick.slowness, self._machine, core)


def _compared(job: Job, program: CompiledProgram, busy: list[tuple[int, int]]) -> Errors | None:
    """Run a program on random arguments, and compare its results where there is a reference.

    While an argument shows in no result it is run on others.

    Raises:
        Rejection: at stage `matched`, also when an argument never shows: a fault there would not be found.
    """
    errors: list[Errors] = []
    for draw in range(_MOST_DRAWS):
        if draw >= draws(job) and not (errors and worst(errors).hidden):
            break
        arguments, results = random_arguments(job, draw), empty_results(job)
        with _timed(busy):
            program.bind([*arguments, *results]).run()
        if job.family is not None:
            errors.append(compare(job, arguments, results, is_only=draws(job) == 1))
    if not errors:
        return None
    found = worst(errors)
    if not found.proves:
        raise Rejection("matched", "rounding explains as much as the results are, so that nothing is proven of them")
    if found.hidden:
        raise Rejection("matched", f"argument {min(found.hidden)} shows in no result, so that nothing is proven of it")
    return found


@contextmanager
def _timed(spans: list[tuple[int, int]]) -> Iterator[None]:
    """Note when it began and ended."""
    begin = time.monotonic_ns()
    yield
    spans.append((begin, time.monotonic_ns()))


_worker: Worker | None = None


def start(cores: Cores, settings: MeasureSettings, with_reference: bool, machine: str) -> None:
    """Prepare this process: what the pool calls first."""
    global _worker
    _worker = Worker(cores, settings, with_reference, machine)


def prove(job: Job | EagerJob) -> Proof | Failure:
    """Prove one program in this process: what the pool calls for each."""
    assert _worker is not None
    return _worker.prove(job)
