"""Two-dimensional convolution: `linalg.conv_2d_nchw_fchw`, without padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from mlir_datagen.mlir.builder import FunctionBuilder, Value, strides_and_dilations
from mlir_datagen.mlir.signature import Loop, Operand
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.family import Constraint, OpFamily, Variant, sliding_window_constraints, sliding_window_extent


class Conv2dSpec(NamedTuple):
    """A batch of images (batch, in_channels, height, width) under filters (out_channels, in_channels, kernel)."""

    batch: int
    in_channels: int
    height: int
    width: int
    out_channels: int
    kernel_height: int
    kernel_width: int
    stride_height: int
    stride_width: int
    dilation_height: int
    dilation_width: int
    dtype: str = "f32"


class Conv2d(OpFamily):
    """The kind names the layouts of image and filter."""

    name = "conv2d"
    variants = (Variant("nchw_fchw", Conv2dSpec._fields[:-1]),)
    minimum_mlir = 16

    def spec(self, variant: Variant, *dimensions: Any) -> Conv2dSpec:
        return Conv2dSpec(*dimensions)

    def spec_from_json(self, fields: dict[str, Any]) -> Conv2dSpec:
        return Conv2dSpec(**fields)

    def constraints(self, spec: Conv2dSpec) -> Sequence[Constraint]:
        return sliding_window_constraints(spec)

    def arguments(self, spec: Conv2dSpec) -> tuple[Operand, ...]:
        image = (spec.batch, spec.in_channels, spec.height, spec.width)
        filters = (spec.out_channels, spec.in_channels, spec.kernel_height, spec.kernel_width)
        return Operand("image", image, spec.dtype), Operand("filter", filters, spec.dtype)

    def results(self, spec: Conv2dSpec) -> tuple[Operand, ...]:
        return (Operand("convolved", _output_shape(spec), spec.dtype),)

    def loops(self, spec: Conv2dSpec) -> tuple[Loop, ...]:
        reduced = (spec.in_channels, spec.kernel_height, spec.kernel_width)
        return (
            *(Loop(bound, "parallel") for bound in _output_shape(spec)),
            *(Loop(bound, "reduction") for bound in reduced),
        )

    def flops(self, spec: Conv2dSpec) -> Any:
        return 2 * math.prod(loop.bound for loop in self.loops(spec))

    def reference(self, spec: Conv2dSpec, *arguments: Any) -> Any:
        from torch.nn import functional

        image, filters = arguments
        return functional.conv2d(
            image,
            filters,
            stride=(spec.stride_height, spec.stride_width),
            dilation=(spec.dilation_height, spec.dilation_width),
        )

    def emit(self, builder: FunctionBuilder, spec: Conv2dSpec, *operands: Value) -> Value:
        init = builder.filled(0, tensor(_output_shape(spec), spec.dtype))
        attributes = strides_and_dilations(
            (spec.stride_height, spec.stride_width), (spec.dilation_height, spec.dilation_width)
        )
        return builder.structured("linalg.conv_2d_nchw_fchw", operands, init, attributes)


def _output_shape(spec: Conv2dSpec) -> tuple[int, int, int, int]:
    height = sliding_window_extent(spec.height, spec.kernel_height, spec.stride_height, spec.dilation_height)
    width = sliding_window_extent(spec.width, spec.kernel_width, spec.stride_width, spec.dilation_width)
    return spec.batch, spec.out_channels, height, width
