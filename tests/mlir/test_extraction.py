"""Programs cut out of networks, held against the network's cost, MLIR 19 and PyTorch."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import SUPPORT, golden_program, run_mlir_opt
from torch_mlir import ir

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.cost import flops, linalg_operations, loops
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.mlir.extraction import extract
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.outline import network_outline
from mlir_datagen.mlir.structural_hash import structural_hash

CONTEXT = ir.Context()
NETWORKS = ("residual", "biased", "transformer")
WAYS = ((1, 1), (1, 2), (2, 1), (5, 3))


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """The networks of `converting.py`, converted once."""
    folder = tmp_path_factory.mktemp("converted")
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "converting.py"), str(folder)],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {path.stem: path.read_text() for path in folder.glob("*.mlir")}


def run(program, arguments):
    """Run a program in process; return its results."""
    module = lower(program.text, CONTEXT)
    compiled = CompiledProgram(module, len(program.arguments) + len(program.results))
    results = [np.zeros(result.shape, ELEMENT_TYPES[result.dtype].numpy) for result in program.results]
    assert [argument.shape for argument in arguments] == [argument.shape for argument in program.arguments]
    compiled.bind([*arguments, *results]).run()
    return results


def some_arguments(program):
    """Return random numbers, and zeros for integers, which may index something."""
    generator = np.random.default_rng(0)
    return [
        np.asarray(generator.random(argument.shape) if argument.dtype[0] == "f" else np.zeros(argument.shape)).astype(
            ELEMENT_TYPES[argument.dtype].numpy
        )
        for argument in program.arguments
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_costs_of_the_operations_add_up_to_the_networks(converted, name):
    programs = extract(converted[name], CONTEXT)
    total = network_outline(converted[name], CONTEXT).flops
    assert sum(program.outline.flops * program.multiplicity for program in programs) == total
    assert all(network_outline(program.text, CONTEXT).flops == program.outline.flops for program in programs)


@pytest.mark.parametrize(("window", "stride"), WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_program_passes_mlir_19_and_runs(converted, name, window, stride):
    programs = extract(converted[name], CONTEXT, window, stride)
    bufferized = run_mlir_opt(
        19, [program.text for program in programs], "--one-shot-bufferize=bufferize-function-boundaries"
    )
    assert bufferized.returncode == 0, bufferized.stderr
    assert bufferized.stdout.count("func.func @") == len(programs)
    assert "cf.assert" not in bufferized.stdout
    for program in programs:
        run(program, some_arguments(program))


@pytest.mark.parametrize(("window", "stride"), WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_said_of_a_program_is_in_its_text(converted, name, window, stride):
    programs = extract(converted[name], CONTEXT, window, stride)
    assert len({program.structural_hash for program in programs}) == len(programs)
    for program in programs:
        assert structural_hash(program.text, CONTEXT) == program.structural_hash
        module = ir.Module.parse(program.text, CONTEXT)
        (function,) = module.body.operations
        block = function.regions[0].blocks[0]
        assert [str(argument.type) for argument in block.arguments] == [_type(each) for each in program.arguments]
        returned = block.operations[len(block.operations) - 1].operands
        assert [str(value.type) for value in returned] == [_type(each) for each in program.results]
        operations = [each for each in linalg_operations(module) if each.name != "linalg.fill"]
        assert len(operations) == len(program.positions) == window
        assert list(program.positions) == sorted(program.positions)
        main = max(operations, key=flops)
        assert program.outline.loops in [loops(each) for each in operations if flops(each) == flops(main)]
        assert program.main_operation == f"linalg.{function.sym_name.value}"


def _type(operand):
    return f"tensor<{''.join(f'{extent}x' for extent in operand.shape)}{operand.dtype}>"


def test_extraction_is_deterministic(converted):
    again = extract(converted["transformer"], ir.Context(), 5, 3)
    assert again == extract(converted["transformer"], CONTEXT, 5, 3)


@pytest.mark.parametrize(
    ("layer", "golden"),
    [
        ("matmul", "matmul_mk_kn"),
        ("conv2d", "conv2d_nchw_fchw"),
        ("pooling_max", "pooling_max"),
        ("elementwise_add", "elementwise_add_4d"),
        ("elementwise_mul", "elementwise_mul_4d"),
    ],
)
def test_a_layer_of_a_network_is_the_single_operation_of_the_same_shape(converted, layer, golden):
    (program,) = extract(converted[layer], CONTEXT)
    family, spec, text = golden_program(golden)
    assert program.structural_hash == structural_hash(text, CONTEXT)
    assert program.outline.flops == family.graph(spec).flops
    assert program.outline.loops == family.graph(spec).loops
    assert program.bytes_moved == family.graph(spec).bytes_moved
    assert [argument.shape for argument in program.arguments] == [each.shape for each in family.graph(spec).arguments]


@pytest.mark.parametrize(
    ("layer", "golden"),
    # torch-mlir adds the bias first, as the init, and writes the maximum as a comparison and a selection.
    [("conv2d_bias", "conv2d_nchw_fchw"), ("elementwise_max", "elementwise_max_4d")],
)
def test_where_a_layer_is_written_as_another_computation(converted, layer, golden):
    program = extract(converted[layer], CONTEXT)[-1]
    family, spec, text = golden_program(golden)
    assert program.structural_hash != structural_hash(text, CONTEXT)
    assert (program.outline.flops, program.outline.loops) == (family.graph(spec).flops, family.graph(spec).loops)


@pytest.mark.parametrize("layer", ["matmul", "conv2d", "pooling_max", "elementwise_add", "elementwise_max"])
def test_an_operation_computes_what_pytorch_does(converted, layer):
    import torch
    from converting import CONVERTED

    (program,) = extract(converted[layer], CONTEXT)
    # Negative numbers only: a maximum that does not start from -inf shows.
    arguments = [-argument for argument in some_arguments(program)]
    expected = CONVERTED[layer][0]()(*map(torch.from_numpy, arguments))
    np.testing.assert_allclose(run(program, arguments)[0], expected.numpy(), rtol=1e-5)


def test_a_window_computes_what_pytorch_does(converted):
    import torch
    from torch.nn import functional

    (program,) = extract(converted["biased"], CONTEXT, 5, 100)
    assert program.positions == (0, 1, 2, 3, 4)
    assert program.main_operation == "linalg.conv_2d_nchw_fchw"
    bias, image, filters = arguments = [argument - 0.5 for argument in some_arguments(program)]
    convolved = functional.conv2d(*map(torch.from_numpy, (image, filters, bias)))
    expected = functional.avg_pool2d(functional.relu(convolved), 2)
    np.testing.assert_allclose(run(program, arguments)[0], expected.numpy(), atol=1e-5)


def test_equal_blocks_of_a_network_are_one_program(converted):
    programs = {program.positions[0]: program for program in extract(converted["residual"], CONTEXT)}
    counted = [p.multiplicity for p in programs.values() if p.main_operation == "linalg.conv_2d_nchw_fchw"]
    # The stem, and two convolutions of each of two blocks.
    assert sorted(counted) == [1, 4]


FULL = "affine_map<(i, j) -> (i, j)>"
RELU = f"""linalg.generic {{indexing_maps = [{FULL}, {FULL}], iterator_types = ["parallel", "parallel"]}}
  ins(IN : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {{
^bb0(%x: f32, %y: f32):
  %m = arith.maximumf %x, SCALAR : f32
  linalg.yield %m : f32
}} -> tensor<4x4xf32>"""


def network(body, arguments="%a: tensor<4x4xf32>", result="tensor<4x4xf32>"):
    return f"func.func @net({arguments}) -> {result} {{\n  %e = tensor.empty() : tensor<4x4xf32>\n{body}\n}}"


def relu(operand, scalar):
    return RELU.replace("IN", operand).replace("SCALAR", scalar)


def shapes(operands):
    return [(operand.shape, operand.dtype) for operand in operands]


def test_what_stands_between_two_operations_belongs_to_their_window_only():
    body = f"""
  %z = arith.constant 0.0 : f32
  %before = tensor.collapse_shape %b [[0, 1], [2]] : tensor<2x2x4xf32> into tensor<4x4xf32>
  %r = {relu("%before", "%z")}
  %p = tensor.pad %r low[1, 1] high[1, 1] {{
  ^bb0(%i: index, %j: index):
    tensor.yield %z : f32
  }} : tensor<4x4xf32> to tensor<6x6xf32>
  %o = tensor.empty() : tensor<6x6xf32>
  %s = linalg.add ins(%p, %q : tensor<6x6xf32>, tensor<6x6xf32>) outs(%o : tensor<6x6xf32>) -> tensor<6x6xf32>
  %after = tensor.collapse_shape %s [[0, 1]] : tensor<6x6xf32> into tensor<36xf32>
  return %after : tensor<36xf32>"""
    text = network(body, "%b: tensor<2x2x4xf32>, %q: tensor<6x6xf32>", "tensor<36xf32>")
    (program,) = extract(text, CONTEXT, window=2)
    assert shapes(program.arguments) == [((4, 4), "f32"), ((6, 6), "f32")]
    assert shapes(program.results) == [((6, 6), "f32")]
    assert (program.outline.flops, program.bytes_moved) == (16 + 36, 4 * (16 + 36 + 36))
    assert program.main_operation == "linalg.add"
    given = some_arguments(program)
    np.testing.assert_allclose(run(program, given)[0], np.pad(given[0], 1) + given[1])
    first, second = extract(text, CONTEXT)
    assert shapes(first.arguments) == [((4, 4), "f32")]
    assert shapes(second.arguments) == [((6, 6), "f32")] * 2


def test_a_value_that_is_used_outside_is_a_result_too():
    body = f"""
  %z = arith.constant 0.0 : f32
  %r = {relu("%a", "%z")}
  %s = linalg.add ins(%r, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %t = linalg.mul ins(%s, %r : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %t : tensor<4x4xf32>"""
    first, second = extract(network(body), CONTEXT, window=2)
    assert [program.positions for program in (first, second)] == [(0, 1), (1, 2)]
    assert shapes(first.arguments) == [((4, 4), "f32")]
    assert len(first.results) == 2
    # In the order of first use: the two terms of the sum, of which one is the factor too.
    assert shapes(second.arguments) == [((4, 4), "f32")] * 2
    (whole,) = extract(network(body), CONTEXT, window=3)
    assert len(whole.results) == 1
    (argument,) = given = [values - 0.5 for values in some_arguments(whole)]
    rectified = np.maximum(argument, 0)
    np.testing.assert_allclose(run(whole, given)[0], (rectified + argument) * rectified)


@pytest.mark.parametrize(
    ("arguments", "scalar", "taken"),
    [
        ("%a: tensor<4x4xf32>", "%c = arith.constant 0.5 : f32", []),
        ("%a: tensor<4x4xf32>", "%d = arith.constant 0.5 : f64\n  %c = arith.truncf %d : f64 to f32", []),
        ("%a: tensor<4x4xf32>, %c: f32", "", [((), "f32")]),
        (
            "%a: tensor<4x4xf32>, %n: tensor<3xf32>",
            "%i = arith.constant 1 : index\n  %c = tensor.extract %n[%i] : tensor<3xf32>",
            [((3,), "f32")],
        ),
        (
            "%a: tensor<4x4xf32>, %n: tensor<3xf32>, %i: index",
            "%c = tensor.extract %n[%i] : tensor<3xf32>",
            [((3,), "f32"), ((), "i64")],
        ),
    ],
)
def test_scalars_from_outside_are_copied_or_come_in_tensors(arguments, scalar, taken):
    body = f"  {scalar}\n  %r = {relu('%a', '%c')}\n  return %r : tensor<4x4xf32>"
    (program,) = extract(network(body, arguments), CONTEXT)
    assert shapes(program.arguments) == [((4, 4), "f32"), *taken]
    given = some_arguments(program)
    scalar_value = 0.5 if not taken else given[1].reshape(-1)[1 if taken == [((3,), "f32")] else 0]
    np.testing.assert_allclose(run(program, given)[0], np.maximum(given[0], scalar_value))


def test_initial_values_are_kept_and_data_are_arguments():
    body = """
  %one = arith.constant 1.0 : f32
  %data = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 2.0]]> : tensor<4x4xf32>
  %i = linalg.fill ins(%one : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = linalg.matmul ins(%a, %data : tensor<4x4xf32>, tensor<4x4xf32>) outs(%i : tensor<4x4xf32>) -> tensor<4x4xf32>
  %s = linalg.matmul ins(%r, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%r : tensor<4x4xf32>) -> tensor<4x4xf32>
  %t = linalg.add ins(%s, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%r : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %t : tensor<4x4xf32>"""  # noqa: E501
    filled, accumulated, added = extract(network(body), CONTEXT)
    given = some_arguments(filled)
    np.testing.assert_allclose(run(filled, given)[0], given[0] @ given[1] + 1, rtol=1e-5)
    assert len(accumulated.arguments) == 2
    given = some_arguments(accumulated)
    np.testing.assert_allclose(run(accumulated, given)[0], given[0] @ given[1] + given[0], rtol=1e-5)
    # It does not read what it writes into.
    assert len(added.arguments) == 2


@pytest.mark.parametrize(("init", "expected"), [("%i", 1.0), ("%b", None)])
def test_what_is_written_in_part_is_kept(init, expected):
    body = f"""
  %one = arith.constant 1.0 : f32
  %i = linalg.fill ins(%one : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = linalg.generic {{indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i, 0)>],
    iterator_types = ["parallel"]}} ins(%a : tensor<4xf32>) outs({init} : tensor<4x4xf32>) {{
  ^bb0(%x: f32, %y: f32):
    linalg.yield %x : f32
  }} -> tensor<4x4xf32>
  return %r : tensor<4x4xf32>"""
    (program,) = extract(network(body, "%a: tensor<4xf32>, %b: tensor<4x4xf32>"), CONTEXT)
    given = some_arguments(program)
    whole = np.full((4, 4), expected) if expected is not None else given[1].copy()
    whole[:, 0] = given[0]
    np.testing.assert_allclose(run(program, given)[0], whole)


def test_operations_that_mlir_19_does_not_know_become_generic():
    transposed = "[affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]"
    body = f"""
  %z = arith.constant 0.0 : f32
  %i = linalg.fill ins(%z : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = linalg.matmul indexing_maps = {transposed} ins(%a, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%i : tensor<4x4xf32>) -> tensor<4x4xf32>
  %s = linalg.elementwise kind=#linalg.elementwise_kind<exp> ins(%r : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %t = linalg.exp ins(%s : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %t : tensor<4x4xf32>"""  # noqa: E501
    programs = extract(network(body), CONTEXT)
    assert [(program.main_operation, program.outline.flops) for program in programs] == [
        ("linalg.generic", 128),
        ("linalg.generic", 16),
    ]
    # The named exponential is the same computation as linalg.elementwise's.
    assert programs[1].multiplicity == 2
    parsed = run_mlir_opt(19, [program.text for program in programs])
    assert parsed.returncode == 0, parsed.stderr
    given = some_arguments(programs[0])
    np.testing.assert_allclose(run(programs[0], given)[0], given[0] @ given[0].T, rtol=1e-5)


def test_a_function_is_not_called_like_one_of_the_c_library():
    body = "  %r = linalg.exp ins(%a : tensor<4x4xf64>) outs(%a : tensor<4x4xf64>) -> tensor<4x4xf64>\n  return %r : tensor<4x4xf64>"  # noqa: E501
    (program,) = extract(network(body, "%a: tensor<4x4xf64>", "tensor<4x4xf64>"), CONTEXT)
    assert "func.func @linalg_exp(" in program.text
    given = some_arguments(program)
    np.testing.assert_allclose(run(program, given)[0], np.exp(given[0]))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("%m = arith.mulf %x, %y : f32\n  %r = arith.addf %m, %x : f32", 2),
        ("%r = math.fma %x, %y, %x : f32", 2),
        ("%c = arith.cmpf ogt, %x, %y : f32\n  %r = arith.select %c, %x, %y : f32", 1),
        ("%d = arith.extf %x : f32 to f64\n  %q = math.exp %d : f64\n  %r = arith.truncf %q : f64 to f32", 1),
        ("%i = linalg.index 0 : index\n  %j = arith.addi %i, %i : index\n  %r = arith.negf %x : f32", 1),
        ("%n = math.exp %x : f32\n  %r = arith.addf %x, %y : f32", 1),
        ('%c = arith.cmpf one, %x, %y : f32\n  cf.assert %c, "equal"\n  %r = arith.divf %x, %y : f32', 1),
        ("%i = arith.fptosi %x : f32 to i64\n  %j = arith.muli %i, %i : i64\n  %r = arith.sitofp %j : i64 to f32", 1),
    ],
)
def test_arithmetic_in_a_body(body, expected):
    text = f"""func.func @net(%a: tensor<3x5xf32>, %b: tensor<3x5xf32>) -> tensor<3x5xf32> {{
  %g = linalg.generic {{indexing_maps = [{FULL}, {FULL}], iterator_types = ["parallel", "parallel"]}}
    ins(%a : tensor<3x5xf32>) outs(%b : tensor<3x5xf32>) {{
  ^bb0(%x: f32, %y: f32):
  {body}
  linalg.yield %r : f32
  }} -> tensor<3x5xf32>
  return %g : tensor<3x5xf32>
}}"""
    assert network_outline(text, CONTEXT).flops == 15 * expected
    (program,) = extract(text, CONTEXT)
    assert program.outline.flops == math.prod(loop.bound for loop in program.outline.loops) * expected


SOFTMAX = (
    "  %r = linalg.softmax dimension(1) ins(%a : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>\n"
    "  return %r : tensor<4x4xf32>"
)
ADD = "linalg.add ins(%a, %a : tensor<4x4xf32>, tensor<4x4xf32>) outs(%a : tensor<4x4xf32>) -> tensor<4x4xf32>"
LOOP = f"""  %z = arith.constant 0 : index
  %r = scf.for %i = %z to %z step %z iter_args(%v = %a) -> tensor<4x4xf32> {{
    %s = {ADD}
    scf.yield %s : tensor<4x4xf32>
  }}
  return %r : tensor<4x4xf32>"""
DYNAMIC = (
    "  %r = linalg.exp ins(%a : tensor<?xf32>) outs(%a : tensor<?xf32>) -> tensor<?xf32>\n  return %r : tensor<?xf32>"
)
BUFFERS = (
    "func.func @net(%a: memref<4xf32>) {\n  linalg.exp ins(%a : memref<4xf32>) outs(%a : memref<4xf32>)\n  return\n}"
)
ONE = f"  %r = {ADD}\n  return %r : tensor<4x4xf32>"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (network(ONE), {"window": 0}, "window=0 is not allowed: it must be a whole number of at least 1"),
        (network(ONE), {"stride": -2}, "stride=-2 is not allowed"),
        (network(ONE), {"window": 2}, "window=2 is too large for this model: no more than 1 of its linalg operations"),
        (network("  return %a : tensor<4x4xf32>"), {}, "The model has no linalg operation"),
        (network("  nonsense"), {}, r'not a valid MLIR module: loc\("-":3:3\): '),
        (network(SOFTMAX), {}, "linalg.softmax has no body"),
        (network(LOOP), {}, "linalg.add is inside scf.for, so that it is not known how often it runs"),
        (network(DYNAMIC, "%a: tensor<?xf32>", "tensor<?xf32>"), {}, r"tensor<\?xf32> has a dynamic dimension"),
        (BUFFERS, {}, "memref<4xf32> is a buffer; only operations on tensors are allowed"),
        ("module {}", {}, "The module has 0 functions with a body; exactly one is allowed"),
        (network(ONE) + network(ONE).replace("@net", "@other"), {}, "The module has 2 functions with a body"),
    ],
)
def test_bad_input(text, options, message):
    with pytest.raises(UserError, match=message):
        extract(text, CONTEXT, **options)
