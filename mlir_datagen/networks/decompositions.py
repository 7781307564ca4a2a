"""Operators taken apart where torch-mlir would emit something wrong for them, or what no tool of MLIR's own reads.

What a decomposition emits stays as it is, so that one may use the very operator that it is for. It returns
NotImplemented where nothing is amiss, so that a network that needs none of them is converted as it would be without.
The manual converter uses those of operators that it has no handlers for.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch.utils._python_dispatch import _disable_current_modes

from mlir_datagen.errors import UserError

aten = torch.ops.aten
Number = float | int | bool
Operand: TypeAlias = "torch.Tensor | Number"
COMPARED_WITH_NUMBERS = tuple(getattr(aten, name).Scalar for name in ("eq", "ne", "lt", "le", "gt", "ge"))
COMPARED = (*COMPARED_WITH_NUMBERS, *(getattr(aten, name).Tensor for name in ("eq", "ne", "lt", "le", "gt", "ge")))
_LONGEST_SORTED = 1024
"""Elements along a dimension that are sorted: each is compared with each."""


_emitting = False


def _final(decompose: Callable[..., Any]) -> Callable[..., Any]:
    """Return a decomposition that leaves alone what it emits itself, and what others of these emit."""

    @functools.wraps(decompose)
    def once(*arguments: Any, **settings: Any) -> Any:
        global _emitting
        if _emitting:
            return NotImplemented
        _emitting = True
        try:
            return decompose(*arguments, **settings)
        finally:
            _emitting = False

    return once


# Operands of one type: PyTorch brings them to one before it computes; torch-mlir takes the wider, f64 for a number.


def _common_dtype(*operands: Operand) -> torch.dtype:
    """Return the type in which PyTorch computes with operands, of which one is a tensor."""
    tensors = [operand for operand in operands if isinstance(operand, torch.Tensor)]
    dtypes = [torch.result_type(tensors[0], operand) for operand in operands]
    return functools.reduce(torch.promote_types, dtypes)


def _in_dtype(operand: Operand, dtype: torch.dtype) -> Operand:
    """Return an operand in a type: floats rounded, integers modulo what it holds, as PyTorch converts them."""
    if isinstance(operand, torch.Tensor):
        return operand if operand.dtype == dtype else operand.to(dtype)
    with _disable_current_modes():
        # Not a part of the graph that is being traced.
        if isinstance(operand, int):
            # As many bits as PyTorch's widest integers have.
            number = torch.tensor((operand + 2**63) % 2**64 - 2**63, dtype=torch.int64)
        else:
            number = torch.tensor(operand, dtype=torch.float64)
        converted: Number = number.to(dtype).item()
    return converted


def _computed_in_one_type(operator: Any, *positions: int) -> Callable[..., Any]:
    """Return the decomposition of an operator into itself, on operands of one type.

    Args:
        operator: an overload.
        positions: of the arguments that are brought to one type; those that are left out or None are none.
    """

    def decompose(*arguments: Any, **settings: Any) -> Any:
        given = [place for place in positions if place < len(arguments) and arguments[place] is not None]
        operands = [arguments[place] for place in given]
        if not all(isinstance(operand, (torch.Tensor, float, int)) for operand in operands):
            return NotImplemented  # A number that is known when the program runs.
        dtype = _common_dtype(*operands)
        same = [_in_dtype(operand, dtype) for operand in operands]
        if all(ours is theirs or _is_same_number(ours, theirs) for ours, theirs in zip(same, operands, strict=True)):
            return NotImplemented
        changed = list(arguments)
        for place, operand in zip(given, same, strict=True):
            changed[place] = operand
        return operator(*changed, **settings)

    return decompose


def _is_same_number(one: Operand, other: Operand) -> bool:
    return not isinstance(other, torch.Tensor) and not isinstance(one, torch.Tensor) and one == other


# Not a number: what PyTorch's maximum and minimum keep, and torch-mlir's do not where it is their first operand.


def _maximum(x: torch.Tensor, y: torch.Tensor) -> Any:
    return _extreme(aten.maximum.default, x, y)


def _minimum(x: torch.Tensor, y: torch.Tensor) -> Any:
    return _extreme(aten.minimum.default, x, y)


def _extreme(operator: Any, x: torch.Tensor, y: torch.Tensor) -> Any:
    dtype = _common_dtype(x, y)
    if not dtype.is_floating_point:
        return NotImplemented if x.dtype == y.dtype else operator(x.to(dtype), y.to(dtype))
    x, y = x.to(dtype), y.to(dtype)
    return torch.where(torch.isnan(x), x, operator(x, y))


def _clamp(x: torch.Tensor, low: Operand | None = None, high: Operand | None = None) -> Any:
    """Bound by each bound in turn, as the first operand: where that is a number, x is kept where it is none."""
    dtype = _common_dtype(*(operand for operand in (x, low, high) if operand is not None))
    bounds = [None if bound is None else _in_dtype(bound, dtype) for bound in (low, high)]
    if not dtype.is_floating_point:
        if x.dtype == dtype and not any(isinstance(bound, torch.Tensor) for bound in bounds):
            return NotImplemented
    elif any(isinstance(bound, float) and math.isnan(bound) for bound in bounds):
        return torch.full_like(x, math.nan, dtype=dtype)
    x = x.to(dtype)
    for bound, operator in zip(bounds, (aten.maximum.default, aten.minimum.default), strict=True):
        if isinstance(bound, torch.Tensor):
            bounded = operator(bound, x)
            x = torch.where(torch.isnan(bound), bound, bounded) if dtype.is_floating_point else bounded
        elif bound is not None:
            x = operator(torch.full((), bound, dtype=dtype), x)
    return x


def _clamp_min(x: torch.Tensor, low: Operand) -> Any:
    return _clamp(x, low)


def _clamp_max(x: torch.Tensor, high: Operand) -> Any:
    return _clamp(x, None, high)


def _hardtanh(x: torch.Tensor, low: Number = -1, high: Number = 1) -> Any:
    return _clamp(x, low, high)


def _position(extreme: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    def decompose(x: torch.Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        """Take the least of the positions at which the extreme is: NaN where there is one, as in PyTorch's order."""
        if not x.dtype.is_floating_point or x.ndim == 0:
            return NotImplemented
        line, axis = (x.reshape(-1), 0) if dim is None else (x, dim % x.ndim)
        found = (line == extreme(line, axis, keepdim=True)) | torch.isnan(line)
        steps = _steps(line.shape[axis], axis, line.ndim)
        position = torch.where(found, steps, line.shape[axis] - 1).amin(axis, keepdim=keepdim)
        return position.reshape([1] * x.ndim) if dim is None and keepdim else position

    return decompose


