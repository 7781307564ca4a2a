"""A fixed program whose time tells how fast the machine is now."""

from __future__ import annotations

import math

import numpy as np

from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts

_SIDE, _LENGTH = 48, 1 << 17
_PROGRAM = f"""
func.func @yardstick(%a: tensor<{_SIDE}x{_SIDE}xf32>, %b: tensor<{_SIDE}x{_SIDE}xf32>, %x: tensor<{_LENGTH}xf32>,
                     %c: tensor<{_SIDE}x{_SIDE}xf32>, %y: tensor<{_LENGTH}xf32>)
                     -> (tensor<{_SIDE}x{_SIDE}xf32>, tensor<{_LENGTH}xf32>) {{
  %0 = linalg.matmul ins(%a, %b : tensor<{_SIDE}x{_SIDE}xf32>, tensor<{_SIDE}x{_SIDE}xf32>)
                     outs(%c : tensor<{_SIDE}x{_SIDE}xf32>) -> tensor<{_SIDE}x{_SIDE}xf32>
  %1 = linalg.add ins(%x, %x : tensor<{_LENGTH}xf32>, tensor<{_LENGTH}xf32>)
                  outs(%y : tensor<{_LENGTH}xf32>) -> tensor<{_LENGTH}xf32>
  return %0, %1 : tensor<{_SIDE}x{_SIDE}xf32>, tensor<{_LENGTH}xf32>
}}
"""
"""Arithmetic in the first level of the cache, and a stream through the second."""

_FIRST_LOOK, _LOOK = 50, 3


class Yardstick:
    """Compares a core with itself at its fastest since it was first asked about."""

    def __init__(self) -> None:
        square, vector = (_SIDE, _SIDE), (_LENGTH,)
        # A product is added to its initial value: from zero, what it grows to stays finite for any number of calls.
        arrays = [np.zeros(shape, np.float32) for shape in (square, square, vector, square, vector, square, vector)]
        self._program = CompiledProgram(lower(_PROGRAM, Contexts().next()), len(arrays)).bind(arrays)
        self._fastest = math.inf

    def slowness(self) -> float:
        """Return how many times as long as at its fastest it takes now, on the core that this thread is on."""
        now = self._time(_FIRST_LOOK if math.isinf(self._fastest) else _LOOK)
        self._fastest = min(self._fastest, now)
        return now / self._fastest

    def _time(self, windows: int) -> float:
        # Processor time: that others have the core meanwhile is seen at the program itself.
        return float(self._program.sample(windows, 1)[:, 1].min())
