"""What MLIR-RL does not take, rewritten: the results are those of the program as it was, and MLIR 19 takes it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from mlir19 import lowered

from mlir_datagen.export.mlir_rl.contract import program_problems
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.mlir_rl_form import CHANNELS_LAST, CONSTANT_INDEX, TRUTH_VALUES
from mlir_datagen.mlir.parse import Contexts, function_types
from mlir_datagen.mlir.timed_main import Timer

MAPS = """
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0, 0)>
#column = affine_map<(d0, d1) -> (0, d1)>
#corner = affine_map<(d0, d1) -> (0, 0)>
#third = affine_map<(d0, d1) -> (d0, 2)>
"""


def depthwise(stride=1, init="%filled"):
    """Return a depthwise convolution of 3 channels, 9 x 8, under 2 x 3."""
    height, width = (9 - 2) // stride + 1, (8 - 3) // stride + 1
    result = f"tensor<2x3x{height}x{width}xf32>"
    return f"""func.func @f(%image: tensor<2x3x9x8xf32>, %filter: tensor<3x2x3xf32>, %given: {result}) -> {result} {{
  %two = arith.constant 2.0 : f32
  %empty = tensor.empty() : {result}
  %filled = linalg.fill ins(%two : f32) outs(%empty : {result}) -> {result}
  %r = linalg.depthwise_conv_2d_nchw_chw
      {{dilations = dense<1> : vector<2xi64>, strides = dense<{stride}> : vector<2xi64>}}
      ins(%image, %filter : tensor<2x3x9x8xf32>, tensor<3x2x3xf32>) outs({init} : {result}) -> {result}
  return %r : {result}
}}"""


def reduction(map_, shape, init="%filled", users=True):
    """Return a sum over a 4 x 5 tensor that is written through a map, and (unless alone) each element less its sum."""
    less = f"""
  %r = linalg.generic {{indexing_maps = [#id, {map_}, #id], iterator_types = ["parallel", "parallel"]}}
      ins(%x, %sum : tensor<4x5xf32>, tensor<{shape}xf32>) outs(%x : tensor<4x5xf32>) {{
  ^bb0(%a: f32, %b: f32, %out: f32):
    %d = arith.subf %a, %b : f32
    linalg.yield %d : f32
  }} -> tensor<4x5xf32>
  return %r, %sum : tensor<4x5xf32>, tensor<{shape}xf32>"""
    results = f"(tensor<4x5xf32>, tensor<{shape}xf32>)" if users else f"tensor<{shape}xf32>"
    kinds = {"#row": '"parallel", "reduction"', "#column": '"reduction", "parallel"'}
    return f"""{MAPS}func.func @f(%x: tensor<4x5xf32>, %given: tensor<{shape}xf32>) -> {results} {{
  %two = arith.constant 2.0 : f32
  %empty = tensor.empty() : tensor<{shape}xf32>
  %filled = linalg.fill ins(%two : f32) outs(%empty : tensor<{shape}xf32>) -> tensor<{shape}xf32>
  %sum = linalg.generic {{indexing_maps = [#id, {map_}],
      iterator_types = [{kinds.get(map_, '"reduction", "reduction"')}]}}
      ins(%x : tensor<4x5xf32>) outs({init} : tensor<{shape}xf32>) {{
  ^bb0(%a: f32, %out: f32):
    %s = arith.addf %a, %out : f32
    linalg.yield %s : f32
  }} -> tensor<{shape}xf32>{less if users else f"{chr(10)}  return %sum : tensor<{shape}xf32>"}
}}"""


TWO_RESULTS = (
    MAPS
    + """func.func @f(%x: tensor<4x5xf32>) -> (tensor<4x1xf32>, tensor<4x1xi64>, tensor<4x1xf32>) {
  %low = arith.constant 0xFF800000 : f32
  %none = arith.constant 0 : i64
  %e = tensor.empty() : tensor<4x1xf32>
  %m = linalg.fill ins(%low : f32) outs(%e : tensor<4x1xf32>) -> tensor<4x1xf32>
  %g = tensor.empty() : tensor<4x1xi64>
  %i = linalg.fill ins(%none : i64) outs(%g : tensor<4x1xi64>) -> tensor<4x1xi64>
  %most:2 = linalg.generic {indexing_maps = [#id, #row, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x5xf32>) outs(%m, %i : tensor<4x1xf32>, tensor<4x1xi64>) {
  ^bb0(%a: f32, %best: f32, %at: i64):
    %place = linalg.index 1 : index
    %here = arith.index_cast %place : index to i64
    %more = arith.cmpf ogt, %a, %best : f32
    %b = arith.select %more, %a, %best : f32
    %p = arith.select %more, %here, %at : i64
    linalg.yield %b, %p : f32, i64
  } -> (tensor<4x1xf32>, tensor<4x1xi64>)
  %r = linalg.exp ins(%most#0 : tensor<4x1xf32>) outs(%e : tensor<4x1xf32>) -> tensor<4x1xf32>
  return %most#0, %most#1, %r : tensor<4x1xf32>, tensor<4x1xi64>, tensor<4x1xf32>
}"""
)

WHERE = (
    MAPS
    + """func.func @f(%mask: tensor<4x5xi1>, %x: tensor<4x5xf32>) -> tensor<4x5xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x5xf32>
  %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%mask, %x : tensor<4x5xi1>, tensor<4x5xf32>) outs(%e : tensor<4x5xf32>) {
  ^bb0(%m: i1, %a: f32, %out: f32):
    %s = arith.select %m, %a, %zero : f32
    linalg.yield %s : f32
  } -> tensor<4x5xf32>
  return %r : tensor<4x5xf32>
}"""
)
BOTH = (
    MAPS
    + """func.func @f(%one: tensor<4x5xi1>, %other: tensor<4x5xi1>) -> tensor<4x5xi1> {
  %e = tensor.empty() : tensor<4x5xi1>
  %r = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%one, %other, %one : tensor<4x5xi1>, tensor<4x5xi1>, tensor<4x5xi1>) outs(%e : tensor<4x5xi1>) {
  ^bb0(%a: i1, %b: i1, %c: i1, %out: i1):
    %d = arith.andi %a, %b : i1
    %x = arith.xori %d, %c : i1
    linalg.yield %x : i1
  } -> tensor<4x5xi1>
  return %r : tensor<4x5xi1>
}"""
)
# Read through a reshape; a result that is a reduction which reads its init, and one that others use.
THROUGH_OTHERS = (
    MAPS
    + """func.func @f(%mask: tensor<20xi1>, %given: tensor<4x1xi1>)
    -> (tensor<4x1xi1>, tensor<4x5xi1>, tensor<4x5xi1>) {
  %shaped = tensor.expand_shape %mask [[0, 1]] output_shape [4, 5] : tensor<20xi1> into tensor<4x5xi1>
  %e = tensor.empty() : tensor<4x5xi1>
  %any = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%shaped : tensor<4x5xi1>) outs(%given : tensor<4x1xi1>) {
  ^bb0(%a: i1, %out: i1):
    %b = arith.ori %a, %out : i1
    linalg.yield %b : i1
  } -> tensor<4x1xi1>
  %not = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%shaped : tensor<4x5xi1>) outs(%e : tensor<4x5xi1>) {
  ^bb0(%a: i1, %out: i1):
    %true = arith.constant true
    %b = arith.xori %a, %true : i1
    linalg.yield %b : i1
  } -> tensor<4x5xi1>
  %e2 = tensor.empty() : tensor<4x5xi1>
  %again = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%not, %not : tensor<4x5xi1>, tensor<4x5xi1>) outs(%e2 : tensor<4x5xi1>) {
  ^bb0(%a: i1, %c: i1, %out: i1):
    %b = arith.andi %a, %c : i1
    linalg.yield %b : i1
  } -> tensor<4x5xi1>
  return %any, %not, %again : tensor<4x1xi1>, tensor<4x5xi1>, tensor<4x5xi1>
}"""
)

REWRITTEN = {
    "depthwise": (depthwise(), (CHANNELS_LAST,)),
    "depthwise, stride 2": (depthwise(2), (CHANNELS_LAST,)),
    "depthwise, on an argument": (depthwise(init="%given"), (CHANNELS_LAST,)),
    "rows": (reduction("#row", "4x1"), (CONSTANT_INDEX,)),
    "columns": (reduction("#column", "1x5"), (CONSTANT_INDEX,)),
    "all": (reduction("#corner", "1x1"), (CONSTANT_INDEX,)),
    "rows, on an argument": (reduction("#row", "4x1", "%given"), (CONSTANT_INDEX,)),
    "all, on an argument": (reduction("#corner", "1x1", "%given"), (CONSTANT_INDEX,)),
    "two results": (TWO_RESULTS, (CONSTANT_INDEX,)),
    "a condition": (WHERE, (TRUTH_VALUES,)),
    "conditions": (BOTH, (TRUTH_VALUES,)),
    "through others": (THROUGH_OTHERS, (CONSTANT_INDEX, TRUTH_VALUES)),
}


def computed(text, arguments):
    """Return the results of a program, as numbers."""
    _, results = function_types(text, Contexts().next())
    arrays = [np.zeros(shape, ELEMENT_TYPES[dtype].numpy) for dtype, shape in results]
    # A program may write into its arguments.
    operands = [*(argument.copy() for argument in arguments), *arrays]
    CompiledProgram(lower(text, Contexts().next()), len(operands)).bind(operands).run()
    return [array.astype(np.float64) for array in arrays]


@pytest.mark.parametrize("name", REWRITTEN)
def test_what_is_rewritten_computes_the_same(name):
    text, expected = REWRITTEN[name]
    timed = Timer().timed(text)
    assert timed.rewritten == expected
    assert program_problems(timed.facts) == []
    generator = np.random.default_rng(7)
    types, _ = function_types(text, Contexts().next())
    given = [
        generator.integers(0, 2, shape).astype(np.bool_)
        if dtype == "i1"
        else generator.standard_normal(shape).astype(ELEMENT_TYPES[dtype].numpy)
        for dtype, shape in types
    ]
    # Any number but 0 is true.
    widened = [array * np.int32(3) if array.dtype == np.bool_ else array for array in given]
    before, after = computed(text, given), computed(timed.operations, widened)
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
    assert any(np.ptp(one) > 0 for one in before)


@pytest.mark.parametrize("name", REWRITTEN)
def test_mlir_19_takes_what_is_rewritten(name):
    assert "llvm.func @main" in lowered(Timer().timed(REWRITTEN[name][0]).text)


@pytest.mark.parametrize("name", ["a condition", "conditions"])
def test_a_body_that_reads_truth_values_converts_them(name):
    """A single operation stays one, with its init as an argument and the tag."""
    timed = Timer().timed(REWRITTEN[name][0])
    assert timed.is_single
    assert len(timed.facts.linalg) == 1
    assert "xi1>" not in timed.text


def test_a_single_operation_keeps_the_constant_index_as_nothing_is_fused_with_it():
    timed = Timer().timed(reduction("#row", "4x1", users=False))
    assert timed.is_single
    assert timed.rewritten == ()
    assert timed.operations == reduction("#row", "4x1", users=False)
    assert program_problems(timed.facts) == []


def test_an_index_into_a_larger_dimension_is_left_and_left_out():
    """The rest of what it is written into is in the result."""
    timed = Timer().timed(reduction("#third", "4x5", "%given"))
    assert timed.rewritten == ()
    assert len(program_problems(timed.facts)) == 1
    (problem,) = program_problems(timed.facts)
    assert problem.startswith("linalg.generic writes a result at (d0, 2), and the fusion step takes only a loop")


def test_what_needs_nothing_is_not_touched():
    text = re.sub("depthwise_conv_2d_nchw_chw", "conv_2d_nchw_fchw", depthwise()).replace("3x2x3xf32", "3x3x2x3xf32")
    timed = Timer().timed(text)
    assert (timed.rewritten, timed.operations) == ((), text)
