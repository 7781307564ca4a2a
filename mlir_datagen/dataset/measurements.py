"""The measured times of a dataset: a file and a part of the manifest of their own, as no two sessions give the same.

`measurements.parquet` has a row for each program. The dataset's digest and SHA256SUMS leave it out; the manifest covers
it. The card says what share of the times was disturbed, and is otherwise the same without them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlir_datagen.dataset.arrow import number_array, string_array, truth_array
from mlir_datagen.dataset.card import CARD, with_times
from mlir_datagen.dataset.disk_errors import recordable
from mlir_datagen.dataset.manifest import MANIFEST, MEASUREMENTS_KEY
from mlir_datagen.dataset.writer import CHECKSUMS, file_sha256
from mlir_datagen.errors import UserError, listed
from mlir_datagen.proving.job import Measurement

MEASUREMENTS = "measurements.parquet"

Measured = tuple[str, str, Measurement]
"""Split, name, and time of a program."""

_FRACTIONS = ("median_ns", "min_ns", "iqr_ns", "cpu_ns")
_FIELDS = [field.name for field in dataclasses.fields(Measurement)]


def write_measurements(
    folder: Path, measured: Sequence[Measured], settings: Mapping[str, Any], failed: int = 0
) -> dict[str, Any]:
    """Write the times into a folder; return what the manifest says of them.

    Args:
        folder: where the file goes.
        measured: the times.
        settings: machine, pipeline and settings of the session.
        failed: how many programs of the dataset have no time.
    """
    columns = {
        "split": string_array([split for split, _, _ in measured]),
        "name": string_array([name for _, name, _ in measured]),
    }
    for field in _FIELDS:
        values = [getattr(measurement, field) for _, _, measurement in measured]
        if field == "disturbed":
            columns[field] = truth_array(values)
        else:
            columns[field] = number_array(np.array(values, np.float64 if field in _FRACTIONS else np.int64))
    path = folder / MEASUREMENTS
    partial = path.with_suffix(".partial")
    pq.write_table(pa.Table.from_arrays(list(columns.values()), names=list(columns)), partial, compression="zstd")
    partial.rename(path)
    return {
        "programs": len(measured),
        "failed": failed,
        "disturbed": sum(measurement.disturbed for _, _, measurement in measured),
        "sha256": file_sha256(path),
        **settings,
    }


def read_measurements(folder: Path) -> dict[tuple[str, str], Measurement]:
    """Return the time of each program, by split and name.

    Raises:
        UserError: when the dataset has none, or those of another version.
    """
    path = folder / MEASUREMENTS
    if not path.is_file():
        raise UserError(f"{folder} has no measured times. Measure them first: python scripts/measure.py {folder}")
    table = pq.ParquetFile(path).read()
    if table.column_names != ["split", "name", *_FIELDS]:
        raise UserError(
            f"{path} has the columns {listed(table.column_names)}, and times have split, name, {listed(_FIELDS)}. "
            f"Measure the programs again: python scripts/measure.py {folder}"
        )
    return {(row.pop("split"), row.pop("name")): Measurement(**row) for row in table.to_pylist()}


def record_measurements(
    folder: Path, manifest: dict[str, Any], measured: Sequence[Measured], settings: Mapping[str, Any], failed: int
) -> None:
    """Add times to a finished dataset, or replace the ones it has, and write the manifest anew.

    Args:
        folder: the dataset.
        manifest: its manifest, which is changed.
        measured: the times.
        settings: machine, pipeline and settings of the session.
        failed: how many programs have no time.

    Raises:
        UserError: when the folder cannot be written.
    """
    with recordable(folder):
        described = manifest[MEASUREMENTS_KEY] = write_measurements(folder, measured, settings, failed)
        files = manifest["files"]
        before, card = files[CARD], with_times((folder / CARD).read_text(), described)
        _replace(folder / CARD, card)
        files[CARD] = file_sha256(folder / CARD)
        checksums = (folder / CHECKSUMS).read_text()
        _replace(folder / CHECKSUMS, checksums.replace(f"{before}  {CARD}\n", f"{files[CARD]}  {CARD}\n"))
        files[CHECKSUMS] = file_sha256(folder / CHECKSUMS)
        _replace(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    partial.rename(path)
