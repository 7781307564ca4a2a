"""The op vocabulary: one file per family, and this table of them.

To add a family, write its file, add its line here and its YAML in `conf/ops/` (see CONTRIBUTING.md).

May import: mlir.
"""

from __future__ import annotations

from mlir_datagen.ops.batch_matmul import BatchMatmul
from mlir_datagen.ops.conv2d import Conv2d
from mlir_datagen.ops.elementwise import Elementwise
from mlir_datagen.ops.family import OpFamily
from mlir_datagen.ops.matmul import Matmul
from mlir_datagen.ops.pooling import Pooling
from mlir_datagen.ops.relu import Relu

FAMILIES: dict[str, OpFamily] = {
    family.name: family
    for family in (
        Matmul(),
        Conv2d(),
        Pooling(),
        Elementwise(),
        Relu(),
        BatchMatmul(),
    )
}
