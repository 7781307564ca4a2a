"""The text of one operation of a graph, made once for all that differ in their sizes and the names of values alone.

Filling these in is much faster than emitting the operation again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np

from mlir_datagen.mlir.builder import FunctionBuilder
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.body import NUMBER
from mlir_datagen.ops.structured_operation import StructuredOperation

FIRST_MARK = 10**10
"""Larger than any size, so that it is found in a text: marks stand for what is filled in, and count from here."""
_MARK = re.compile(r"(?<!\d)(10000\d{6})(?!\d)")


class Pattern:
    """A text with marks.

    Args:
        text: the text.
    """

    def __init__(self, text: str) -> None:
        pieces = _MARK.split(text.replace("%", "%%"))
        order = [int(mark) - FIRST_MARK for mark in pieces[1::2]]
        pieces[1::2] = ["%s"] * len(order)
        self._text, self._order = "".join(pieces), itemgetter(*order)

    def filled(self, known: Sequence[object]) -> str:
        """Return the text with what its marks stand for, in their order."""
        text: str = self._text % self._order(known)
        return text


def marked(operation: StructuredOperation, different: Sequence[Any], first: int) -> dict[str, Any]:
    """Return the sizes of an operation, as marks.

    Args:
        operation: the operation.
        different: its `differences`.
        first: the first mark.
    """
    marks: dict[str, Any] = {name: mark for mark, name in enumerate(operation.sizes, first)}
    for names, are_equal in zip(operation.attribute_names, different, strict=False):
        # What an attribute prints as one number is one mark.
        if are_equal:
            marks.update(dict.fromkeys(names, marks[names[0]]))
    if operation.has_number:
        marks[NUMBER] = different[-1]
    return marks


class NodeText:
    """The text of an operation, in which sizes and names are filled in.

    Attributes:
        count: how many values it numbers.
        result: which of these is its result.

    Args:
        operation: the operation.
        form: in which it is written.
        dtype: the element type of its result.
        dtypes: those of what it reads.
        different: its `differences`.
    """

    def __init__(
        self, operation: StructuredOperation, form: str, dtype: str, dtypes: Sequence[str], different: Sequence[Any]
    ) -> None:
        self._names = operation.sizes
        first_input = FIRST_MARK + len(self._names)
        first_value = first_input + len(dtypes)
        sizes = marked(operation, different, FIRST_MARK)
        types = map(tensor, operation.argument_shapes(sizes), dtypes)
        inputs = [(str(mark), type_) for mark, type_ in enumerate(types, first_input)]
        builder = FunctionBuilder("", inputs, form, first=first_value)
        result = operation.emit(builder, builder.arguments, sizes, dtype=dtype)
        self._pattern = Pattern(builder.lines)
        self.count = builder.next - first_value
        self.result = int(result.name[1:]) - first_value

    def text(self, sizes: Mapping[str, Any], inputs: Sequence[str | int], first: int) -> str:
        """Return the text of one such operation.

        Args:
            sizes: of all its dimensions.
            inputs: the names of what it reads, without the percent sign.
            first: the number of the first of its values.
        """
        return self._pattern.filled(
            [*[sizes[name] for name in self._names], *inputs, *range(first, first + self.count)]
        )


@lru_cache(maxsize=8192)
def node_text(
    operation: StructuredOperation, form: str, dtype: str, dtypes: tuple[str, ...], different: tuple[Any, ...]
) -> NodeText:
    """Return the text of all operations that differ in sizes and names alone: what it is made of is as there."""
    return NodeText(operation, form, dtype, dtypes, different)


def in_rows(column: Any, rows: int) -> Sequence[Any]:
    """Return plain numbers for each row: those of a column, or the one number of all."""
    values: Sequence[Any] = column.tolist() if isinstance(column, np.ndarray) else [column] * rows
    return values


def row_differences(operation: StructuredOperation, sizes: Mapping[str, Any], rows: int) -> Sequence[tuple[Any, ...]]:
    """Return the `differences` of each of some operations, whose sizes are columns, or numbers for all."""
    names = [name for names in operation.attribute_names for name in names]
    names += [NUMBER] if operation.has_number else []
    if not names:
        return [()] * rows
    known: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    found = []
    for row in zip(*(in_rows(sizes[name], rows) for name in names), strict=True):
        # There are few different ones.
        if row not in known:
            known[row] = differences(operation, dict(zip(names, row, strict=True)))
        found.append(known[row])
    return found


def differences(operation: StructuredOperation, sizes: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what the text of an operation depends on besides its form, its element types, and the values of its sizes.

    That is which attributes are written as one number, and the number that its body reads: how that is written hangs
    on the element type.
    """
    equal = operation.equal_attributes(sizes) if operation.attribute_names else ()
    return (*equal, sizes[NUMBER]) if operation.has_number else tuple(equal)
