"""Datasets of MLIR programs, every one proven.

The public Python API; scripts/generate.py is the other way in.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mlir_datagen.errors import UserError
from mlir_datagen.version import PACKAGE_VERSION

if TYPE_CHECKING:
    from mlir_datagen.converter import NeuralNetworkToMLIR
    from mlir_datagen.generator import RandomMLIRGenerator, program_at
    from mlir_datagen.loading import Programs, load_dataset
    from mlir_datagen.networks.manual import register_layer, register_operator

__version__ = PACKAGE_VERSION

__all__ = [
    "NeuralNetworkToMLIR",
    "Programs",
    "RandomMLIRGenerator",
    "UserError",
    "__version__",
    "load_dataset",
    "program_at",
    "register_layer",
    "register_operator",
]

# Imported when used: the generator needs torch-mlir and not PyTorch, the converter PyTorch and not always torch-mlir.
_HOMES = {
    "NeuralNetworkToMLIR": "mlir_datagen.converter",
    "Programs": "mlir_datagen.loading",
    "RandomMLIRGenerator": "mlir_datagen.generator",
    "load_dataset": "mlir_datagen.loading",
    "program_at": "mlir_datagen.generator",
    "register_layer": "mlir_datagen.networks.manual",
    "register_operator": "mlir_datagen.networks.manual",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
