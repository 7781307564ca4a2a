"""The rectified linear unit, max(x, 0): a `linalg.generic`, as in MLIR-RL's programs; linalg has no name for it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from mlir_datagen.mlir.builder import FunctionBuilder, Value
from mlir_datagen.mlir.signature import Loop, Operand
from mlir_datagen.ops.elementwise import AXES_BY_RANK
from mlir_datagen.ops.family import OpFamily, Variant


class ReluSpec(NamedTuple):
    """The shape has one to four dimensions."""

    shape: tuple[int, ...]
    dtype: str = "f32"


class Relu(OpFamily):
    """The kind says which form of operation it is."""

    name = "relu"
    variants = tuple(Variant("generic", axes, rank) for rank, axes in AXES_BY_RANK.items())
    minimum_mlir = 19

    def spec(self, variant: Variant, *dimensions: Any) -> ReluSpec:
        return ReluSpec(dimensions)

    def spec_from_json(self, fields: dict[str, Any]) -> ReluSpec:
        return ReluSpec(**{**fields, "shape": tuple(fields["shape"])})

    def arguments(self, spec: ReluSpec) -> tuple[Operand, ...]:
        return (Operand("input", spec.shape, spec.dtype),)

    def results(self, spec: ReluSpec) -> tuple[Operand, ...]:
        return (Operand("result", spec.shape, spec.dtype),)

    def loops(self, spec: ReluSpec) -> tuple[Loop, ...]:
        return tuple(Loop(bound, "parallel") for bound in spec.shape)

    def flops(self, spec: ReluSpec) -> Any:
        return math.prod(spec.shape)

    def reference(self, spec: ReluSpec, *arguments: Any) -> Any:
        import torch

        return torch.relu(*arguments)

    def input_range(self, spec: ReluSpec) -> tuple[float, float]:
        """Both signs, as on positive elements the identity is right; and beyond 6, where a ReLU6 ends."""
        return -10.0, 10.0

    def emit(self, builder: FunctionBuilder, spec: ReluSpec, *operands: Value) -> Value:
        (value,) = operands
        return builder.combine_with_constant("arith.maximumf", value, 0)
