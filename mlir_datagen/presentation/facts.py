"""What pictures and report show of a dataset, as arrays: one pass over its index, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlir_datagen.dataset.manifest import MEASUREMENTS_KEY, measured_processors
from mlir_datagen.dataset.measurements import read_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.presentation.dimensions import Extents, dimension_text, loop_bounds, named_dimensions
from mlir_datagen.programs.content import mix

MOST_PROGRAMS = 100_000
"""How many programs are looked at one by one; of a larger dataset, a sample of about so many."""

_WORDS = ("name", "family", "kind", "dtype", "spec")


@dataclass(frozen=True)
class Words:
    """A column of few different texts: for each row, the place of its text among these.

    Attributes:
        codes: whole numbers, one for each row.
        words: the different texts, in the order in which they were first seen.
    """

    codes: NDArray[np.int32]
    words: tuple[str, ...]

    def rows(self, word: str) -> NDArray[np.bool_]:
        """Return which rows have a text."""
        place = self.words.index(word) if word in self.words else -1
        rows: NDArray[np.bool_] = self.codes == place
        return rows


@dataclass(frozen=True)
class Facts:
    """A dataset, as figures show it.

    Attributes:
        name: the dataset's folder's name.
        manifest: its manifest.
        programs: how many it has.
        families: how many of each family each split has, as the manifest counts them.
        operations: how often each operation occurs in the programs of each split, counted over all of them.
        dtypes: how many programs of each split have results of each element type, counted over all of them.
        names: of the sampled programs; what follows is of these, in the dataset's order.
        split, family, kind, dtype: texts.
        flops, bytes_moved: NaN where not known.
        text_bytes: the size of the program's text.
        nodes: how many operations it has; 0 where nothing could read them.
        loops: how many loops its main operation has; 0 where it has none.
        time_ns: the median time of a call in nanoseconds; NaN where not measured.
        disturbed: whether that time was disturbed.
        dimensions: the dimensions of each program as a short text, such as `m=64 n=32 k=128`.
        extents: the values of each dimension, and of the loops of all operations, by name.
    """

    name: str
    manifest: Mapping[str, Any]
    programs: int
    families: Mapping[str, Mapping[str, int]]
    operations: Mapping[str, Mapping[str, int]]
    dtypes: Mapping[str, Mapping[str, int]]
    names: Sequence[str]
    split: Words
    family: Words
    kind: Words
    dtype: Words
    flops: NDArray[np.float64]
    bytes_moved: NDArray[np.float64]
    text_bytes: NDArray[np.int64]
    nodes: NDArray[np.int64]
    loops: NDArray[np.int64]
    time_ns: NDArray[np.float64]
    disturbed: NDArray[np.bool_]
    dimensions: Sequence[str]
    extents: Mapping[str, Extents]

    @property
    def splits(self) -> list[str]:
        """The names of the splits that have programs, in the dataset's order."""
        return [split for split, counts in self.families.items() if sum(counts.values())]

    @property
    def intensity(self) -> NDArray[np.float64]:
        """Flops for each byte moved; NaN where not known."""
        known = self.bytes_moved > 0
        quotients: NDArray[np.float64] = np.full(len(self.names), np.nan)
        return np.divide(self.flops, self.bytes_moved, out=quotients, where=known)

    @property
    def is_measured(self) -> bool:
        """Whether any of these programs has a time."""
        return bool(np.isfinite(self.time_ns).any())

    @property
    def is_sample(self) -> bool:
        """Whether these are not all programs."""
        return len(self.names) < self.programs

    @property
    def processor(self) -> str | None:
        """The models of the processors that the times are from, if there are any."""
        measured = self.manifest.get(MEASUREMENTS_KEY)
        return None if measured is None else " and ".join(measured_processors(measured))


