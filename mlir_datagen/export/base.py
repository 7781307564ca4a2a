"""What an exporter is: it writes a finished dataset in the format of a consumer, into a folder of its own in it."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from mlir_datagen.config.export import ExportSettings, TimeBounds
from mlir_datagen.dataset.exported import ACCOUNT_KEY, DIGEST_KEY, ExportWriter, publish_export
from mlir_datagen.dataset.finished import changed_files
from mlir_datagen.dataset.journal import Place
from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY, measured_files
from mlir_datagen.dataset.measurements import read_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError, listed
from mlir_datagen.pipeline.measuring import measure_dataset, measure_jobs
from mlir_datagen.pipeline.run import Listener
from mlir_datagen.programs.proof import Failure, Measurement
from mlir_datagen.proving.job import EagerJob, Job
from mlir_datagen.version import PACKAGE_VERSION

Times = Mapping[tuple[str, str], Measurement]
"""The measured time of each program, by split and name."""

Measure = Callable[[Sequence[Job | EagerJob]], Sequence[Measurement | Failure]]
"""Measures programs as those of the dataset were."""

DEFAULT_TRAIN = ("train",)
"""The splits that are trained on where nothing else is said."""


@dataclass(frozen=True)
class ExportInput:
    """What is exported.

    Attributes:
        dataset: the dataset.
        times: its measured times.
        train: the splits to train on; the others are to evaluate on.
        folder: where the export will be, as an absolute path.
        bounds: the times of the programs that are in it.
        measure: measures what the dataset has no times of; None when nothing is to be measured.
        torch: whether PyTorch's times are measured.
    """

    dataset: Dataset
    times: Times
    train: frozenset[str]
    folder: Path
    bounds: TimeBounds
    measure: Measure | None
    torch: bool


@dataclass(frozen=True)
class Account:
    """What became of the programs of a dataset.

    Attributes:
        exported: how many of them are in the export.
        left_out: how many are not, by what they are (a part of a sentence).
        notes: what else is to be said, each a sentence.
    """

    exported: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        missing = sum(self.left_out.values())
        reasons = f": {listed(f'{count} {what}' for what, count in self.left_out.items())}" if missing else ""
        first = f"{self.exported} programs exported, {missing} left out{reasons}."
        return " ".join([first, *self.notes])


class Exporter(ABC):
    """A consumer's format. Its instances hold no state.

    Attributes:
        name: of the consumer; also of the folder.
        version: goes up whenever the same dataset would give other files.
    """

    name: ClassVar[str]
    version: ClassVar[int]

    def check_folder(self, folder: Path) -> None:
        """Refuse a folder that the consumer could not read an export from.

        Args:
            folder: where the export will be, as an absolute path.

        Raises:
            UserError: with what to do instead.
        """
        return

    @abstractmethod
    def write(self, given: ExportInput, files: ExportWriter) -> Account:
        """Write the files of an export.

        Args:
            given: what is exported.
            files: takes the files, which are named relative to the export's folder.

        Raises:
            UserError: when nothing of the dataset can be exported.
        """


@dataclass(frozen=True)
class Exported:
    """What an export gave.

    Attributes:
        folder: where it is.
        existed: whether it was there before.
        account: what is in it.
        unmeasured: the programs that were measured for it in vain: place and failure.
    """

    folder: Path
    existed: bool
    account: Account
    unmeasured: Sequence[tuple[Place, Failure]] = ()


def export_dataset(
    exporter: Exporter, folder: Path, measure: bool, listener: Listener, settings: ExportSettings | None = None
) -> Exported:
    """Write a dataset in the format of a consumer, into a folder of its own in the dataset.

    Args:
        exporter: of that consumer.
        folder: the dataset.
        measure: whether anything is measured for it: the programs when the dataset has no times, those that are
            exported in another form than the dataset has them, and PyTorch.
        listener: told of the measuring.
        settings: what is exported; left out, the usual.

    Raises:
        UserError: when it is no dataset, lacks a split to train on, has no times and is not to be measured, when the
            consumer could not read an export there, or something else is in the way.
    """
    settings = settings or ExportSettings(exporter.name)
    folder = folder.resolve()
    target = folder / exporter.name
    dataset = Dataset(folder)
    trained = _trained_splits(dataset, settings.train)
    exporter.check_folder(target)
    unmeasured: Sequence[tuple[Place, Failure]] = ()
    if measure and MEASUREMENTS_KEY not in dataset.manifest:
        unmeasured = measure_dataset(folder, listener).failed
        dataset = Dataset(folder)
    measured = _measurements_digest(dataset)
    with_torch = measure and settings.torch and find_spec("torch") is not None
    given = ExportInput(
        dataset=dataset,
        times=read_measurements(folder),
        train=trained,
        folder=target,
        bounds=settings.bounds,
        measure=(lambda jobs: measure_jobs(folder, jobs, listener)) if measure else None,
        torch=with_torch,
    )
    identity = _identity(exporter, given, measured)
    listener.on_stage("writing")
    record, existed = publish_export(
        target, identity, lambda files: vars(exporter.write(given, files)), listener.on_wait
    )
    account = Account(**record[ACCOUNT_KEY])
    notes = [*account.notes, *_said_of_machines(dataset)]
    return Exported(target, existed, dataclasses.replace(account, notes=notes), unmeasured)


def _said_of_machines(dataset: Dataset) -> Iterator[str]:
    processors = [machine["cpu"] for machine in dataset.manifest[MEASUREMENTS_KEY]["machines"]]
    if len(processors) > 1:
        yield (
            f"The times are of {len(processors)} machines ({listed(processors)}), and do not compare with each other: "
            f"python scripts/measure.py {dataset.folder} measures all on one."
        )


def _trained_splits(dataset: Dataset, train: Sequence[str] | None) -> frozenset[str]:
    there = set(dataset.splits)
    if train is None:
        return frozenset(DEFAULT_TRAIN) & there
    if missing := sorted(set(train) - there):
        raise UserError(
            f"{dataset.folder} has no split {missing[0]!r} to train on, only {listed(dataset.splits)}. Name splits of "
            "it: --train of scripts/export.py, or export.train of scripts/generate.py."
        )
    return frozenset(train)


def _measurements_digest(dataset: Dataset) -> str:
    """Return a digest of the times, which are those that the manifest lists; empty where there are none."""
    told = measured_files(dataset.manifest.get(MEASUREMENTS_KEY, {}))
    for problem in changed_files(dataset.folder, told):
        raise UserError(
            f"The measured times are not those that the manifest of {dataset.folder} lists: {problem}. Measure the "
            f"dataset again: python scripts/measure.py {dataset.folder}"
        )
    return hashlib.sha256("".join(sorted(told.values())).encode()).hexdigest() if told else ""


def _identity(exporter: Exporter, given: ExportInput, measured: str) -> dict[str, Any]:
    """Return what an export depends on; files may name its place, so that is part of it."""
    return {
        "exporter": exporter.name,
        "version": exporter.version,
        "mlir_datagen": PACKAGE_VERSION,
        DIGEST_KEY: given.dataset.manifest["digest"],
        "measurements_sha256": measured,
        "folder": str(given.folder),
        "train": sorted(given.train),
        **vars(given.bounds),
        "measured": given.measure is not None,
        "torch": version("torch") if given.torch else None,
    }
