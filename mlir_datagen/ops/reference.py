"""What a structured operation computes, from its line alone, in PyTorch: strided views and einsum."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlir_datagen.ops.notation import Operand
from mlir_datagen.ops.structured import Structured


def computed(operation: Structured, inputs: Sequence[Any], sizes: Mapping[str, int]) -> Any:
    """Return the result of an operation on tensors.

    Where a window moves, its elements are taken one after the other, each with a strided view of what it meets at all
    positions: that needs no copy of the input for each element.

    Args:
        operation: the operation.
        inputs: the inputs with contents, of one element type.
        sizes: of all its dimensions.
    """
    results = (_at(operation, inputs, sizes, place) for place in _places(operation, sizes))
    total = next(results)
    for result in results:
        assert operation.body.accumulate is not None
        total = operation.body.torch_function(operation.body.accumulate)(total, result)
    return total


def _places(operation: Structured, sizes: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield the elements of the window: where each of its loops stands."""
    loops = [window.offset for _, window in operation.notation.windows]
    for place in itertools.product(*(range(sizes[loop]) for loop in loops)):
        yield dict(zip(loops, place, strict=True))


def _at(operation: Structured, inputs: Sequence[Any], sizes: Mapping[str, int], place: Mapping[str, int]) -> Any:
    """Return what one element of the window adds to the result."""
    notation, body = operation.notation, operation.body
    letters = dict(zip(notation.loops, string.ascii_letters, strict=False))
    contents = [operand for operand in notation.inputs if operand.has_contents]
    views = [_view(*pair, sizes, place) for pair in zip(contents, inputs, strict=True)]
    subscripts = ["".join(letters[loop] for loop in _loops(operand, place)) for operand in contents]
    result = "".join(letters[name] for name in notation.result.names)
    if (body.combine, body.accumulate) in (("mul", "add"), (None, "add")):
        import torch

        return torch.einsum(f"{','.join(subscripts)}->{result}", *views)
    # All others have inputs with the dimensions of the result, in its order, once a place in the window is taken.
    assert all(each == result for each in subscripts)
    others = [*views[1:], *([] if body.number is None else [views[0].new_tensor(body.number)])]
    value = views[0]
    for other in others:
        assert body.combine is not None
        value = body.torch_function(body.combine)(value, other)
    return value


def _loops(operand: Operand, place: Mapping[str, int]) -> list[str]:
    """Return the loops that an operand is read along while the window stands still."""
    loops = [name if window is None else window.position for name, window in operand.dimensions]
    return [loop for loop in loops if loop not in place]


def _view(operand: Operand, tensor: Any, sizes: Mapping[str, int], place: Mapping[str, int]) -> Any:
    indices: list[int | slice] = []
    for name, window in operand.dimensions:
        if window is None:
            indices.append(place.get(name, slice(None)))
        else:
            first, step = place[window.offset] * sizes[window.dilation], sizes[window.stride]
            indices.append(slice(first, first + (sizes[window.position] - 1) * step + 1, step))
    return tensor[tuple(indices)]
