"""What an operator does to numbers: whether it rounds, how much, and where its result jumps."""

from __future__ import annotations

import math
from typing import Any

import torch

from mlir_datagen.mlir.element_types import ELEMENT_TYPES, of_torch
from mlir_datagen.networks.oracle.graph import operator_name, tensors
from mlir_datagen.networks.state import is_uniform


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MOVING = _names("""
    view _unsafe_view reshape expand permute transpose t squeeze unsqueeze slice select split split_with_sizes chunk
    unbind cat stack clone contiguous alias detach lift_fresh_copy _to_copy to type_as dropout copy flip roll repeat
    constant_pad_nd pad reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d gather index index_select
    embedding take_along_dim slice_scatter select_scatter index_put scatter diagonal tril triu unfold im2col narrow
    pixel_shuffle pixel_unshuffle channel_shuffle upsample_nearest1d upsample_nearest2d upsample_nearest3d flatten
    unflatten movedim swapaxes as_strided view_as_real getitem where masked_fill zeros ones full empty zeros_like
    ones_like full_like empty_like new_zeros new_ones new_full new_empty arange scalar_tensor one_hot eye meshgrid
    broadcast_tensors
""")
_CHOOSING = _names("""
    relu relu6 hardtanh clamp clamp_min clamp_max clip maximum minimum max min amax amin aminmax sort topk median
    threshold max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool1d
    adaptive_max_pool2d neg abs sign sgn signbit floor ceil round trunc nan_to_num copysign heaviside eq ne lt le gt ge
    isnan isinf isfinite logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor
    __and__ __or__ __xor__ any all argmax argmin
""")
EXACT = _MOVING | _CHOOSING
"""Operators whose floating-point results are those of exact arithmetic."""

PRIMITIVE = _names("""
    add sub rsub mul div true_divide reciprocal sqrt rsqrt exp exp2 expm1 log log1p log2 log10 sin cos tan tanh erf
    sigmoid square pow atan
""")
"""Operators of one step, elementwise: their results are off by about a unit of rounding of themselves."""

STEPS = _names("floor ceil round trunc sign sgn heaviside floor_divide")
"""Operators whose floating-point results are steps of their arguments."""

WRAPS = _names("remainder fmod frac")
"""Operators whose floating-point results jump somewhere, and are continuous elsewhere."""


_WITHOUT_ORDER = _names("topk sort argsort kthvalue median mode")
"""Operators that do not promise which of several equal elements they take."""

_SUMS = _names("""
    linear mm bmm matmul mv dot addmm addmv addbmm baddbmm einsum conv1d conv2d conv3d convolution conv_transpose1d
    conv_transpose2d conv_transpose3d sum mean cumsum avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_avg_pool3d
""")
"""Operators that are sums, of products too."""

_WHOLE = _SUMS - _names("mean avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d")
_WHOLE |= _names("add sub rsub mul square")
"""Operators that make whole numbers of whole numbers."""

_PRODUCTS = ("linear", "mm", "bmm", "matmul", "mv", "dot")
_ADDING_PRODUCTS = ("addmm", "addmv", "addbmm", "baddbmm")
"""The same with something that is added before them."""

_FEWEST = 4
"""Of how many elements of a channel its size is taken."""


def unit(dtype: torch.dtype) -> float:
    """Return the unit of rounding of a floating-point type: half the distance of 1 from the next number."""
    return ELEMENT_TYPES[of_torch(dtype) or str(dtype)].unit


def rounds(node: Any) -> bool:
    """Tell whether a node's results are rounded."""
    return operator_name(node) not in EXACT and not _is_by_steps(node)


def is_of_whole_numbers(node: Any, arguments: Any, value: Any) -> bool:
    """Tell whether a node's results are exact since all are whole numbers that its type has: a count, a position."""
    return operator_name(node) in _WHOLE and all(
        bool(((tensor == tensor.round()) & (tensor.abs() * unit(tensor.dtype) < 0.5)).all())
        for tensor in (*tensors(arguments), *tensors(value))
        if tensor.is_floating_point()
    )


def is_composite(node: Any) -> bool:
    """Tell whether a node is several steps, whose order is the program's own affair: a GELU, a normalization."""
    name = operator_name(node)
    return name not in EXACT and name not in PRIMITIVE and name not in _SUMS and not _is_by_steps(node)


def orders_equals(node: Any) -> bool:
    """Tell whether a node takes one of several equal elements, and PyTorch does not promise which."""
    return operator_name(node) in _WITHOUT_ORDER and node.target._overloadname != "stable"


def may_jump(node: Any, arguments: Any, value: Any) -> bool:
    """Tell whether a small change of its arguments may change a node's value by much: floor, a comparison, argmax."""
    if operator_name(node) in STEPS | WRAPS or _is_by_steps(node):
        return any(tensor.is_floating_point() for tensor in tensors(value))
    discrete = any(not tensor.is_floating_point() for tensor in tensors(value))
    return discrete and any(tensor.is_floating_point() for tensor in tensors(arguments))


