"""Matrix products and attention."""

from __future__ import annotations

from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.types import TensorType
from mlir_datagen.networks.manual.operands import Handler
from mlir_datagen.ops import blocks
from mlir_datagen.ops.network_builder import NetworkBuilder


def _matmul(builder: NetworkBuilder, result: TensorType, lhs: Value, rhs: Value) -> Value:
    return blocks.matmul(builder, lhs, rhs)


def _linear(
    builder: NetworkBuilder, result: TensorType, value: Value, weight: Value, bias: Value | None = None
) -> Value:
    return blocks.linear(builder, value, weight, bias)


def _addmm(
    builder: NetworkBuilder, result: TensorType, added: Value, lhs: Value, rhs: Value, beta: float = 1, alpha: float = 1
) -> Value:
    product = blocks.matmul(builder, lhs, rhs)
    if alpha != 1:
        product = blocks.elementwise(builder, "mul", product, alpha)
    if beta != 1:
        added = blocks.elementwise(builder, "mul", added, beta)
    return blocks.elementwise(builder, "add", product, added)


def _attention(
    builder: NetworkBuilder,
    result: TensorType,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    if enable_gqa:
        heads = query.type.shape[-3]
        key, value = _repeated_heads(builder, key, heads), _repeated_heads(builder, value, heads)
    # A causal mask lets the first key through for every query.
    may_hide_all = attn_mask is not None
    if is_causal:
        rows, columns = query.type.shape[-2], key.type.shape[-2]
        lines = builder.broadcast(builder.reshape(blocks.steps(builder, rows), (rows, 1)), (rows, columns))
        attn_mask = builder.compare("le", builder.broadcast(blocks.steps(builder, columns), (rows, columns)), lines)
    return blocks.attention(builder, query, key, value, attn_mask, scale, may_hide_all=may_hide_all)


def _repeated_heads(builder: NetworkBuilder, value: Value, heads: int) -> Value:
    """Let each head of keys or values serve so many heads of queries, side by side."""
    *batch, own, length, width = value.type.shape
    single = builder.reshape(value, (*batch, own, 1, length, width))
    repeated = builder.broadcast(single, (*batch, own, heads // own, length, width))
    return builder.reshape(repeated, (*batch, heads, length, width))


def _rms_norm(
    builder: NetworkBuilder,
    result: TensorType,
    value: Value,
    shape: list[int],
    weight: Value | None = None,
    epsilon: float | None = None,
) -> Value:
    axes = range(len(result.shape) - len(shape), len(result.shape))
    power = blocks.mean(builder, blocks.elementwise(builder, "square", value), list(axes), keep=True)
    least = 2 * ELEMENT_TYPES[result.dtype].unit if epsilon is None else epsilon
    scale = blocks.elementwise(builder, "rsqrt", blocks.elementwise(builder, "add", power, least))
    normalized = blocks.elementwise(builder, "mul", value, scale)
    return normalized if weight is None else blocks.elementwise(builder, "mul", normalized, weight)


HANDLERS: dict[str, Handler] = {
    "aten.matmul.default": _matmul,
    "aten.mm.default": _matmul,
    "aten.bmm.default": _matmul,
    "aten.mv.default": _matmul,
    "aten.dot.default": _matmul,
    "aten.linear.default": _linear,
    "aten.addmm.default": _addmm,
    "aten.baddbmm.default": _addmm,
    "aten.scaled_dot_product_attention.default": _attention,
    "aten.rms_norm.default": _rms_norm,
}
