"""The measured times: that they are times, of the programs that there are, under the settings that are said."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlir_datagen.config import RunConfig
from mlir_datagen.dataset.manifest import MANIFEST, MEASUREMENTS_KEY
from mlir_datagen.dataset.measurements import read_measurements
from mlir_datagen.dataset.paths import MEASUREMENTS_FOLDER
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import said, shown
from mlir_datagen.mlir.pipelines import BASELINE_PIPELINE
from mlir_datagen.programs.machine import Machine
from mlir_datagen.programs.proof import Measurement
from mlir_datagen.proving.machine import session
from mlir_datagen.verification.summary import Summary
from mlir_datagen.version import GENERATOR_VERSION


def measurement_problems(dataset: Dataset, config: RunConfig, summary: Summary) -> Iterator[str]:
    """Say what is wrong with the times of a dataset; how long they are follows from nothing."""
    told = dataset.manifest.get(MEASUREMENTS_KEY)
    if told is None:
        if config.measure.enabled:
            yield f"{MANIFEST} has no {MEASUREMENTS_KEY}, and the config measures"
        return
    times = read_measurements(dataset.folder)
    places = {(split, name) for split, names in summary.names.items() for name in names}
    for split, name in sorted(set(times) - places)[:1]:
        yield f"{MEASUREMENTS_FOLDER}/ has the time of {said(split)}/{said(name)}, which is no program"
    machines = {record["id"] for record in told["machines"]}
    for (split, name), time in times.items():
        if time.machine not in machines:
            what = f"{MEASUREMENTS_FOLDER}/ has of {said(split)}/{said(name)} a time of the machine"
            yield f"{what} {said(time.machine)}, of which {MANIFEST} has no record"
        if (problem := _time_problem(time)) is not None:
            yield f"{MEASUREMENTS_FOLDER}/ has of {said(split)}/{said(name)} {problem}"
    counts = {
        "programs": len(times),
        "failed": len(places) - len(times),
        "disturbed": sum(time.disturbed for time in times.values()),
    }
    for key, value in counts.items():
        if told.get(key) != value:
            yield f"{MANIFEST} has {MEASUREMENTS_KEY}.{key} {shown(told.get(key))} where {value} follows"
    yield from _machine_problems(told["machines"], Counter(time.machine for time in times.values()))
    fewest = min((time.runs for time in times.values() if not time.disturbed), default=None)
    yield from _session_problems(dataset, config, fewest)


def _session_problems(dataset: Dataset, config: RunConfig, fewest: int | None) -> Iterator[str]:
    """Say what is wrong with what the manifest says of the session."""
    told = dataset.manifest[MEASUREMENTS_KEY]
    for key in sorted(set(told) ^ {"programs", "failed", "disturbed", "files", *session(config.measure, [])}):
        yield f"{MANIFEST} {'has' if key in told else 'lacks'} {MEASUREMENTS_KEY}.{said(key)}"
    if dataset.manifest["generator_version"] == GENERATOR_VERSION and told.get("pipeline") != BASELINE_PIPELINE:
        yield f"{MANIFEST} names another pipeline for its {MEASUREMENTS_KEY} than programs are compiled with"
    settings = told.get("settings")
    if config.measure.enabled and settings != dataclasses.asdict(config.measure):
        yield f"{MANIFEST} has {MEASUREMENTS_KEY}.settings {shown(settings)}, which are not those of the config"
    needed = settings.get("runs") if isinstance(settings, dict) else None
    if fewest is not None and not (isinstance(needed, int) and needed <= fewest):
        yield f"{MEASUREMENTS_FOLDER}/ has undisturbed times of fewer runs than {MEASUREMENTS_KEY}.settings say"


def _machine_problems(records: Sequence[Mapping[str, Any]], programs: Counter[str]) -> Iterator[str]:
    """Say what is wrong with the records of machines; what one is follows from nothing, but its id does from that."""
    for number, record in enumerate(records):
        what = f"{MANIFEST} has in {MEASUREMENTS_KEY}.machines[{number}]"
        if any(record["id"] == other["id"] for other in records[:number]):
            yield f"{what} the machine {said(record['id'])} once more"
        try:
            id_ = Machine.of_record({key: record[key] for key in record if key not in ("id", "programs")}).id
        except ValueError as error:
            yield f"{what} no record of a machine: {said(error)}"
            continue
        if record["id"] != id_:
            yield f"{what} the record of another machine than {said(record['id'])}: its id would be {id_}"
        if record["programs"] != programs[record["id"]]:
            yield f"{what}.programs {record['programs']} where {programs[record['id']]} follows"


def _time_problem(time: Measurement) -> str | None:
    for name, value in dataclasses.asdict(time).items():
        if name != "machine" and not 0 <= value < math.inf:
            return f"{name} {shown(value)}, which is none"
    if not time.min_ns <= time.median_ns or time.calls_per_run < 1:
        return "a least time above its median, or no call"
    return None
