"""Reading a finished dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from mlir_datagen.dataset.manifest import read_manifest
from mlir_datagen.dataset.writer import CHECKSUMS, file_sha256
from mlir_datagen.errors import UserError

_ROWS_AT_A_TIME = 4096


class StoredProgram(NamedTuple):
    """A program as a dataset holds it."""

    split: str
    name: str
    family: str
    spec: str
    sha256: str
    text: str


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

    def programs(self) -> Iterator[StoredProgram]:
        """Yield the programs, split by split in the order of the index."""
        stored = self.manifest["storage"] != "files"
        columns = ["name", "family", "spec", "sha256", "mlir" if stored else "file"]
        for split in self.splits:
            for batch in pq.ParquetFile(self.folder / f"{split}.parquet").iter_batches(
                _ROWS_AT_A_TIME, columns=columns
            ):
                for row in batch.to_pylist():
                    text = row["mlir"] if stored else (self.folder / row["file"]).read_text()
                    yield StoredProgram(split, row["name"], row["family"], row["spec"], row["sha256"], text)

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


def changed_files(folder: Path, listed: Mapping[str, str]) -> Iterator[str]:
    """Say what is wrong with the files of a folder whose digests are listed."""
    for file, digest in listed.items():
        if not (folder / file).is_file():
            yield f"{file} is missing"
        elif file_sha256(folder / file) != digest:
            yield f"{file} was changed"


PARQUET_ERRORS = (pa.ArrowInvalid, pa.ArrowKeyError, OSError)
"""What reading a damaged index raises."""
