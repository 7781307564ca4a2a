"""Operations without a body are taken apart before they are lowered, wherever a program has them."""

from __future__ import annotations

import numpy as np
import pytest
from torch_mlir import ir

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.decompose import decompose
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower

SEVERAL = """func.func @f(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %e = tensor.empty() : tensor<4x6xf32>
  %t = tensor.empty() : tensor<2x3x2x2xf32>
  %a = linalg.softmax dimension(1) ins(%x : tensor<4x6xf32>) outs(%e : tensor<4x6xf32>) -> tensor<4x6xf32>
  %b = linalg.softmax dimension(0) ins(%a : tensor<4x6xf32>) outs(%e : tensor<4x6xf32>) -> tensor<4x6xf32>
  %p = linalg.pack %b inner_dims_pos = [0, 1] inner_tiles = [2, 2] into %t : tensor<4x6xf32> -> tensor<2x3x2x2xf32>
  %u = linalg.unpack %p inner_dims_pos = [0, 1] inner_tiles = [2, 2] into %e : tensor<2x3x2x2xf32> -> tensor<4x6xf32>
  return %u : tensor<4x6xf32>
}"""
ON_BUFFERS = """func.func @f(%x: memref<4x6xf32>, %y: memref<4x6xf32>) {
  linalg.softmax dimension(1) ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>)
  return
}"""


def test_several_of_them_in_one_program():
    given, result = np.random.default_rng(0).random((4, 6), np.float32), np.zeros((4, 6), np.float32)
    CompiledProgram(lower(SEVERAL, ir.Context()), 2).bind([given, result]).run()
    expected = given
    for axis in (1, 0):
        powers = np.exp(expected)
        expected = powers / powers.sum(axis, keepdims=True)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_what_has_none_of_them_stays_as_it_is():
    text = SEVERAL.replace("linalg.softmax dimension(1)", "linalg.exp").replace(
        "linalg.softmax dimension(0)", "linalg.exp"
    )
    without = "\n".join(line for line in text.splitlines() if "pack" not in line).replace("%u", "%b")
    module = ir.Module.parse(without, ir.Context())
    before = str(module)
    decompose(module, without)
    assert str(module) == before


def test_what_mlir_does_not_take_apart_is_rejected():
    with pytest.raises(Rejection, match="pure tensor or buffer semantics"):
        lower(ON_BUFFERS, ir.Context())
