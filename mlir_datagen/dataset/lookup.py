"""Looking at a dataset without reading all of it: one program by its name, and what some columns have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow.compute as pc

from mlir_datagen.dataset.arrow import PARQUET_ERRORS, string_array
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError, nearest, shown

_COMPARED = 5000
"""How many names a mistyped one is compared with at most; each takes some microseconds."""
_PROPOSED = 5


class Place(NamedTuple):
    """Where the row of a program is.

    Attributes:
        split: its split.
        file: the file of the index, relative to the dataset's folder.
        row: its number there.
        name: the program's name.
    """

    split: str
    file: str
    row: int
    name: str


def find_program(dataset: Dataset, words: str) -> Place:
    """Return where a program is.

    Args:
        dataset: the dataset.
        words: its name, alone or behind its split (`train/matmul_0003`), as the path of its file, too; or the
            beginning of one name only.

    Raises:
        UserError: when there is none of that name, or several; it says which there are.
    """
    split, name = _split_and_name(dataset, words)
    splits = dataset.splits if split is None else [split]
    # A scalar of Arrow, since making one of a text imports pandas.
    exactly = string_array([name])[0]
    found = list(_places(dataset, splits, exactly, pc.equal))
    if not found:
        found = list(_places(dataset, splits, name, pc.starts_with))
    if len(found) == 1:
        return found[0]
    if not found:
        where = "" if split is None else f" in {split}"
        hint = nearest(name, _candidates(dataset, splits, name), _PROPOSED)
        raise UserError(
            f"{dataset.folder} has no program {shown(name)}{where}.{hint} The column `name` of the index has all names."
        )
    proposed = [f"{place.split}/{place.name}" for place in found[:_PROPOSED]]
    more = f" and {len(found) - _PROPOSED} more" if len(found) > _PROPOSED else ""
    raise UserError(f"{shown(words)} may be {', '.join(proposed)}{more}. Type one of them.")


def _split_and_name(dataset: Dataset, words: str) -> tuple[str | None, str]:
    *folders, name = words.removesuffix(".mlir").strip("/").split("/")
    if folders and folders[-1].isdecimal():
        # Of ten thousand files each, where there are many.
        folders.pop()
    if not folders:
        return None, name
    split = ".".join(folders)
    dataset.require_split(split)
    return split, name


def _places(dataset: Dataset, splits: Iterable[str], name: Any, matches: Any) -> Iterator[Place]:
    for split in splits:
        for file, names in _column(dataset, split, "name"):
            found = matches(names, name)
            if not pc.any(found).as_py():
                continue
            for row in pc.indices_nonzero(found).to_pylist():
                yield Place(split, file, row, names[row].as_py())


def _column(dataset: Dataset, split: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yield a column of a split's index, file by file, reading nothing else."""
    for file in dataset.index_files(split):
        with dataset.open_index(split, file) as index:
            yield file, index.read([name], use_threads=False).column(name)


def _candidates(dataset: Dataset, splits: Iterable[str], name: str) -> list[str]:
    """Return names that may be meant: those with the same number, and those that begin alike."""
    number = re.search(r"\d*$", name)
    found: list[str] = []
    for split in splits:
        for _, names in _column(dataset, split, "name"):
            alike = pc.starts_with(names, name[:3])
            if number is not None and number[0]:
                alike = pc.or_(pc.ends_with(names, number[0]), alike)
            near = names.filter(alike)
            # Where few are alike at all, any may be meant.
            found += (near if len(near) else names).slice(0, _COMPARED).to_pylist()
    numbered = [each for each in found if number is not None and number[0] and each.endswith(number[0])]
    return list(dict.fromkeys([*numbered, *found]))[:_COMPARED]


def program_table(dataset: Dataset, place: Place) -> Any:
    """Return the row of a program as a table of Arrow with its text, reading the group of rows that it is in.

    Raises:
        UserError: when the index cannot be read, or the text is not that of its digest.
    """
    with dataset.open_index(place.split, place.file) as index:
        row = place.row
        for group in range(index.num_row_groups):
            rows = index.metadata.row_group(group).num_rows
            if row < rows:
                break
            row -= rows
        # Whole, and in this thread: Arrow's others would still read when the program ends.
        table = index.read_row_group(group, use_threads=False).slice(row, 1)
    return dataset.with_texts(place.split, table)


class Overview(NamedTuple):
    """What all programs of a dataset have.

    Attributes:
        first: the first program.
        dtypes, proven: how many programs have each element type, and what is proven of how many; most first.
        ranges: the least and the largest of `flops`, `bytes_moved`; None where no program has it.
    """

    first: Place
    dtypes: dict[str, int]
    proven: dict[str, int]
    ranges: dict[str, tuple[int, int] | None]


def overview(dataset: Dataset) -> Overview:
    """Return what the columns of a dataset have that are quick to read.

    Raises:
        UserError: when an index cannot be read.
    """
    counted: dict[str, dict[str, int]] = {"dtype": {}, "proven": {}}
    ranges: dict[str, tuple[int, int] | None] = {"flops": None, "bytes_moved": None}
    first: Place | None = None
    for split in dataset.splits:
        for file in dataset.index_files(split):
            with dataset.open_index(split, file) as index:
                if first is None and index.num_row_groups:
                    first = Place(
                        split, file, 0, index.read_row_group(0, ["name"], use_threads=False).column("name")[0].as_py()
                    )
                present = [name for name in (*counted, *ranges) if name in index.schema_arrow.names]
                table = index.read(present, use_threads=False)
            for name in present:
                column = table.column(name)
                if name in counted:
                    for value, count in _value_counts(dataset, file, column):
                        counted[name][value] = counted[name].get(value, 0) + count
                    continue
                least, largest = (pc.min_max(column)[key].as_py() for key in ("min", "max"))
                if least is not None:
                    before = ranges[name] or (least, largest)
                    ranges[name] = (min(before[0], least), max(before[1], largest))
    if first is None:
        raise UserError(f"{dataset.folder} is damaged: it has no program. Generate the dataset again.")
    most_first = {name: dict(sorted(each.items(), key=lambda item: -item[1])) for name, each in counted.items()}
    return Overview(first, most_first["dtype"], most_first["proven"], ranges)


def _value_counts(dataset: Dataset, file: str, column: Any) -> list[tuple[str, int]]:
    try:
        return [(str(each["values"]), each["counts"].as_py()) for each in pc.value_counts(column)]
    except (*PARQUET_ERRORS, UnicodeDecodeError) as error:
        raise dataset.unreadable(file, error) from error
