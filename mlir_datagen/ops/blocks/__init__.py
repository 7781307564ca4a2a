"""What networks need beyond the op families: short functions, builder and values to value, in named linalg operations.

Where a family has the operation, its `emit` is what they use.
"""

from __future__ import annotations

from mlir_datagen.ops.blocks.contractions import attention, convolution, linear, matmul
from mlir_datagen.ops.blocks.elementwise import clamp, elementwise, gelu, relu, sigmoid, steps
from mlir_datagen.ops.blocks.normalization import (
    log_softmax,
    mean,
    normalize,
    scale_and_shift_channels,
    softmax,
    softmax_or_zero,
    variance,
)
from mlir_datagen.ops.blocks.windows import adaptive_average_pool, average_pool, max_pool

__all__ = [
    "adaptive_average_pool",
    "attention",
    "average_pool",
    "clamp",
    "convolution",
    "elementwise",
    "gelu",
    "linear",
    "log_softmax",
    "matmul",
    "max_pool",
    "mean",
    "normalize",
    "relu",
    "scale_and_shift_channels",
    "sigmoid",
    "softmax",
    "softmax_or_zero",
    "steps",
    "variance",
]
