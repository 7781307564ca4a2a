"""Reading a finished dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from mlir_datagen.dataset.manifest import read_manifest
from mlir_datagen.dataset.places import index_name
from mlir_datagen.dataset.writer import CHECKSUMS, file_sha256
from mlir_datagen.errors import UserError
from mlir_datagen.nn.signature import Argument

PARQUET_ERRORS = (pa.ArrowException, OSError)
"""What reading a damaged index raises."""

_ROWS_AT_A_TIME = 4096
_TEXT_FIELDS = 7


class StoredProgram(NamedTuple):
    """A program as a dataset holds it."""

    split: str
    name: str
    source: str
    family: str
    spec: str
    sha256: str
    text: str
    arguments: tuple[Argument, ...]
    results: tuple[Argument, ...]


class Dataset:
    """A dataset's folder.

    Raises:
        UserError: when it is not one, or one that this version cannot read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)

    @property
    def splits(self) -> list[str]:
        """The names of the splits."""
        return list(self.manifest["counts"])

    def count(self) -> int:
        """Return how many programs the manifest counts."""
        return sum(sum(families.values()) for families in self.manifest["counts"].values())

    def tables(self) -> Iterator[tuple[str, Any]]:
        """Yield the index, split by split in order, as (split, some rows).

        Raises:
            UserError: when an index cannot be read.
        """
        for split in self.splits:
            path = self.folder / index_name(split)
            try:
                for batch in pq.ParquetFile(path).iter_batches(_ROWS_AT_A_TIME):
                    yield split, pa.Table.from_batches([batch])
            except PARQUET_ERRORS as error:
                raise UserError(f"{path} cannot be read ({error}). Generate the dataset again.") from error

    def programs(self) -> Iterator[StoredProgram]:
        """Yield the programs, split by split in the order of the index.

        Raises:
            UserError: when an index, or the file of a program, cannot be read.
        """
        for split, table in self.tables():
            for row in table.to_pylist():
                yield self.program(split, row)

    def program(self, split: str, row: Mapping[str, Any]) -> StoredProgram:
        """Return the program of a row of the index.

        Raises:
            UserError: when the row lacks something, or its file cannot be read.
        """
        try:
            text = row["mlir"] if self.manifest["storage"] != "files" else (self.folder / row["file"]).read_text()
            program = StoredProgram(
                split=split,
                name=row["name"],
                source=row["source"],
                family=row["family"],
                spec=row["spec"],
                sha256=row["sha256"],
                text=text,
                arguments=tuple(map(_argument, row["arguments"])),
                results=tuple(map(_argument, row["results"])),
            )
        except (KeyError, TypeError, OSError, UnicodeDecodeError) as error:
            raise UserError(f"A row of {self.folder / index_name(split)} is damaged ({error!r}).") from error
        if not all(isinstance(field, str) for field in program[:_TEXT_FIELDS]):
            raise UserError(f"A row of {self.folder / index_name(split)} is damaged: {program.name!r} lacks something.")
        return program

    def checksums(self) -> dict[str, str]:
        """Return the digest of each file that SHA256SUMS lists.

        Raises:
            UserError: when that file is missing or is not of its format.
        """
        path = self.folder / CHECKSUMS
        try:
            pairs = [line.split("  ", 1) for line in path.read_text().splitlines()]
            return {file: digest for digest, file in pairs}
        except (FileNotFoundError, UnicodeDecodeError, ValueError) as error:
            raise UserError(f"{path} is damaged or missing ({error}). Generate the dataset again.") from error


def _argument(stored: Mapping[str, Any]) -> Argument:
    return Argument(stored["role"], stored["name"], stored["dtype"], tuple(stored["shape"]))


def changed_files(folder: Path, listed: Mapping[str, str]) -> Iterator[str]:
    """Say what is wrong with the files of a folder whose digests are listed."""
    for file, digest in listed.items():
        if not (folder / file).is_file():
            yield f"{file} is missing"
        elif file_sha256(folder / file) != digest:
            yield f"{file} was changed"
