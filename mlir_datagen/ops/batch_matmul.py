"""Products of the matrices of two batches: `linalg.batch_matmul`."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlir_datagen.mlir.builder import FunctionBuilder, Value
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.signature import Loop, Operand
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.family import OpFamily, Variant


class BatchMatmulSpec(NamedTuple):
    """(batch, m, k) times (batch, k, n) gives (batch, m, n)."""

    batch: int
    m: int
    n: int
    k: int
    dtype: str = "f32"


class BatchMatmul(OpFamily):
    """Row-major times row-major; the kind names the operands' layouts, in which b is the batch."""

    name = "batch_matmul"
    variants = (Variant("bmk_bkn", ("batch", "m", "n", "k")),)
    minimum_mlir = 16

    def spec(self, variant: Variant, *dimensions: Any) -> BatchMatmulSpec:
        return BatchMatmulSpec(*dimensions)

    def spec_from_json(self, fields: dict[str, Any]) -> BatchMatmulSpec:
        return BatchMatmulSpec(**fields)

    def arguments(self, spec: BatchMatmulSpec) -> tuple[Operand, ...]:
        return (
            Operand("lhs", (spec.batch, spec.m, spec.k), spec.dtype),
            Operand("rhs", (spec.batch, spec.k, spec.n), spec.dtype),
        )

    def results(self, spec: BatchMatmulSpec) -> tuple[Operand, ...]:
        return (Operand("product", (spec.batch, spec.m, spec.n), spec.dtype),)

    def loops(self, spec: BatchMatmulSpec) -> tuple[Loop, ...]:
        return (*(Loop(bound, "parallel") for bound in (spec.batch, spec.m, spec.n)), Loop(spec.k, "reduction"))

    def flops(self, spec: BatchMatmulSpec) -> Any:
        return 2 * spec.batch * spec.m * spec.n * spec.k

    def column_step(self, spec: BatchMatmulSpec) -> Any:
        """A column of the right matrix."""
        return spec.n * ELEMENT_TYPES[spec.dtype].size

    def reference(self, spec: BatchMatmulSpec, *arguments: Any) -> Any:
        import torch

        return torch.bmm(*arguments)

    def emit(self, builder: FunctionBuilder, spec: BatchMatmulSpec, *operands: Value) -> Value:
        init = builder.filled(0, tensor((spec.batch, spec.m, spec.n), spec.dtype))
        return builder.structured("linalg.batch_matmul", operands, init)
