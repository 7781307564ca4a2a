"""Datasets of MLIR programs, every one proven.

The public Python API; scripts/generate.py is the other way in.
"""

from __future__ import annotations

from mlir_datagen.errors import UserError
from mlir_datagen.generator import RandomMLIRGenerator
from mlir_datagen.version import PACKAGE_VERSION

__version__ = PACKAGE_VERSION

__all__ = ["RandomMLIRGenerator", "UserError", "__version__"]
