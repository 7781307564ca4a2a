"""Values of the type system that the emitters need; each prints itself as MLIR text."""

from __future__ import annotations

from typing import NamedTuple

BYTES_PER_ELEMENT = {"f32": 4}
"""Element types of random programs, and their size in bytes."""

ELEMENT_BYTES = {"f64": 8, "f32": 4, "f16": 2, "bf16": 2, "i64": 8, "i32": 4, "i16": 2, "i8": 1, "i1": 1}
"""Element types of networks, and the size in bytes of one element in memory."""

_NEGATIVE_INFINITY = {"f32": "0xFF800000", "f64": "0xFFF0000000000000"}


class TensorType(NamedTuple):
    """A ranked tensor type with static shape: `tensor<4x8xf32>`."""

    shape: tuple[int, ...]
    dtype: str
    text: str

    def __str__(self) -> str:
        return self.text


def tensor(shape: tuple[int, ...], dtype: str) -> TensorType:
    """Make a ranked tensor type; the text is formed once, since a type is printed several times a program."""
    # One formatting operation: joining the dimensions' texts takes three times as long.
    return TensorType(shape, dtype, f"tensor<{'%dx' * len(shape) % shape}{dtype}>")


def negative_infinity(dtype: str) -> str:
    """Return the literal of -inf, which MLIR writes as the bit pattern of the element type."""
    return _NEGATIVE_INFINITY[dtype]
