"""Writing the programs of one split: `.mlir` files, the index, and the checksums of both."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlir_datagen import foreign
from mlir_datagen.dataset.arrow import joined_strings, letters, number_array, open_parquet, string_array
from mlir_datagen.dataset.diversity import DiversityCount
from mlir_datagen.dataset.paths import file_in_split, number_width
from mlir_datagen.dataset.schema import index_schema

CHECKSUMS = "SHA256SUMS"
_READ_SIZE = 1 << 20
# Nearly every value differs, so a dictionary would only be built and thrown away.
_WITHOUT_DICTIONARY = {"name", "file", "index", "spec", "sha256", "mlir"}


@dataclass(frozen=True)
class Storage:
    """Where a split's programs go.

    Attributes:
        folder: the folder of the `.mlir` files within the root, empty for the root itself; None for no files.
        index_names: the file names of the index.
        with_text: whether the index holds the programs' text.
        per_file: how many programs each of these files has, but for the last, which has the others.
    """

    folder: str | None
    index_names: Sequence[str]
    with_text: bool
    per_file: int = 1 << 62


class Checksums:
    """The checksum file of a folder as `sha256sum -c` reads it, written as the files are."""

    def __init__(self, root: Path) -> None:
        self._stream = (root / CHECKSUMS).open("a")

    def add(self, digest: str, file: str) -> None:
        """Add the line of one file."""
        self._stream.write(f"{digest}  {file}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def file_sha256(path: Path) -> str:
    """Return the digest of a file, read piece by piece.

    Raises:
        OSError: when it cannot be read, or is not a regular file.
    """
    digest = hashlib.sha256()
    with foreign.open_regular(path) as stream:
        while piece := stream.read(_READ_SIZE):
            digest.update(piece)
    return digest.hexdigest()


def index_writer(sink: Any, with_text: bool) -> Any:
    """Return a Parquet writer of index tables to a path or a stream."""
    schema = index_schema(with_text)
    repetitive = [name for name in schema.names if name not in _WITHOUT_DICTIONARY]
    return pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=repetitive)


def index_table(table: Any, names: list[str], files: list[str] | None, start: int, with_text: bool) -> Any:
    """Return the rows of the index for a program table whose programs are numbered from `start`."""
    schema = index_schema(with_text)
    place = {
        "name": string_array(names),
        "file": pa.nulls(len(names), pa.string()) if files is None else string_array(files),
        "index": number_array(np.arange(start, start + len(names))),
    }
    columns = [place[name] if name in place else table.column(name) for name in schema.names]
    return pa.Table.from_arrays(columns, schema=schema)


def dataset_digest(root: Path, splits: Mapping[str, Sequence[str]]) -> str:
    """Return the digest of a dataset: of every program's place and digest, in the order of its indexes.

    Not of the order in which they were written: what makes up for a rejected program is written later.

    Args:
        root: the dataset's folder, with the indexes written.
        splits: its splits, in order, with the files of their indexes.
    """
    digest = hashlib.sha256()
    for split, files in splits.items():
        for file in files:
            with open_parquet(root / file) as index:
                for batch in index.iter_batches(columns=["name", "sha256"]):
                    lines = joined_strings([f"{split}/", batch.column("name"), " ", batch.column("sha256"), "\n"])
                    digest.update(letters(lines))
    return digest.hexdigest()


class SplitWriter:
    """Writes programs in the order in which they come, and numbers them.

    Args:
        root: the folder that the index's `file` column is relative to.
        split: the split's name.
        size: how many programs will come; the width of the numbers in the names depends on it.
        storage: where they go.
        checksums: where the checksums of the `.mlir` files go, if anywhere.
        diversity: takes in the rows, if anything does.

    Attributes:
        counts: programs written, by family.
    """

    def __init__(
        self,
        root: Path,
        split: str,
        size: int,
        storage: Storage,
        checksums: Checksums | None = None,
        diversity: DiversityCount | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._split, self._size = split, size
        self._storage = storage
        self._checksums, self._diversity = checksums, diversity
        self._width = number_width(size)
        self._directory: int | None = None
        self._folders = {""}
        if storage.folder is not None:
            (root / storage.folder).mkdir(exist_ok=True, parents=True)
            self._directory = os.open(root / storage.folder, os.O_RDONLY | os.O_DIRECTORY)
        self._root = root
        self._names = deque(storage.index_names)
        self._index = self._next_index()
        self._room = storage.per_file

    @property
    def missing(self) -> int:
        """How many programs are still to come."""
        return self._size - self.counts.total()

    def write(self, table: Any, names: list[str] | None = None) -> list[str]:
        """Write the rows of a program table; return the names that the programs have now.

        Args:
            table: the rows.
            names: the programs' names, if they have some of their own; otherwise the family with a number.
        """
        start = self.counts.total()
        families = table.column("family").to_pylist()
        names = names or [f"{family}_{index:0{self._width}d}" for index, family in enumerate(families, start)]
        files = None
        if self._directory is not None:
            placed = [file_in_split(self._split, name) if self._storage.folder else f"{name}.mlir" for name in names]
            files = [os.path.join(self._storage.folder or "", file) for file in placed]
            self._write_files(self._directory, placed, table)
        if self._checksums is not None and files is not None:
            for digest, file in zip(table.column("sha256").to_pylist(), files, strict=True):
                self._checksums.add(digest, file)
        self._write_index(index_table(table, names, files, start, self._storage.with_text))
        if self._diversity is not None:
            self._diversity.add(self._split, table)
        self.counts.update(families)
        return names

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._index.close()
        if self._directory is not None:
            os.close(self._directory)

    def _next_index(self) -> Any:
        path = self._root / self._names.popleft()
        path.parent.mkdir(exist_ok=True, parents=True)
        return index_writer(path, self._storage.with_text)

    def _write_index(self, rows: Any) -> None:
        """Write rows to the file that is open, and to the next ones when it is full."""
        while len(rows) > self._room and self._names:
            if self._room:
                self._index.write_table(rows.slice(0, self._room))
            self._index.close()
            rows, self._index, self._room = rows.slice(self._room), self._next_index(), self._storage.per_file
        self._index.write_table(rows)
        self._room -= len(rows)

    def _write_files(self, directory: int, files: list[str], table: Any) -> None:
        for folder in {file.rpartition("/")[0] for file in files} - self._folders:
            os.mkdir(folder, dir_fd=directory)
            self._folders.add(folder)
        for path, text in zip(files, table.column("mlir").to_pylist(), strict=True):
            # Relative to the open folder: cheaper than a path that is looked up for every file.
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=directory)
            try:
                data = text.encode()
                # The system may write less at once, on a disk that is nearly full.
                while data:
                    data = data[os.write(file, data) :]
            finally:
                os.close(file)
