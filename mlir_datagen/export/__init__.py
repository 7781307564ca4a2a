"""Formats of particular consumers, and this table of them.

To add a consumer, write its file with a subclass of `Exporter` and add its line here.

May import: mlir, programs, proving, dataset, config, pipeline.
"""

from __future__ import annotations

from mlir_datagen.export.base import Exporter
from mlir_datagen.export.mlir_rl.exporter import MlirRl

EXPORTERS: dict[str, Exporter] = {exporter.name: exporter for exporter in (MlirRl(),)}
