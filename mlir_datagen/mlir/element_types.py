"""The element types of programs: the one table of what is known of each, and all that follows from it.

Elsewhere there are at most the names of those that something takes. Another element type is one line here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


class ElementType(NamedTuple):
    """What is known of an element type.

    Attributes:
        name: as MLIR spells it.
        numpy: what arrays of it have as their dtype.
        torch: what PyTorch calls it.
        is_float: whether it is a floating-point type; the others are integers, and truth values (`i1`).
        bits: its width in MLIR.
        size: how many bytes an element takes in memory.
        least, largest: the range of its finite numbers.
        has_infinity: whether it has infinities; an integer has none.
        unit: its unit of rounding, half the distance of 1 from the next number; 0 for what is exact.
    """

    name: str
    numpy: np.dtype[Any]
    torch: str
    is_float: bool
    bits: int
    size: int
    least: float
    largest: float
    has_infinity: bool
    unit: float


def _float(name: str, numpy: Any, torch: str) -> ElementType:
    dtype = np.dtype(numpy)
    limits: Any = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    infinite = math.isinf(float(_converted(math.inf, dtype)))
    bounds = (float(limits.min), float(limits.max))
    return ElementType(
        name, dtype, torch, True, 8 * dtype.itemsize, dtype.itemsize, *bounds, infinite, float(limits.eps) / 2
    )


def _integer(name: str, numpy: Any, torch: str) -> ElementType:
    dtype, limits = np.dtype(numpy), np.iinfo(numpy)
    bounds = (int(limits.min), int(limits.max))
    return ElementType(name, dtype, torch, False, limits.bits, dtype.itemsize, *bounds, False, 0.0)


def _converted(number: float, dtype: np.dtype[Any]) -> Any:
    """Return a number as an array of one element, which it may be too large for."""
    with np.errstate(over="ignore"):
        return np.array(number, np.float64).astype(dtype)


ELEMENT_TYPES: dict[str, ElementType] = {
    element.name: element
    for element in (
        ElementType("i1", np.dtype(np.bool_), "bool", False, 1, 1, 0, 1, False, 0.0),
        _integer("i8", np.int8, "int8"),
        _integer("i16", np.int16, "int16"),
        _integer("i32", np.int32, "int32"),
        _integer("i64", np.int64, "int64"),
        _float("f8E4M3FN", ml_dtypes.float8_e4m3fn, "float8_e4m3fn"),
        _float("f8E5M2", ml_dtypes.float8_e5m2, "float8_e5m2"),
        _float("f16", np.float16, "float16"),
        _float("bf16", ml_dtypes.bfloat16, "bfloat16"),
        _float("f32", np.float32, "float32"),
        _float("f64", np.float64, "float64"),
    )
}
"""By name; integers before floating-point types, and each of these by width, as PyTorch promotes them."""

_BY_TORCH = {**{element.torch: element.name for element in ELEMENT_TYPES.values()}, "uint8": "i8"}
"""MLIR's integers have no sign; the operations have."""

_FEW = 8
"""How far random integers lie from zero at least, on a side where there are any: of -1, 0 and 1, many are alike."""
_MANY = 1 << 20
"""How far they lie from it at most, so that double precision holds what a reference makes of them."""


def is_float(dtype: str) -> bool:
    """Tell whether an element type is a floating-point type."""
    return ELEMENT_TYPES[dtype].is_float


def lowest(dtype: str) -> float:
    """Return what a maximum starts from: minus infinity, or the least number of a type that has none."""
    element = ELEMENT_TYPES[dtype]
    return -math.inf if element.has_infinity else element.least


def highest(dtype: str) -> float:
    """Return what a minimum starts from: infinity, or the largest number of a type that has none."""
    element = ELEMENT_TYPES[dtype]
    return math.inf if element.has_infinity else element.largest


def unwritten(dtype: str) -> float:
    """Return what an element is before a program writes it: NaN, which equals nothing, or the largest integer."""
    element = ELEMENT_TYPES[dtype]
    return math.nan if element.is_float else element.largest


def promoted(dtypes: Sequence[str]) -> str:
    """Return the element type that PyTorch promotes tensors of these element types to.

    Of floating-point types, that is the narrowest which holds all their numbers: f32 for f16 and bf16.
    """
    given = [ELEMENT_TYPES[dtype] for dtype in dtypes]
    floats = [element for element in given if element.is_float]
    same = [element for element in ELEMENT_TYPES.values() if element.is_float == bool(floats)]
    return next(element.name for element in same if all(_holds(element, one) for one in floats or given))


def _holds(element: ElementType, other: ElementType) -> bool:
    return element.bits >= other.bits and element.largest >= other.largest and element.unit <= other.unit


def number_type(number: float) -> str:
    """Return what PyTorch takes a number of Python to be, beside tensors."""
    if isinstance(number, bool):
        return "i1"
    return "i64" if isinstance(number, int) else "f32"


def literal(number: float, dtype: str) -> str:
    """Return a number as MLIR writes it for an element type: `1.0e-05`, `3`, `true`; NaN and infinities as bits."""
    element = ELEMENT_TYPES[dtype]
    if element.bits == 1:
        return "true" if number else "false"
    if not element.is_float:
        # Modulo what the type holds, as PyTorch converts integers.
        return str((int(number) - int(element.least)) % (1 << element.bits) + int(element.least))
    if abs(number) > element.largest:
        number = _beyond(number, element)
    if not math.isfinite(number):
        return _bits_of_special(math.nan if math.isnan(number) else float(number), element)
    mantissa, exponent_mark, exponent = repr(float(number)).partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}{exponent_mark}{exponent}"


