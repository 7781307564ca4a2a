"""What an exporter is: it writes a finished dataset in the format of a consumer, into a folder of its own in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mlir_datagen.dataset.exported import DIGEST_KEY, ExportWriter, publish_export
from mlir_datagen.dataset.journal import Place
from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY
from mlir_datagen.dataset.measurements import MEASUREMENTS, read_measurements
from mlir_datagen.dataset.reader import Dataset, changed_files
from mlir_datagen.errors import UserError, listed
from mlir_datagen.measuring import measure_dataset
from mlir_datagen.pipeline import Listener
from mlir_datagen.proving.job import Failure, Measurement
from mlir_datagen.version import PACKAGE_VERSION

Times = Mapping[tuple[str, str], Measurement]
"""The measured time of each program, by split and name."""


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
    """

    dataset: Dataset
    times: Times
    train: frozenset[str]
    folder: Path


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
    def write(self, given: ExportInput, files: ExportWriter) -> None:
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
        unmeasured: the programs that were measured for it in vain: place and failure.
    """

    folder: Path
    existed: bool
    unmeasured: Sequence[tuple[Place, Failure]] = ()


def export_dataset(
    exporter: Exporter, folder: Path, measure: bool, listener: Listener, train: Sequence[str] | None = None
) -> Exported:
    """Write a dataset in the format of a consumer, into a folder of its own in the dataset.

    Args:
        exporter: of that consumer.
        folder: the dataset.
        measure: whether the programs are measured when the dataset has no times.
        listener: told of the measuring.
        train: the splits to train on; left out, `DEFAULT_TRAIN` as far as the dataset has them.

    Raises:
        UserError: when it is no dataset, lacks a split to train on, has no times and is not to be measured, when the
            consumer could not read an export there, or something else is in the way.
    """
    folder = folder.resolve()
    target = folder / exporter.name
    dataset = Dataset(folder)
    trained = _trained_splits(dataset, train)
    exporter.check_folder(target)
    unmeasured: Sequence[tuple[Place, Failure]] = ()
    if measure and not (folder / MEASUREMENTS).is_file():
        unmeasured = measure_dataset(folder, listener).failed
        dataset = Dataset(folder)
    identity = _identity(exporter, dataset, trained, target)
    given = ExportInput(dataset, read_measurements(folder), trained, target)
    existed = publish_export(target, identity, lambda files: exporter.write(given, files), listener.on_wait)
    return Exported(target, existed, unmeasured)


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


def _identity(exporter: Exporter, dataset: Dataset, trained: frozenset[str], target: Path) -> dict[str, Any]:
    """Return what an export depends on; files may name its place, so that is part of it."""
    measured = dataset.manifest.get(MEASUREMENTS_KEY, {}).get("sha256", "")
    is_there = (dataset.folder / MEASUREMENTS).is_file()
    if is_there and any(changed_files(dataset.folder, {MEASUREMENTS: measured})):
        raise UserError(
            f"{dataset.folder / MEASUREMENTS} is not the file that the manifest lists. Measure the dataset again: "
            f"python scripts/measure.py {dataset.folder}"
        )
    return {
        "exporter": exporter.name,
        "version": exporter.version,
        "mlir_datagen": PACKAGE_VERSION,
        DIGEST_KEY: dataset.manifest["digest"],
        "measurements_sha256": measured,
        "folder": str(target),
        "train": sorted(trained),
    }
