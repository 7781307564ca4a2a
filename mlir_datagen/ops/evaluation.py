"""What a structured operation computes, from its line alone, in PyTorch: strided views, einsum and reductions."""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mlir_datagen.mlir.element_types import ELEMENT_TYPES, is_float, torch_dtype
from mlir_datagen.ops.body import NUMBER, Call, Expression
from mlir_datagen.ops.lookup import aligned, looked_up_tensors, loops_of
from mlir_datagen.ops.notation import Access, Notation, Window, dilated
from mlir_datagen.ops.scalars import SCALARS
from mlir_datagen.ops.softmax import Softmax
from mlir_datagen.ops.structured_operation import StructuredOperation

_Term = tuple[int, tuple[int, ...]]
"""A sign, and the places of the inputs whose product it is the sign of."""

_PRODUCTS = (("mul(a, b)", "add"), ("a", "add"))
"""Bodies that an einsum computes, without a copy of what is repeated."""


def evaluation(operation: StructuredOperation, sizes: Mapping[str, int], dtype: str = "f32") -> Callable[..., Any]:
    """Return a function of tensors that gives the result of an operation.

    Those with numbers are of one floating-point type; those that others are looked up by may be of any.

    Where a window moves, its elements are taken one after the other, each with a strided view of what it meets at all
    positions: that needs no copy of the input for each element.

    Args:
        operation: the operation.
        sizes: of all its dimensions, and the number of its body where it has one.
        dtype: the element type of its result, which says what a division of integers is.
    """
    if isinstance(operation, Softmax):
        return partial(_in_turn, operation, sizes, dtype)
    if operation.notation.placed:
        return partial(_placed, operation.notation, sizes)
    at_rest = _at_rest(operation, sizes, dtype)
    if not operation.notation.windows and not operation.notation.shifts:
        return at_rest
    contents = [access for access in operation.notation.inputs if access.has_contents]

    def moving(*inputs: Any) -> Any:
        total = None
        for place in _places(operation, sizes):
            found = at_rest(*(_view(*pair, sizes, place) for pair in zip(contents, inputs, strict=True)))
            total = found if total is None else _accumulated(operation, dtype, total, found)
        return total

    return moving


def _in_turn(operation: Softmax, sizes: Mapping[str, int], dtype: str, *inputs: Any) -> Any:
    """Return what several operations make one after the other."""
    values = list(inputs)
    for part, read in operation.parts:
        values.append(evaluation(part, sizes, dtype)(*(values[number] for number in read)))
    return values[-1]


def _placed(notation: Notation, sizes: Mapping[str, int], given: Any) -> Any:
    """Return the elements of an operand, each where a window says that it is written."""
    import torch

    (access,), loops = notation.inputs, list(notation.loops)

    def along(loop: str) -> Any:
        return aligned(torch.arange(sizes[loop]), [loop], loops)

    places = []
    for name, window, _, _ in notation.result.dimensions:
        if window is None:
            places.append(along(name))
        else:
            start = along(window.position) * window.stride_of(sizes)
            places.append(start + along(window.offset) * window.dilation_of(sizes))
    result = given.new_zeros([sizes[name] for name in notation.result.names])
    result[tuple(places)] = aligned(given, list(access.names), loops)
    return result


def scalar_function(kind: str, dtype: str) -> Callable[..., Any]:
    """Return PyTorch's function of a scalar operation, for numbers of an element type that are held in another."""
    import torch

    if kind == "div" and not is_float(dtype):
        return partial(torch.div, rounding_mode="trunc")
    if kind in _OWN:
        return partial(_OWN[kind], dtype)
    function: Callable[..., Any] = getattr(torch, SCALARS[kind].torch)
    return function


def _max_unsigned(dtype: str, one: Any, other: Any) -> Any:
    return _by_sign(one, other, one.maximum(other), one.minimum(other))


def _min_unsigned(dtype: str, one: Any, other: Any) -> Any:
    return _by_sign(one, other, one.minimum(other), one.maximum(other))


def _by_sign(one: Any, other: Any, same: Any, different: Any) -> Any:
    """Return one of two things: where numbers are of the same sign, and where the negative one is the greater."""
    return same.where((one < 0) == (other < 0), different)


