"""Programs in the timed form that MLIR-RL reads: what they are, their names, and that they run on MLIR 19."""

from __future__ import annotations

import re

import numpy as np
import pytest
from helpers import golden_program
from mlir19 import EVALUATION_NAMES, program_of, run_main

from mlir_datagen.export.mlir_rl.contract import program_problems, tag_problem
from mlir_datagen.export.mlir_rl.names import Names
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts, function_types
from mlir_datagen.mlir.timed_main import Timer

# The form is that of MLIR-RL's own files.
TIMED_POOLING = """module {
  func.func private @nanoTime() -> i64 attributes {llvm.emit_c_interface}
  func.func @main(%arg0: tensor<2x3x28x32xf32>, %arg1: tensor<3x5xf32>, %arg2: tensor<2x3x13x24xf32>) -> (tensor<2x3x13x24xf32>, i64) attributes {llvm.emit_c_interface} {
    %0 = call @nanoTime() : () -> i64
    %1 = linalg.pooling_nchw_max {dilations = dense<[1, 2]> : tensor<2xi64>, strides = dense<[2, 1]> : tensor<2xi64>, tag = "operation_0"} ins(%arg0, %arg1 : tensor<2x3x28x32xf32>, tensor<3x5xf32>) outs(%arg2 : tensor<2x3x13x24xf32>) -> tensor<2x3x13x24xf32>
    %2 = call @nanoTime() : () -> i64
    %3 = arith.subi %2, %0 : i64
    return %1, %3 : tensor<2x3x13x24xf32>, i64
  }
}
"""  # noqa: E501


def test_a_single_op_program_takes_what_it_writes_into_as_an_argument():
    _, _, text = golden_program("pooling_max")
    assert Timer().timed(text).text == TIMED_POOLING


def test_a_program_of_several_operations_keeps_everything_between_the_clock_readings():
    _, _, text = golden_program("pooling_avg")
    timed = Timer().timed(text)
    assert not timed.is_single
    body = timed.text.split("call @nanoTime")[1]
    assert [name for name in re.findall(r"(tensor\.empty|linalg\.\w+)", body) if name != "linalg.yield"] == [
        "tensor.empty", "tensor.empty", "linalg.fill", "linalg.pooling_nchw_sum", "tensor.empty", "linalg.generic",
    ]  # fmt: skip
    assert "tag" not in timed.text


# Every element of the arguments is 1, and 0 where a sum goes: (program, argument that is 0, each element).
RUNS = [
    ("matmul_mk_kn", 2, 128),
    ("conv2d_nchw_fchw", 2, 3 * 3 * 5),
    ("pooling_max", 2, 1),
    ("pooling_avg", None, 1),
    ("elementwise_add_4d", None, 2),
    ("elementwise_max_1d", None, 1),
    ("relu_generic_3d", None, 1),
    ("batch_matmul_bmk_bkn", 2, 32),
]


@pytest.mark.parametrize(("name", "zero", "expected"), RUNS)
def test_a_timed_program_runs_on_mlir_19(name, zero, expected):
    _, _, text = golden_program(name)
    elapsed, (result,) = run_main(Timer().timed(text).text, {} if zero is None else {zero: 0.0})
    assert elapsed > 0
    assert set(result) == {expected}


@pytest.mark.parametrize(("name", "product"), [("matmul_mk_kn", 128), ("conv2d_nchw_fchw", 3 * 3 * 5)])
def test_what_is_measured_writes_over_initial_values_and_neither_fills_nor_copies(name, product):
    _, _, text = golden_program(name)
    timed = Timer().timed(text)
    types, results = function_types(timed.measurable, Contexts().next(), memrefs=True)
    assert results == []
    *inputs, written = [np.ones(shape, np.float32) for _, shape in types]
    assert timed.initial_bytes == written.nbytes
    module = lower(timed.measurable, Contexts().next())
    assert not re.search("memcpy|malloc|memset", str(module))
    bound = CompiledProgram(module, len(types)).bind([*inputs, written])
    for calls in (1, 2):
        bound.run()
        assert set(written.flat) == {1 + calls * product}


