"""Two-dimensional pooling without padding: `linalg.pooling_nchw_max`, and the average as sum and division."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from mlir_datagen.mlir.builder import FunctionBuilder, Value, strides_and_dilations
from mlir_datagen.mlir.element_types import lowest
from mlir_datagen.mlir.signature import Loop, Operand
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.family import Constraint, OpFamily, Variant, sliding_window_constraints, sliding_window_extent


class PoolingSpec(NamedTuple):
    """A batch of images (batch, channels, height, width) under a window; `kind` is `max` or `avg`."""

    kind: str
    batch: int
    channels: int
    height: int
    width: int
    kernel_height: int
    kernel_width: int
    stride_height: int
    stride_width: int
    dilation_height: int
    dilation_width: int
    dtype: str = "f32"


class Pooling(OpFamily):
    """Maximum starts from -inf; the average divides a sum by the window's size, as linalg has no average."""

    name = "pooling"
    variants = tuple(Variant(kind, PoolingSpec._fields[1:-1]) for kind in ("max", "avg"))
    minimum_mlir = 16

    def spec(self, variant: Variant, *dimensions: Any) -> PoolingSpec:
        return PoolingSpec(variant.kind, *dimensions)

    def spec_from_json(self, fields: dict[str, Any]) -> PoolingSpec:
        return PoolingSpec(**fields)

    def constraints(self, spec: PoolingSpec) -> Sequence[Constraint]:
        return sliding_window_constraints(spec)

    def arguments(self, spec: PoolingSpec) -> tuple[Operand, ...]:
        return (Operand("image", (spec.batch, spec.channels, spec.height, spec.width), spec.dtype),)

    def results(self, spec: PoolingSpec) -> tuple[Operand, ...]:
        return (Operand("pooled", _output_shape(spec), spec.dtype),)

    def loops(self, spec: PoolingSpec) -> tuple[Loop, ...]:
        return (
            *(Loop(bound, "parallel") for bound in _output_shape(spec)),
            *(Loop(bound, "reduction") for bound in (spec.kernel_height, spec.kernel_width)),
        )

    def flops(self, spec: PoolingSpec) -> Any:
        """One operation for each element of each window, and for the average one division for each result."""
        reduced = math.prod(loop.bound for loop in self.loops(spec))
        return reduced if spec.kind == "max" else reduced + math.prod(_output_shape(spec))

    def reference(self, spec: PoolingSpec, *arguments: Any) -> Any:
        import torch
        from torch.nn import functional

        (image,) = arguments
        kernel = (spec.kernel_height, spec.kernel_width)
        stride = (spec.stride_height, spec.stride_width)
        dilation = (spec.dilation_height, spec.dilation_width)
        if spec.kind == "max":
            return functional.max_pool2d(image, kernel, stride, dilation=dilation)
        if dilation == (1, 1):
            return functional.avg_pool2d(image, kernel, stride)
        # PyTorch's average pooling knows no dilation: a convolution of each channel with equal weights.
        weights = torch.full((1, 1, *kernel), 1 / math.prod(kernel), dtype=image.dtype)
        channels = image.reshape(-1, 1, spec.height, spec.width)
        return functional.conv2d(channels, weights, stride=stride, dilation=dilation).reshape(_output_shape(spec))

    def input_range(self, spec: PoolingSpec) -> tuple[float, float]:
        """A maximum that starts from a number instead of -inf is right on any window with a greater element."""
        return (-1e30, 0.0) if spec.kind == "max" else super().input_range(spec)

    def emit(self, builder: FunctionBuilder, spec: PoolingSpec, *operands: Value) -> Value:
        window = builder.empty(tensor((spec.kernel_height, spec.kernel_width), spec.dtype))
        result_type = tensor(_output_shape(spec), spec.dtype)
        attributes = strides_and_dilations(
            (spec.stride_height, spec.stride_width), (spec.dilation_height, spec.dilation_width)
        )
        if spec.kind == "max":
            init = builder.filled(lowest(spec.dtype), result_type)
            return builder.structured("linalg.pooling_nchw_max", (*operands, window), init, attributes)
        init = builder.filled(0, result_type)
        total = builder.structured("linalg.pooling_nchw_sum", (*operands, window), init, attributes)
        return builder.divide_by_constant(total, spec.kernel_height * spec.kernel_width)


def _output_shape(spec: PoolingSpec) -> tuple[int, int, int, int]:
    height = sliding_window_extent(spec.height, spec.kernel_height, spec.stride_height, spec.dilation_height)
    width = sliding_window_extent(spec.width, spec.kernel_width, spec.stride_width, spec.dilation_width)
    return spec.batch, spec.channels, height, width
