"""How different the programs of a dataset are from each other: counts of what differs, and entropies of its dimensions.

It is computed from the index alone, some rows at a time and column by column, and does not depend on their order.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from numpy.typing import NDArray

from mlir_datagen.dataset.arrow import joined_strings, letters, number_array, open_parquet
from mlir_datagen.dataset.paths import is_drawn
from mlir_datagen.errors import UserError, said
from mlir_datagen.ops import FAMILIES

_ROWS = 1 << 14
"""Rows are looked at so many at a time, as each time takes as long as some thousands of rows."""
_WORDS = ("family", "kind", "spec", "sha256")
_COLUMNS = [*_WORDS, "nodes"]
_NODE = "nodes.list.element"
_LEAVES = [
    *_WORDS,
    *(f"{_NODE}.{name}" for name in ("op", "dtype", "shape.list.element", "loops.list.element.bound")),
]
"""The columns to read from a file: of `nodes`, only these parts."""
_DENSE = 1 << 16
"""Smaller numbers are counted in a table of all of them."""
# Threads would take the processor from what makes programs.
_READ = pyarrow.json.ReadOptions(use_threads=False)
_MOST_LOOPS = 1 << 10
_OPERATIONS, _OPERATION, _EXTENT = "operations", "operation", "extent"
_DIGEST_CHARACTERS = 16
"""Of a sha256, as far as two programs are told apart by it: 64 bits."""


@dataclass(frozen=True)
class FamilyDiversity:
    """How different the drawn programs of one family are.

    Attributes:
        programs: how many they are.
        entropies: in bits, of each dimension by name: of a family of single operations the sizes of its spec, of others
            the number of operations in a program, the operation, and the extent of a loop.
    """

    programs: int
    entropies: Mapping[str, float]


@dataclass(frozen=True)
class Diversity:
    """How different the programs of a dataset are.

    Attributes:
        programs: how many they are.
        distinct: how many different texts they have.
        multisets: how many different multisets of operations; those of which nothing could read the operations have
            none.
        triples: how many different (operation, element type, layout). The layout of a program's only operation is its
            kind, which names its axes; that of others is the rank of their result with the number of their loops.
        families: the drawn programs, by family, in alphabetical order.
    """

    programs: int
    distinct: int
    multisets: int
    triples: int
    families: Mapping[str, FamilyDiversity]


def diversity_of(root: Path, indexes: Mapping[str, Sequence[str]]) -> Diversity:
    """Return how different the programs of a dataset are.

    Args:
        root: the dataset's folder, with the indexes written.
        indexes: its splits, with the files of their indexes.

    Raises:
        OSError, pyarrow.ArrowException: when an index cannot be read.
    """
    count = DiversityCount()
    for split, files in indexes.items():
        for file in files:
            with open_parquet(root / file) as index:
                for batch in index.iter_batches(_ROWS, columns=_LEAVES):
                    count.add(split, pa.Table.from_batches([batch]))
    return count.diversity()


def entropy(counts: Sequence[int] | NDArray[np.int64]) -> float:
    """Return the entropy in bits of values that occur so often.

    That is H = -Σ p log2 p over their shares p (C. E. Shannon, A Mathematical Theory of Communication, 1948,
    section 6): 0 where all are the same, log2 n where n of them are equally frequent.
    """
    total = sum(map(int, counts))
    # Summed exactly, so that it does not depend on the order.
    return abs(math.fsum(-count / total * math.log2(count / total) for count in map(int, counts) if count))


class DiversityCount:
    """What was seen of the rows of a dataset so far."""

    def __init__(self) -> None:
        self._waiting: dict[bool, list[Any]] = {False: [], True: []}
        self._programs = self._waiting_rows = 0
        self._digests = _Distinct()
        self._multisets = _Distinct()
        self._triples: set[tuple[Any, ...]] = set()
        self._families: Counter[str] = Counter()
        self._values: dict[tuple[str, str], list[NDArray[np.int64]]] = defaultdict(list)
        self._operations: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, split: str, rows: Any) -> None:
        """Take in some rows of a split, a table with the columns of its index."""
        self._waiting[is_drawn(split)].append(rows.select(_COLUMNS))
        self._programs += len(rows)
        self._waiting_rows += len(rows)
        if self._waiting_rows >= _ROWS:
            self._take_in_all()

    def _take_in_all(self) -> None:
        for drawn, tables in self._waiting.items():
            for batch in pa.concat_tables(tables).combine_chunks().to_batches() if tables else ():
                self._take_in(batch, drawn)
            tables.clear()
        self._waiting_rows = 0

    def _take_in(self, batch: Any, drawn: bool) -> None:
        self._digests.add(_digest_numbers(batch.column("sha256")))
        readable = batch.filter(pc.is_valid(batch.column("nodes")))
        nodes = _Nodes(readable.column("nodes"))
        self._multisets.add(nodes.multisets())
        self._triples |= nodes.triples(readable.column("kind"))
        if drawn:
            for family, rows in _groups(batch.column("family")).items():
                self._families[family] += len(rows)
                if family in FAMILIES:
                    self._add_sizes(family, batch.column("spec").take(number_array(rows)))
            for family, rows in _groups(readable.column("family")).items():
                if family not in FAMILIES:
                    self._add_graphs(family, _Nodes(readable.column("nodes").take(number_array(rows))))

    def _add_sizes(self, family: str, specs: Any) -> None:
        """Take in the sizes that specs of single operations name."""
        try:
            table = pyarrow.json.read_json(pa.BufferReader(letters(joined_strings([specs, "\n"]))), _READ)
        except pa.ArrowException as error:
            raise UserError(
                f"The index has specs of {family} that cannot be read as JSON ({said(error)}). scripts/verify.py says "
                "which rows are wrong; make that dataset again (scripts/reproduce.py)."
            ) from error
        for name, column in zip(table.column_names, table.columns, strict=True):
            if pa.types.is_int64(column.type):
                self._values[family, name].append(_counted(_numbers(column.combine_chunks())))
            elif pa.types.is_list(column.type) and pa.types.is_integer(column.type.value_type):
                lists = column.combine_chunks()
                lengths = _numbers(pc.list_value_length(lists))
                place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
                values = _numbers(lists.flatten())
                for number in range(int(lengths.max())):
                    self._values[family, f"{name}[{number}]"].append(_counted(values[place == number]))

    def _add_graphs(self, family: str, nodes: _Nodes) -> None:
        """Take in the graphs of programs that may have several operations."""
        self._values[family, _OPERATIONS].append(_counted(nodes.lengths))
        self._values[family, _EXTENT].append(_counted(nodes.extents))
        for entry in pc.value_counts(nodes.operations).to_pylist():
            self._operations[family][entry["values"]] += entry["counts"]

    def diversity(self) -> Diversity:
        """Return what all rows together have."""
        self._take_in_all()
        entropies: dict[str, dict[str, float]] = {family: {} for family in sorted(self._families)}
        for (family, name), counted in self._values.items():
            entropies[family][name] = entropy(_summed(counted))
        for family, operations in self._operations.items():
            entropies[family][_OPERATION] = entropy(list(operations.values()))
        return Diversity(
            self._programs,
            self._digests.count(),
            self._multisets.count(),
            len(self._triples),
            {family: FamilyDiversity(self._families[family], found) for family, found in entropies.items()},
        )


class _Distinct:
    """Different numbers among many."""

    def __init__(self) -> None:
        self._known: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._new: list[NDArray[np.uint64]] = []
        self._waiting = 0

    def add(self, numbers: NDArray[np.uint64]) -> None:
        """Take in some numbers."""
        self._new.append(numbers)
        self._waiting += len(numbers)
        # Not each time: all that are known are looked at again.
        if self._waiting > max(len(self._known), _ROWS):
            self._take_in()

    def count(self) -> int:
        """Return how many different ones there were."""
        self._take_in()
        return len(self._known)

    def _take_in(self) -> None:
        # numpy's own `unique` has a table of what it has seen, which takes ten times as long.
        found = np.sort(np.concatenate([self._known, *self._new]))
        self._known = found[np.append(True, found[1:] != found[:-1])[: len(found)]]
        self._new, self._waiting = [], 0


class _Nodes:
    """The operations of some programs.

    Args:
        column: their column of the index, without nulls.
    """

    def __init__(self, column: Any) -> None:
        self.lengths: NDArray[np.int64] = _numbers(pc.list_value_length(column)).astype(np.int64)
        self._flat = column.flatten()

    @property
    def operations(self) -> Any:
        """The operation of each."""
        return self._flat.field("op")

    @property
    def extents(self) -> NDArray[np.int64]:
        """The bounds of all their loops."""
        return _numbers(self._flat.field("loops").flatten().field("bound"))

    def multisets(self) -> NDArray[np.uint64]:
        """Return a number for each program that is the same for the same operations in any order.

        It is the sum of one for each operation, so that two multisets have the same with a probability of 2^-64.
        """
        encoded = self.operations.dictionary_encode()
        numbers = np.array([_number(name) for name in encoded.dictionary.to_pylist()], np.uint64)
        sums = np.zeros(len(self._flat) + 1, np.uint64)
        if len(self._flat):
            np.cumsum(numbers[_numbers(encoded.indices)], out=sums[1:])
        ends = np.cumsum(self.lengths)
        found: NDArray[np.uint64] = sums[ends] - sums[ends - self.lengths]
        return found

    def triples(self, kinds: Any) -> set[tuple[Any, ...]]:
        """Return the operations with element type and layout, each once."""
        program = np.repeat(np.arange(len(self.lengths)), self.lengths)
        alone = self.lengths[program] == 1
        ranks, loops = (_numbers(pc.list_value_length(self._flat.field(name))) for name in ("shape", "loops"))
        layout = np.where(alone, 0, ranks.astype(np.int64) * _MOST_LOOPS + loops)
        kinds = kinds.take(number_array(program))
        words = [column.dictionary_encode("encode") for column in (self.operations, self._flat.field("dtype"), kinds)]
        operations, dtypes, own_kinds = (_numbers(column.indices) for column in words)
        names = [[*column.dictionary.to_pylist(), None] for column in words]
        # As one number for each, which are compared at once. The last kind is none.
        layouts, layout_numbers = np.unique(layout, return_inverse=True)
        columns = [operations, dtypes, np.where(alone, own_kinds, len(names[2]) - 1), layout_numbers]
        sizes = [*map(len, names), len(layouts)]
        found = np.unravel_index(np.unique(np.ravel_multi_index(columns, sizes)), sizes)
        return {
            (names[0][operation], names[1][dtype], names[2][kind], int(layouts[number]))
            for operation, dtype, kind, number in zip(*(column.tolist() for column in found), strict=True)
        }


def _numbers(array: Any) -> NDArray[Any]:
    """Return an array of Arrow without nulls as one of numpy; its own `to_numpy` imports pandas."""
    return np.from_dlpack(array)


@cache
def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _digest_numbers(digests: Any) -> NDArray[np.uint64]:
    """Return the first 64 bits of digests in hexadecimal digits."""
    table = np.frombuffer(letters(digests), np.uint8).reshape(len(digests), -1)[:, :_DIGEST_CHARACTERS]
    digits = np.where(table > ord("9"), table - ord("a") + 10, table - ord("0")).astype(np.uint64)
    shifts = np.arange(4 * (_DIGEST_CHARACTERS - 1), -1, -4, dtype=np.uint64)
    numbers: NDArray[np.uint64] = np.bitwise_or.reduce(digits << shifts, axis=1)
    return numbers


def _groups(words: Any) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each word of a column."""
    encoded = words.dictionary_encode()
    codes = _numbers(encoded.indices)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    return {
        word: order[bounds[code] : bounds[code + 1]].astype(np.int64)
        for code, word in enumerate(encoded.dictionary.to_pylist())
    }


def _counted(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the different values, and below them how often each occurs."""
    values = values.astype(np.int64)
    if len(values) and values.min() >= 0 and values.max() < _DENSE:
        counts = np.bincount(values)
        (found,) = np.nonzero(counts)
        return np.stack([found, counts[found]])
    return np.stack(np.unique(values, return_counts=True))


def _summed(counted: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return how often each value occurs in all."""
    values, counts = np.concatenate(counted, axis=1)
    _, inverse = np.unique(values, return_inverse=True)
    return np.bincount(inverse, counts).astype(np.int64)
