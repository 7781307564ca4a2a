"""The work of a worker process: everything that may crash, hang or eat memory happens here."""

from __future__ import annotations

import math
import os
import resource
import time
from pathlib import Path

import numpy as np

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.ops import FAMILIES
from mlir_datagen.proving.clock import measure, measuring_core, pin
from mlir_datagen.proving.job import Failure, Job, Measurement, Proof
from mlir_datagen.proving.reference import compare, random_arguments
from mlir_datagen.proving.settings import Cores, MeasureSettings, SandboxLimits


class Worker:
    """What a worker process keeps from one program to the next.

    Args:
        cores: the cores of the machine.
        limits: what one program may use.
        settings: how times are measured.
        lock_path: the file whose lock goes with the measuring core.
        with_reference: whether programs are compared; the reference's library is then loaded at once, so that its
            memory does not count for the first program.
    """

    def __init__(
        self, cores: Cores, limits: SandboxLimits, settings: MeasureSettings, lock_path: Path, with_reference: bool
    ) -> None:
        pin(set(cores.others))
        self._cores, self._limits, self._settings = cores, limits, settings
        self._contexts = Contexts()
        self._lock = os.open(lock_path, os.O_RDWR)
        if with_reference:
            import torch

            torch.set_num_threads(1)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _limit_memory(limits.memory_bytes)

    def prove(self, job: Job) -> Proof | Failure:
        """Prove one program; a program that does not pass is an answer, not an error."""
        _limit_processor_time(self._limits.seconds)
        try:
            return self._prove(job)
        except Rejection as rejection:
            return Failure(rejection.stage, rejection.reason)
        except MemoryError:
            return Failure("executed", f"it needs more memory than sandbox.memory_bytes, {self._limits.memory_bytes}")

    def _prove(self, job: Job) -> Proof:
        started = time.monotonic_ns()
        module = lower(job.text, self._contexts.next())
        if job.level != "execute" and not job.measure:
            return Proof(job.level, None, None, ((started, time.monotonic_ns()),))
        program = CompiledProgram(module, len(job.shapes))
        compiled = time.monotonic_ns()
        busy = [(started, compiled)]
        family = FAMILIES[job.family]
        arguments = random_arguments(job, family, family.spec_of_json(job.spec))
        # An element that the program does not write stays NaN, which never passes.
        results = [np.full(shape, np.nan, np.float32) for shape in job.shapes[job.arguments :]]
        bound = program.bind([*arguments, *results])
        error: float | None = None
        measurement: Measurement | None = None
        if job.level == "execute":
            begin = time.monotonic_ns()
            bound.run()
            busy.append((begin, time.monotonic_ns()))
            error = compare(job, arguments, results)
        if job.measure:
            with measuring_core(self._cores, self._lock):
                begin = time.monotonic_ns()
                measurement = measure(bound, self._settings, compiled - started)
                busy.append((begin, time.monotonic_ns()))
        return Proof(job.level, error, measurement, tuple(busy))


_worker: Worker | None = None


def start(
    cores: Cores, limits: SandboxLimits, settings: MeasureSettings, lock_path: Path, with_reference: bool
) -> None:
    """Prepare this process: what the pool calls first."""
    global _worker
    _worker = Worker(cores, limits, settings, lock_path, with_reference)


def prove(job: Job) -> Proof | Failure:
    """Prove one program in this process: what the pool calls for each."""
    assert _worker is not None
    return _worker.prove(job)


def _limit_processor_time(seconds: int) -> None:
    """End this process by a signal when it has used so much more processor time.

    Time spent waiting for the measuring core does not count.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))


def _limit_memory(extra: int) -> None:
    """Let this process have so much more memory than it has now, where the system tells how much that is."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return
    data = int(statm.read_text().split()[5]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (data + extra, hard))
