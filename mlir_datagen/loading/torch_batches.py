"""Samples of rows as tensors, and batches of samples, which differ in length."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

from mlir_datagen.errors import UserError, listed, nearest, shown
from mlir_datagen.loading.leaves import leaf_array, leaf_depth, leaf_paths, leaf_type

Sample = dict[str, Any]
Batch = dict[str, Any]

RAGGED = ("pad", "list")
MASK = ".mask"
"""What is added to the name of a padded column for the mask of what is no padding."""


@dataclass(frozen=True)
class Collating:
    """How samples become a batch.

    A sample has, under the name of each column or part of one, a text as `str`, a number as a tensor without dimensions
    (whole ones int64, others float64), a list of numbers as a tensor of one dimension, and lists of others as lists.

    A batch has texts as a list of them, numbers as a tensor of shape (batch), and lists of numbers as one padded tensor
    of shape (batch, longest, …), with a mask under that name and `.mask`; or as a list of what the samples have.

    Attributes:
        ragged: what becomes of lists of numbers, `pad` or `list`.
        padding: what they are padded with.
        missing: what stands for a whole number that is not known; for others it is NaN, for a truth value False, and
            for a text the empty one.
        codes: for columns of texts, or parts of them, all words that there are: each becomes its number in this list.

    Raises:
        UserError: for a setting that there cannot be.
    """

    ragged: str = "pad"
    padding: float = 0
    missing: int = -1
    codes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ragged not in RAGGED:
            raise UserError(f"ragged is {shown(self.ragged)}, and must be one of {listed(RAGGED)}.")
        if not isinstance(self.padding, Real):
            raise UserError(f"padding is {shown(self.padding)}, and must be a number.")
        if not isinstance(self.missing, Integral):
            raise UserError(f"missing is {shown(self.missing)}, and must be a whole number.")


class Encoder:
    """Makes samples of rows, and batches of samples.

    Args:
        schema: of the rows.
        columns: columns, or parts of them; all when left out.
        collating: how.

    Attributes:
        leaves: the fields of the parts that a sample has, by path.

    Raises:
        UserError: for a column that there is not, or codes of what has no words.
    """

    def __init__(self, schema: Any, columns: Sequence[str] | None, collating: Collating) -> None:
        if isinstance(columns, str):
            raise UserError(f"columns is {columns!r}, and must be a list: [{columns!r}].")
        if columns is not None and not columns:
            raise UserError("columns is empty. Name some, or leave it out for all.")
        paths = [path for column in columns or schema.names for path in leaf_paths(schema, column)]
        self.leaves = {path: leaf_type(schema, path) for path in paths}
        self.columns = list(dict.fromkeys(path.partition(".")[0] for path in paths))
        self.collating = collating
        for path in collating.codes:
            if path not in self.leaves:
                raise UserError(
                    f"codes names {shown(path)}, which is not among the columns.{nearest(path, paths)} They are "
                    f"{listed(paths)}."
                )
            if str(self.leaves[path].type) != "string":
                raise UserError(f"codes names {path}, which has no words, but numbers.")
        self._numbers = {
            path: {word: number for number, word in enumerate(words)} for path, words in collating.codes.items()
        }

    def samples(self, table: Any) -> Iterator[Sample]:
        """Yield the samples of the rows of a table."""
        arrays = [leaf_array(table, path).to_pylist() for path in self.leaves]
        for values in zip(*arrays, strict=True):
            yield {path: self._value(path, value) for path, value in zip(self.leaves, values, strict=True)}

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """Return a batch of samples."""
        batch: Batch = {}
        for path in self.leaves:
            values = [sample[path] for sample in samples]
            depth = leaf_depth(self.leaves[path])
            if not self._is_number(path) or (depth and self.collating.ragged == "list"):
                batch[path] = values
            elif depth == 0:
                batch[path] = torch.stack(values)
            else:
                ones = _map(lambda value: torch.ones(len(value), dtype=torch.bool), values, depth - 1)
                batch[path] = _padded(values, depth, self.collating.padding, self._dtype(path))
                batch[path + MASK] = _padded(ones, depth, False, np.bool_)
        return batch

    def _is_number(self, path: str) -> bool:
        return path in self._numbers or str(self.leaves[path].type) != "string"

    def _value(self, path: str, value: Any) -> Any:
        """Return what a sample has of a value of plain Python."""
        if depth := leaf_depth(self.leaves[path]):
            return self._nested(path, value or [], depth)
        return self._tensor(path, self._plain(path)(value))

    def _nested(self, path: str, values: Sequence[Any], depth: int) -> Any:
        if depth > 1:
            return [self._nested(path, inner, depth - 1) for inner in values]
        return self._tensor(path, list(map(self._plain(path), values)))

    def _plain(self, path: str) -> Callable[[Any], Any]:
        """Return what makes a plain value one without gaps."""
        kind, missing = str(self.leaves[path].type), self.collating.missing
        if path in self._numbers:
            return lambda word: self._number(path, word)
        standing = {"string": "", "double": math.nan, "bool": False}.get(kind, missing)
        return lambda value: standing if value is None else value

    def _tensor(self, path: str, values: Any) -> Any:
        if not self._is_number(path):
            return values
        return torch.from_numpy(np.array(values, self._dtype(path)))

    def _dtype(self, path: str) -> Any:
        """Return the type of a part's numbers, as numpy has it."""
        return np.int64 if path in self._numbers else self.leaves[path].type.to_pandas_dtype()

    def _number(self, path: str, word: str | None) -> int:
        if word is None:
            return self.collating.missing
        try:
            return self._numbers[path][word]
        except KeyError:
            raise UserError(
                f"{path} has {shown(word)}, which its codes do not have. programs.words({path!r}) returns all words."
            ) from None


def _map(function: Callable[[Any], Any], values: Sequence[Any], depth: int) -> list[Any]:
    """Return nested lists with what a function makes of each innermost element."""
    return [_map(function, value, depth - 1) if depth else function(value) for value in values]


def _padded(values: Sequence[Any], depth: int, padding: float, dtype: Any) -> Any:
    """Return nested lists of tensors of one dimension as one tensor, whose dimensions are as long as the longest."""
    if depth > 1:
        inner = [one for value in values for one in value]
        tensor = _padded(inner, depth - 1, padding, dtype)
        values = tensor.split([len(value) for value in values])
    if not values:
        return torch.from_numpy(np.zeros([0] * (depth + 1), dtype))
    return torch.nn.utils.rnn.pad_sequence(list(values), batch_first=True, padding_value=padding)
