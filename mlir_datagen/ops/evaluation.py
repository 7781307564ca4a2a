"""What a structured operation computes, from its line alone, in PyTorch: strided views and einsum."""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any

from mlir_datagen.ops.notation import Access
from mlir_datagen.ops.structured_operation import StructuredOperation


def evaluation(operation: StructuredOperation, sizes: Mapping[str, int]) -> Callable[..., Any]:
    """Return a function of tensors of one element type that gives the result of an operation.

    Where a window moves, its elements are taken one after the other, each with a strided view of what it meets at all
    positions: that needs no copy of the input for each element.

    Args:
        operation: the operation.
        sizes: of all its dimensions, and the number of its body where it has one.
    """
    at_rest = _at_rest(operation, sizes)
    if not operation.notation.windows:
        return at_rest
    contents = [access for access in operation.notation.inputs if access.has_contents]

    def moving(*inputs: Any) -> Any:
        total = None
        for place in _places(operation, sizes):
            found = at_rest(*(_view(*pair, sizes, place) for pair in zip(contents, inputs, strict=True)))
            total = found if total is None else _accumulated(operation, total, found)
        return total

    return moving


def _accumulated(operation: StructuredOperation, total: Any, found: Any) -> Any:
    assert operation.body.accumulate is not None
    return operation.body.torch_function(operation.body.accumulate)(total, found)


def _places(operation: StructuredOperation, sizes: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield the elements of the window: where each of its loops stands."""
    loops = [window.offset for _, window in operation.notation.windows]
    for place in itertools.product(*(range(sizes[loop]) for loop in loops)):
        yield dict(zip(loops, place, strict=True))


def _at_rest(operation: StructuredOperation, sizes: Mapping[str, int]) -> Callable[..., Any]:
    """Return what one element of the window adds to the result, as a function of what it meets."""
    import torch

    notation, body = operation.notation, operation.body
    letters = dict(zip(notation.loops, string.ascii_letters, strict=False))
    contents = [access for access in notation.inputs if access.has_contents]
    still = {window.offset for _, window in notation.windows}
    subscripts = ["".join(letters[loop] for loop in _loops(access, still)) for access in contents]
    result = "".join(letters[name] for name in notation.result.names)
    if (body.combine, body.accumulate) in (("mul", "add"), (None, "add")):
        return partial(torch.einsum, f"{','.join(subscripts)}->{result}")
    # All others have inputs with the dimensions of the result, in its order, once a place in the window is taken.
    assert all(each == result for each in subscripts)
    if body.combine is None:
        return lambda value: value
    function = body.torch_function(body.combine)
    if not body.has_number:
        return function  # type: ignore[no-any-return]
    return lambda value: function(value, value.new_tensor(sizes["number"]))


def _loops(access: Access, still: Collection[str]) -> list[str]:
    """Return the loops that an operand is read along while those of the window stand still."""
    loops = [name if window is None else window.position for name, window in access.dimensions]
    return [loop for loop in loops if loop not in still]


def _view(access: Access, tensor: Any, sizes: Mapping[str, int], place: Mapping[str, int]) -> Any:
    indices: list[int | slice] = []
    for name, window in access.dimensions:
        if window is None:
            indices.append(place.get(name, slice(None)))
        else:
            first, step = place[window.offset] * sizes[window.dilation], sizes[window.stride]
            indices.append(slice(first, first + (sizes[window.position] - 1) * step + 1, step))
    return tensor[tuple(indices)]
