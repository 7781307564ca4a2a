"""Matrix multiplication: `linalg.matmul`."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlir_datagen.mlir.builder import FunctionBuilder, Value
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.signature import Loop, Operand
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.family import OpFamily, Variant


class MatmulSpec(NamedTuple):
    """(m, k) times (k, n) gives (m, n)."""

    m: int
    n: int
    k: int
    dtype: str = "f32"


class Matmul(OpFamily):
    """Row-major times row-major; the kind names the operands' layouts."""

    name = "matmul"
    variants = (Variant("mk_kn", ("m", "n", "k")),)
    minimum_mlir = 16

    def spec(self, variant: Variant, *dimensions: Any) -> MatmulSpec:
        return MatmulSpec(*dimensions)

    def spec_from_json(self, fields: dict[str, Any]) -> MatmulSpec:
        return MatmulSpec(**fields)

    def arguments(self, spec: MatmulSpec) -> tuple[Operand, ...]:
        return Operand("lhs", (spec.m, spec.k), spec.dtype), Operand("rhs", (spec.k, spec.n), spec.dtype)

    def results(self, spec: MatmulSpec) -> tuple[Operand, ...]:
        return (Operand("product", (spec.m, spec.n), spec.dtype),)

    def loops(self, spec: MatmulSpec) -> tuple[Loop, ...]:
        return Loop(spec.m, "parallel"), Loop(spec.n, "parallel"), Loop(spec.k, "reduction")

    def flops(self, spec: MatmulSpec) -> Any:
        return 2 * spec.m * spec.n * spec.k

    def column_step(self, spec: MatmulSpec) -> Any:
        """A column of the right matrix."""
        return spec.n * ELEMENT_TYPES[spec.dtype].size

    def reference(self, spec: MatmulSpec, *arguments: Any) -> Any:
        import torch

        return torch.matmul(*arguments)

    def emit(self, builder: FunctionBuilder, spec: MatmulSpec, *operands: Value) -> Value:
        init = builder.filled(0, tensor((spec.m, spec.n), spec.dtype))
        return builder.structured("linalg.matmul", operands, init)
