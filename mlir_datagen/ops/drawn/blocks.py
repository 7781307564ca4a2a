"""Blocks as networks have them, with random sizes: what an agent meets in real ones, in one program each."""

from __future__ import annotations

import math
from collections.abc import Callable

from mlir_datagen.ops.drawn.draft import Draft, Draw
from mlir_datagen.ops.drawn.rules import (
    channel_bias,
    convolution,
    gelu,
    layer_norm,
    linear,
    relu,
    rms_norm,
    sigmoid,
    silu,
    softmax,
)


def _image(draft: Draft, draw: Draw) -> int:
    return draft.argument(*(draw.size(axis) for axis in ("batch", "channels", "height", "width")))


def _rows(draft: Draft, draw: Draw) -> int:
    return draft.argument(draw.size("rows"), draw.size("columns"))


def conv_bias_relu(draft: Draft, draw: Draw) -> int:
    """Emit a convolution, a bias for each channel, and a rectified linear unit."""
    image = _image(draft, draw)
    kernel = draw.size("kernel", most=min(draft.shape(image)[2:]))
    return relu(draft, channel_bias(draft, convolution(draft, image, draw.size("channels"), kernel)))


def residual(draft: Draft, draw: Draw) -> int:
    """Emit two convolutions of one pixel and the sum with what they read (He et al., 2015, without padding)."""
    image = _image(draft, draw)
    channels = draft.shape(image)[1]
    inner = relu(draft, channel_bias(draft, convolution(draft, image, draw.size("channels"), 1)))
    outer = channel_bias(draft, convolution(draft, inner, channels, 1))
    return relu(draft, draft.named("add", outer, image))


def bottleneck(draft: Draft, draw: Draw) -> int:
    """Emit a narrowing, a spatial and a widening convolution, each with bias and rectified linear unit."""
    image = _image(draft, draw)
    channels = draft.shape(image)[1]
    narrow = draw.size("channels", most=channels)
    kernel = draw.size("kernel", most=min(draft.shape(image)[2:]))
    for features, side in ((narrow, 1), (narrow, kernel), (channels, 1)):
        image = relu(draft, channel_bias(draft, convolution(draft, image, features, side)))
    return image


def depthwise_separable(draft: Draft, draw: Draw) -> int:
    """Emit a convolution of each channel and one of each pixel (Howard et al., MobileNets, 2017)."""
    image = _image(draft, draw)
    kernel = draw.size("kernel", most=min(draft.shape(image)[2:]))
    filters = draft.argument(draft.shape(image)[1], kernel, kernel)
    each = draft.named("depthwise_conv_2d_nchw_chw", image, filters, sh=1, sw=1, dh=1, dw=1)
    each = relu(draft, channel_bias(draft, each))
    return relu(draft, channel_bias(draft, convolution(draft, each, draw.size("channels"), 1)))


def squeeze_and_excitation(draft: Draft, draw: Draw) -> int:
    """Emit channels that are scaled by what a small network makes of their means (Hu et al., 2017)."""
    image = _image(draft, draw)
    _, channels, height, width = draft.shape(image)
    total = draft.generic("d0 d1 d2 d3 -> d0 d1", "a", image, accumulate="add")
    mean = draft.elementwise("div(a, number)", total, number=height * width)
    scale = sigmoid(draft, linear(draft, relu(draft, linear(draft, mean, draw.size("channels"))), channels))
    return draft.generic("d0 d1 d2 d3, d0 d1 -> d0 d1 d2 d3", "mul(a, b)", image, scale)


def mlp(draft: Draft, draw: Draw) -> int:
    """Emit two linear layers with a rectified linear unit in between."""
    return linear(draft, relu(draft, linear(draft, _rows(draft, draw), draw.size("features"))), draw.size("columns"))


def layer_norm_gelu(draft: Draft, draw: Draw) -> int:
    """Emit a layer norm, a linear layer and a Gaussian error linear unit."""
    return gelu(draft, linear(draft, layer_norm(draft, _rows(draft, draw)), draw.size("features")))


def gated_mlp(draft: Draft, draw: Draw) -> int:
    """Emit the feed-forward layer with a gate of Llama (Shazeer, GLU variants improve transformer, 2020)."""
    value = _rows(draft, draw)
    return _gated(draft, value, draw.size("features"))


def attention(draft: Draft, draw: Draw) -> int:
    """Emit softmax(query keyᵀ / sqrt d) value, for a batch of heads (Vaswani et al., 2017, equation 1)."""
    return _attention(draft, draw, masked=False)


def masked_attention(draft: Draft, draw: Draw) -> int:
    """Emit attention with a mask that is added to the scores."""
    return _attention(draft, draw, masked=True)


def grouped_attention(draft: Draft, draw: Draw) -> int:
    """Emit attention in which groups of queries share a key and a value (Ainslie et al., GQA, 2023)."""
    heads, rows, features = draw.size("heads"), draw.size("rows"), draw.size("features")
    group = draw.size("heads", least=2)
    query = draft.argument(heads, group, rows, features)
    key, value = draft.argument(heads, rows, features), draft.argument(heads, rows, features)
    products = "mul(a, b)"
    scores = draft.generic("h g q d, h k d -> h g q k", products, query, key, accumulate="add")
    scaled = draft.elementwise("mul(a, number)", scores, number=1 / math.sqrt(features))
    return draft.generic("h g q k, h k d -> h g q d", products, softmax(draft, scaled), value, accumulate="add")


def transformer(draft: Draft, draw: Draw) -> int:
    """Emit a block of a decoder with one head: norm, attention, sum, norm, gated layer, sum."""
    value = _rows(draft, draw)
    width = draft.shape(value)[1]
    normed = rms_norm(draft, value)
    query, key, content = (draft.named("matmul", normed, draft.argument(width, width)) for _ in range(3))
    scores = draft.generic("q d, k d -> q k", "mul(a, b)", query, key, accumulate="add")
    scaled = draft.elementwise("mul(a, number)", scores, number=1 / math.sqrt(width))
    mixed = draft.named("matmul", softmax(draft, scaled), content)
    value = draft.named("add", draft.named("matmul", mixed, draft.argument(width, width)), value)
    return draft.named("add", _gated(draft, rms_norm(draft, value), draw.size("features")), value)


def _attention(draft: Draft, draw: Draw, masked: bool) -> int:
    heads, rows, features = draw.size("heads"), draw.size("rows"), draw.size("features")
    query, key, value = (draft.argument(heads, rows, features) for _ in range(3))
    scores = draft.generic("h q d, h k d -> h q k", "mul(a, b)", query, key, accumulate="add")
    scaled = draft.elementwise("mul(a, number)", scores, number=1 / math.sqrt(features))
    if masked:
        scaled = draft.generic("h q k, q k -> h q k", "add(a, b)", scaled, draft.argument(rows, rows))
    return draft.named("batch_matmul", softmax(draft, scaled), value)


def _gated(draft: Draft, value: int, features: int) -> int:
    width = draft.shape(value)[1]
    gate = silu(draft, draft.named("matmul", value, draft.argument(width, features)))
    up = draft.named("matmul", value, draft.argument(width, features))
    return draft.named("matmul", draft.named("mul", gate, up), draft.argument(features, width))


BLOCKS: dict[str, Callable[[Draft, Draw], int]] = {
    block.__name__: block
    for block in (
        conv_bias_relu,
        residual,
        bottleneck,
        depthwise_separable,
        squeeze_and_excitation,
        mlp,
        gated_mlp,
        layer_norm_gelu,
        attention,
        masked_attention,
        grouped_attention,
        transformer,
    )
}
"""By name: the kinds of the family `block`."""