def _beyond(number: float, element: ElementType) -> float:
    """Return what a number beyond the largest one is: infinity or, as in PyTorch, the largest where there is none."""
    if not element.has_infinity:
        return math.copysign(element.largest, number)
    rounded = float(_converted(number, element.numpy))
    # What is less than half a unit away MLIR rounds itself.
    return number if math.isfinite(rounded) else rounded


@lru_cache(maxsize=64)
def _bits_of_special(number: float, element: ElementType) -> str:
    """Return the bit pattern of NaN or an infinity."""
    return _bits(number, element)


def _bits(number: Any, element: ElementType) -> str:
    """Return the bit pattern of a number, or of an array of one: `0x7FC00000`."""
    pattern = _converted(number, element.numpy).view(f"u{element.size}")
    return f"0x{int(pattern):0{2 * element.size}X}"


def dense(values: Any, dtype: str) -> str:
    """Return nested lists of numbers, or one number for all elements, as a dense attribute without its type."""
    return f"dense<{_nested(values, dtype)}>"


def _nested(values: Any, dtype: str) -> str:
    if isinstance(values, (list, tuple)):
        return f"[{', '.join([_nested(value, dtype) for value in values])}]"
    return literal(values, dtype)


def dense_of(array: NDArray[Any], dtype: str) -> str:
    """Return an array as a dense attribute without its type: its bytes in hexadecimal, or its one value."""
    element = ELEMENT_TYPES[dtype]
    if array.size > 0 and (array == array.flat[0]).all():
        # Floating-point numbers as bits: a decimal number would have to be rounded.
        one = array.flat[0]
        return f"dense<{_bits(one, element) if element.is_float else literal(one, dtype)}>"
    if element.bits == 1:
        return dense(array.tolist(), dtype)
    # Little-endian, as MLIR reads it everywhere.
    return f'dense<"0x{array.astype(array.dtype.newbyteorder("<")).tobytes().hex().upper()}">'


def widened(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as numbers that numpy has by itself: bf16 and the float8s as single precision, others as is."""
    return array if array.dtype.type.__module__ == np.__name__ else array.astype(np.float32)


def as_held(values: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """Return results in double precision as a type holds them: integers modulo its width, others as they are."""
    element = ELEMENT_TYPES[dtype]
    if element.is_float or element.bits == 1:
        return values
    # Only what lies outside is touched: double precision would lose the last digits of a sum with the bounds of i64.
    period = 2.0**element.bits
    return values - period * np.floor((values - element.least) / period)


def fill_random(array: NDArray[Any], dtype: str, generator: np.random.Generator, low: float, high: float) -> None:
    """Fill an array with random numbers of an element type.

    Args:
        array: of the dtype that the element type has in numpy.
        dtype: the element type.
        generator: what they are drawn from.
        low: where their range begins; only what the type holds is taken of it. Integers have `whole_range`.
        high: where it ends.
    """
    element = ELEMENT_TYPES[dtype]
    if not element.is_float:
        array[...] = generator.integers(*whole_range(dtype, low, high), array.shape, array.dtype, endpoint=True)
        return
    low, high = max(low, element.least), min(high, element.largest)
    # Narrower types are drawn in single precision, and rounded.
    is_wide = element.size >= ELEMENT_TYPES["f32"].size
    numbers = array if is_wide else np.empty(array.shape, np.float32)
    generator.random(out=numbers, dtype=numbers.dtype.type)
    # In place: getting fresh memory for large arrays takes longer than the arithmetic.
    numbers *= numbers.dtype.type(high - low)
    numbers += numbers.dtype.type(low)
    if not is_wide:
        array[...] = numbers


def whole_range(dtype: str, low: float, high: float) -> tuple[int, int]:
    """Return the range of random integers, ends included, that stands for a range of numbers.

    Where that has numbers below or above zero, so has the range of integers, at least 8 of them and at most 2^20, as
    far as the type holds them. Truth values are both.
    """
    element = ELEMENT_TYPES[dtype]
    if element.bits == 1:
        return 0, 1
    first = max(min(low, -_FEW), -_MANY) if low < 0 else low
    last = min(max(high, _FEW), _MANY) if high > 0 else high
    return max(math.ceil(first), int(element.least)), min(math.floor(last), int(element.largest))


def torch_dtype(dtype: str) -> torch.dtype:
    """Return what PyTorch has for an element type."""
    import torch

    found: torch.dtype = getattr(torch, ELEMENT_TYPES[dtype].torch)
    return found


def of_torch(dtype: torch.dtype) -> str | None:
    """Return the element type that a dtype of PyTorch becomes, or None where programs have none."""
    return _BY_TORCH.get(str(dtype).removeprefix("torch."))


def as_tensor(array: NDArray[Any], dtype: str) -> torch.Tensor:
    """Return an array of an element type as a tensor of PyTorch's, on the same memory."""
    import torch

    return torch.from_numpy(array.view(f"i{array.itemsize}")).view(torch_dtype(dtype))


def as_array(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a contiguous tensor as programs have it in memory, on the same memory.

    Raises:
        KeyError: when programs do not have its dtype.
    """
    element = ELEMENT_TYPES[of_torch(tensor.dtype) or str(tensor.dtype)]
    plain: NDArray[Any] = tensor.view(torch_dtype(f"i{8 * element.size}")).numpy()
    return plain.view(element.numpy)
