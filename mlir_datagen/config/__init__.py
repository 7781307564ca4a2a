"""The config of a run: composed by Hydra (`compose`), checked into typed values (`run`, `ops`).

May import: ops, programs, proving, dataset, networks, sources.
"""

from __future__ import annotations

from mlir_datagen.config.run import RunConfig, parse_config

__all__ = ["RunConfig", "parse_config"]