@dataclass
class _Columns:
    """What is gathered of the programs of a dataset, batch by batch."""

    numbers: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in ("split", *_WORDS[:-1])})
    dimensions: list[str] = field(default_factory=list)
    named: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    bounds: dict[str, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = field(default_factory=dict)
    operations: dict[str, Counter[str]] = field(default_factory=dict)
    dtypes: dict[str, Counter[str]] = field(default_factory=dict)


def dataset_facts(dataset: Dataset, most: int = MOST_PROGRAMS) -> Facts:
    """Return the facts of a dataset.

    Args:
        dataset: a finished one.
        most: of how many programs, about, more than counts is kept. Which ones follows from their place alone, so that
            the same dataset gives the same facts.

    Raises:
        UserError: when its index, its measurements, or the file of a program cannot be read.
    """
    count, columns = dataset.count(), _Columns()
    threshold = np.uint64(min(most / max(count, 1), 1.0) * float(2**53))
    start = 0
    for split, file, batch in dataset.batches():
        _count(columns, split, batch)
        places = np.arange(start, start + len(batch), dtype=np.uint64)
        start += len(batch)
        # Programs follow each other family by family in turn, so that a fixed step could miss some families.
        chosen = (mix(places) >> np.uint64(11)) < threshold
        _gather(columns, dataset, split, file, batch if chosen.all() else batch.filter(chosen))
    return _facts(dataset, columns)


def _count(columns: _Columns, split: str, batch: Any) -> None:
    nodes = batch.column("nodes").flatten()
    _add(columns.operations.setdefault(split, Counter()), nodes.field("op"))
    _add(columns.dtypes.setdefault(split, Counter()), batch.column("dtype"))


def _add(counter: Counter[str], words: Any) -> None:
    for one in pc.value_counts(words):
        # A text that is not UTF-8 is a stranger's; what it is counts no more than that there is one.
        word = one["values"]
        counter[_decoded(word)] += one["counts"].as_py()


def _decoded(word: Any) -> str:
    return word.as_buffer().to_pybytes().decode(errors="replace") if word.is_valid else "none"


def _gather(columns: _Columns, dataset: Dataset, split: str, file: str, batch: Any) -> None:
    start = len(columns.words["name"])
    numbers = {
        "flops": _floats(batch.column("flops")),
        "bytes_moved": _floats(batch.column("bytes_moved")),
        "text_bytes": dataset.text_bytes(split, file, batch),
        "nodes": _lengths(batch.column("nodes")),
        "loops": _lengths(batch.column("loops")),
    }
    for name, values in numbers.items():
        columns.numbers.setdefault(name, []).append(values)
    for name, rows, values in loop_bounds(batch.column("nodes")):
        columns.bounds.setdefault(name, []).append((rows + start, values))
    main_loops = batch.column("loops").to_pylist()
    for place, row in enumerate(dataset.rows_of(file, batch.select(list(_WORDS)))):
        columns.words["split"].append(split)
        for name in _WORDS[:-1]:
            columns.words[name].append(row[name] or "none")
        found = named_dimensions(row["spec"])
        columns.dimensions.append(dimension_text(found, main_loops[place] or []))
        for name, extents in found.items():
            places, values_of_all = columns.named.setdefault(name, ([], []))
            places += [start + place] * len(extents)
            values_of_all += extents


def _floats(column: Any) -> NDArray[np.float64]:
    values: NDArray[np.float64] = column.cast("float64", safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return values


def _lengths(column: Any) -> NDArray[np.int64]:
    values: NDArray[np.int64] = pc.list_value_length(column).fill_null(0).cast("int64").to_numpy(zero_copy_only=False)
    return values


def _facts(dataset: Dataset, columns: _Columns) -> Facts:
    words: dict[str, Any] = {name: _words(values) for name, values in columns.words.items() if name != "name"}
    numbers: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns.numbers.items()}
    times, disturbed = _times(dataset, columns.words["split"], columns.words["name"])
    extents = {
        name: Extents(np.asarray(rows, np.int64), np.asarray(values, np.int64))
        for name, (rows, values) in columns.named.items()
    }
    for name, parts in columns.bounds.items():
        rows, values = (np.concatenate(column) for column in zip(*parts, strict=True))
        extents[name] = Extents(rows, values)
    return Facts(
        name=dataset.folder.resolve().name,
        manifest=dataset.manifest,
        programs=dataset.count(),
        families=dataset.manifest["counts"],
        operations=columns.operations,
        dtypes=columns.dtypes,
        names=columns.words["name"],
        time_ns=times,
        disturbed=disturbed,
        dimensions=columns.dimensions,
        extents=extents,
        **words,
        **numbers,
    )


def _words(values: Sequence[str]) -> Words:
    places: dict[str, int] = {}
    codes = np.fromiter((places.setdefault(value, len(places)) for value in values), np.int32, len(values))
    return Words(codes, tuple(places))


def _times(dataset: Dataset, splits: Sequence[str], names: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    times, disturbed = np.full(len(names), np.nan), np.zeros(len(names), np.bool_)
    if MEASUREMENTS_KEY in dataset.manifest:
        measured = read_measurements(dataset.folder)
        for place, key in enumerate(zip(splits, names, strict=True)):
            if key in measured:
                times[place], disturbed[place] = measured[key].median_ns, measured[key].disturbed
    return times, disturbed
