"""The programs of a dataset as a sequence of rows, or those of them that a split, a slice or a filter leaves."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlir_datagen.dataset.arrow import array_of, number_array, truth_array
from mlir_datagen.errors import UserError, listed, nearest, said, shown
from mlir_datagen.loading.leaves import leaf_array, leaf_type
from mlir_datagen.loading.rows import Positions, Rows

if TYPE_CHECKING:
    from mlir_datagen.loading.torch_data import ProgramStream, TorchPrograms

Row = dict[str, Any]

_ROWS_AT_A_TIME = 1024
_POSITION = "__position"
_MOST_COMPARED = 10_000


class NoSuchProgram(UserError, KeyError, IndexError):
    """A number or a name that no program has."""

    __str__ = UserError.__str__


class Programs(Sequence[Row]):
    """Programs of a dataset, in the order of its splits and indexes.

    A row is a mapping of plain values with the columns that the dataset's card explains; `mlir` is there also where the
    texts are in files, and a measured dataset has the columns of its times, with None where a program has none.

    Args:
        rows: the dataset's rows.
        positions: the numbers of those that are meant.
    """

    def __init__(self, rows: Rows, positions: Positions) -> None:
        self._rows = rows
        self._positions = positions

    @classmethod
    def of_folder(cls, folder: Path) -> Programs:
        """Return all programs of a dataset."""
        rows = Rows(folder)
        return cls(rows, np.arange(len(rows)))

    @property
    def folder(self) -> Path:
        """The dataset's folder."""
        return self._rows.dataset.folder

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the dataset's manifest says."""
        return self._rows.dataset.manifest

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._rows.schema.names)

    @property
    def schema(self) -> Any:
        """The columns' names and types, as Arrow has them."""
        return self._rows.schema

    @property
    def splits(self) -> list[str]:
        """The dataset's splits."""
        return list(self._rows.dataset.splits)

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, key: SupportsIndex | str) -> Row: ...
    @overload
    def __getitem__(self, key: slice) -> Programs: ...
    def __getitem__(self, key: SupportsIndex | str | slice) -> Row | Programs:
        """Return the row of a program by its number here or its name, or the programs of a slice.

        Args:
            key: a number, from the end where it is negative; a name, as `matmul_0012`, with its split before it where
                several splits have it, as `test/matmul_0012`; or a slice.

        Raises:
            NoSuchProgram: where there is none, or several splits have one. It is an IndexError and a KeyError.
        """
        if isinstance(key, slice):
            return Programs(self._rows, self._positions[key])
        position = self._named(key) if isinstance(key, str) else self._numbered(key)
        (table,) = self._rows.tables(np.array([position]), self.columns)
        row: Row = table.to_pylist()[0]
        return row

    def __iter__(self) -> Iterator[Row]:
        for table in self.batches():
            yield from table.to_pylist()

    def split(self, name: str) -> Programs:
        """Return those of a split.

        Raises:
            UserError: when the dataset has no such split.
        """
        self._rows.dataset.require_split(name)
        return Programs(self._rows, self._positions[np.isin(self._positions, self._rows.split_positions(name))])

    def shards(self) -> list[Programs]:
        """Return the programs file by file of the index: what machines or processes can share among them."""
        files = [group.file for group in self._rows.groups]
        numbers = np.array([files.index(file) for file in files], np.int64)
        places = numbers[self._rows.groups_of(self._positions)]
        return [Programs(self._rows, self._positions[places == number]) for number in np.unique(places)]

    def row_groups(self) -> list[NDArray[np.int64]]:
        """Return the numbers of the programs here, those of each row group together: what is read at once."""
        places = self._rows.groups_of(self._positions)
        order = np.argsort(places, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(places[order])) + 1) if len(order) else []

    def take(self, numbers: Sequence[int] | NDArray[np.integer[Any]]) -> Programs:
        """Return some programs by their numbers here, in that order.

        Raises:
            NoSuchProgram: for a number that no program has.
        """
        wanted = np.asarray(numbers, np.int64)
        for number in wanted[(wanted < -len(self)) | (wanted >= len(self))][:1]:
            self._numbered(int(number))
        return Programs(self._rows, self._positions[wanted])

    def where(self, *conditions: Any, **values: Any) -> Programs:
        """Return those that fulfil all conditions.

            programs.where(family="matmul", dtype=["f32", "f16"])
            programs.where(pyarrow.compute.field("flops") < 1e9)

        Args:
            conditions: expressions of `pyarrow.compute` over columns.
            values: for some columns the value, or a list of the values, that they must have; None for missing ones.

        Raises:
            UserError: for a column that there is not, or a value or an expression that does not fit the columns' types.
        """
        expressions = [*conditions, *(self._equal(column, value) for column, value in values.items())]
        for condition in conditions:
            if not isinstance(condition, pc.Expression):
                raise UserError(
                    f"A condition is {shown(condition)}, and must be an expression of pyarrow.compute, as "
                    'pyarrow.compute.field("flops") < 1e9; or a column and its value, as family="matmul".'
                )
        # What an expression has words of, it may read.
        words = set(re.findall(r"\w+", " ".join(map(str, expressions))))
        columns = [column for column in self.columns if column in words]
        kept = self._positions
        for expression in expressions:
            kept = np.concatenate([kept[:0], *self._fulfilling(expression, kept, columns)])
        return Programs(self._rows, kept)

    def batches(self, rows: int = _ROWS_AT_A_TIME, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Yield the programs in order as tables of Arrow.

        Args:
            rows: the most that one table has.
            columns: which columns; all when left out.

        Raises:
            UserError: for a column that there is not, or when a file cannot be read.
        """
        if rows < 1:
            raise UserError(f"rows is {shown(rows)}, and must be a whole number from 1.")
        for table in self._rows.tables(self._positions, self._known(columns)):
            for start in range(0, len(table), rows):
                yield table.slice(start, rows)

    def table(self, columns: Sequence[str] | None = None) -> Any:
        """Return all programs as one table of Arrow, for `.to_pandas()`, polars or DuckDB.

        Args:
            columns: which columns; all when left out.

        Raises:
            UserError: as `batches` does.
        """
        known = self._known(columns)
        schema = pa.schema([self._rows.schema.field(column) for column in known])
        tables = list(self._rows.tables(self._positions, known))
        return pa.concat_tables(tables) if tables else schema.empty_table()

    def words(self, column: str) -> list[str]:
        """Return the different words that a column of texts has, or a part of one, as `nodes.op`; sorted.

        Raises:
            UserError: when there is no such column, or it has no texts.
        """
        if not pa.types.is_string(leaf_type(self._rows.schema, column).type):
            raise UserError(f"{column} has no words, but numbers. Name a column of texts, as family or nodes.op.")
        found: set[str] = set()
        for table in self._rows.tables(self._positions, [column.partition(".")[0]]):
            array = leaf_array(table, column)
            while pa.types.is_list(array.type):
                array = array.flatten()
            found.update(word for word in pc.unique(array).to_pylist() if word is not None)
        return sorted(found)

    def torch(self, columns: Sequence[str] | None = None, **settings: Any) -> TorchPrograms:
        """Return the programs as a dataset of PyTorch, whose `collate` makes batches of what differs in length.

            data = programs.torch(["nodes.flops", "edges", "median_ns"])
            loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True, collate_fn=data.collate)

        The columns are read into memory, once for all workers of a loader. With `DistributedSampler`, or
        `data.loader(batch_size)`, each rank has its share.

        Args:
            columns: columns, or parts of them, as `loops.bound`; all when left out.
            settings: of `mlir_datagen.loading.torch_batches.Collating`: `ragged`, `padding`, `missing`, `codes`.

        Raises:
            UserError: for a column or a setting that there is not, or where PyTorch is not installed.
        """
        _require_torch()
        # Only here, since it imports PyTorch.
        from mlir_datagen.loading.torch_data import TorchPrograms

        return TorchPrograms(self, columns, **settings)

    def stream(self, columns: Sequence[str] | None = None, **settings: Any) -> ProgramStream:
        """Return the programs as an iterable dataset of PyTorch, for more than the memory holds.

        Ranks and the workers of a loader share them: each program comes once in an epoch.

        Args:
            columns: as of `torch`.
            settings: those of `torch`, and `shuffle`, `seed`, `rank`, `world_size` and `drop_last` of
                `mlir_datagen.loading.torch_data.ProgramStream`.

        Raises:
            UserError: as `torch` does.
        """
        _require_torch()
        from mlir_datagen.loading.torch_data import ProgramStream

        return ProgramStream(self, columns, **settings)

    def __repr__(self) -> str:
        return f"<{len(self)} programs of {self.folder}>"

    def _known(self, columns: Sequence[str] | None) -> list[str]:
        """Return columns, when there are such."""
        if isinstance(columns, str):
            raise UserError(f"columns is {columns!r}, and must be a list: [{columns!r}].")
        known = self.columns
        for column in columns or ():
            if column not in known:
                raise UserError(self._no_column(column))
        return known if columns is None else list(columns)

    def _no_column(self, column: str) -> str:
        times = "" if "median_ns" in self.columns else " It has no measured times."
        return (
            f"{self.folder} has no column {shown(column)}.{nearest(str(column), self.columns)} It has "
            f"{listed(self.columns)}.{times}"
        )

    def _numbered(self, number: SupportsIndex) -> int:
        try:
            index = operator.index(number)
        except TypeError:
            raise UserError(f"{shown(number)} is no number and no name of a program.") from None
        if not -len(self) <= index < len(self):
            raise NoSuchProgram(f"There is no program {index}: there are {len(self)}, from 0 on.")
        return int(self._positions[index])

    def _named(self, key: str) -> int:
        split, slash, name = key.rpartition("/")
        places = self.split(split) if slash else self
        found = places.where(name=name)
        if len(found) == 1:
            return int(found._positions[0])
        if not len(found):
            known = (word for table in places.batches(columns=["name"]) for word in table.column("name").to_pylist())
            near = nearest(name, islice(known, _MOST_COMPARED))
            raise NoSuchProgram(f"No program here is named {shown(key)}.{near}")
        homes = [f"{of}/{name}" for of in found.table(["split"]).column("split").to_pylist()]
        raise NoSuchProgram(f"{len(homes)} programs are named {name}: type which, as {listed(homes)}.")

    def _equal(self, column: str, value: Any) -> Any:
        """Return the condition that a column has a value, or one of several."""
        self._known([column])
        type_ = self._rows.schema.field(column).type
        if pa.types.is_nested(type_):
            raise UserError(f"{column} has lists, which no value equals. Filter rows of `table()` yourself.")
        if value is None:
            return pc.field(column).is_null()
        several = not isinstance(value, str | bytes) and isinstance(value, Iterable)
        values = list(value) if several else [value]
        # Arrow and numpy would make another value of it.
        if not all(one is None or _is_of(type_, one) for one in values):
            raise UserError(f"{column} is of the type {type_}, and {shown(value)} is not.")
        return pc.field(column).isin(truth_array(values) if pa.types.is_boolean(type_) else array_of(values, type_))

    def _fulfilling(self, expression: Any, positions: Positions, columns: Sequence[str]) -> Iterator[Positions]:
        """Yield those of some rows that fulfil an expression."""
        start = 0
        for table in self._rows.tables(positions, columns or ["name"]):
            here = positions[start : start + len(table)]
            start += len(table)
            try:
                kept = table.append_column(_POSITION, number_array(here)).filter(expression)
            except pa.ArrowException as error:
                raise UserError(
                    f"The condition {said(expression)} does not fit the columns ({said(error)}). There are "
                    f"{listed(self.columns)}."
                ) from None
            yield kept.column(_POSITION).to_numpy()


def _is_of(type_: Any, value: Any) -> bool:
    """Tell whether a column of a type may have a value."""
    if pa.types.is_string(type_):
        return isinstance(value, str)
    if pa.types.is_boolean(type_):
        return isinstance(value, bool | np.bool_)
    if pa.types.is_integer(type_):
        return isinstance(value, Real) and value == value // 1 and abs(value) < 1 << (type_.bit_width - 1)
    return isinstance(value, Real)


def _require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise UserError("PyTorch is not installed. Type: pip install 'mlir_datagen[execute]'")
