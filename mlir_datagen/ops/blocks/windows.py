"""Pooling of images (batch, channels, height, width) with padding and other things that the family leaves out."""

from __future__ import annotations

import math

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import dense
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.blocks.contractions import matmul
from mlir_datagen.ops.blocks.elementwise import elementwise
from mlir_datagen.ops.blocks.normalization import mean
from mlir_datagen.ops.network_builder import NetworkBuilder
from mlir_datagen.ops.notation import dilated
from mlir_datagen.ops.windows import POOLINGS

Pair = tuple[int, int]
_LONGEST_CONSTANT = 1 << 20
"""Numbers that averages may take in the text, which is then some 20 MB long."""


def max_pool(
    builder: NetworkBuilder, image: Value, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, positions: Pair
) -> Value:
    """Take the maximum under a window at so many positions; where it reaches over the padding, that is -inf."""
    padded = _padded(builder, image, kernel, stride, padding, dilation, positions, -math.inf)
    return _pooled(builder, "max", padded, kernel, stride, dilation)


def average_pool(
    builder: NetworkBuilder,
    image: Value,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    positions: Pair,
    counts_padding: bool = True,
    divisor: int | None = None,
) -> Value:
    """Take the average under a window at so many positions.

    Args:
        builder: what it is emitted into.
        image: what is pooled.
        kernel: the window's size.
        stride: from one position to the next.
        padding: zeros on each side.
        positions: the result's height and width.
        counts_padding: whether zeros of the padding are elements of the window; what lies beyond them never is.
        divisor: what sums are divided by, instead of the number of elements under the window.
    """
    padded = _padded(builder, image, kernel, stride, padding, (1, 1), positions, 0)
    window = kernel[0] * kernel[1]
    average = elementwise(builder, "div", _pooled(builder, "sum", padded, kernel, stride, (1, 1)), window)
    if divisor is not None:
        return elementwise(builder, "mul", average, window / divisor)
    counts = _elements_under_windows(image.type.shape[2:], kernel, stride, padding, positions, counts_padding)
    if all(count == window for row in counts for count in row):
        return average
    _refuse_long_constants(math.prod(positions))
    factors = [[window / count for count in row] for row in counts]
    dtype = image.type.dtype
    return elementwise(builder, "mul", average, builder.dense(dense(factors, dtype), tensor(positions, dtype)))


def adaptive_average_pool(builder: NetworkBuilder, image: Value, positions: Pair) -> Value:
    """Average over windows that divide height and width as evenly as can be, in so many rows and columns.

    Windows of different sizes, which no pooling operation has, are matrix products with averaging matrices.
    """
    extents = image.type.shape[2:]
    if extents == tuple(positions):
        return image
    if tuple(positions) == (1, 1):
        return mean(builder, image, (2, 3), keep=True)
    if all(extent % count == 0 for extent, count in zip(extents, positions, strict=True)):
        kernel = (extents[0] // positions[0], extents[1] // positions[1])
        return average_pool(builder, image, kernel, kernel, (0, 0), positions)
    by_rows = matmul(builder, image, _averaging_matrix(builder, extents[1], positions[1], image.type.dtype))
    columns = builder.transpose(by_rows, (0, 1, 3, 2))
    both = matmul(builder, columns, _averaging_matrix(builder, extents[0], positions[0], image.type.dtype))
    return builder.transpose(both, (0, 1, 3, 2))


def _pooled(builder: NetworkBuilder, kind: str, image: Value, kernel: Pair, stride: Pair, dilation: Pair) -> Value:
    sizes = dict(zip(("kh", "kw", "sh", "sw", "dh", "dw"), (*kernel, *stride, *dilation), strict=True))
    return POOLINGS[f"pooling_nchw_{kind}"].apply(builder, image, **sizes)


def _averaging_matrix(builder: NetworkBuilder, extent: int, count: int, dtype: str) -> Value:
    """Return (extent, count): column i averages what PyTorch's window i of `count` covers."""
    _refuse_long_constants(extent * count)
    windows = [(i * extent // count, -(-(i + 1) * extent // count)) for i in range(count)]
    rows = [[1 / (end - begin) if begin <= row < end else 0.0 for begin, end in windows] for row in range(extent)]
    return builder.dense(dense(rows, dtype), tensor((extent, count), dtype))


def _refuse_long_constants(numbers: int) -> None:
    if numbers > _LONGEST_CONSTANT:
        raise UserError(
            f"averages over windows of different sizes would take {numbers} numbers in the text, and at most "
            f"{_LONGEST_CONSTANT} are written; choose sizes that divide the image, without padding"
        )


def _padded(
    builder: NetworkBuilder,
    image: Value,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    positions: Pair,
    number: float,
) -> Value:
    """Pad by `padding`, and at the end by what the last window reaches beyond it (PyTorch's `ceil_mode`)."""
    high = [
        max(padding[side], (positions[side] - 1) * stride[side] + dilated(kernel[side], dilation[side])
            - image.type.shape[2 + side] - padding[side])
        for side in (0, 1)
    ]  # fmt: skip
    return builder.pad(image, (0, 0, *padding), (0, 0, *high), number)


def _elements_under_windows(
    extents: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, positions: Pair, counts_padding: bool
) -> list[list[int]]:
    sides = []
    for side in (0, 1):
        first, last = (-padding[side], extents[side] + padding[side]) if counts_padding else (0, extents[side])
        starts = [position * stride[side] - padding[side] for position in range(positions[side])]
        sides.append([min(start + kernel[side], last) - max(start, first) for start in starts])
    return [[rows * columns for columns in sides[1]] for rows in sides[0]]
