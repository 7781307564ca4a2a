"""Structured operations: all that follows from their lines, held against MLIR's own definitions and PyTorch's."""

from __future__ import annotations

import re

import pytest
import torch
from helpers import GOLDEN_SPECS, golden_program, run_mlir_opt
from torch.nn import functional

from mlir_datagen.mlir.builder import FunctionBuilder
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.contractions import CONTRACTIONS
from mlir_datagen.ops.elementwise import elementwise
from mlir_datagen.ops.notation import Window, read
from mlir_datagen.ops.reference import computed
from mlir_datagen.ops.structured import CATEGORY, FORMS, GENERIC, NAMED
from mlir_datagen.ops.windows import CONVOLUTIONS, POOLINGS

SIZES = {
    "n": 2, "c": 3, "h": 9, "w": 10, "f": 4, "g": 2, "kh": 3, "kw": 2, "sh": 2, "sw": 1, "dh": 1, "dw": 3,
    "m": 5, "k": 7, "batch": 3, "d0": 2, "d1": 3, "d2": 4, "d3": 5,
}  # fmt: skip
NAMED_OPERATIONS = {
    operation.name: operation for operation in (*CONTRACTIONS.values(), *CONVOLUTIONS.values(), *POOLINGS.values())
}
OPERATIONS = NAMED_OPERATIONS | {
    f"{kind}_{rank}d": elementwise(kind, rank) for kind in ("add", "mul", "max") for rank in (1, 4)
}


def sizes_of(operation):
    return operation.notation.with_positions(SIZES)


def program(operation, form):
    """Return a module with the operation in a form."""
    sizes = sizes_of(operation)
    types = [tensor(shape, "f32") for shape in operation.argument_shapes(sizes)]
    builder = FunctionBuilder("f", [(f"input{place}", type_) for place, type_ in enumerate(types)], form)
    return builder.finish(operation.emit(builder, builder.arguments, sizes))


def test_a_line_is_read():
    notation = read("n c h=oh*sh+kh*dh w=ow*sw+kw*dw, [kh kw] -> n c oh ow")
    assert notation.loops == ("n", "c", "oh", "ow", "kh", "kw")
    assert notation.reductions == ("kh", "kw")
    assert [operand.has_contents for operand in notation.inputs] == [True, False]
    assert notation.windows == (("h", Window("oh", "sh", "kh", "dh")), ("w", Window("ow", "sw", "kw", "dw")))
    assert notation.free == ("n", "c", "h", "w", "kh", "kw", "sh", "sw", "dh", "dw")
    assert notation.with_positions(SIZES) | {"oh": 4, "ow": 7} == notation.with_positions(SIZES)


def test_the_steps_of_the_innermost_reduction():
    """A column of the right matrix is read every n elements, and a dilated window along the width every dw."""
    assert CONTRACTIONS["matmul"].innermost_step(SIZES) == SIZES["n"]
    assert CONTRACTIONS["batch_matvec"].innermost_step(SIZES) == 1
    assert CONVOLUTIONS["conv_2d_nchw_fchw"].innermost_step(SIZES) == SIZES["dw"]
    assert elementwise("add", 4).innermost_step(SIZES) == 1


def as_printed(version, text):
    """Return the generics that MLIR makes of a module's operations, with the function's names as MLIR gives them."""
    done = run_mlir_opt(version, [text], "--linalg-generalize-named-ops", "--mlir-print-local-scope")
    assert done.returncode == 0, done.stderr
    assert "linalg.generic" in done.stdout
    return done.stdout


@pytest.mark.parametrize("version", [19, 22])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_generic_is_what_mlir_makes_of_the_named_operation(name, version):
    """Maps, iterators, operands and body: all of them MLIR's own."""
    operation = OPERATIONS[name]
    assert f"linalg.{operation.name} " in program(operation, NAMED)
    assert as_printed(version, program(operation, GENERIC)) == as_printed(version, program(operation, NAMED))


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.category])
def test_the_category_is_what_mlir_makes_the_same_generic_of(name):
    operation = OPERATIONS[name]
    text = program(operation, CATEGORY)
    assert re.search(r"linalg\.(contract|elementwise) ", text)
    assert as_printed(22, text) == as_printed(22, program(operation, GENERIC))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_form_is_one_program_by_structure(name):
    texts = {program(OPERATIONS[name], form) for form in FORMS}
    assert len(texts) >= 2
    hasher = ProgramHasher()
    assert len({hasher.hash(text) for text in texts}) == 1


CALLS = {
    "matmul": torch.matmul,
    "batch_matmul": torch.bmm,
    "batch_matvec": lambda lhs, rhs: torch.bmm(lhs, rhs.unsqueeze(2)).squeeze(2),
    "conv_2d_nchw_fchw": lambda *both: functional.conv2d(*both, stride=(2, 1), dilation=(1, 3)),
    "depthwise_conv_2d_nchw_chw": lambda image, filters: functional.conv2d(
        image, filters.unsqueeze(1), stride=(2, 1), dilation=(1, 3), groups=3
    ),
    "conv_2d_ngchw_gfchw": lambda image, filters: functional.conv2d(
        image.flatten(1, 2), filters.flatten(0, 1), stride=(2, 1), dilation=(1, 3), groups=2
    ).unflatten(1, (2, 4)),
    "pooling_nchw_max": lambda image: functional.max_pool2d(image, (3, 2), (2, 1), dilation=(1, 3)),
    "pooling_nchw_sum": lambda image: functional.conv2d(
        image, torch.ones(3, 1, 3, 2, dtype=torch.float64), stride=(2, 1), dilation=(1, 3), groups=3
    ),
}


@pytest.mark.parametrize("name", NAMED_OPERATIONS)
def test_the_reference_is_what_pytorch_has_an_operation_for(name):
    operation = NAMED_OPERATIONS[name]
    sizes = sizes_of(operation)
    torch.manual_seed(0)
    inputs = [torch.rand(shape, dtype=torch.float64) - 0.7 for shape in operation.argument_shapes(sizes)]
    expected = CALLS[name](*inputs)
    assert tuple(expected.shape) == operation.result_shape(sizes)
    torch.testing.assert_close(computed(operation, inputs, sizes), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_what_is_timed_in_pytorch_is_the_reference(name):
    family, spec, _ = golden_program(name)
    torch.manual_seed(0)
    low, high = family.input_range(spec)
    inputs = [low + (high - low) * torch.rand(operand.shape, dtype=torch.float64) for operand in family.arguments(spec)]
    torch.testing.assert_close(family.eager(spec, *inputs), family.reference(spec, *inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("version", [16, 19, 22])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_a_form_parses_on_the_versions_that_are_said_to_know_it_and_on_the_wheel(name, form, version):
    family, spec, _ = golden_program(name)
    text = family.program(spec, form)
    oldest, newest = family.versions(spec.variant, form)
    done = run_mlir_opt(version, [text])
    if oldest <= version and (newest is None or version <= newest):
        assert done.returncode == 0, done.stderr
    else:
        assert re.search(r"custom op '(linalg|arith)\.\w+' is unknown", done.stderr)
    Verifier().verify(text)
