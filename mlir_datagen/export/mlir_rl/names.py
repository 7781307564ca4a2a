"""Names of exported programs: MLIR-RL's own where they say the program, else the family and the program's digest.

MLIR-RL's tools read the shapes from these names, and the stride from the shapes:

    matmul_M_K_N
    batch_matmul_B_M_K_N                                (ours, of the same kind)
    conv_2d_nchw_fchw_N_C_H_W_F_KH_KW_OH_OW             dilation 1, the stride as the shapes give it
    pooling_nchw_max_N_C_H_W_K_OH_OW                    square window, dilation 1, the stride as the shapes give it
    relu_A_B_…                                          `linalg.generic` with the maximum of each element and zero
    add_A_B_C_D, mul_…, max_…, exp_…                    named elementwise operations of any rank
"""

from __future__ import annotations

import re

from mlir_datagen.mlir.facts import LinalgFacts

_DIGEST = 12

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")


class Names:
    """Gives out names, each once: a second program of the same name gets the suffix `_v2`, and so on."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def give(self, family: str, digest: str, operation: LinalgFacts | None) -> str:
        """Return a name.

        Args:
            family: of the program.
            digest: sha256 of the stored program.
            operation: of a single-op program.
        """
        plain = None if operation is None else operation_name(operation)
        base = plain or f"{_NOT_IN_NAMES.sub('_', family)}_{digest[:_DIGEST]}"
        name, number = base, 1
        while name in self._given:
            number += 1
            name = f"{base}_v{number}"
        self._given.add(name)
        return name


def operation_name(operation: LinalgFacts) -> str | None:
    """Return the name that says an operation unambiguously, if MLIR-RL's way of naming has one."""
    kind = operation.name.removeprefix("linalg.")
    if kind in ("matmul", "batch_matmul"):
        left, right = operation.operands[:2]
        return _joined(kind, *left, right[-1])
    if kind == "conv_2d_nchw_fchw":
        image, filters, result = operation.operands
        if not _stride_is_told(operation, image[2:], filters[2:], result[2:]):
            return None
        return _joined(kind, *image, filters[0], *filters[2:], *result[2:])
    if kind == "pooling_nchw_max":
        image, window, result = operation.operands
        if window[0] != window[1] or not _stride_is_told(operation, image[2:], window, result[2:]):
            return None
        return _joined(kind, *image, window[0], *result[2:])
    if not _is_elementwise(operation):
        return None
    if kind == "generic":
        return _joined("relu", *operation.operands[-1]) if operation.is_relu else None
    return _joined(kind, *operation.operands[-1]) if len(operation.operands) <= 3 else None


def _joined(kind: str, *numbers: int) -> str:
    return "_".join([kind, *map(str, numbers)])


def _stride_is_told(
    operation: LinalgFacts, extents: tuple[int, ...], windows: tuple[int, ...], results: tuple[int, ...]
) -> bool:
    """Tell whether dilation is 1, and the stride the largest that the shapes allow, which is how they are read back.

    Along a dimension with one result the stride has no effect.
    """
    if set(operation.dilations) != {1}:
        return False
    return all(
        result == 1 or (extent - window) // (result - 1) == stride
        for extent, window, result, stride in zip(extents, windows, results, operation.strides, strict=True)
    )


def _is_elementwise(operation: LinalgFacts) -> bool:
    """Tell whether every operand has the shape of the result, and each element comes from those at its own place."""
    shapes, maps = set(operation.operands), set(operation.maps)
    if len(shapes) != 1 or len(maps) != 1 or operation.inits != 1:
        return False
    dims, _, results = next(iter(maps)).partition(" -> ")
    return dims == results and len(next(iter(shapes))) > 0
