"""Elementwise operations on two tensors of the same shape: `linalg.add`, `linalg.mul`, `linalg.max`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from mlir_datagen.mlir.builder import FunctionBuilder, Value
from mlir_datagen.mlir.signature import Loop, Operand
from mlir_datagen.ops.family import OpFamily, Variant

AXES_BY_RANK = {
    1: ("length",),
    2: ("rows", "columns"),
    3: ("batch", "rows", "columns"),
    4: ("batch", "channels", "height", "width"),
}


class ElementwiseSpec(NamedTuple):
    """`kind` is `add`, `mul` or `max`; the shape has one to four dimensions."""

    kind: str
    shape: tuple[int, ...]
    dtype: str = "f32"


class Elementwise(OpFamily):
    """The result is written into a `tensor.empty`: these operations do not read their `outs`."""

    name = "elementwise"
    variants = tuple(Variant(kind, axes, rank) for kind in ("add", "mul", "max") for rank, axes in AXES_BY_RANK.items())
    minimum_mlir = 19

    def spec(self, variant: Variant, *dimensions: Any) -> ElementwiseSpec:
        return ElementwiseSpec(variant.kind, dimensions)

    def spec_from_json(self, fields: dict[str, Any]) -> ElementwiseSpec:
        return ElementwiseSpec(**{**fields, "shape": tuple(fields["shape"])})

    def arguments(self, spec: ElementwiseSpec) -> tuple[Operand, ...]:
        return Operand("lhs", spec.shape, spec.dtype), Operand("rhs", spec.shape, spec.dtype)

    def results(self, spec: ElementwiseSpec) -> tuple[Operand, ...]:
        return (Operand("result", spec.shape, spec.dtype),)

    def loops(self, spec: ElementwiseSpec) -> tuple[Loop, ...]:
        return tuple(Loop(bound, "parallel") for bound in spec.shape)

    def flops(self, spec: ElementwiseSpec) -> Any:
        return math.prod(spec.shape)

    def reference(self, spec: ElementwiseSpec, *arguments: Any) -> Any:
        import torch

        return {"add": torch.add, "mul": torch.mul, "max": torch.maximum}[spec.kind](*arguments)

    def emit(self, builder: FunctionBuilder, spec: ElementwiseSpec, *operands: Value) -> Value:
        return builder.structured(f"linalg.{spec.kind}", operands, builder.empty(operands[0].type))
