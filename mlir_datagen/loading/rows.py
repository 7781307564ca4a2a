"""Rows of a dataset's index by their number, read a row group of Parquet at a time."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlir_datagen.dataset.arrow import array_of, number_array, optional_number_array
from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY
from mlir_datagen.dataset.measurements import MEASUREMENT_COLUMNS, read_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.dataset.schema import index_schema

Positions = NDArray[np.int64]
"""Numbers of rows in the whole dataset, split after split."""

TIME_COLUMNS = {name: type_ for name, (type_, _) in MEASUREMENT_COLUMNS.items() if name not in ("split", "name")}
"""What a measured dataset has besides the columns of its index, and its type."""

_TEXT_NEEDS = ("name", "file", "sha256")
_KEPT_BYTES = 256 << 20
"""Of the row groups that were read last; one with texts has some 5 MB."""


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """A row group of a file of an index.

    Attributes:
        split: the split.
        file: the file, relative to the folder.
        number: the group's number in the file.
        start: the number of its first row in the split.
    """

    split: str
    file: str
    number: int
    start: int


class Rows:
    """The rows of a dataset, numbered through all its splits.

    It can be sent to other processes, which read the files themselves.

    Args:
        folder: the dataset's.

    Attributes:
        dataset: the dataset.
        groups: its row groups, in order.
        ends: the number of the first row of each group, and at last how many rows there are.
        schema: the columns that rows have, those of measured times included.

    Raises:
        UserError: when it is no dataset, or is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.dataset = Dataset(folder)
        self.groups: list[RowGroup] = []
        self._footers: dict[str, Any] = {}
        sizes: list[int] = []
        for split in self.dataset.splits:
            start = 0
            for file, footer in self.dataset.footers(split):
                self._footers[file] = footer
                for number in range(footer.num_row_groups):
                    self.groups.append(RowGroup(split, file, number, start))
                    sizes.append(footer.row_group(number).num_rows)
                    start += sizes[-1]
        self.ends: Positions = np.cumsum([0, *sizes])
        self.schema = _schema(MEASUREMENTS_KEY in self.dataset.manifest)
        self._kept: OrderedDict[tuple[int, tuple[str, ...]], Any] = OrderedDict()

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": OrderedDict()}

    def split_positions(self, split: str) -> Positions:
        """Return the numbers of a split's rows."""
        bounds = zip(self.groups, pairwise(self.ends.tolist()), strict=True)
        parts = [np.arange(first, last) for group, (first, last) in bounds if group.split == split]
        return np.concatenate(parts) if parts else np.arange(0)

    def groups_of(self, positions: Positions) -> Positions:
        """Return for each row the number of the row group that has it."""
        return np.searchsorted(self.ends, positions, side="right") - 1

    def tables(self, positions: Positions, columns: Sequence[str]) -> Iterator[Any]:
        """Yield some columns of rows, in the order of their numbers: as many at a time as one row group has of them.

        Raises:
            UserError: when a file cannot be read, or a text is another than its digest says.
        """
        groups = self.groups_of(positions)
        bounds = [0, *(np.flatnonzero(np.diff(groups)) + 1).tolist(), len(positions)]
        for first, last in pairwise(bounds):
            if first < last:
                group = int(groups[first])
                yield self._rows_of(group, positions[first:last] - self.ends[group], tuple(columns))

    def _rows_of(self, group: int, inside: Positions, columns: tuple[str, ...]) -> Any:
        """Return rows of a group by their numbers in it."""
        of = self.groups[group]
        stored = [name for name in columns if name not in TIME_COLUMNS and name != "mlir"]
        with_text = "mlir" in columns
        read = tuple(dict.fromkeys([*stored, *(_TEXT_NEEDS if with_text else ()), *(["name"] if not stored else [])]))
        table = self._group(group, (*read, *(["mlir"] if with_text and self._stores_text else [])))
        in_a_row = bool((np.diff(inside) == 1).all())
        table = table.slice(int(inside[0]), len(inside)) if in_a_row else table.take(number_array(inside))
        if with_text:
            table = self.dataset.with_texts(of.split, table)
        arrays = [
            self._times[of.split][name].take(number_array(inside + of.start))
            if name in TIME_COLUMNS
            else table.column(name)
            for name in columns
        ]
        return pa.Table.from_arrays(arrays, schema=pa.schema([self.schema.field(name) for name in columns]))

    def _group(self, group: int, columns: tuple[str, ...]) -> Any:
        """Return columns of a group, those read last from memory."""
        key = (group, columns)
        if key not in self._kept:
            of = self.groups[group]
            self._kept[key] = self.dataset.row_group(of.file, of.number, columns, self._footers[of.file])
            while len(self._kept) > 1 and sum(table.nbytes for table in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    @property
    def _stores_text(self) -> bool:
        return bool(self.dataset.manifest["storage"] != "files")

    @cached_property
    def _times(self) -> Mapping[str, Mapping[str, Any]]:
        """The measured times of each split, in the order of its rows, with null for programs that have none."""
        times = read_measurements(self.dataset.folder)
        found: dict[str, dict[str, Any]] = {}
        for split in self.dataset.splits:
            positions = self.split_positions(split)
            names = [name for table in self.tables(positions, ["name"]) for name in table.column("name").to_pylist()]
            rows = [times.get((split, name)) for name in names]
            found[split] = {
                column: _time_array([None if row is None else getattr(row, column) for row in rows], type_)
                for column, type_ in TIME_COLUMNS.items()
            }
        return found


def _time_array(values: list[Any], type_: Any) -> Any:
    if type_ == pa.bool_():
        return optional_number_array(values, np.uint8).cast(type_)
    return array_of(values, type_)


def _schema(with_times: bool) -> Any:
    return pa.schema([*index_schema(with_text=True), *(TIME_COLUMNS.items() if with_times else ())])
