"""Values of the type system that the emitters need; each prints itself as MLIR text."""

from __future__ import annotations

from typing import NamedTuple


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


def scalar(dtype: str) -> TensorType:
    """Make the type of an element that is no tensor, `f32`, for where there may be either."""
    return TensorType((), dtype, dtype)
