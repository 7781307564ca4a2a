"""The op vocabulary: tables of structured operations by kind, and the families of programs made of them.

To add an operation, write its line in the table of its kind (see CONTRIBUTING.md).

May import: mlir.
"""

from __future__ import annotations

from mlir_datagen.ops import contractions, elementwise, filling, movement, normalizing, packing, windows
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.family import OpFamily
from mlir_datagen.ops.program_family import AnyFamily

_ORDER = ("matmul", "conv2d", "pooling", "elementwise", "relu", "batch_matmul")
"""As they are listed; those of later lines follow."""
_TABLES = (contractions, windows, elementwise, movement, filling, normalizing, packing)
_MADE = {family.name: family for table in _TABLES for family in table.FAMILIES}
FAMILIES: dict[str, OpFamily] = {name: _MADE[name] for name in dict.fromkeys([*_ORDER, *_MADE])}
"""The families whose programs are counted: points of grids."""

PROGRAM_FAMILIES: dict[str, AnyFamily] = {**FAMILIES, **DRAWN_FAMILIES}
"""All families: those, and the ones whose programs are drawn."""
