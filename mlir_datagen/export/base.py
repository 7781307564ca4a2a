"""What an exporter is: it writes a finished dataset in the format of a consumer, into a folder of its own in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mlir_datagen.dataset.exported import DIGEST_KEY, ExportWriter, publish_export
from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY
from mlir_datagen.dataset.measurements import MEASUREMENTS, read_measurements
from mlir_datagen.dataset.reader import Dataset, changed_files
from mlir_datagen.errors import UserError
from mlir_datagen.measuring import measure_dataset
from mlir_datagen.pipeline import Listener
from mlir_datagen.proving.job import Measurement
from mlir_datagen.version import PACKAGE_VERSION

Times = Mapping[tuple[str, str], Measurement]
"""The measured time of each program, by split and name."""


class Exporter(ABC):
    """A consumer's format. Its instances hold no state.

    Attributes:
        name: of the consumer; also of the folder.
        version: goes up whenever the same dataset would give other files.
    """

    name: ClassVar[str]
    version: ClassVar[int]

    @abstractmethod
    def write(self, dataset: Dataset, times: Times, folder: Path, files: ExportWriter) -> None:
        """Write the files of an export.

        Args:
            dataset: the dataset.
            times: its measured times.
            folder: where the export will be, as an absolute path.
            files: takes the files, which are named relative to that.

        Raises:
            UserError: when nothing of the dataset can be exported.
        """


@dataclass(frozen=True)
class Exported:
    """What an export gave: its folder, and whether it was there before."""

    folder: Path
    existed: bool


def export_dataset(exporter: Exporter, folder: Path, measure: bool, listener: Listener) -> Exported:
    """Write a dataset in the format of a consumer, into a folder of its own in the dataset.

    Args:
        exporter: of that consumer.
        folder: the dataset.
        measure: whether the programs are measured when the dataset has no times.
        listener: told of the measuring.

    Raises:
        UserError: when it is no dataset, has no times and is not to be measured, or something else is in the way.
    """
    folder = folder.resolve()
    dataset = Dataset(folder)
    if measure and not (folder / MEASUREMENTS).is_file():
        measure_dataset(folder, listener)
        dataset = Dataset(folder)
    target = folder / exporter.name
    identity = _identity(exporter, dataset, target)
    times = read_measurements(folder)
    existed = publish_export(
        target, identity, lambda files: exporter.write(dataset, times, target, files), listener.on_wait
    )
    return Exported(target, existed)


def _identity(exporter: Exporter, dataset: Dataset, target: Path) -> dict[str, Any]:
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
    }
