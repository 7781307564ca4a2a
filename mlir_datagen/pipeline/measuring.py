"""Measuring the programs of a finished dataset, and comparing two sessions of measuring."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.models import parse_model
from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.dataset.description import CONFIG
from mlir_datagen.dataset.journal import Journal, Place
from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY, PRESENTATION_KEY
from mlir_datagen.dataset.measurements import Measured, read_measurements, record_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError
from mlir_datagen.networks.eager import network_call
from mlir_datagen.pipeline.run import Listener
from mlir_datagen.programs.program import EXTRACTED, NETWORK, StoredProgram
from mlir_datagen.programs.proof import Failure, Measurement, Proof
from mlir_datagen.proving.eager import family_call
from mlir_datagen.proving.job import EagerJob, Job, job_of_program
from mlir_datagen.proving.machine import machine, session
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings, SandboxLimits

_UNCHECKED = CheckSettings("parse", 1.0)


@dataclass(frozen=True)
class Session:
    """What a session of measuring gave.

    Attributes:
        measured: the times, in the order of the index.
        failed: place and failure of each program that has none.
    """

    measured: list[Measured]
    failed: list[tuple[Place, Failure]]


@dataclass(frozen=True)
class Agreement:
    """How far a second session agrees with the stored one.

    Attributes:
        programs: how many have a time in both that was not disturbed.
        disturbed: how many have a time in both, and one of them was disturbed.
        elsewhere: how many have a stored time of another machine, and were left out: others are of this one.
        rank_correlation: Spearman's, of the medians; None where it is not defined: fewer than two different times.
        relative_difference: the median, over the programs, of the medians' difference relative to the stored one.
        same_conditions: whether machine, pipeline and settings are those of the stored times.
        failed: place and failure of each program that has no second time.
    """

    programs: int
    disturbed: int
    elsewhere: int
    rank_correlation: float | None
    relative_difference: float
    same_conditions: bool
    failed: list[tuple[Place, Failure]]


def measure_dataset(folder: Path, listener: Listener) -> Session:
    """Measure every program of a dataset, and store the times with it in place of those that it has.

    What shows the dataset is made anew where it was there.

    Raises:
        UserError: when it is no dataset, is damaged, cannot be written, or another run is measuring it.
    """
    dataset = _Measurable(folder)
    was_presented = PRESENTATION_KEY in dataset.manifest
    with dataset.journal("measurements") as journal:
        done = dataset.complete(journal, listener)
        conditions = session(dataset.settings, [machine()])
        record_measurements(dataset.folder, dataset.manifest, done.measured, conditions, len(done.failed))
        journal.remove()
    if was_presented:
        # Only here, since few datasets are measured again.
        from mlir_datagen.pipeline.presenting import present_dataset

        present_dataset(dataset.folder)
    return done


def measure_jobs(folder: Path, jobs: Sequence[Job | EagerJob], listener: Listener) -> Sequence[Measurement | Failure]:
    """Measure other programs as those of a dataset are, and store nothing.

    Args:
        folder: the dataset, whose settings it is done with.
        jobs: the programs; all measured.
        listener: told of the progress.
    """
    from mlir_datagen.proving.prover import Prover

    dataset = _Measurable(folder)
    # PyTorch is in the workers from the start where something is compared with it.
    check = CheckSettings("execute", 1.0) if any(isinstance(job, EagerJob) for job in jobs) else _UNCHECKED
    outcomes: list[Measurement | Failure] = []
    listener.on_start(len(jobs))
    with Prover(check, dataset.settings, dataset.sandbox) as prover:
        for outcome in prover.prove(jobs):
            listener.on_written(1)
            outcomes.append(_measured(outcome))
    return outcomes


def eager_job(program: StoredProgram) -> EagerJob | None:
    """Return the job of measuring what a program computes in PyTorch.

    Returns:
        None for what was taken out of networks: nothing says which calls of PyTorch it is.

    Raises:
        UserError: when its spec is damaged.
    """
    job = measuring_job(program)
    if job.family is not None:
        return EagerJob(partial(family_call, job))
    if program.family != NETWORK or program.source == EXTRACTED:
        return None
    saved = orjson.loads(program.spec)
    return EagerJob(partial(network_call, parse_model(saved["name"], saved["model"])))


def repeat_measurements(folder: Path, listener: Listener) -> Agreement:
    """Measure the programs of a dataset once more, and compare; nothing is stored.

    Where some of the stored times are of this machine, it is done with these alone.

    Raises:
        UserError: as `measure_dataset`, and when the dataset has no times yet, or none of its programs has two.
    """
    dataset = _Measurable(folder)
    stored = read_measurements(dataset.folder)
    here = machine().id
    others = {place for place, time in stored.items() if time.machine != here}
    elsewhere = others if len(others) < len(stored) else set()
    with dataset.journal("repeat") as journal:
        done = dataset.complete(journal, listener, elsewhere)
        journal.remove()
    both = [(stored[split, name], again) for split, name, again in done.measured if (split, name) in stored]
    judged = [pair for pair in both if not any(one.disturbed for one in pair)]
    if not judged:
        raise UserError(
            f"No program of {folder} has a time in both sessions that was not disturbed. Measure it again while the "
            f"machine has less to do: python scripts/measure.py {folder}"
        )
    first, second = np.array([[one.median_ns for one in pair] for pair in judged]).T
    conditions = session(dataset.settings, [])
    recorded = dataset.manifest.get(MEASUREMENTS_KEY, {})
    is_here = all(first.machine == here for first, _ in both)
    return Agreement(
        programs=len(judged),
        disturbed=len(both) - len(judged),
        elsewhere=len(elsewhere),
        rank_correlation=rank_correlation(first, second),
        relative_difference=float(np.median(np.abs(second - first) / first)),
        same_conditions=is_here and all(recorded.get(key) == conditions[key] for key in ("pipeline", "settings")),
        failed=done.failed,
    )


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Return Spearman's rank correlation; None when one of the two is constant."""
    ranks = _ranks(first), _ranks(second)
    if any(np.ptp(rank) == 0 for rank in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def measuring_job(program: StoredProgram) -> Job:
    """Return the job of measuring a program of a dataset.

    Raises:
        UserError: when its spec is damaged.
    """
    return job_of_program(program, _UNCHECKED.level, measure=True)


def _measured(outcome: Proof | Failure) -> Measurement | Failure:
    """Return the time that a job which was to be measured has."""
    if isinstance(outcome, Failure):
        return outcome
    assert outcome.measurement is not None
    return outcome.measurement


class _Measurable:
    """A dataset, with the settings that it is measured with."""

    def __init__(self, folder: Path) -> None:
        # The journal is named after the folder, which `.` would not tell.
        self.folder = folder.resolve()
        self._dataset = Dataset(self.folder)
        self.manifest = self._dataset.manifest
        config = load_saved_config(self.folder / CONFIG)
        self.sandbox: SandboxLimits = config.sandbox
        self.settings: MeasureSettings = (
            config.measure if config.measure.enabled else compose_config(["measure=baseline"]).measure
        )

    def journal(self, purpose: str) -> Journal:
        """Return the journal of a session."""
        header = {"dataset": self.manifest["digest"], "session": session(self.settings, [machine()])}
        return Journal(self.folder, purpose, header)

    def complete(self, journal: Journal, listener: Listener, left_out: Set[Place] = frozenset()) -> Session:
        """Measure the programs that a journal lacks, but for some that are left out; return what it holds then."""
        from mlir_datagen.proving.prover import Prover

        missing = self._dataset.count() - len(journal.outcomes.keys() | left_out)
        listener.on_start(missing)
        if missing:
            places: deque[Place] = deque()
            with Prover(_UNCHECKED, self.settings, self.sandbox) as prover:
                for outcome in prover.prove(self._jobs(journal.outcomes.keys() | left_out, places)):
                    journal.add(places.popleft(), _measured(outcome))
                    listener.on_written(1)
        done = Session([], [])
        for (split, name), result in journal.outcomes.items():
            if isinstance(result, Measurement):
                done.measured.append((split, name, result))
            else:
                done.failed.append(((split, name), result))
        return done

    def _jobs(self, done: Set[Place], places: deque[Place]) -> Iterator[Job]:
        """Yield the job of each program that is not done; its place goes to the end of the queue meanwhile."""
        for program in self._dataset.programs():
            place = (program.split, program.name)
            if place not in done:
                places.append(place)
                yield measuring_job(program)