@pytest.mark.parametrize("name", ["elementwise_add_4d", "relu_generic_3d", "pooling_avg"])
def test_what_fills_in_nothing_or_fills_it_in_while_the_clock_runs_is_measured_as_it_is(name):
    _, _, text = golden_program(name)
    timed = Timer().timed(text)
    assert (timed.initial_bytes, timed.measurable) == (0, text)


# What networks have: inputs of several types, several results, reshapes, captured constants, checks.
BLOCK = """
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @block(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>, %index: tensor<4x8xi64>)
    -> (tensor<4x8xf32>, tensor<2x2x8xf32>) attributes {some.attribute} {
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 5.000000e-01 : f32
  %true = arith.constant true
  cf.assert %true, "sizes"
  %empty = tensor.empty() : tensor<4x8xf32>
  %filled = linalg.fill ins(%zero : f32) outs(%empty : tensor<4x8xf32>) -> tensor<4x8xf32>
  %product = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x8xf32>)
      outs(%filled : tensor<4x8xf32>) -> tensor<4x8xf32>
  %scaled = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%product, %index : tensor<4x8xf32>, tensor<4x8xi64>) outs(%empty : tensor<4x8xf32>) {
  ^bb0(%a: f32, %i: i64, %out: f32):
    %f = arith.sitofp %i : i64 to f32
    %b = arith.mulf %a, %half : f32
    %c = arith.addf %b, %f : f32
    linalg.yield %c : f32
  } -> tensor<4x8xf32>
  %shaped = tensor.expand_shape %scaled [[0, 1], [2]] output_shape [2, 2, 8] : tensor<4x8xf32> into tensor<2x2x8xf32>
  return %product, %shaped : tensor<4x8xf32>, tensor<2x2x8xf32>
}
"""


def test_a_block_with_several_inputs_and_results_runs_on_mlir_19():
    timed = Timer().timed(BLOCK)
    assert program_problems(timed.facts) == []
    assert "some.attribute" not in timed.text
    elapsed, (product, shaped) = run_main(timed.text)
    assert elapsed > 0
    assert (set(product), set(shaped)) == ({8.0}, {5.0})
    assert (len(product), len(shaped)) == (32, 32)


@pytest.mark.parametrize(
    ("operations", "is_single"),
    [
        # An init that is an argument, or a constant; a fill that is the program; a fill that is read.
        ("%r = linalg.exp ins(%x : T) outs(%y : T) -> T", True),
        ("%c = arith.constant dense<0.0> : T\n%r = linalg.exp ins(%x : T) outs(%c : T) -> T", True),
        (
            "%e = tensor.empty() : T\n%z = arith.constant 0.0 : f32\n%r = linalg.fill ins(%z : f32) outs(%e : T) -> T",
            True,
        ),
        (
            "%e = tensor.empty() : T\n%z = arith.constant 0.0 : f32\n%f = linalg.fill ins(%z : f32) outs(%e : T) -> T\n"
            "%r = linalg.add ins(%x, %f : T, T) outs(%e : T) -> T",
            False,
        ),
        ("%s = linalg.exp ins(%x : T) outs(%y : T) -> T\n%r = linalg.log ins(%s : T) outs(%y : T) -> T", False),
        (
            "%s = linalg.exp ins(%x : T) outs(%y : T) -> T\n%t = tensor.cast %s : T to tensor<?xf32>\n"
            "%r = tensor.cast %t : tensor<?xf32> to T",
            False,
        ),
        (
            "%i = arith.constant 1 : index\n%n = tensor.extract %y[%i] : T\n%s = tensor.splat %n : T\n"
            "%r = linalg.add ins(%x, %s : T, T) outs(%y : T) -> T",
            False,
        ),
        (
            "%s = linalg.exp ins(%x : T) outs(%y : T) -> T\n"
            "%t = tensor.expand_shape %s [[0, 1]] output_shape [2, 2] : T into tensor<2x2xf32>\n"
            "%r = tensor.collapse_shape %t [[0, 1]] : tensor<2x2xf32> into T",
            False,
        ),
    ],
)
def test_what_is_a_single_op_program(operations, is_single):
    text = f"func.func @f(%x: T, %y: T) -> T {{\n{operations}\nreturn %r : T\n}}".replace("T", "tensor<4xf32>")
    timed = Timer().timed(text)
    assert timed.is_single == is_single
    # Alone among its like, it is found by the tag, whatever else there is.
    assert ('tag = "operation_0"' in timed.text) == (len(timed.facts.linalg) == 1)
    assert tag_problem(timed.facts) is None
    assert run_main(timed.text)[0] > 0


