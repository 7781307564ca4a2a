"""The builder of networks: what is shared, and what is left out of the text."""

from __future__ import annotations

from mlir_datagen.mlir.builder import FunctionBuilder
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.network_builder import NetworkBuilder

SQUARE = tensor((4, 4), "f32")


def test_equal_constants_are_one_and_what_is_written_into_is_not():
    builder = NetworkBuilder("f")
    one, other = builder.full(2.5, SQUARE), builder.full(2.5, SQUARE)
    assert one == other != builder.full(3.5, SQUARE)
    assert builder.constant(1.0, "f32") == builder.constant(1.0, "f32")
    assert builder.empty(SQUARE) != builder.empty(SQUARE)
    vector = builder.iota(4, "f32")
    assert builder.reshape(vector, (2, 2)) == builder.reshape(vector, (2, 2))
    assert builder.broadcast(vector, (4, 4)) == builder.broadcast(vector, (4, 4))


def test_a_builder_that_shares_nothing_makes_each_anew():
    builder = FunctionBuilder("f", ())
    assert builder.constant(1.0, "f32") != builder.constant(1.0, "f32")
    assert builder.filled(1.0, SQUARE) != builder.filled(1.0, SQUARE)


def test_what_no_result_needs_is_left_out():
    builder = NetworkBuilder("f")
    given = builder.argument("x", SQUARE)
    builder.transpose(given, (1, 0))
    result = builder.reduce("sum", given, [1])
    text = builder.finish_network([given], [result])
    assert "transpose" not in text
    assert text.count("linalg.") == 2
    Verifier().verify(text)
