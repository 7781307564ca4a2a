"""Reading a finished dataset."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlir_datagen import foreign
from mlir_datagen.dataset.arrow import PARQUET_ERRORS, open_parquet, string_array
from mlir_datagen.dataset.licenses import DEFAULT_LICENSE
from mlir_datagen.dataset.manifest import MANIFEST, read_manifest
from mlir_datagen.dataset.paths import index_name, index_names, program_file
from mlir_datagen.dataset.schema import index_schema
from mlir_datagen.dataset.writer import CHECKSUMS
from mlir_datagen.errors import UserError, listed, nearest, said, shown
from mlir_datagen.mlir.bounds import nesting_problem
from mlir_datagen.mlir.signature import stored_argument
from mlir_datagen.programs.program import StoredProgram
from mlir_datagen.version import GENERATOR_VERSION

_ROWS_AT_A_TIME = 4096
_TEXT_FIELDS = 7
_LINE_BYTES = 512
"""More than a line of SHA256SUMS has."""

_NAME = re.compile(r"\w{1,200}", re.ASCII)
# What a program is read from; later versions may have added the others.
_NEEDED = ("name", "file", "source", "family", "spec", "sha256", "arguments", "results")


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

    @property
    def licenses(self) -> list[str]:
        """The licences that it is under."""
        # Version 0.9 and those before named none.
        return list(self.manifest.get("license", [DEFAULT_LICENSE]))

    def require_split(self, split: str) -> None:
        """Refuse a split that the dataset does not have.

        Raises:
            UserError: when it is none.
        """
        if split not in self.splits:
            raise UserError(
                f"{self.folder} has no split {shown(split)}.{nearest(str(split), self.splits)} It has "
                f"{listed(self.splits)}."
            )

    def count(self) -> int:
        """Return how many programs the manifest counts."""
        return sum(sum(families.values()) for families in self.manifest["counts"].values())

    def rows(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield the index, split by split in order, as (split, some rows).

        Raises:
            UserError: when an index cannot be read.
        """
        for split, file, batch in self.batches():
            yield split, self.rows_of(file, batch)

    def batches(self, rows: int = _ROWS_AT_A_TIME) -> Iterator[tuple[str, str, Any]]:
        """Yield the index in the same order, as (split, file, some rows of Arrow).

        Args:
            rows: how many rows at a time, at most.

        Raises:
            UserError: when an index cannot be read.
        """
        for split in self.splits:
            for file, batch in self._batches(split, rows):
                yield split, file, batch

    def _batches(self, split: str, rows: int) -> Iterator[tuple[str, Any]]:
        for file, index in self._indexes(split):
            with self._readable(file):
                for batch in index.iter_batches(rows):
                    yield file, batch

    def footers(self, split: str) -> Iterator[tuple[str, Any]]:
        """Yield the files of a split's index in order, each with what Parquet's footer says of its row groups.

        Raises:
            UserError: when an index cannot be read.
        """
        for file, index in self._indexes(split):
            yield file, index.metadata

    def row_group(self, file: str, number: int, columns: Sequence[str], footer: Any) -> Any:
        """Return some columns of a row group of a file of an index, as a table of Arrow.

        Args:
            file: the file.
            number: the group's number in it.
            columns: which columns.
            footer: of the file, so that it is not read again.

        Raises:
            UserError: when it cannot be read, or is not there any more.
        """
        with self._readable(file), open_parquet(self.folder / file, footer) as index:
            return index.read_row_group(number, columns=list(columns), use_threads=False)

    def _indexes(self, split: str) -> Iterator[tuple[str, Any]]:
        """Yield the files of a split's index, open, when their columns and numbers of rows are right."""
        left = sum(self.manifest["counts"][split].values())
        files = self.index_files(split)
        for file in files:
            with self.open_index(split, file) as index:
                left -= index.metadata.num_rows
                if left < 0 or (left and file == files[-1]):
                    raise self._miscounted(split, left)
                yield file, index

    @contextmanager
    def open_index(self, split: str, file: str) -> Iterator[Any]:
        """Open a file of a split's index, as a `ParquetFile` that has the columns which it must have.

        Raises:
            UserError: when it has not, or cannot be read here or within the context.
        """
        with self._readable(file), open_parquet(self.folder / file) as index:
            self._check_index(split, index)
            yield index

    @contextmanager
    def _readable(self, file: str) -> Iterator[None]:
        """Turn what reading a file of Parquet raises into a message for people."""
        try:
            yield
        except PARQUET_ERRORS as error:
            raise self.unreadable(file, error) from error

    def rows_of(self, file: str, batch: Any) -> list[dict[str, Any]]:
        """Return rows of Arrow as plain values.

        Raises:
            UserError: when they are none.
        """
        try:
            rows: list[dict[str, Any]] = batch.to_pylist()
        except (*PARQUET_ERRORS, UnicodeDecodeError) as error:
            raise self.unreadable(file, error) from error
        return rows

    def unreadable(self, file: str, error: Exception) -> UserError:
        """Say that a file of the dataset cannot be read."""
        return UserError(f"{self.folder / file} cannot be read ({said(error)}). Generate the dataset again.")

    def tables(self, split: str, rows: int = _ROWS_AT_A_TIME) -> Iterator[Any]:
        """Yield the index of a split in order, so many rows at a time, as tables of Arrow.

        Raises:
            UserError: when it cannot be read.
        """
        return (pa.Table.from_batches([batch]) for _, batch in self._batches(split, rows))

    def text_bytes(self, split: str, file: str, batch: Any) -> Any:
        """Return how many bytes the text of each program has, as an array of whole numbers.

        Args:
            split: of the programs.
            file: the index that they are from.
            batch: some of its rows, of Arrow.

        Raises:
            UserError: when a program's file is not there.
        """
        if self.manifest["storage"] != "files":
            return pc.binary_length(batch.column("mlir")).fill_null(0).cast(pa.int64()).to_numpy(zero_copy_only=False)
        sizes = np.empty(len(batch), np.int64)
        for place, row in enumerate(self.rows_of(file, batch.select(["name", "file"]))):
            self._check_place(split, row["name"], row["file"])
            try:
                sizes[place] = (self.folder / program_file(split, row["name"])).stat().st_size
            except OSError as error:
                raise self.unreadable(row["file"], error) from error
        return sizes

    def with_texts(self, split: str, table: Any) -> Any:
        """Return rows of a split's index with their programs' texts, which are those of their digests.

        Raises:
            UserError: when a text is another one, or is not to be given to MLIR's parser, or a file cannot be read.
        """
        try:
            names, files, digests = (table.column(name).to_pylist() for name in ("name", "file", "sha256"))
            stored = table.column("mlir").to_pylist() if self.manifest["storage"] != "files" else [None] * len(table)
        except UnicodeDecodeError as error:
            raise self.unreadable(index_name(split), error) from error
        texts = []
        for name, file, digest, own in zip(names, files, digests, stored, strict=True):
            self._check_place(split, name, file)
            text = self._text(split, name) if self.manifest["storage"] == "files" else own
            if text is None or hashlib.sha256(text.encode()).hexdigest() != digest:
                raise self._damaged(split, f"the text of {name} is not the one of its sha256")
            self._check_nesting(split, name, text)
            texts.append(text)
        without = table.drop_columns(["mlir"]) if "mlir" in table.schema.names else table
        return without.append_column("mlir", string_array(texts))

    def index_files(self, split: str) -> list[str]:
        """Return the files of a split's index, in their order.

        Raises:
            UserError: when the manifest does not list them all.
        """
        name = index_name(split)
        stem, listed = re.escape(name.removesuffix(".parquet")), self.manifest["files"]
        pattern = re.compile(rf"{stem}-\d{{5}}-of-(\d{{5}})\.parquet", re.ASCII)
        found = {file: match[1] for file in sorted(listed) if (match := pattern.fullmatch(file))}
        if not found or name in listed:
            return [name]
        # A file for each program at most.
        programs = sum(self.manifest["counts"][split].values())
        count = int(max(found.values()))
        if list(found) != index_names(split, count, 1) or count > programs:
            raise UserError(
                f"{self.folder / MANIFEST} is damaged: it lists {len(found)} files of the index of {split}, which says "
                f"that it has {count}. Generate the dataset again."
            )
        return list(found)

    @property
    def indexes(self) -> dict[str, list[str]]:
        """The files of the index of each split."""
        return {split: self.index_files(split) for split in self.splits}

    def _miscounted(self, split: str, left: int) -> UserError:
        counted = sum(self.manifest["counts"][split].values())
        rows = f"{counted - left} rows" if left >= 0 else f"more than {counted} rows"
        return self._damaged(split, f"it has {rows}, and the manifest counts {counted} programs")

    def _check_index(self, split: str, index: Any) -> None:
        """Refuse an index without what programs are read from, before any row of it is."""
        with_text = self.manifest["storage"] != "files"
        expected = index_schema(with_text)
        is_ours = self.manifest["generator_version"] == GENERATOR_VERSION
        if is_ours and (others := set(index.schema_arrow.names) - set(expected.names)):
            raise self._damaged(split, f"it has a column {said(sorted(others)[0])}, which there is not")
        for column in expected.names if is_ours else (*_NEEDED, *(["mlir"] if with_text else [])):
            place = index.schema_arrow.get_field_index(column)
            if place < 0 or index.schema_arrow.field(place).type != expected.field(column).type:
                raise self._damaged(split, f"it has no column {column} of the type {expected.field(column).type}")

    def _damaged(self, split: str, why: str) -> UserError:
        return UserError(f"{self.folder / index_name(split)} is damaged: {why}. Generate the dataset again.")

    def programs(self) -> Iterator[StoredProgram]:
        """Yield the programs, split by split in the order of the index.

        Raises:
            UserError: when an index, or the file of a program, cannot be read.
        """
        for split, rows in self.rows():
            for row in rows:
                yield self.program(split, row)

    def program(self, split: str, row: Mapping[str, Any]) -> StoredProgram:
        """Return the program of a row of the index.

        Raises:
            UserError: when the row lacks something, or its file cannot be read.
        """
        name, storage = row["name"], self.manifest["storage"]
        self._check_place(split, name, row["file"])
        try:
            program = StoredProgram(
                split=split,
                name=name,
                source=row["source"],
                family=row["family"],
                spec=row["spec"],
                sha256=row["sha256"],
                text=self._text(split, name) if storage == "files" else row["mlir"],
                arguments=tuple(map(stored_argument, row["arguments"])),
                results=tuple(map(stored_argument, row["results"])),
            )
        except (TypeError, ValueError) as error:
            raise self._damaged(split, f"the row of {name} lacks something ({said(error)})") from error
        if not all(isinstance(field, str) for field in program[:_TEXT_FIELDS]):
            raise self._damaged(split, f"the row of {name} lacks something")
        self._check_nesting(split, name, program.text)
        return program

    def _check_place(self, split: str, name: Any, file: Any) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise self._damaged(split, f"it has a program named {shown(name)}")
        expected = program_file(split, name)
        if self.manifest["storage"] != "parquet" and file != expected:
            raise self._damaged(split, f"the file of {name} is {shown(file)} where it must be {expected}")

    def _check_nesting(self, split: str, name: str, text: str) -> None:
        if problem := nesting_problem(text):
            raise UserError(f"The program {split}/{name} of {self.folder} is not given to MLIR's parser: {problem}.")

    def _text(self, split: str, name: str) -> str:
        path = self.folder / program_file(split, name)
        try:
            return foreign.read_text(path, foreign.LARGEST_PROGRAM)
        except (OSError, UnicodeDecodeError) as error:
            raise self.unreadable(program_file(split, name), error) from error

    def checksums(self) -> dict[str, str]:
        """Return the digest of each file that SHA256SUMS lists.

        Raises:
            UserError: when that file is missing or is not of its format.
        """
        path = self.folder / CHECKSUMS
        try:
            most = _LINE_BYTES * (2 * self.count() + len(self.manifest["files"]))
            pairs = [line.split("  ", 1) for line in foreign.read_text(path, most).splitlines()]
            listed = {file: digest for digest, file in pairs}
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged or missing ({said(error)}). Generate the dataset again.") from error
        if len(listed) < len(pairs):
            raise UserError(f"{path} is damaged: it lists a file twice. Generate the dataset again.")
        return listed
