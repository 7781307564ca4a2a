"""Matrix products of any rank, convolutions of any number of groups, and attention."""

from __future__ import annotations

import math

import numpy as np

from mlir_datagen.mlir.builder import Value
from mlir_datagen.ops.blocks.elementwise import elementwise
from mlir_datagen.ops.blocks.normalization import softmax, softmax_or_zero
from mlir_datagen.ops.contractions import CONTRACTIONS
from mlir_datagen.ops.network_builder import NetworkBuilder
from mlir_datagen.ops.windows import CONVOLUTIONS

Pair = tuple[int, int]


def matmul(builder: NetworkBuilder, lhs: Value, rhs: Value) -> Value:
    """Multiply as `torch.matmul` does: vectors, matrices, and batches of matrices, which are broadcast."""
    left, right = lhs.type.shape, rhs.type.shape
    if len(left) == 1 or len(right) == 1:
        rows = builder.reshape(lhs, (1, *left)) if len(left) == 1 else lhs
        columns = builder.reshape(rhs, (*right, 1)) if len(right) == 1 else rhs
        product = matmul(builder, rows, columns)
        *batch, m, n = product.type.shape
        kept = [*([] if len(left) == 1 else [m]), *([] if len(right) == 1 else [n])]
        return builder.reshape(product, (*batch, *kept))
    if len(right) == 2:
        rows = builder.reshape(lhs, (math.prod(left[:-1]), right[0]))
        product = CONTRACTIONS["matmul"].apply(builder, rows, rhs)
        return builder.reshape(product, (*left[:-1], right[1]))
    batches = np.broadcast_shapes(left[:-2], right[:-2])
    one_batch = [
        builder.reshape(builder.broadcast(operand, (*batches, *shape[-2:])), (math.prod(batches), *shape[-2:]))
        for operand, shape in ((lhs, left), (rhs, right))
    ]
    product = CONTRACTIONS["batch_matmul"].apply(builder, *one_batch)
    return builder.reshape(product, (*batches, left[-2], right[-1]))


def linear(builder: NetworkBuilder, value: Value, weight: Value, bias: Value | None) -> Value:
    """Emit value times the transposed weight (out, in), plus the bias.

    The transpose is an operation of its own, since LLVM's main branch no longer has `matmul_transpose_b`.
    """
    product = matmul(builder, value, builder.transpose(weight, (1, 0)))
    return product if bias is None else elementwise(builder, "add", product, bias)


def convolution(
    builder: NetworkBuilder, image: Value, filters: Value, bias: Value | None, stride: Pair, dilation: Pair, groups: int
) -> Value:
    """Convolve images (batch, channels, height, width), already padded, with filters (out, in / groups, kernel)."""
    result = _convolved(builder, image, filters, stride, dilation, groups)
    if bias is None:
        return result
    return elementwise(builder, "add", result, builder.reshape(bias, (*bias.type.shape, 1, 1)))


def _convolved(
    builder: NetworkBuilder, image: Value, filters: Value, stride: Pair, dilation: Pair, groups: int
) -> Value:
    batch, channels, *extents = image.type.shape
    features, depth, *kernel = filters.type.shape
    steps = dict(zip(("sh", "sw", "dh", "dw"), (*stride, *dilation), strict=True))
    if groups == 1:
        return CONVOLUTIONS["conv_2d_nchw_fchw"].apply(builder, image, filters, **steps)
    if groups == channels == features:
        depthwise = CONVOLUTIONS["depthwise_conv_2d_nchw_chw"]
        sizes = depthwise.sizes_of((image.type.shape, (channels, *kernel)), steps)
        # Before the filters are reshaped: so the text of networks has it.
        init = depthwise.init(builder, image.type.dtype, sizes)
        return depthwise.emit(builder, (image, builder.reshape(filters, (channels, *kernel))), sizes, init)
    grouped = builder.reshape(image, (batch, groups, depth, *extents))
    filter_groups = builder.reshape(filters, (groups, features // groups, depth, *kernel))
    result = CONVOLUTIONS["conv_2d_ngchw_gfchw"].apply(builder, grouped, filter_groups, **steps)
    return builder.reshape(result, (batch, features, *result.type.shape[3:]))


def attention(
    builder: NetworkBuilder,
    query: Value,
    key: Value,
    value: Value,
    mask: Value | None,
    scale: float | None,
    may_hide_all: bool,
) -> Value:
    """Emit softmax(query keyᵀ scale + mask) value; scale is 1 / sqrt of the last dimension unless given.

    Vaswani et al., Attention Is All You Need, 2017, equation 1. A mask of i1 lets through where it is true. Where it
    may hide all keys from a query, the result is zero there.
    """
    rank = len(key.type.shape)
    swapped = builder.transpose(key, (*range(rank - 2), rank - 1, rank - 2))
    factor = 1 / math.sqrt(query.type.shape[-1]) if scale is None else scale
    scores = elementwise(builder, "mul", matmul(builder, query, swapped), factor)
    if mask is not None and mask.type.dtype == "i1":
        through = builder.broadcast(mask, scores.type.shape)
        hidden = builder.full(-math.inf, scores.type)
        scores = builder.structured("linalg.select", (through, scores, hidden), builder.empty(scores.type))
    elif mask is not None:
        scores = elementwise(builder, "add", scores, mask)
    normalized = softmax_or_zero if may_hide_all else softmax
    return matmul(builder, normalized(builder, scores, rank - 1), value)
