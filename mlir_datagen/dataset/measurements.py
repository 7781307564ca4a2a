"""The measured times of a dataset: files and a part of the manifest of their own, as no two sessions give the same.

`measurements/` has a file for each split, such as `measurements/train.parquet`, with a row for each program that has a
time. The dataset's digest and SHA256SUMS leave them out; the manifest covers them. The card says what share of them was
disturbed, and is otherwise the same without them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlir_datagen.dataset.amending import amend
from mlir_datagen.dataset.arrow import PARQUET_ERRORS, number_array, open_parquet, string_array, truth_array
from mlir_datagen.dataset.card_sections import with_pictures, with_times
from mlir_datagen.dataset.disk_errors import recordable
from mlir_datagen.dataset.locks import locked
from mlir_datagen.dataset.manifest import (
    MEASUREMENTS_KEY,
    OLD_MEASUREMENTS,
    PRESENTATION_KEY,
    measured_files,
    presented_files,
    read_manifest,
)
from mlir_datagen.dataset.paths import measurements_file
from mlir_datagen.errors import UserError, listed, said
from mlir_datagen.programs.proof import Measurement

Measured = tuple[str, str, Measurement]
"""Split, name, and time of a program."""

_TYPES = {
    **dict.fromkeys(("median_ns", "min_ns", "iqr_ns", "cpu_ns"), pa.float64()),
    "disturbed": pa.bool_(),
}
_ARRAYS: dict[Any, Callable[[list[Any]], Any]] = {
    pa.string(): string_array,
    pa.bool_(): truth_array,
    pa.int64(): lambda values: number_array(np.array(values, np.int64)),
    pa.float64(): lambda values: number_array(np.array(values, np.float64)),
}
_MEANINGS = {
    "median_ns": "the median of the undisturbed runs in nanoseconds, by the wall's clock; where there is none, of the "
    "thread's processor time",
    "min_ns": "the least of these",
    "iqr_ns": "their interquartile range",
    "runs": "how many runs these are of",
    "set_aside": "how many further runs were disturbed: something else had the core meanwhile",
    "calls_per_run": "how many calls in a row a run times; its time is divided by them",
    "cpu_ns": "the median of the thread's processor time in these runs, with that of reading the clocks",
    "disturbed": "whether too few runs were undisturbed, or the machine was slower than it can be",
    "compile_ns": "processor time of lowering and compiling",
}
MEASUREMENT_COLUMNS = {
    "split": (pa.string(), "the split that the program belongs to"),
    "name": (pa.string(), "its name in there"),
    **{
        field.name: (_TYPES.get(field.name, pa.int64()), _MEANINGS[field.name])
        for field in dataclasses.fields(Measurement)
    },
}
"""What is known of a program's time, and what it means."""

_COLUMNS = {name: type_ for name, (type_, _) in MEASUREMENT_COLUMNS.items()}


def write_measurements(
    folder: Path, measured: Sequence[Measured], settings: Mapping[str, Any], failed: int
) -> dict[str, Any]:
    """Write the times into a folder that becomes a dataset; return what the manifest says of them.

    Args:
        folder: where the files go.
        measured: the times.
        settings: machine, pipeline and settings of the session.
        failed: how many programs of the dataset have no time.
    """
    files = _files(measured)
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    return _described(measured, files, settings, failed)


def _described(
    measured: Sequence[Measured], files: Mapping[str, bytes], settings: Mapping[str, Any], failed: int
) -> dict[str, Any]:
    """Return what the manifest says of times."""
    return {
        "programs": len(measured),
        "failed": failed,
        "disturbed": sum(measurement.disturbed for _, _, measurement in measured),
        "files": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
        **settings,
    }


def _files(measured: Sequence[Measured]) -> dict[str, bytes]:
    """Return the files of times, by their paths in the dataset."""
    by_split: dict[str, list[dict[str, Any]]] = {}
    for split, name, measurement in measured:
        by_split.setdefault(split, []).append({"split": split, "name": name, **dataclasses.asdict(measurement)})
    return {measurements_file(split): _content(rows) for split, rows in by_split.items()}


def _content(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the times of a split as a file of Parquet."""
    columns = [_ARRAYS[type_]([row[name] for row in rows]) for name, type_ in _COLUMNS.items()]
    content = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, names=list(_COLUMNS)), content, compression="zstd")
    return content.getvalue()


def read_measurements(folder: Path) -> dict[tuple[str, str], Measurement]:
    """Return the time of each program, by split and name.

    Raises:
        UserError: when it is no dataset, has no times, or a file of them is damaged.
    """
    told = read_manifest(folder).get(MEASUREMENTS_KEY)
    if told is None:
        raise UserError(f"{folder} has no measured times. Measure them first: python scripts/measure.py {folder}")
    return {place: time for file in measured_files(told) for place, time in _read(folder, file).items()}


def _read(folder: Path, name: str) -> dict[tuple[str, str], Measurement]:
    """Return the times of a file, by split and name."""
    try:
        with open_parquet(folder / name) as file:
            table = file.read()
        if table.schema.names != list(_COLUMNS) or any(column.null_count for column in table.columns):
            raise ValueError(f"its columns must be {listed(_COLUMNS)}, without a gap")
        rows = table.cast(pa.schema(_COLUMNS)).to_pylist()
        if name != OLD_MEASUREMENTS and any(measurements_file(row["split"]) != name for row in rows):
            raise ValueError("it has the time of a program of another split")
    except (*PARQUET_ERRORS, ValueError) as error:
        raise UserError(
            f"{folder / name} is damaged: {said(error)}. Measure the dataset again: python scripts/measure.py {folder}"
        ) from error
    return {(row.pop("split"), row.pop("name")): Measurement(**row) for row in rows}


def record_measurements(
    folder: Path, manifest: dict[str, Any], measured: Sequence[Measured], settings: Mapping[str, Any], failed: int
) -> None:
    """Add times to a finished dataset, or replace the ones it has, and write the manifest anew.

    Its presentation, which shows the times, is removed.

    Args:
        folder: the dataset.
        manifest: its manifest, which is changed.
        measured: the times.
        settings: machine, pipeline and settings of the session.
        failed: how many programs have no time.

    Raises:
        UserError: when the folder cannot be written.
    """
    with recordable(folder), locked(folder, lambda: None):
        gone = {*measured_files(manifest.get(MEASUREMENTS_KEY, {})), *presented_files(manifest)}
        files = _files(measured)
        described = manifest[MEASUREMENTS_KEY] = _described(measured, files, settings, failed)
        manifest.pop(PRESENTATION_KEY, None)
        amend(folder, manifest, lambda card: with_pictures(with_times(card, described), {}), files, gone)