def without_jumps(node: Any, value: Any, before: Any) -> Any:
    """Return a node's value with the decisions that it took before.

    Args:
        node: one that may jump.
        value: its value on arguments that have moved a little.
        before: its value on those that have not.
    """
    if isinstance(value, (tuple, list)):
        return type(value)(without_jumps(node, *pair) for pair in zip(value, before, strict=True))
    if not isinstance(value, torch.Tensor):
        return value
    if not value.is_floating_point() or operator_name(node) in STEPS or _is_by_steps(node):
        return before
    if operator_name(node) in WRAPS:
        return torch.where((value - before).abs() > root_mean_square(before) / 4, before, value)
    return value


def rounding(node: Any, arguments: Any, value: torch.Tensor) -> torch.Tensor | float:
    """Return by how much one evaluation of a node may be off, elementwise.

    One step is off by a unit of rounding of its result, or two. A sum of K products in any order is off by a multiple
    of sqrt(K) of them (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 2.8), relative to what was
    added, which is at least as large as results usually are, also where terms cancel. Equal terms are an exception: a
    long row of them is rounded the same way, by a fraction of a unit each that grows with the sum.
    """
    size = value.abs()
    terms = _terms(node, arguments, value)
    steps = math.sqrt(terms)
    if operator_name(node) not in PRIMITIVE:
        size = torch.maximum(size, _usual_size(node, value))
        if _adds_equal_terms(node, arguments):
            steps = max(steps, terms / 16)
    return size * (unit(value.dtype) * (1 + steps))


def _adds_equal_terms(node: Any, arguments: Any) -> bool:
    """Tell whether the terms of a sum may be equal: its matrix or kernel has one number throughout, or what it adds."""
    name = operator_name(node)
    if name not in _SUMS or name == "einsum":
        return False
    place = 2 if name in _ADDING_PRODUCTS else int(name in _PRODUCTS or name.startswith("conv"))
    return arguments[place].numel() > 1 and is_uniform(arguments[place])


def _usual_size(node: Any, value: torch.Tensor) -> torch.Tensor:
    """Return the size of what elements are the sums of: that of results like them, for a convolution of a channel."""
    if operator_name(node).startswith("conv") and value.ndim > 2 and value.numel() >= _FEWEST * value.shape[1]:
        others = [axis for axis in range(value.ndim) if axis != 1]
        squares = value.to(torch.promote_types(value.dtype, torch.float32)).square().mean(others, keepdim=True)
        return squares.sqrt().to(value.dtype)
    return torch.tensor(root_mean_square(value), dtype=value.dtype)


def root_mean_square(values: torch.Tensor) -> float:
    """Return the root of the mean of the squares of the finite elements."""
    count = values.numel()
    norm = float(torch.linalg.vector_norm(values.detach(), dtype=torch.promote_types(values.dtype, torch.float32)))
    if not math.isfinite(norm):
        wide = values.detach().to(torch.float64)
        wide = wide[torch.isfinite(wide)]
        count, norm = wide.numel(), float(torch.linalg.vector_norm(wide))
    return norm / math.sqrt(max(count, 1))


def is_product_with(node: Any, operand: Any) -> bool:
    """Tell whether a node multiplies and adds up the elements of an operand, and does not only add it."""
    name, places = operator_name(node), [place for place, each in enumerate(node.args) if each is operand]
    if name in ("linear", "conv1d", "conv2d", "conv3d", "convolution") or name.startswith("conv_transpose"):
        return any(place < 2 for place in places)
    if name in _ADDING_PRODUCTS:
        return any(place in (1, 2) for place in places)
    return name in _PRODUCTS or name == "einsum"


def _terms(node: Any, arguments: Any, value: torch.Tensor) -> float:
    """Return how many terms an element of a result is the sum of, about."""
    name = operator_name(node)
    if name in PRIMITIVE:
        return 1
    if name in _PRODUCTS:
        return int(arguments[0].shape[-1]) if arguments[0].ndim else 1
    if name in _ADDING_PRODUCTS:
        return int(arguments[1].shape[-1])
    if name.startswith("conv"):
        weight = arguments[1]
        transposed = name.startswith("conv_transpose") or (name == "convolution" and arguments[6])
        return float(weight.numel() / weight.shape[1 if transposed else 0])
    if name == "scaled_dot_product_attention":
        return int(arguments[0].shape[-1] + arguments[1].shape[-2])
    if name.startswith("avg_pool"):
        return float(math.prod(arguments[1]))
    if name in ("cumsum", "softmax", "_softmax", "log_softmax", "_log_softmax"):
        return float(arguments[0].shape[arguments[1]]) if arguments[0].ndim else 1
    if name in ("layer_norm", "native_layer_norm", "rms_norm"):
        return float(math.prod(arguments[1]))
    if name in ("group_norm", "native_group_norm", "instance_norm", "_native_batch_norm_legit"):
        return float(arguments[0].numel() / arguments[0].shape[1])
    # Of what is not known better: all that goes in, by what comes out.
    given = sum(tensor.numel() for tensor in tensors(arguments))
    return max(1.0, float(given / max(1, value.numel())))


def _is_by_steps(node: Any) -> bool:
    """Tell whether a node is a division that is rounded to a whole number."""
    return operator_name(node) == "div" and node.kwargs.get("rounding_mode") is not None
