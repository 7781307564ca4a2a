"""The measured times of a dataset: files and a part of the manifest of their own, as no two sessions give the same.

`measurements/` has a file for each split, such as `measurements/train.parquet`, with a row for each program that has a
time. The dataset's digest and SHA256SUMS leave them out; the manifest covers them. The card says what share of them was
disturbed, and is otherwise the same without them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlir_datagen.dataset.amending import amend
from mlir_datagen.dataset.arrow import (
    PARQUET_ERRORS,
    number_array,
    open_parquet,
    repeated_string,
    string_array,
    truth_array,
)
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
    "machine": "the id of the machine, which `manifest.json` describes",
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
        settings: machines, pipeline and settings of the session.
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
        "machines": _with_programs(settings["machines"], measured),
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


def _with_programs(machines: Sequence[Mapping[str, Any]], measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return the records of the machines that times are of, with how many each has."""
    programs = Counter(measurement.machine for _, _, measurement in measured)
    return [{**one, "programs": programs[one["id"]]} for one in machines if programs[one["id"]]]


def read_measurements(folder: Path) -> dict[tuple[str, str], Measurement]:
    """Return the time of each program, by split and name.

    Raises:
        UserError: when it is no dataset, has no times, or a file of them is damaged.
    """
    return {place: time for file in _files_of(folder) for place, time in _times(folder, file, _read(folder, file))}


def read_measurement(folder: Path, split: str, name: str) -> Measurement | None:
    """Return the time of one program, without making values of all others; None where it has none.

    Raises:
        UserError: as `read_measurements`.
    """
    # Scalars of Arrow, since making one of a text imports pandas.
    wanted = string_array([split, name])
    for file in _files_of(folder):
        if file in (OLD_MEASUREMENTS, measurements_file(split)):
            table = _read(folder, file)
            is_it = pc.and_(pc.equal(table.column("split"), wanted[0]), pc.equal(table.column("name"), wanted[1]))
            for _, time in _times(folder, file, table.filter(is_it)):
                return time
    return None


def measurement_table(folder: Path) -> Any:
    """Return the times of all programs as a table of Arrow.

    Raises:
        UserError: as `read_measurements`.
    """
    return pa.concat_tables([_read(folder, file) for file in _files_of(folder)])


def _files_of(folder: Path) -> Collection[str]:
    """Return the files of a dataset's times."""
    told = read_manifest(folder).get(MEASUREMENTS_KEY)
    if told is None:
        raise UserError(f"{folder} has no measured times. Measure them first: python scripts/measure.py {folder}")
    return measured_files(told)


def _read(folder: Path, file: str) -> Any:
    """Return the times of a file as a table."""
    try:
        with open_parquet(folder / file) as opened:
            table = opened.read()
        if file == OLD_MEASUREMENTS and "machine" not in table.schema.names:
            (machine,) = read_manifest(folder)[MEASUREMENTS_KEY]["machines"]
            table = table.append_column("machine", repeated_string(machine["id"], len(table)))
        if table.schema.names != list(_COLUMNS) or any(column.null_count for column in table.columns):
            raise ValueError(f"its columns must be {listed(_COLUMNS)}, without a gap")
        return table.cast(pa.schema(_COLUMNS))
    except (*PARQUET_ERRORS, ValueError) as error:
        raise _damaged(folder, file, error) from error


def _times(folder: Path, file: str, table: Any) -> Iterator[tuple[tuple[str, str], Measurement]]:
    """Yield place and time of rows of a file of times."""
    try:
        rows = table.to_pylist()
        if file != OLD_MEASUREMENTS and any(measurements_file(row["split"]) != file for row in rows):
            raise ValueError("it has the time of a program of another split")
    except (*PARQUET_ERRORS, ValueError) as error:
        raise _damaged(folder, file, error) from error
    for row in rows:
        yield (row.pop("split"), row.pop("name")), Measurement(**row)


def _damaged(folder: Path, file: str, error: Exception) -> UserError:
    return UserError(
        f"{folder / file} is damaged: {said(error)}. Measure the dataset again: python scripts/measure.py {folder}"
    )


def record_measurements(
    folder: Path, manifest: dict[str, Any], measured: Sequence[Measured], settings: Mapping[str, Any], failed: int
) -> None:
    """Add times to a finished dataset, or replace the ones it has, and write the manifest anew.

    Its presentation, which shows the times, is removed.

    Args:
        folder: the dataset.
        manifest: its manifest, which is changed.
        measured: the times.
        settings: machines, pipeline and settings of the session.
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