def _div_unsigned(dtype: str, one: Any, other: Any) -> Any:
    import torch

    # As numpy has the unsigned integers: those of 64 bits are more than double precision or PyTorch's are.
    unsigned = [np.asarray(each.long()).astype(f"u{ELEMENT_TYPES[dtype].size}") for each in (one, other)]
    return torch.from_numpy((unsigned[0] // unsigned[1]).astype(np.int64)).to(one.dtype)


def _select(dtype: str, condition: Any, one: Any, other: Any) -> Any:
    return one.where(condition != 0, other)


def _round(dtype: str, one: Any) -> Any:
    """Return the nearest whole numbers, of two as near the one away from zero."""
    return one.sign() * (one.abs().double() + 0.5).floor().to(one.dtype)


_OWN: dict[str, Callable[..., Any]] = {
    "max_unsigned": _max_unsigned,
    "min_unsigned": _min_unsigned,
    "div_unsigned": _div_unsigned,
    "select": _select,
    "round": _round,
}
"""What PyTorch has no function for: of the element type, and of tensors that hold its numbers."""


def _accumulated(operation: StructuredOperation, dtype: str, total: Any, found: Any) -> Any:
    assert operation.body.accumulate is not None
    return scalar_function(operation.body.accumulate, dtype)(total, found)


def _places(operation: StructuredOperation, sizes: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield the elements of the window: where each of its loops stands."""
    notation = operation.notation
    loops = [window.offset for _, window in notation.windows if window.offset not in notation.written_windows]
    for place in itertools.product(*(range(sizes[loop]) for loop in loops)):
        yield dict(zip(loops, place, strict=True))


def _at_rest(operation: StructuredOperation, sizes: Mapping[str, int], dtype: str) -> Callable[..., Any]:
    """Return what one element of the window adds to the result, as a function of what it meets."""
    import torch

    notation, body = operation.notation, operation.body
    contents = [access for access in notation.inputs if access.has_contents]
    still = {window.offset for _, window in notation.windows} - notation.written_windows
    read = [[loop for loop in loops_of(notation, access) if loop not in still] for access in contents]
    result, reduced = list(notation.result.names), [loop for loop in notation.reductions if loop not in still]
    letters = dict(zip(notation.loops, string.ascii_letters, strict=False))
    subscripts = ["".join(letters[loop] for loop in loops) for loops in (*read, result)]
    is_mapped = not operation.looks_up
    if is_mapped and (body.text, body.accumulate) in _PRODUCTS:
        return partial(torch.einsum, f"{','.join(subscripts[:-1])}->{subscripts[-1]}")
    terms = _terms(body.expression) if body.accumulate == "add" and is_mapped else None
    if terms and all({*result, *reduced} <= {loop for place in places for loop in read[place]} for _, places in terms):
        return partial(_summed, terms, subscripts)
    space = [*result, *reduced]

    def value(*given: Any) -> Any:
        inputs = looked_up_tensors(notation, given)
        indices = {loop: aligned(torch.arange(sizes[loop]).double(), [loop], space) for loop in body.indices}
        # Numbers are of the type that elements have, and not of what these are looked up by.
        example = next((one for one in inputs if one.is_floating_point()), inputs[0])

        def apply(kind: str, *operands: Any) -> Any:
            if kind in ELEMENT_TYPES:
                return torch.as_tensor(operands[0], dtype=torch_dtype(kind))
            tensors = [example.new_tensor(one) if isinstance(one, (int, float)) else one for one in operands]
            return scalar_function(kind, dtype)(*tensors)

        elements = [aligned(*pair, space) for pair in zip(inputs, read, strict=True)]
        found = body.evaluate(elements, sizes.get(NUMBER), apply, indices)
        if body.is_typed:
            # As it is converted to the result's type: integers are rounded towards zero.
            found = found.to(example.dtype) if is_float(dtype) else found.trunc().to(example.dtype)
        found = found.broadcast_to([sizes[loop] for loop in space])
        for _ in reduced:
            found = _reduced(body.accumulate, found)
        return found

    return value


def _terms(expression: Expression) -> list[_Term] | None:
    """Return the products of inputs that an expression is the sum of; None where it is another one."""
    if isinstance(expression, str) and expression != NUMBER:
        return [(1, (string.ascii_lowercase.index(expression),))]
    if not isinstance(expression, Call) or len(expression.operands) != 2:
        return None
    first, second = (_terms(operand) for operand in expression.operands)
    if first is None or second is None:
        return None
    if expression.scalar == "mul" and len(first) == len(second) == 1:
        return [(first[0][0] * second[0][0], (*first[0][1], *second[0][1]))]
    if expression.scalar in ("add", "sub"):
        sign = 1 if expression.scalar == "add" else -1
        return [*first, *((sign * one, places) for one, places in second)]
    return None


def _summed(terms: Sequence[_Term], subscripts: Sequence[str], *inputs: Any) -> Any:
    """Return the sum of what an einsum makes of each term, which needs no copy of what is repeated."""
    import torch

    total: Any = 0
    for sign, places in terms:
        equation = f"{','.join(subscripts[place] for place in places)}->{subscripts[-1]}"
        total = total + sign * torch.einsum(equation, *(inputs[place] for place in places))
    return total


def _reduced(kind: str | None, values: Any) -> Any:
    """Return values reduced along their last dimension."""
    totals = partial(values.sum, dtype=values.dtype)
    return {"add": totals, "mul": values.prod, "max": values.amax, "min": values.amin}[str(kind)](-1)


def _view(access: Access, tensor: Any, sizes: Mapping[str, int], place: Mapping[str, int]) -> Any:
    indices: list[int | slice] = []
    whole: list[tuple[int, Window]] = []
    for dimension in access.dimensions:
        window, shift = dimension.window, dimension.shift
        if shift is not None:
            indices.append(slice(shift.distance, shift.distance + sizes[shift.position]))
        elif window is None:
            indices.append(place.get(dimension.name, slice(None)))
        elif window.offset not in place:
            whole.append((sum(isinstance(index, slice) for index in indices), window))
            indices.append(slice(None))
        else:
            first, step = place[window.offset] * window.dilation_of(sizes), window.stride_of(sizes)
            indices.append(slice(first, first + (sizes[window.position] - 1) * step + 1, step))
    view = tensor[tuple(indices)]
    for axis, window in whole:
        span = dilated(sizes[window.offset], window.dilation_of(sizes))
        view = view.unfold(axis, span, window.stride_of(sizes))[..., :: window.dilation_of(sizes)]
    return view
