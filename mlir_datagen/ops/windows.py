"""Operations under a window that moves over height and width, without padding: convolutions and pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from mlir_datagen.ops.body import Body
from mlir_datagen.ops.elementwise import with_number
from mlir_datagen.ops.family import Constraint, OpFamily, Spec, Variant
from mlir_datagen.ops.notation import Window, dilated
from mlir_datagen.ops.structured_operation import StructuredOperation, Versions, from_line

_RANK = 4
_IMAGE = "n c h=oh*sh+kh*dh w=ow*sw+kw*dw"

CONVOLUTIONS: dict[str, StructuredOperation] = {
    name: from_line(name, line, Body("mul(a, b)", "add"), Versions(16), loops=loops)
    for name, line, loops in (
        ("conv_2d_nchw_fchw", f"{_IMAGE}, f c kh kw -> n f oh ow", ""),
        ("conv_2d_ngchw_gfchw", "n g c h=oh*sh+kh*dh w=ow*sw+kw*dw, g f c kh kw -> n g f oh ow", ""),
        ("depthwise_conv_2d_nchw_chw", f"{_IMAGE}, c kh kw -> n c oh ow", "n oh ow c kh kw"),
    )
}
POOLINGS: dict[str, StructuredOperation] = {
    kind: from_line(f"pooling_nchw_{kind}", f"{_IMAGE}, [kh kw] -> n c oh ow", Body("a", scalar), Versions(16))
    for kind, scalar in (("max", "max"), ("sum", "add"))
}

_AXES = {
    "n": "batch", "h": "height", "w": "width", "kh": "kernel_height", "kw": "kernel_width",
    "sh": "stride_height", "sw": "stride_width", "dh": "dilation_height", "dw": "dilation_width",
}  # fmt: skip


def _variant(
    kind: str,
    operation: StructuredOperation,
    says_kind: bool,
    then: tuple[StructuredOperation, ...] = (),
    **axes: str,
) -> Variant:
    sizes = operation.notation.free
    names = tuple({**_AXES, **axes}[size] for size in sizes)
    return Variant(kind, operation, sizes, names, None, says_kind, then)


class _Windows(OpFamily):
    """Where a stride or a dilation has no effect it must be 1: others would be the same program under another text."""

    def constraints(self, spec: Spec) -> Sequence[Constraint]:
        sizes = spec.sizes
        windows = spec.variant.operation.notation.windows
        return [one for name, window in windows for one in _side_constraints(_AXES[name], sizes[name], window, sizes)]


class _Convolution(_Windows):
    """The kind names the layouts of image and filter."""

    def pytorch(self, spec: Spec) -> Callable[..., Any]:
        if spec.variant.operation != CONVOLUTIONS["conv_2d_nchw_fchw"]:
            return super().pytorch(spec)
        from torch.nn import functional

        return partial(functional.conv2d, **_steps(spec))


class _Pooling(_Windows):
    """The average divides a sum by the window's size, as linalg has no average."""

    def input_range(self, spec: Spec) -> tuple[float, float]:
        """A maximum that starts from a number instead of -inf is right on any window with a greater element."""
        return (-1e30, 0.0) if spec.kind == "max" else super().input_range(spec)

    def number(self, sizes: Mapping[str, Any]) -> Any:
        """The size of the window, which the sum is divided by for the average."""
        return sizes["kh"] * sizes["kw"]

    def pytorch(self, spec: Spec) -> Callable[..., Any]:
        import torch
        from torch.nn import functional

        kernel, steps = (spec.fields["kernel_height"], spec.fields["kernel_width"]), _steps(spec)
        if spec.kind == "max":
            return partial(functional.max_pool2d, kernel_size=kernel, **steps)
        if steps["dilation"] == (1, 1):
            return partial(functional.avg_pool2d, kernel_size=kernel, stride=steps["stride"])

        def dilated_average(image: Any) -> Any:
            # PyTorch's average pooling knows no dilation: a convolution of each channel with equal weights.
            weights = torch.full((1, 1, *kernel), 1 / math.prod(kernel), dtype=image.dtype)
            pooled = functional.conv2d(image.flatten(0, 1).unsqueeze(1), weights, **steps)
            return pooled.reshape(*image.shape[:2], *pooled.shape[2:])

        return dilated_average


def _steps(spec: Spec) -> dict[str, tuple[int, int]]:
    """Return the strides and dilations as PyTorch takes them."""
    return {step: (spec.fields[f"{step}_height"], spec.fields[f"{step}_width"]) for step in ("stride", "dilation")}


def _side_constraints(side: str, extent: Any, window: Window, sizes: Mapping[str, Any]) -> tuple[Constraint, ...]:
    kernel, dilation, stride = sizes[window.offset], window.dilation_of(sizes), window.stride_of(sizes)
    return (
        Constraint(
            dilated(kernel, dilation) <= extent,
            f"the kernel is larger than every input: every (dilated) kernel_{side} exceeds every {side}",
        ),
        Constraint(
            (kernel > 1) | (dilation == 1),
            f"a dilation has no effect on a kernel of 1, so that dilation_{side} must have the value 1",
        ),
        Constraint(
            (sizes[window.position] > 1) | (stride == 1),
            f"a stride has no effect where the window has one position, so that stride_{side} must have the value 1",
        ),
    )


FAMILIES = (
    _Convolution(
        "conv2d",
        [
            _variant("nchw_fchw", CONVOLUTIONS["conv_2d_nchw_fchw"], False, c="in_channels", f="out_channels"),
        ],
        ("image", "filter"),
        "convolved",
    ),
    _Pooling(
        "pooling",
        [
            _variant("max", POOLINGS["max"], True, c="channels"),
            _variant("avg", POOLINGS["sum"], True, (with_number("div", _RANK),), c="channels"),
        ],
        ("image",),
        "pooled",
    ),
)
