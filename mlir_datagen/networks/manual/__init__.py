"""Our own converter from a PyTorch graph to named linalg operations; it needs PyTorch, and not torch-mlir."""

from __future__ import annotations

from mlir_datagen.networks.manual.converter import convert_manual
from mlir_datagen.networks.manual.errors import UnknownOperatorError
from mlir_datagen.networks.manual.registry import LayerCall, register_layer, register_operator

__all__ = ["LayerCall", "UnknownOperatorError", "convert_manual", "register_layer", "register_operator"]
