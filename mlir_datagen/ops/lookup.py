"""What is looked up: an operand of which the contents of others say what is read, so that no indexing map does.

In a `linalg.generic` it is none of the operands: the body takes its element with `tensor.extract`.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlir_datagen.mlir.builder import Value
from mlir_datagen.ops.notation import Access, Notation


def read_elements(
    notation: Notation, operands: Sequence[Value], elements: Sequence[str], fresh: Callable[[], str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the lines that look elements up, and names and types of what is read of all operands with contents.

    Args:
        notation: what is read.
        operands: all of them.
        elements: the names of the elements of those that are not looked up.
        fresh: gives the next name.
    """
    given = iter(elements)
    names = ["" if access.is_looked_up else next(given) for access in notation.inputs]
    contents = [one for one in zip(names, operands, notation.inputs, strict=True) if one[2].has_contents]
    numbers = {
        letter: (name, operand.type.dtype)
        for letter, (name, operand, _) in zip(string.ascii_lowercase, contents, strict=False)
    }
    lines: list[str] = []
    read: list[tuple[str, str]] = []
    for name, operand, access in contents:
        found = name or _looked_up(notation, operand, access, numbers, fresh, lines)
        read.append((found, operand.type.dtype))
    return lines, read


def _looked_up(
    notation: Notation,
    operand: Value,
    access: Access,
    numbers: Mapping[str, tuple[str, str]],
    fresh: Callable[[], str],
    lines: list[str],
) -> str:
    """Add the lines that take an element; return its name."""
    places = []
    for dimension in access.dimensions:
        places.append(fresh())
        if dimension.looked_up_by is None:
            lines.append(f"{places[-1]} = linalg.index {notation.loops.index(dimension.name)} : index")
        else:
            number, dtype = numbers[dimension.looked_up_by]
            lines.append(f"{places[-1]} = arith.index_cast {number} : {dtype} to index")
    name = fresh()
    lines.append(f"{name} = tensor.extract {operand.name}[{', '.join(places)}] : {operand.type.text}")
    return name


def loops_of(notation: Notation, access: Access) -> list[str]:
    """Return the loops that an operand is read along: where it is looked up, also those of what that is done by.

    Those inside of windows that are written come last.
    """
    if not access.is_looked_up:
        written = notation.written_windows
        offsets = [each.window.offset for each in access.dimensions if each.window is not None]
        return [*(each.position for each in access.dimensions), *(offset for offset in offsets if offset in written)]
    contents = [one for one in notation.inputs if one.has_contents]
    found: dict[str, None] = {}
    for dimension in access.dimensions:
        if dimension.looked_up_by is None:
            found[dimension.position] = None
        else:
            found.update(dict.fromkeys(contents[string.ascii_lowercase.index(dimension.looked_up_by)].names))
    return list(found)


def looked_up_tensors(notation: Notation, inputs: Sequence[Any]) -> list[Any]:
    """Return PyTorch's tensors of the inputs with contents, each along the loops of `loops_of`."""
    import torch

    contents = [access for access in notation.inputs if access.has_contents]
    by_letter = dict(zip(string.ascii_lowercase, zip(contents, inputs, strict=True), strict=False))

    def found(access: Access, tensor: Any) -> Any:
        if not access.is_looked_up:
            return tensor
        space = loops_of(notation, access)
        places = []
        for dimension, extent in zip(access.dimensions, tensor.shape, strict=True):
            if dimension.looked_up_by is None:
                places.append(aligned(torch.arange(extent), [dimension.name], space))
            else:
                by, numbers = by_letter[dimension.looked_up_by]
                places.append(aligned(numbers.long(), list(by.names), space))
        return tensor[tuple(places)]

    return [found(*pair) for pair in zip(contents, inputs, strict=True)]


def aligned(tensor: Any, loops: list[str], space: list[str]) -> Any:
    """Return a view of a tensor with the dimensions of an iteration space: 1 long where it has none of its own."""
    order = [loops.index(loop) for loop in space if loop in loops]
    moved = tensor.permute(order)
    return moved[tuple(slice(None) if loop in loops else None for loop in space)]
