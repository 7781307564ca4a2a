"""What each operation of a vocabulary does to a graph: from a value that is there to a new one.

A rule adds the operands that it needs as arguments, or takes values that fit, and raises `CannotBeDrawn` where the
value's shape, or its axes, do not allow it. None makes an operation that has no effect, such as a rectified linear unit
of what is never negative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from mlir_datagen.ops.drawn.draft import CannotBeDrawn, Draft, Draw

Others = Callable[[tuple[int, ...]], int]
"""Returns a value of a shape: a new argument, or one that is there."""

_RELU, _SIGMOID = "max(a, number)", "div(1, add(1, exp(neg(a))))"
_GELU = "mul(mul(a, 0.5), add(1, erf(mul(a, 0.7071067811865476))))"
_EPSILON = 1e-5


@dataclass(frozen=True)
class Rule:
    """An operation of a vocabulary.

    Attributes:
        apply: adds it to a draft, on a value; returns its result.
        ranks: of the values that it takes.
    """

    apply: Callable[[Draft, Draw, int, Others], int]
    ranks: tuple[int, ...] = (2, 4)


def relu(draft: Draft, value: int) -> int:
    """Emit max(x, 0)."""
    result = draft.elementwise(_RELU, value, number=0)
    draft.nonnegative.add(result)
    return result


def sigmoid(draft: Draft, value: int) -> int:
    """Emit 1 / (1 + exp(-x))."""
    result = draft.elementwise(_SIGMOID, value)
    draft.nonnegative.add(result)
    return result


def silu(draft: Draft, value: int) -> int:
    """Emit x / (1 + exp(-x)) (Elfwing, Uchibe, Doya, 2017)."""
    return draft.elementwise("div(a, add(1, exp(neg(a))))", value)


def gelu(draft: Draft, value: int) -> int:
    """Emit x times the normal distribution's cumulative function (Hendrycks, Gimpel, 2016)."""
    return draft.elementwise(_GELU, value)


def softmax(draft: Draft, value: int) -> int:
    """Emit the softmax along the last dimension, from its largest element, so that nothing overflows."""
    _require_length(draft, value, 2)
    largest = draft.along_last("a", "max", value)
    exponentials = draft.with_rows("exp(sub(a, b))", value, largest)
    result = draft.with_rows("div(a, b)", exponentials, draft.along_last("a", "add", exponentials))
    draft.nonnegative.add(result)
    return result


def layer_norm(draft: Draft, value: int) -> int:
    """Emit the layer norm along the last dimension, with weight and bias (Ba, Kiros, Hinton, 2016)."""
    extent = _require_length(draft, value, 3)
    mean = draft.elementwise("div(a, number)", draft.along_last("a", "add", value), number=extent)
    centred = draft.with_rows("sub(a, b)", value, mean)
    variance = draft.elementwise("div(a, number)", draft.along_last("mul(a, a)", "add", centred), number=extent)
    root = draft.elementwise("rsqrt(add(a, number))", variance, number=_EPSILON)
    scaled = draft.with_rows("mul(a, b)", centred, root)
    return draft.with_columns("add(mul(a, b), c)", scaled, draft.argument(extent), draft.argument(extent))


def rms_norm(draft: Draft, value: int) -> int:
    """Emit the norm by the root of the mean square, with a weight (Zhang, Sennrich, 2019)."""
    extent = _require_length(draft, value, 2)
    squares = draft.along_last("mul(a, a)", "add", value)
    mean = draft.elementwise("div(a, number)", squares, number=extent)
    root = draft.elementwise("rsqrt(add(a, number))", mean, number=_EPSILON)
    return draft.with_columns("mul(a, b)", draft.with_rows("mul(a, b)", value, root), draft.argument(extent))


def channel_bias(draft: Draft, value: int) -> int:
    """Add a number to each channel of images (batch, channels, height, width)."""
    bias = draft.argument(draft.shape(value)[1])
    return draft.generic("d0 d1 d2 d3, d1 -> d0 d1 d2 d3", "add(a, b)", value, bias)


