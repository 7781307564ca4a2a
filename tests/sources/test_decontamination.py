"""What random programs are kept apart from: the same computation, and the same operation with another initial value."""

from __future__ import annotations

import pytest
from helpers import GOLDEN_SPECS, golden_program
from mlir19 import program_of

from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.mlir.timed_main import Timer
from mlir_datagen.sources.decontamination import Decontamination

IMAGE, FILTERS, RESULT = "tensor<2x3x28x32xf32>", "tensor<16x3x3x5xf32>", "tensor<2x16x13x24xf32>"
# As it comes out of a network that adds the bias first.
BIASED = f"""func.func @conv_2d_nchw_fchw(%x: {IMAGE}, %w: {FILTERS}, %b: {RESULT}) -> {RESULT} {{
  %r = linalg.conv_2d_nchw_fchw {{dilations = dense<[1, 2]> : tensor<2xi64>, strides = dense<[2, 1]> : tensor<2xi64>}}
    ins(%x, %w : {IMAGE}, {FILTERS}) outs(%b : {RESULT}) -> {RESULT}
  return %r : {RESULT}
}}"""
RELU = program_of("relu_4_5")
CHOICES = [
    "%p = arith.cmpf ugt, %in, %zero : f32\n%m = arith.select %p, %in, %zero : f32",
    "%p = arith.cmpf ogt, %in, %zero : f32\n%m = arith.select %p, %in, %zero : f32",
    "%m = arith.maximumf %zero, %in : f32",
]


def relu(way):
    assert "%m = arith.maximumf %in, %zero : f32" in RELU
    return RELU.replace("%m = arith.maximumf %in, %zero : f32", way)


def kept_out(text, *others):
    unseen = Decontamination()
    unseen.add("suite", others)
    return unseen.refused(text) is not None


@pytest.mark.parametrize("order", [1, -1], ids=["from those before it", "from those after it"])
def test_each_program_is_kept_apart_from_itself_and_from_no_other(order):
    unseen = Decontamination()
    for name in list(GOLDEN_SPECS)[::order]:
        text = golden_program(name)[2]
        assert unseen.refused(text) is None, name
        unseen.add(name, [text])
        assert unseen.refused(text) is not None, name


def test_an_operation_with_another_initial_value():
    text = golden_program("conv2d_nchw_fchw")[2]
    assert Timer().timed(text).text == Timer().timed(BIASED).text
    assert kept_out(text, BIASED)
    assert kept_out(BIASED, text)
    assert not kept_out(text, BIASED.replace("dense<[2, 1]>", "dense<[1, 1]>").replace("x13x24x", "x26x24x"))


@pytest.mark.parametrize("way", CHOICES)
def test_a_relu_however_it_is_written(way):
    assert relu(way) != RELU
    for text, other in ((RELU, relu(way)), (relu(way), RELU)):
        assert kept_out(text, other)
        assert not kept_out(text, other.replace("0.0 : f32", "1.0 : f32"))
        assert not kept_out(text, other.replace("4x5x", "5x4x"))
    assert not kept_out(RELU.replace("maximumf", "minimumf"), relu(way))


def test_an_initial_value_counts_where_there_is_more_than_one_operation():
    text = golden_program("pooling_avg")[2]
    other = text.replace("arith.constant 0.0 : f32", "arith.constant 1.0 : f32")
    assert other != text
    assert len(ProgramHasher().hashes(text)) == 1
    assert not kept_out(text, other)


def test_where_nothing_is_kept_out_nothing_is_looked_at():
    assert Decontamination().refused("no MLIR") is None
