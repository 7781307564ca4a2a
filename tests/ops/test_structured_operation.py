"""Structured operations: all that follows from their lines, held against MLIR's own definitions and PyTorch's."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
import torch
from helpers import GOLDEN_SPECS, golden_program, run_mlir_opt
from torch.nn import functional

from mlir_datagen.mlir.builder import FunctionBuilder
from mlir_datagen.mlir.parse import Verifier
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.body import Body
from mlir_datagen.ops.contractions import CONTRACTIONS
from mlir_datagen.ops.elementwise import elementwise
from mlir_datagen.ops.evaluation import evaluation
from mlir_datagen.ops.family import OpFamily, Variant
from mlir_datagen.ops.notation import Window, read
from mlir_datagen.ops.structured_operation import CATEGORY, FORMS, GENERIC, NAMED, Versions, from_line
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
    return operation.notation.add_positions(dict(SIZES))


def program(operation, form):
    """Return a module with the operation in a form."""
    sizes = sizes_of(operation)
    types = [tensor(shape, "f32") for shape in operation.argument_shapes(sizes)]
    builder = FunctionBuilder("f", [(f"input{place}", type_) for place, type_ in enumerate(types)], form)
    return builder.finish([operation.emit(builder, builder.arguments, sizes)])


def test_a_line_is_read():
    notation = read("n c h=oh*sh+kh*dh w=ow*sw+kw*dw, [kh kw] -> n c oh ow")
    assert notation.loops == ("n", "c", "oh", "ow", "kh", "kw")
    assert notation.reductions == ("kh", "kw")
    assert [operand.has_contents for operand in notation.inputs] == [True, False]
    assert notation.windows == (("h", Window("oh", "sh", "kh", "dh")), ("w", Window("ow", "sw", "kw", "dw")))
    assert notation.free == ("n", "c", "h", "w", "kh", "kw", "sh", "sw", "dh", "dw")
    assert notation.add_positions(dict(SIZES)) == {**SIZES, "oh": 4, "ow": 7}


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


def points(operation, sizes):
    """Yield each point of the iteration space, and what it reads from and writes to, as positions in the operands."""
    notation = operation.notation
    for point in itertools.product(*(range(extent) for extent in operation.extents(sizes))):
        at = dict(zip(notation.loops, point, strict=True))
        places = []
        for access in (*notation.inputs, notation.result):
            place = []
            for name, window in access.dimensions:
                moved = (
                    window and at[window.position] * sizes[window.stride] + at[window.offset] * sizes[window.dilation]
                )
                place.append(at[name] if window is None else moved)
            places.append(tuple(place))
        yield places


def by_definition(operation, sizes, inputs):
    """Compute an operation point by point, as linalg defines it."""
    result = np.full(operation.result_shape(sizes), -np.inf if operation.body.accumulate == "max" else 0.0)
    for *places, written in points(operation, sizes):
        values = [float(array[place]) for array, place in zip(inputs, places, strict=False)]
        value = math.prod(values)
        result[written] = max(result[written], value) if operation.body.accumulate == "max" else result[written] + value
    return result


@pytest.mark.parametrize("name", NAMED_OPERATIONS)
def test_the_evaluation_is_the_definition_and_what_pytorch_has_an_operation_for(name):
    operation = NAMED_OPERATIONS[name]
    sizes = sizes_of(operation)
    torch.manual_seed(0)
    inputs = [torch.rand(shape, dtype=torch.float64) - 0.7 for shape in operation.argument_shapes(sizes)]
    found = evaluation(operation, sizes)(*inputs)
    np.testing.assert_allclose(found.numpy(), by_definition(operation, sizes, inputs), rtol=1e-12, atol=1e-12)
    if name in CALLS:
        torch.testing.assert_close(found, CALLS[name](*inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_what_families_are_held_against_in_pytorch_is_what_their_lines_say(name):
    """PyTorch's own operations where it has them, and the evaluation of the line in views of the input."""
    family, spec, _ = golden_program(name)
    torch.manual_seed(0)
    low, high = family.input_range(spec)
    inputs = [
        low + (high - low) * torch.rand(operand.shape, dtype=torch.float64) for operand in family.graph(spec).arguments
    ]
    expected = family.graph(spec).evaluation()(*inputs)
    torch.testing.assert_close(family.pytorch(spec)(*inputs), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("line", "loops", "message"),
    [
        ("m k, k n", "", "'m k, k n' has no -> between"),
        ("m k; k n -> m n", "", "'k;' is no dimension: a name, as in m"),
        ("n h=oh*sh -> n oh", "", "'h=oh*sh' is no dimension"),
        ("m k, k n -> m p", "", "writes along 'p', which nothing is read along"),
        ("m k, k n -> m n", "m n q k", "the loops of 'm k, k n -> m n' are m n k in some order, and not 'm n q k'"),
        ("m k, k n -> m n", "m n", "and not 'm n'"),
    ],
)
def test_a_line_that_is_none_says_why(line, loops, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read(line, loops)


def test_a_family_whose_variants_have_their_axes_in_other_orders_reads_each_in_its_own():
    """As convolutions with channels first and last would be."""
    lines = {"first": "n c h=oh*sh+kh*dh, f c kh -> n f oh", "last": "n h=oh*sh+kh*dh c, kh c f -> n oh f"}
    variants = []
    for kind, line in lines.items():
        operation = from_line(None, line, Body("mul(a, b)", "add"), Versions(16))
        variants.append(
            Variant(kind, operation, operation.notation.free, operation.notation.free, None, says_kind=True)
        )
    family = OpFamily("conv", variants, ("image", "filter"), "convolved")
    for variant in family.variants:
        spec = family.spec(variant, *range(3, 3 + len(variant.axes)))
        assert family.spec_from_json(spec.fields) == spec
        assert spec.fields["h"] == spec.sizes["h"]


def test_what_parses_two_things_parses_both():
    assert Versions(16, 23).both(Versions(19)) == Versions(19, 23)
    assert Versions(22, 24).both(Versions(16, 23)) == Versions(22, 23)
    assert Versions(16).both(Versions(16)) == Versions(16, None)


def test_an_operation_without_parallel_loops_has_an_estimate():
    dot = from_line("dot", "k, k ->", Body("mul(a, b)", "add"), Versions(16))
    variant = Variant("k_k", dot, ("k",), ("k",), None, says_kind=False)
    family = OpFamily("dot", [variant], ("lhs", "rhs"), "product")
    spec = family.spec(variant, 1000)
    assert family.baseline_seconds(spec) > 0
    Verifier().verify(family.program(spec))
    assert float(family.pytorch(spec)(torch.ones(1000), torch.ones(1000))) == 1000


@pytest.mark.parametrize("version", [16, 19, 22])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_a_form_parses_on_the_versions_that_are_said_to_know_it_and_on_the_wheel(name, form, version):
    family, spec, _ = golden_program(name)
    text = family.program(spec, form)
    oldest, newest = spec.variant.versions(form)
    done = run_mlir_opt(version, [text])
    if oldest <= version and (newest is None or version <= newest):
        assert done.returncode == 0, done.stderr
    else:
        assert re.search(r"custom op '(linalg|arith)\.\w+' is unknown", done.stderr)
    Verifier().verify(text)
