"""Convolutions and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import is_float
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.manual.operands import Handler, pair
from mlir_datagen.ops import blocks
from mlir_datagen.ops.network_builder import NetworkBuilder
from mlir_datagen.ops.notation import dilated

Window = int | Sequence[int]
_SIGNAL_FILTERS_RANK = 3


def _conv(
    builder: NetworkBuilder,
    result: TensorType,
    image: Value,
    filters: Value,
    bias: Value | None = None,
    stride: Window = 1,
    padding: Window | str = 0,
    dilation: Window = 1,
    groups: int = 1,
) -> Value:
    """Emit a convolution of images, or of signals: those are images whose height is 1."""
    _refuse_integers(result, "convolutions")
    if len(filters.type.shape) == _SIGNAL_FILTERS_RANK:
        image = builder.reshape(image, (*image.type.shape[:-1], 1, image.type.shape[-1]))
        filters = builder.reshape(filters, (*filters.type.shape[:2], 1, filters.type.shape[2]))
        stride, dilation = (1, pair(stride)[0]), (1, pair(dilation)[0])
        padding = padding if isinstance(padding, str) else (0, pair(padding)[0])
    images = _as_batch(builder, image)
    around = _padding(padding, filters, pair(dilation))
    padded = builder.pad(images, (0, 0, *(low for low, _ in around)), (0, 0, *(high for _, high in around)))
    convolved = blocks.convolution(builder, padded, filters, bias, pair(stride), pair(dilation), groups)
    return builder.reshape(convolved, result.shape)


def _padding(padding: Window | str, filters: Value, dilation: tuple[int, int]) -> list[tuple[int, int]]:
    """Return what is added before and after height and width; "same" puts an odd element after."""
    if padding == "same":
        totals = [dilated(kernel, step) - 1 for kernel, step in zip(filters.type.shape[2:], dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(side, side) for side in ((0, 0) if isinstance(padding, str) else pair(padding))]


def _convolution(
    builder: NetworkBuilder,
    result: TensorType,
    image: Value,
    filters: Value,
    bias: Value | None,
    stride: Window,
    padding: Window,
    dilation: Window,
    transposed: bool,
    output_padding: Window,
    groups: int,
) -> Value:
    if transposed or len(filters.type.shape) not in (3, 4):
        raise UserError("transposed convolutions, and convolutions of volumes, are not converted")
    return _conv(builder, result, image, filters, bias, stride, padding, dilation, groups)


def _pooled(
    builder: NetworkBuilder, result: TensorType, image: Value, kernel: Window, stride: Window
) -> tuple[Value, tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return what is pooled as a batch, and the size, the step and the number of positions of the window."""
    _refuse_integers(result, "windows")
    size = pair(kernel)
    step = pair(stride) if stride else size
    return _as_batch(builder, image), size, step, (result.shape[-2], result.shape[-1])


def _max_pool2d(
    builder: NetworkBuilder,
    result: TensorType,
    image: Value,
    kernel: Window,
    stride: Window = (),
    padding: Window = 0,
    dilation: Window = 1,
    ceil_mode: bool = False,
) -> Value:
    images, size, step, positions = _pooled(builder, result, image, kernel, stride)
    pooled = blocks.max_pool(builder, images, size, step, pair(padding), pair(dilation), positions)
    return builder.reshape(pooled, result.shape)


def _max_pool2d_with_indices(
    builder: NetworkBuilder, result: tuple[TensorType, TensorType], *arguments: Any
) -> tuple[Value, None]:
    return _max_pool2d(builder, result[0], *arguments), None


def _avg_pool2d(
    builder: NetworkBuilder,
    result: TensorType,
    image: Value,
    kernel: Window,
    stride: Window = (),
    padding: Window = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    images, size, step, positions = _pooled(builder, result, image, kernel, stride)
    around = pair(padding)
    pooled = blocks.average_pool(
        builder, images, size, step, around, positions, count_include_pad, divisor_override
    )  # fmt: skip
    return builder.reshape(pooled, result.shape)


def _adaptive_avg_pool2d(builder: NetworkBuilder, result: TensorType, image: Value, size: Window) -> Value:
    positions = (result.shape[-2], result.shape[-1])
    pooled = blocks.adaptive_average_pool(builder, _as_batch(builder, image), positions)
    return builder.reshape(pooled, result.shape)


def _refuse_integers(result: TensorType, what: str) -> None:
    if not is_float(result.dtype):
        raise UserError(f"{what} of integers are not converted; make the tensor a float first, as with x.float()")


def _as_batch(builder: NetworkBuilder, image: Value) -> Value:
    """Return an image without a batch as a batch of one."""
    return builder.reshape(image, (1, *image.type.shape)) if len(image.type.shape) == 3 else image


HANDLERS: dict[str, Handler] = {
    "aten.conv1d.default": _conv,
    "aten.conv1d.padding": _conv,
    "aten.conv2d.default": _conv,
    "aten.conv2d.padding": _conv,
    "aten.convolution.default": _convolution,
    "aten.max_pool2d.default": _max_pool2d,
    "aten.max_pool2d_with_indices.default": _max_pool2d_with_indices,
    "aten.avg_pool2d.default": _avg_pool2d,
    "aten.adaptive_avg_pool2d.default": _adaptive_avg_pool2d,
    "aten._adaptive_avg_pool2d.default": _adaptive_avg_pool2d,
}