def _extreme_and_position(extreme: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    def decompose(x: torch.Tensor, dim: int, keepdim: bool = False) -> Any:
        position = _position(extreme)(x, dim, keepdim)
        return NotImplemented if position is NotImplemented else (extreme(x, dim, keepdim=keepdim), position)

    return decompose


def _steps(length: int, axis: int, rank: int) -> torch.Tensor:
    """Return 0, 1, 2, … along one dimension, and size 1 along the others."""
    return torch.arange(length).reshape([length if each == axis else 1 for each in range(rank)])


# Division with a rounding, and remainders.


def _truncated_remainder(x: Operand, y: Operand) -> Any:
    """Emit what C's fmod gives, of which torch-mlir has the remainder of numbers above zero alone."""
    dtype = _common_dtype(x, y)
    x, y = _in_dtype(x, dtype), _in_dtype(y, dtype)
    if not isinstance(y, torch.Tensor):
        y = torch.full((), y, dtype=dtype)
    if not dtype.is_floating_point:
        return aten.fmod.Tensor(x, y)
    size = aten.remainder.Tensor(abs(x), torch.abs(y))
    return torch.where(x < 0, -size, size)


def _divided(x: Operand, y: Operand, rounding_mode: str | None = None) -> Any:
    dtype = _common_dtype(x, y)
    if rounding_mode == "trunc":
        return _computed_in_one_type(aten.div.Tensor_mode, 0, 1)(x, y, rounding_mode=rounding_mode)
    if rounding_mode is None:
        return NotImplemented
    x, y = _in_dtype(x, dtype), _in_dtype(y, dtype)
    divisor = y if isinstance(y, torch.Tensor) else torch.full((), y, dtype=dtype)
    return (_floored if dtype.is_floating_point else _floored_integers)(x, divisor)


def _floor_divided(x: Operand, y: Operand) -> Any:
    return _divided(x, y, rounding_mode="floor")


def _floored_integers(x: Any, y: torch.Tensor) -> torch.Tensor:
    quotient = aten.div.Tensor_mode(x, y, rounding_mode="trunc")
    rest = x - quotient * y
    return torch.where((rest != 0) & ((rest < 0) != (y < 0)), quotient - 1, quotient)


def _floored(x: Any, y: torch.Tensor) -> torch.Tensor:
    """Round down as Python does: from the remainder, since a quotient may have been rounded up to an integer."""
    rest = _truncated_remainder(x, y)
    quotient = (x - rest) / y
    quotient = torch.where((rest != 0) & ((rest < 0) != (y < 0)), quotient - 1, quotient)
    floor = torch.floor(quotient)
    floor = torch.where(quotient - floor > 0.5, floor + 1, floor)
    return torch.where(y == 0, x / y, floor)


def _power(x: torch.Tensor, exponent: Number) -> Any:
    if not x.dtype.is_floating_point and isinstance(exponent, int) and exponent < 0:
        raise UserError(
            f"PyTorch does not raise integers to negative powers such as {exponent}; make the base a float, as with "
            "x.float()."
        )
    return NotImplemented


# What is only lacking, or wrong in a constant.


def _gelu(x: torch.Tensor, approximate: str = "none") -> Any:
    """Emit Hendrycks and Gimpel's approximation, Gaussian Error Linear Units, 2016, section 2; torch-mlir's is off."""
    if approximate != "tanh":
        return NotImplemented
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))