def linear(draft: Draft, value: int, features: int) -> int:
    """Multiply rows by a matrix and add a bias."""
    product = draft.named("matmul", value, draft.argument(draft.shape(value)[1], features))
    return draft.with_columns("add(a, b)", product, draft.argument(features))


def convolution(draft: Draft, value: int, features: int, kernel: int, stride: int = 1) -> int:
    """Convolve images with new filters."""
    filters = draft.argument(features, draft.shape(value)[1], kernel, kernel)
    return draft.named("conv_2d_nchw_fchw", value, filters, sh=stride, sw=stride, dh=1, dw=1)


def _require_length(draft: Draft, value: int, least: int) -> int:
    """Return the extent of the last dimension: of a shorter one, what it is scaled to says little or nothing of it.

    Raises:
        CannotBeDrawn: when it is shorter.
    """
    extent = draft.shape(value)[-1]
    if extent < least:
        raise CannotBeDrawn
    return extent


def _elementwise(kind: str) -> Rule:
    def apply(draft: Draft, draw: Draw, value: int, others: Others) -> int:
        other = others(draft.shape(value))
        if kind == "max" and other == value:
            raise CannotBeDrawn
        return draft.named(kind, value, other)

    return Rule(apply)


def _unary(function: Callable[[Draft, int], int], ranks: tuple[int, ...] = (2, 4)) -> Rule:
    def apply(draft: Draft, draw: Draw, value: int, others: Others) -> int:
        return function(draft, value)

    return Rule(apply, ranks)


def _relu(draft: Draft, value: int) -> int:
    if value in draft.nonnegative:
        raise CannotBeDrawn
    return relu(draft, value)


def _matmul(draft: Draft, draw: Draw, value: int, others: Others) -> int:
    return draft.named("matmul", value, others((draft.shape(value)[1], draw.size("columns"))))


def _conv2d(draft: Draft, draw: Draw, value: int, others: Others) -> int:
    kernel, stride = _window(draft, draw, value)
    return convolution(draft, value, draw.size("channels"), kernel, stride)


def _pooling(draft: Draft, draw: Draw, value: int, others: Others) -> int:
    kernel, stride = _window(draft, draw, value, least=2)
    result = draft.named("pooling_nchw_max", value, kh=kernel, kw=kernel, sh=stride, sw=stride, dh=1, dw=1)
    if value in draft.nonnegative:
        draft.nonnegative.add(result)
    return result


def _window(draft: Draft, draw: Draw, value: int, least: int = 1) -> tuple[int, int]:
    """Return a kernel's side and its stride; where it has one position, the stride has no effect and is 1."""
    *_, height, width = draft.shape(value)
    kernel, stride = draw.size("kernel", least, min(height, width)), draw.size("stride")
    return kernel, 1 if stride > min(height, width) - kernel else stride


RULES: dict[str, Rule] = {
    "add": _elementwise("add"),
    "mul": _elementwise("mul"),
    "max": _elementwise("max"),
    "matmul": Rule(_matmul, (2,)),
    "conv2d": Rule(_conv2d, (4,)),
    "pooling": Rule(_pooling, (4,)),
    "bias": _unary(channel_bias, (4,)),
    "relu": _unary(_relu),
    "sigmoid": _unary(sigmoid),
    "silu": _unary(silu),
    "gelu": _unary(gelu),
    "softmax": _unary(softmax, (2,)),
    "layer_norm": _unary(layer_norm, (2,)),
    "rms_norm": _unary(rms_norm, (2,)),
}
"""The operations that sequences and graphs may have, by name."""


@lru_cache
def applicable(vocabulary: tuple[str, ...], rank: int) -> tuple[str, ...]:
    """Return the operations of a vocabulary that take values of a rank."""
    return tuple(name for name in vocabulary if rank in RULES[name].ranks)
