"""Arrow arrays straight from buffers.

`pyarrow.array` imports pandas wherever that is installed, which alone takes longer than making a small dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlir_datagen import foreign

_PATTERNS = 1 << 10
"""How many strings and lengths of lists that repeat row after row are kept: every block of a variant has the same."""

_OFFSET_BYTES = 4

PARQUET_ERRORS = (pa.ArrowException, OSError)
"""What reading a damaged file of Parquet raises."""


@contextmanager
def open_parquet(path: Path, footer: Any = None) -> Iterator[Any]:
    """Open a file of Parquet, which may be anyone's, with its footer if that was read before.

    Raises:
        OSError, pyarrow.ArrowException: when it is no regular file, or damaged.
    """
    # Of a path, Arrow makes what it likes: an address, for one.
    with foreign.open_regular(path) as stream, pq.ParquetFile(stream, metadata=footer) as file:
        yield file


def string_array(words: Sequence[str]) -> Any:
    """Return an array of strings."""
    joined = "".join(words)
    # Nearly all are, and then a letter is a byte.
    lengths = list(map(len, words if joined.isascii() else [word.encode() for word in words]))
    offsets = np.zeros(len(words) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.StringArray.from_buffers(len(words), pa.py_buffer(offsets), pa.py_buffer(joined.encode()))


def repeated_strings(words: Sequence[str], rows: int) -> Any:
    """Return an array of some strings in a row, as often as there are rows."""
    offsets, text = _repeated(tuple(words), _capacity(rows))
    number = rows * len(words)
    size = len(text) // _capacity(rows) * rows
    return pa.StringArray.from_buffers(number, offsets.slice(0, _OFFSET_BYTES * (number + 1)), text.slice(0, size))


def repeated_string(word: str, rows: int) -> Any:
    """Return an array of one string, many times."""
    return repeated_strings([word], rows)


def joined_strings(pieces: Sequence[Any]) -> Any:
    """Return an array of strings that are joined of pieces: arrays, at least one, and words that are in all of them."""
    rows = next(len(piece) for piece in pieces if not isinstance(piece, str))
    # Arrays instead of single words: for these, too, Arrow imports pandas.
    columns = [repeated_string(piece, rows) if isinstance(piece, str) else piece for piece in (*pieces, "")]
    return pc.binary_join_element_wise(*columns)


def letters(strings: Any) -> Any:
    """Return the buffer of all letters of an array of strings without nulls."""
    _, ends, text = strings.buffers()
    offsets = np.frombuffer(ends, np.int32)[strings.offset : strings.offset + len(strings) + 1]
    return text.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))


def word_array(words: Sequence[str | None]) -> Any:
    """Return an array of strings that are mostly the same, with null for None."""
    # A single one may be any text, which nobody asks for again.
    first = words[0] if len(words) > 1 and len(set(words)) == 1 else None
    return array_of(words, pa.string()) if first is None else repeated_string(first, len(words))


def number_array(numbers: NDArray[Any]) -> Any:
    """Return an array of the numbers of a numpy array with one dimension."""
    contiguous = np.ascontiguousarray(numbers)
    return pa.Array.from_buffers(pa.from_numpy_dtype(numbers.dtype), len(numbers), [None, pa.py_buffer(contiguous)])


def truth_array(values: Sequence[bool]) -> Any:
    """Return an array of truth values."""
    packed = np.packbits(np.array(values, np.bool_), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(packed)])


def optional_number_array(numbers: Sequence[float | None], dtype: type = np.float64) -> Any:
    """Return an array of numbers, with null for None."""
    present = np.array([number is not None for number in numbers], np.bool_)
    values: NDArray[Any] = np.array([0 if number is None else number for number in numbers], dtype)
    validity = np.packbits(present, bitorder="little")
    return pa.Array.from_buffers(
        pa.from_numpy_dtype(dtype), len(numbers), [pa.py_buffer(validity), pa.py_buffer(values)]
    )


def list_array(lengths: Sequence[int], rows: int, elements: Any) -> Any:
    """Cut an array into lists whose lengths follow a pattern that is repeated `rows` times."""
    number = rows * len(lengths)
    offsets = _repeated_offsets(tuple(lengths), _capacity(rows)).slice(0, _OFFSET_BYTES * (number + 1))
    return pa.ListArray.from_buffers(pa.list_(elements.type), number, [None, offsets], children=[elements])


def _capacity(rows: int) -> int:
    """Return for how many rows a pattern is kept, a power of two: fewer rows have its beginning."""
    return 1 << max(0, rows - 1).bit_length()


@lru_cache(maxsize=_PATTERNS)
def _repeated(words: tuple[str, ...], rows: int) -> tuple[Any, Any]:
    """Return the buffers of some strings in a row, as often as there are rows: where they end, and their letters."""
    encoded = [word.encode() for word in words]
    return _repeated_offsets(tuple(map(len, encoded)), rows), pa.py_buffer(b"".join(encoded) * rows)


@lru_cache(maxsize=_PATTERNS)
def _repeated_offsets(lengths: tuple[int, ...], rows: int) -> Any:
    """Return the buffer of where lists end whose lengths follow a pattern that is repeated, from 0 on."""
    ends = np.cumsum(lengths)
    offsets = np.zeros(rows * len(lengths) + 1, np.int32)
    offsets[1:] = (np.arange(rows)[:, np.newaxis] * (ends[-1] if len(ends) else 0) + ends).ravel()
    return pa.py_buffer(offsets)


def array_of(values: Sequence[Any], type_: Any) -> Any:
    """Return an array of plain values, with null for None.

    Structures are tuples with the names of their fields, in order; only what is in a list may be one.

    Args:
        values: texts, numbers, and sequences of what is allowed here.
        type_: of the array.
    """
    if pa.types.is_string(type_):
        return _with_nulls(string_array(["" if value is None else value for value in values]), values)
    if not pa.types.is_list(type_):
        return optional_number_array(values, type_.to_pandas_dtype())
    elements = [element for value in values if value is not None for element in value]
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum([0 if value is None else len(value) for value in values], out=offsets[1:])
    missing = truth_array([value is None for value in values])
    return pa.ListArray.from_arrays(number_array(offsets), _elements(elements, type_.value_type), mask=missing)


def _elements(values: Sequence[Any], type_: Any) -> Any:
    if not pa.types.is_struct(type_):
        return array_of(values, type_)
    columns = zip(*values, strict=True) if values else [()] * type_.num_fields
    arrays = [array_of(column, field.type) for column, field in zip(columns, type_, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(type_))


def _with_nulls(strings: Any, values: Sequence[Any]) -> Any:
    if None not in values:
        return strings
    validity = np.packbits([value is not None for value in values], bitorder="little")
    return pa.StringArray.from_buffers(len(values), *strings.buffers()[1:], null_bitmap=pa.py_buffer(validity))