def _running(combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    def decompose(x: torch.Tensor, dim: int, *, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Combine 2, 4, 8, … neighbours: each step adds what is as far before as the steps so far have reached.

        A product with a triangle of ones would make NaN of infinities, and take the square of the length.
        """
        x = x.to(dtype or (x.dtype if x.dtype.is_floating_point or x.dtype.is_complex else torch.int64))
        length, reach = x.shape[dim] if x.ndim else 1, 1
        while reach < length:
            combined = combine(x.narrow(dim, reach, length - reach), x.narrow(dim, 0, length - reach))
            x = torch.cat([x.narrow(dim, 0, reach), combined], dim)
            reach *= 2
        return x.clone()

    return decompose


def _sorted(x: torch.Tensor, dim: int, descending: bool, count: int) -> Any:
    """Return the first elements in order along a dimension, and where they were; equal ones keep their order.

    An element's place is the number of those that come before it. NaN is the greatest, as in PyTorch.
    """
    if x.ndim == 0 or x.shape[dim] > _LONGEST_SORTED or x.dtype.is_complex:
        return NotImplemented
    line = x.movedim(dim, -1)
    own, other = line.unsqueeze(-1), line.unsqueeze(-2)
    before, equal = (other > own, other == own) if descending else (other < own, other == own)
    if x.dtype.is_floating_point:
        own_nan, other_nan = torch.isnan(own), torch.isnan(other)
        first, last = (other_nan, own_nan) if descending else (own_nan, other_nan)
        before = before | (first & ~last)
        equal = equal | (own_nan & other_nan)
    length = line.shape[-1]
    steps = torch.arange(length)
    earlier = steps < steps.unsqueeze(-1)
    place = (before | (equal & earlier)).to(torch.int64).sum(-1)
    wanted = torch.arange(count).unsqueeze(-1)
    position = torch.where(place.unsqueeze(-2) == wanted, steps, 0).sum(-1)
    return line.gather(-1, position).movedim(-1, dim), position.movedim(-1, dim)


def _sort(x: torch.Tensor, dim: int = -1, descending: bool = False) -> Any:
    return _sorted(x, dim, descending, x.shape[dim] if x.ndim else 1)


def _stable_sort(x: torch.Tensor, *, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
    return _sort(x, dim, descending)


def _argsort(x: torch.Tensor, dim: int = -1, descending: bool = False) -> Any:
    found = _sort(x, dim, descending)
    return NotImplemented if found is NotImplemented else found[1]


def _stable_argsort(x: torch.Tensor, *, stable: bool, dim: int = -1, descending: bool = False) -> Any:
    return _argsort(x, dim, descending)


def _topk(x: torch.Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:  # noqa: A002
    return _sorted(x, dim, largest, k)


def _is_finite(x: torch.Tensor) -> Any:
    return torch.ones_like(x, dtype=torch.bool) if not x.dtype.is_floating_point else x - x == 0


def _hardshrink(x: torch.Tensor, limit: Number = 0.5) -> Any:
    limit = _in_dtype(limit, x.dtype)
    return torch.where((x >= -limit) & (x <= limit), 0, x)


def _threshold(x: torch.Tensor, limit: Number, value: Number) -> Any:
    return torch.where(x <= _in_dtype(limit, _common_dtype(x, limit)), value, x)


def _is_close(
    x: torch.Tensor, y: torch.Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> torch.Tensor:
    """Emit PyTorch's definition: |x - y| <= atol + rtol |y| where finite, and what is equal."""
    close = x == y
    if not x.dtype.is_floating_point:
        x, y = x.to(torch.get_default_dtype()), y.to(torch.get_default_dtype())
    if equal_nan:
        close = close | (torch.isnan(x) & torch.isnan(y))
    distance = torch.abs(x - y)
    return close | ((distance - distance == 0) & (distance <= atol + torch.abs(rtol * y)))


_APART: dict[Any, Callable[..., Any]] = {
    **{
        operator: _computed_in_one_type(operator, 0, 1)
        for operator in (*COMPARED, aten.remainder.Scalar, aten.remainder.Tensor)
    },
    aten.where.self: _computed_in_one_type(aten.where.self, 1, 2),
    aten.maximum.default: _maximum,
    aten.minimum.default: _minimum,
    aten.clamp.default: _clamp,
    aten.clamp.Tensor: _clamp,
    aten.clamp_min.default: _clamp_min,
    aten.clamp_min.Tensor: _clamp_min,
    aten.clamp_max.default: _clamp_max,
    aten.clamp_max.Tensor: _clamp_max,
    aten.hardtanh.default: _hardtanh,
    aten.argmax.default: _position(torch.amax),
    aten.argmin.default: _position(torch.amin),
    aten.max.dim: _extreme_and_position(torch.amax),
    aten.min.dim: _extreme_and_position(torch.amin),
    aten.fmod.Scalar: _truncated_remainder,
    aten.fmod.Tensor: _truncated_remainder,
    aten.div.Tensor_mode: _divided,
    aten.div.Scalar_mode: _divided,
    aten.floor_divide.default: _floor_divided,
    aten.floor_divide.Scalar: _floor_divided,
    aten.pow.Tensor_Scalar: _power,
    aten.gelu.default: _gelu,
    aten.cumsum.default: _running(torch.add),
    aten.cumprod.default: _running(torch.mul),
    aten.sort.default: _sort,
    aten.sort.stable: _stable_sort,
    aten.argsort.default: _argsort,
    aten.argsort.stable: _stable_argsort,
    aten.topk.default: _topk,
    aten.isfinite.default: _is_finite,
    aten.hardshrink.default: _hardshrink,
    aten.threshold.default: _threshold,
    aten.isclose.default: _is_close,
}

DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {operator: _final(each) for operator, each in _APART.items()}
"""What takes an operator apart, by its overload."""