@pytest.mark.parametrize("name", EVALUATION_NAMES)
def test_the_names_are_those_of_their_evaluation_set(name):
    timed = Timer().timed(program_of(name))
    assert timed.is_single
    assert program_problems(timed.facts) == []
    assert Names().give("family", "0" * 64, timed.facts.linalg[0]) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        # PyTorch's relu as torch-mlir writes it.
        (
            program_of("relu_4_5").replace(
                "%m = arith.maximumf %in, %zero : f32",
                "%p = arith.cmpf ugt, %in, %zero : f32\n%m = arith.select %p, %in, %zero : f32",
            ),
            "relu_4_5",
        ),
        (program_of("relu_4_5").replace("0.0 : f32", "1.0 : f32"), "family_000000000000"),
        (program_of("relu_4_5").replace("maximumf", "minimumf"), "family_000000000000"),
        (program_of("add_4_5").replace("linalg.add", "linalg.mul"), "mul_4_5"),
        # Their tools would read the stride 3 from these shapes.
        (program_of("pooling_nchw_max_1_1_5_5_2_2_2"), "family_000000000000"),
        (
            program_of("matmul_4_5_6").replace("linalg.matmul", "linalg.batch_matmul").replace("tensor<", "tensor<3x"),
            "batch_matmul_3_4_5_6",
        ),
        (golden_program("relu_generic_3d")[2], "relu_7_5_3"),
        (golden_program("batch_matmul_bmk_bkn")[2], "batch_matmul_3_16_32_8"),
    ],
)
def test_a_name_is_given_only_to_what_it_says(text, name):
    assert Names().give("family", "0" * 64, Timer().timed(text).facts.linalg[0]) == name


def test_names_are_given_once():
    names = Names()
    operation = Timer().timed(program_of("add_2_3_4")).facts.linalg[0]
    given = [names.give("f", "", operation) for _ in range(3)]
    assert given == ["add_2_3_4", "add_2_3_4_v2", "add_2_3_4_v3"]
    assert [names.give("a-b.c", "0123456789abcdef", None) for _ in range(2)] == [
        "a_b_c_0123456789ab",
        "a_b_c_0123456789ab_v2",
    ]


TWO_RESULTS = """
#id = affine_map<(d0) -> (d0)>
func.func @both(%a: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {{
  %zero = arith.constant 0.0 : f32
  %constant = arith.constant dense<1.0> : tensor<8xf32>
  %empty = tensor.empty() : tensor<8xf32>
  %filled = linalg.fill ins(%zero : f32) outs(%empty : tensor<8xf32>) -> tensor<8xf32>
  %r:2 = linalg.generic {{indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}}
      ins(%a : tensor<8xf32>) outs(%filled, {init} : tensor<8xf32>, tensor<8xf32>) {{
  ^bb0(%x: f32, %y: f32, %z: f32):
    %s = arith.addf %x, %y : f32
    linalg.yield %s, %x : f32, f32
  }} -> (tensor<8xf32>, tensor<8xf32>)
  return %r#0, %r#1 : tensor<8xf32>, tensor<8xf32>
}}"""


@pytest.mark.parametrize("init", ["%a", "%constant"])
def test_an_init_that_is_read_as_well_or_is_a_constant_is_measured_as_it_is(init):
    text = TWO_RESULTS.format(init=init)
    timed = Timer().timed(text)
    assert (timed.initial_bytes, timed.measurable) == (0, text)
    assert Timer().timed(TWO_RESULTS.format(init="%empty")).initial_bytes == 32
