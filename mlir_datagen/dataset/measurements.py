"""The measured times of a dataset: a file and a part of the manifest of their own, as no two sessions give the same.

`measurements.parquet` has a row for each program. The dataset's digest and SHA256SUMS leave it out; the manifest covers
it. The card says what share of the times was disturbed, and is otherwise the same without them.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlir_datagen import foreign
from mlir_datagen.dataset.arrow import PARQUET_ERRORS, number_array, open_parquet, string_array, truth_array
from mlir_datagen.dataset.card import CARD, with_times
from mlir_datagen.dataset.disk_errors import recordable
from mlir_datagen.dataset.manifest import MANIFEST, MEASUREMENTS_KEY
from mlir_datagen.dataset.writer import CHECKSUMS, file_sha256
from mlir_datagen.errors import UserError, listed, said
from mlir_datagen.programs.proof import Measurement

MEASUREMENTS = "measurements.parquet"

Measured = tuple[str, str, Measurement]
"""Split, name, and time of a program."""

_TYPES: dict[str, Any] = {
    "machine": pa.string(),
    **dict.fromkeys(("median_ns", "min_ns", "iqr_ns", "cpu_ns"), pa.float64()),
    "disturbed": pa.bool_(),
}
_ARRAYS: dict[Any, Callable[[list[Any]], Any]] = {
    pa.string(): string_array,
    pa.bool_(): truth_array,
    pa.int64(): lambda values: number_array(np.array(values, np.int64)),
    pa.float64(): lambda values: number_array(np.array(values, np.float64)),
}
_COLUMNS = {
    "split": pa.string(),
    "name": pa.string(),
    **{field.name: _TYPES.get(field.name, pa.int64()) for field in dataclasses.fields(Measurement)},
}


def write_measurements(
    folder: Path, measured: Sequence[Measured], settings: Mapping[str, Any], failed: int = 0
) -> dict[str, Any]:
    """Write the times into a folder; return what the manifest says of them.

    Args:
        folder: where the file goes.
        measured: the times.
        settings: machines, pipeline and settings of the session.
        failed: how many programs of the dataset have no time.
    """
    rows = [{"split": split, "name": name, **dataclasses.asdict(measurement)} for split, name, measurement in measured]
    columns = [_ARRAYS[type_]([row[name] for row in rows]) for name, type_ in _COLUMNS.items()]
    path = folder / MEASUREMENTS
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    pq.write_table(pa.Table.from_arrays(columns, names=list(_COLUMNS)), partial, compression="zstd")
    partial.rename(path)
    return {
        "programs": len(measured),
        "failed": failed,
        "disturbed": sum(measurement.disturbed for _, _, measurement in measured),
        "sha256": file_sha256(path),
        **settings,
        "machines": _with_programs(settings["machines"], measured),
    }


def _with_programs(machines: Sequence[Mapping[str, Any]], measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return the records of the machines that times are of, with how many each has."""
    programs = Counter(measurement.machine for _, _, measurement in measured)
    return [{**one, "programs": programs[one["id"]]} for one in machines if programs[one["id"]]]


def read_measurements(folder: Path) -> dict[tuple[str, str], Measurement]:
    """Return the time of each program, by split and name.

    Raises:
        UserError: when the dataset has none, or the file is damaged.
    """
    path = folder / MEASUREMENTS
    try:
        with open_parquet(path) as file:
            table = file.read()
        if table.schema.names != list(_COLUMNS) or any(column.null_count for column in table.columns):
            raise ValueError(f"its columns must be {listed(_COLUMNS)}, without a gap")
        rows = table.cast(pa.schema(_COLUMNS)).to_pylist()
    except FileNotFoundError:
        raise UserError(
            f"{folder} has no measured times. Measure them first: python scripts/measure.py {folder}"
        ) from None
    except (*PARQUET_ERRORS, ValueError) as error:
        raise UserError(
            f"{path} is damaged: {said(error)}. Measure the dataset again: python scripts/measure.py {folder}"
        ) from error
    return {(row.pop("split"), row.pop("name")): Measurement(**row) for row in rows}


def record_measurements(
    folder: Path, manifest: dict[str, Any], measured: Sequence[Measured], settings: Mapping[str, Any], failed: int
) -> None:
    """Add times to a finished dataset, or replace the ones it has, and write the manifest anew.

    Args:
        folder: the dataset.
        manifest: its manifest, which is changed.
        measured: the times.
        settings: machines, pipeline and settings of the session.
        failed: how many programs have no time.

    Raises:
        UserError: when the folder cannot be written.
    """
    with recordable(folder):
        described = manifest[MEASUREMENTS_KEY] = write_measurements(folder, measured, settings, failed)
        files = manifest["files"]
        before, card = files[CARD], with_times(foreign.read_text(folder / CARD), described)
        _replace(folder / CARD, card)
        files[CARD] = file_sha256(folder / CARD)
        checksums = foreign.read_text(folder / CHECKSUMS, foreign.LARGEST_LIST)
        _replace(folder / CHECKSUMS, checksums.replace(f"{before}  {CARD}\n", f"{files[CARD]}  {CARD}\n"))
        files[CHECKSUMS] = file_sha256(folder / CHECKSUMS)
        _replace(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    # What is there may be a link to somewhere else.
    partial.unlink(missing_ok=True)
    partial.write_text(text)
    partial.rename(path)
