"""Parts of nested columns, by their path: `nodes.loops.bound` has, of each program, of each node, the loops' bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from mlir_datagen.dataset.arrow import number_array
from mlir_datagen.errors import UserError, listed, nearest, shown


def leaf_paths(schema: Any, column: str) -> list[str]:
    """Return the paths of all parts of a column, or of a part, that are no structures: its own where it is none.

    Raises:
        UserError: when the schema has no such column or part.
    """
    return list(_paths(column, _type_at(schema, column)))


def leaf_type(schema: Any, path: str) -> Any:
    """Return the field of a leaf: its innermost type, and as metadata how many lists are around it.

    Raises:
        UserError: when the schema has no such column or part, or it has parts of its own.
    """
    type_, depth = _type_at(schema, path), _depth_before(schema, path)
    while pa.types.is_list(type_):
        type_, depth = type_.value_type, depth + 1
    if pa.types.is_struct(type_):
        parts = [f"{path}.{field.name}" for field in type_]
        raise UserError(f"{path} has several parts. Name one: {listed(parts)}.")
    return pa.field(path, type_, metadata={"depth": str(depth)})


def leaf_depth(field: Any) -> int:
    """Return how many lists are around a leaf."""
    return int(field.metadata[b"depth"])


def leaf_array(table: Any, path: str) -> Any:
    """Return a leaf of a table as one array: values, lists, or lists of lists."""
    column, *parts = path.split(".")
    return _descend(table.column(column).combine_chunks(), parts)


def _descend(array: Any, parts: list[str]) -> Any:
    if pa.types.is_list(array.type):
        if not parts and not pa.types.is_list(array.type.value_type):
            return array
        elements = _descend(array.flatten(), parts)
        lengths = array.value_lengths().fill_null(0)
        offsets = np.concatenate([[0], np.cumsum(lengths.to_numpy())]).astype(np.int32)
        return pa.ListArray.from_arrays(number_array(offsets), elements)
    if parts:
        return _descend(array.field(parts[0]), parts[1:])
    return array


def _paths(path: str, type_: Any) -> Iterator[str]:
    while pa.types.is_list(type_):
        type_ = type_.value_type
    if not pa.types.is_struct(type_):
        yield path
        return
    for field in type_:
        yield from _paths(f"{path}.{field.name}", field.type)


def _steps(schema: Any, path: str) -> Iterator[Any]:
    """Yield the type of the column and of each part that a path goes through."""
    column, *parts = path.split(".")
    if column not in schema.names:
        raise UserError(
            f"There is no column {shown(path)}.{nearest(column, schema.names)} There are {listed(schema.names)}."
        )
    type_ = schema.field(column).type
    yield type_
    for part in parts:
        while pa.types.is_list(type_):
            type_ = type_.value_type
        known = [field.name for field in type_] if pa.types.is_struct(type_) else []
        if part not in known:
            has = f"It has {listed(known)}" if known else "It has no parts"
            raise UserError(
                f"{path} is no part of the column {column}: there is no {part}.{nearest(part, known)} {has}."
            )
        type_ = type_.field(part).type
        yield type_


def _type_at(schema: Any, path: str) -> Any:
    return list(_steps(schema, path))[-1]


def _depth_before(schema: Any, path: str) -> int:
    """Return how many lists a path goes through before its end."""
    depth = 0
    for type_ in list(_steps(schema, path))[:-1]:
        while pa.types.is_list(type_):
            type_, depth = type_.value_type, depth + 1
    return depth
