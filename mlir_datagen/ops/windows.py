"""Operations under a window that moves, without padding: convolutions and pooling, over one to three dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from mlir_datagen.mlir.element_types import ELEMENT_TYPES, is_float
from mlir_datagen.ops.body import Body
from mlir_datagen.ops.dtypes import of_operands
from mlir_datagen.ops.elementwise import with_number
from mlir_datagen.ops.family import LARGE, Constraint, OpFamily, Spec, Variant
from mlir_datagen.ops.notation import Window, dilated
from mlir_datagen.ops.structured_operation import StructuredOperation, Versions, from_line

_RANK = 4
_D, _H, _W = (f"{side}=o{side}*s{side}+k{side}*d{side}" for side in "dhw")

CONVOLUTIONS: dict[str, StructuredOperation] = {
    name: from_line(name, line, Body("mul(a, b)", "add"), Versions(oldest), loops=loops, casts=True)
    for name, oldest, line, loops in (
        ("conv_1d", 16, "w=ow+kw, kw -> ow", ""),
        ("conv_2d", 16, "h=oh+kh w=ow+kw, kh kw -> oh ow", ""),
        ("conv_3d", 16, "d=od+kd h=oh+kh w=ow+kw, kd kh kw -> od oh ow", ""),
        ("conv_1d_nwc_wcf", 16, f"n {_W} c, kw c f -> n ow f", ""),
        ("conv_1d_ncw_fcw", 16, f"n c {_W}, f c kw -> n f ow", ""),
        ("conv_2d_nhwc_hwcf", 16, f"n {_H} {_W} c, kh kw c f -> n oh ow f", ""),
        ("conv_2d_nhwc_fhwc", 16, f"n {_H} {_W} c, f kh kw c -> n oh ow f", ""),
        ("conv_2d_nchw_fchw", 16, f"n c {_H} {_W}, f c kh kw -> n f oh ow", ""),
        # MLIR 16 has the first of these two under the name of the second.
        ("conv_2d_ngchw_gfchw", 19, f"n g c {_H} {_W}, g f c kh kw -> n g f oh ow", ""),
        ("conv_2d_ngchw_fgchw", 19, f"n g c {_H} {_W}, f g c kh kw -> n g f oh ow", ""),
        ("conv_3d_ndhwc_dhwcf", 16, f"n {_D} {_H} {_W} c, kd kh kw c f -> n od oh ow f", ""),
        ("conv_3d_ncdhw_fcdhw", 19, f"n c {_D} {_H} {_W}, f c kd kh kw -> n f od oh ow", ""),
        ("depthwise_conv_1d_nwc_wc", 16, f"n {_W} c, kw c -> n ow c", ""),
        ("depthwise_conv_1d_ncw_cw", 19, f"n c {_W}, c kw -> n c ow", "n ow c kw"),
        ("depthwise_conv_1d_nwc_wcm", 16, f"n {_W} c, kw c m -> n ow c m", ""),
        ("depthwise_conv_2d_nhwc_hwc", 16, f"n {_H} {_W} c, kh kw c -> n oh ow c", ""),
        ("depthwise_conv_2d_nchw_chw", 16, f"n c {_H} {_W}, c kh kw -> n c oh ow", "n oh ow c kh kw"),
        ("depthwise_conv_2d_nhwc_hwcm", 16, f"n {_H} {_W} c, kh kw c m -> n oh ow c m", ""),
        (
            "depthwise_conv_3d_ndhwc_dhwc", 16,
            f"n {_D} {_H} {_W} c, kd kh kw c -> n od oh ow c", "n od oh ow kd kh kw c",
        ),
        (
            "depthwise_conv_3d_ncdhw_cdhw", 19,
            f"n c {_D} {_H} {_W}, c kd kh kw -> n c od oh ow", "n od oh ow kd kh kw c",
        ),
        (
            "depthwise_conv_3d_ndhwc_dhwcm", 16,
            f"n {_D} {_H} {_W} c, kd kh kw c m -> n od oh ow c m", "n od oh ow m kd kh kw c",
        ),
    )
}  # fmt: skip
_LAYOUTS = {
    "nwc": f"n {_W} c, [kw] -> n ow c",
    "ncw": f"n c {_W}, [kw] -> n c ow",
    "nhwc": f"n {_H} {_W} c, [kh kw] -> n oh ow c",
    "nchw": f"n c {_H} {_W}, [kh kw] -> n c oh ow",
    "ndhwc": f"n {_D} {_H} {_W} c, [kd kh kw] -> n od oh ow c",
}
POOLINGS: dict[str, StructuredOperation] = {
    f"pooling_{layout}_{kind}": from_line(
        f"pooling_{layout}_{kind}", _LAYOUTS[layout], Body("a", scalar), Versions(16), casts="unsigned" not in kind
    )
    for kind, scalar, layouts in (
        ("sum", "add", "nwc ncw nhwc nchw ndhwc"),
        ("max", "max", "nwc ncw nhwc nchw ndhwc"),
        ("min", "min", "nwc nhwc ndhwc"),
        # These convert without signs, which the reference has no numbers for.
        ("max_unsigned", "max_unsigned", "nwc nhwc"),
        ("min_unsigned", "min_unsigned", "nwc nhwc"),
    )
    for layout in layouts.split()
}

_SIDES = {"d": "depth", "h": "height", "w": "width"}
_AXES = {
    "n": "batch", "g": "groups", "m": "multiplier", "c": "channels", "f": "out_channels", **_SIDES,
    **{f"{letter}{side}": f"{what}_{name}" for letter, what in (("k", "kernel"), ("s", "stride"), ("d", "dilation"))
       for side, name in _SIDES.items()},
}  # fmt: skip


def _layouts(operation: StructuredOperation) -> str:
    """Return the layouts of the operands with contents, by the last letters of their dimensions: `nchw_fchw`."""
    contents = [operand for operand in operation.notation.inputs if operand.has_contents]
    return "_".join("".join(name[-1] for name in operand.names) for operand in contents)


def _variant(
    operation: StructuredOperation,
    kind: str | None = None,
    then: tuple[StructuredOperation, ...] = (),
    only_floats: bool = False,
) -> Variant:
    """Return the variant of an operation; where the family has no kinds, the layouts are what it is called."""
    sizes = operation.notation.free
    # Where the filter makes other channels of them, they are those of the input.
    axes = {**_AXES, "c": "in_channels"} if "f" in sizes else _AXES
    names = tuple(axes[size] for size in sizes)
    return Variant(
        kind or _layouts(operation), operation, sizes, names, None, kind is not None, then, only_floats=only_floats
    )


class _Windows(OpFamily):
    """Where a stride or a dilation has no effect it must be 1: others would be the same program under another text."""

    def constraints(self, spec: Spec) -> Sequence[Constraint]:
        sizes = spec.sizes
        windows = spec.variant.operation.notation.windows
        return [one for name, window in windows for one in _side_constraints(_AXES[name], sizes[name], window, sizes)]


class _Convolution(_Windows):
    """The kind names the layouts of image and filter."""

    def pytorch(self, spec: Spec) -> Callable[..., Any]:
        is_pytorchs = spec.variant.operation == CONVOLUTIONS["conv_2d_nchw_fchw"] and is_float(of_operands(spec.dtype))
        if not is_pytorchs:
            return super().pytorch(spec)
        from torch.nn import functional

        return partial(functional.conv2d, **_steps(spec))


class _Pooled(_Windows):
    """What a window is reduced to."""

    def input_range(self, spec: Spec) -> tuple[float, float]:
        """Return numbers on one side of zero for an extreme, as one that starts from zero is right on others.

        Of unsigned integers, it is one of a window that lies on the other side: then some windows lie on one side,
        which show where it starts, and some on both, which show that the greater ones are those with the sign.
        """
        accumulate = spec.variant.operation.body.accumulate
        window = math.prod(spec.sizes[window.offset] for _, window in spec.variant.operation.notation.windows)
        many = min(LARGE, ELEMENT_TYPES[of_operands(spec.dtype)].largest)
        ranges = {
            "max": (-1e30, 0.0),
            "min": (0.0, 1e30),
            "max_unsigned": (-many / window, many),
            "min_unsigned": (-many, many / window),
        }
        return ranges[accumulate] if accumulate in ranges else super().input_range(spec)


class _Pooling(_Pooled):
    """The average divides a sum by the window's size, as linalg has no average."""

    def number(self, sizes: Mapping[str, Any]) -> Any:
        """The size of the window, which the sum is divided by for the average."""
        return sizes["kh"] * sizes["kw"]

    def pytorch(self, spec: Spec) -> Callable[..., Any]:
        if not is_float(of_operands(spec.dtype)):
            return super().pytorch(spec)
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
    _Convolution("conv2d", [_variant(CONVOLUTIONS["conv_2d_nchw_fchw"])], ("image", "filter"), "convolved"),
    _Pooling(
        "pooling",
        [
            _variant(POOLINGS["pooling_nchw_max"], "max"),
            _variant(POOLINGS["pooling_nchw_sum"], "avg", (with_number("div", _RANK),), only_floats=True),
        ],
        ("image",),
        "pooled",
    ),
    *(
        _Convolution(name, [_variant(operation)], ("image", "filter"), "convolved")
        for name, operation in CONVOLUTIONS.items()
        if name != "conv_2d_nchw_fchw"
    ),
    *(
        _Pooled(name, [_variant(operation)], ("image",), "pooled")
        for name, operation in POOLINGS.items()
        if name != "pooling_nchw_max"
    ),
)
"""Where linalg's names are not the families': `conv2d`, and `pooling` with its maximum."""
