"""Structured operations: all that follows from their lines, held against MLIR's own definitions and PyTorch's."""

from __future__ import annotations

import itertools
import math
import operator
import re
from functools import cache

import numpy as np
import pytest
import torch
from helpers import GOLDEN_SPECS, VERIFIER, each_by_mlir_opt, golden_program, with_bodies
from torch.nn import functional

from mlir_datagen.mlir.builder import FunctionBuilder, module_text
from mlir_datagen.mlir.element_types import ELEMENT_TYPES, fill_random
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.body import Body
from mlir_datagen.ops.contractions import CONTRACTIONS
from mlir_datagen.ops.elementwise import elementwise
from mlir_datagen.ops.evaluation import evaluation
from mlir_datagen.ops.family import OpFamily, Variant
from mlir_datagen.ops.notation import Window, read
from mlir_datagen.ops.softmax import Softmax
from mlir_datagen.ops.structured_operation import CATEGORY, FORMS, GENERIC, NAMED, Versions, from_line
from mlir_datagen.ops.windows import CONVOLUTIONS

SIZES = {
    "n": 4, "c": 3, "h": 9, "w": 10, "f": 4, "g": 2, "kh": 3, "kw": 2, "sh": 2, "sw": 1, "dh": 1, "dw": 3,
    "d": 6, "kd": 2, "sd": 1, "dd": 2, "m": 10, "k": 7, "m0": 2, "k0": 3, "n0": 4, "batch": 3,
    "i": 2, "j": 3, "ii": 5, "jj": 2, "d0": 2, "d1": 3, "d2": 4, "d3": 5,
}  # fmt: skip
FEW_POINTS = {**SIZES, "n": 2, "h": 7, "w": 8}
"""For what is computed point by point."""
OPERATIONS = {
    f"{family.name}_{variant.name}": (family, variant)
    for family in FAMILIES.values()
    for variant in family.variants
    if variant.operation.name is not None
}
"""Of all variants: the family, for what random inputs are, and the variant."""
ONE_OF_EACH = {variant.operation.name: name for name, (_, variant) in OPERATIONS.items()}


def sizes_of(operation, sizes=SIZES):
    return operation.notation.add_positions(dict(sizes))


def program(variant, form):
    """Return a module with the variant's main operation in a form."""
    operation = variant.operation
    sizes = sizes_of(operation)
    types = map(tensor, operation.argument_shapes(sizes), variant.argument_dtypes)
    builder = FunctionBuilder("f", [(f"input{place}", type_) for place, type_ in enumerate(types)], form)
    result = operation.emit(builder, builder.arguments, sizes, dtype=variant.result_dtype)
    return module_text("f", builder.arguments, builder.lines, [result])


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


@pytest.fixture(scope="module")
def generics():
    """Return what MLIR generalises the main operations to: version and form → name → text, in MLIR's names."""

    @cache
    def made(version, form):
        variants = {name: variant for name, (_, variant) in OPERATIONS.items()}
        texts = {name: program(one, form) for name, one in variants.items() if known(one.versions(form), version)}
        printed, errors = each_by_mlir_opt(
            version, texts.values(), "--linalg-generalize-named-ops", "--mlir-print-local-scope"
        )
        assert not errors
        return dict(zip(texts, printed, strict=True))

    return made


OTHERS_IN_19 = {
    "conv_3d_ncdhw_fcdhw": ("linalg.generic", "19 has the loops n od oh ow f kd kh kw c; later ones have the line's"),
    "map": ("linalg.map", "19 does not generalise it"),
}
WITHOUT_BODY = ("softmax", "pack", "unpack")
"""What is not generalised, but taken apart into other operations: so it is held against what that computes."""
WITH_BODY = [name for name, (_, variant) in OPERATIONS.items() if variant.operation.name not in WITHOUT_BODY]


@pytest.mark.parametrize("version", [19, 22])
@pytest.mark.parametrize("name", WITH_BODY)
def test_the_generic_is_what_mlir_makes_of_the_named_operation(name, version, generics):
    """Maps, iterators, operands and body: all of them MLIR's own."""
    _, variant = OPERATIONS[name]
    named = variant.operation.name
    assert f"linalg.{named} " in program(variant, NAMED)
    theirs, ours = generics(version, NAMED)[name], generics(version, GENERIC)[name]
    assert "linalg.generic" in ours
    if version == 19 and named in OTHERS_IN_19:
        assert OTHERS_IN_19[named][0] in theirs != ours
    else:
        assert ours == theirs


PARTS = re.compile(r"(affine_map<.*?)\] *, (iterator_types = \[.*?\])|(arith\.(?!constant)\w+|math\.\w+) ")


@pytest.mark.parametrize("name", [name for name in GOLDEN_SPECS if name.startswith("softmax")])
def test_a_softmax_has_the_parts_that_mlir_takes_it_apart_into(name):
    """But for the largest element, which MLIR has with another treatment of what is not a number."""
    family, spec, _ = golden_program(name)
    printed, errors = each_by_mlir_opt(
        22, [with_bodies(name), family.program(spec, GENERIC)], "--mlir-print-local-scope"
    )
    assert not errors
    theirs, ours = (PARTS.findall(text) for text in printed)
    assert sum(bool(iterators) for _, iterators, _ in ours) == 4
    assert [step for *_, step in ours if step] == [
        "arith.maximumf",
        "arith.subf",
        "math.exp",
        "arith.addf",
        "arith.divf",
    ]
    assert ours == [(*part[:2], part[2].replace("maxnumf", "maximumf")) for part in theirs]
    changed = family.program(spec, GENERIC).replace("arith.subf", "arith.addf")
    assert PARTS.findall(each_by_mlir_opt(22, [changed], "--mlir-print-local-scope")[0][0]) != ours


@pytest.mark.parametrize("name", [name for name, (_, variant) in OPERATIONS.items() if variant.operation.category])
def test_the_category_is_what_mlir_makes_the_same_generic_of(name, generics):
    assert re.search(r"linalg\.(contract|elementwise) ", program(OPERATIONS[name][1], CATEGORY))
    assert generics(22, CATEGORY)[name] == generics(22, GENERIC)[name]


@pytest.mark.parametrize("word", ["f16_f32", "i8_i32", "i8", "f64"])
def test_other_element_types_are_converted_as_mlir_does_it(word):
    variants = [OPERATIONS[name][1] for name in WITH_BODY]
    of_word = [variant.of(word) for variant in variants if word in variant.words]
    assert len(of_word) > 40
    for version in (19, 22):
        both = [
            each_by_mlir_opt(version, [program(variant, form) for variant in of_word], "--linalg-generalize-named-ops")
            for form in (NAMED, GENERIC)
        ]
        assert both[0][1] == both[1][1] == []
        for variant, theirs, ours in zip(of_word, both[0][0], both[1][0], strict=True):
            is_other = version == 19 and variant.operation.name in OTHERS_IN_19
            assert theirs == ours or is_other, variant.operation.name


@pytest.mark.parametrize("name", WITH_BODY)
def test_every_form_is_one_program_by_structure(name):
    texts = {program(OPERATIONS[name][1], form) for form in FORMS}
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
    loop = notation.loops.index

    def read_at(name, window, shift):
        """Return the loops of a dimension, and their factors."""
        assert shift is None
        if window is None:
            return ((loop(name), 1),)
        stride, dilation = (1 if factor is None else sizes[factor] for factor in window[1::2])
        return (loop(window.position), stride), (loop(window.offset), dilation)

    operands = [
        [read_at(name, window, shift) for name, window, shift, _ in access.dimensions]
        for access in (*notation.inputs, notation.result)
    ]
    for point in itertools.product(*(range(extent) for extent in operation.extents(sizes))):
        yield [
            tuple([sum([point[place] * factor for place, factor in terms]) for terms in dimensions])
            for dimensions in operands
        ]


PYTHONS = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "max": max, "min": min,
    "powf": pow, "exp": math.exp, "log": math.log, "abs": abs, "ceil": math.ceil, "floor": math.floor,
    "neg": operator.neg, "sqrt": math.sqrt, "rsqrt": lambda x: 1 / math.sqrt(x), "tanh": math.tanh, "erf": math.erf,
    "sin": math.sin, "cos": math.cos, "log1p": math.log1p, "select": lambda c, x, y: x if c else y,
    "round": lambda x: math.copysign(math.floor(abs(x) + 0.5), x),
    "div_unsigned": lambda x, y: int(x % 2**32) // int(y % 2**32),
    **{word: ELEMENT_TYPES[word].numpy.type for word in ("f64", "i32", "i64")},
    "max_unsigned": lambda *both: max(both, key=lambda x: x % 2**32),
    "min_unsigned": lambda *both: min(both, key=lambda x: x % 2**32),
}  # fmt: skip
"""What scalar operations are; integers are i32."""
STARTS = {"add": 0, "max": -math.inf, "min": math.inf, "max_unsigned": 0, "min_unsigned": -1}


def by_definition(operation, sizes, inputs):
    """Compute an operation point by point, as linalg defines it."""
    if isinstance(operation, Softmax):
        powers = np.exp(inputs[0].numpy() - inputs[0].numpy().max())
        return powers / powers.sum(operation.axis, keepdims=True)
    accumulate, notation = operation.body.accumulate, operation.notation
    result = np.full(operation.result_shape(sizes), STARTS.get(accumulate, np.nan), np.float64)
    for *places, written in points(operation, sizes):
        values = [float(array[place]) for array, place in zip(inputs, places, strict=False)]
        # Where something reads an index, the result is written at the loops themselves.
        indices = dict(zip(notation.result.names, written, strict=True))
        with np.errstate(over="ignore"):
            value = operation.body.evaluate(values, None, lambda kind, *operands: PYTHONS[kind](*operands), indices)
        result[written] = value if accumulate is None else PYTHONS[accumulate](result[written], value)
    return result


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_evaluation_is_the_definition_and_what_pytorch_has_an_operation_for(name):
    family, variant = OPERATIONS[name]
    operation = variant.operation
    sizes = sizes_of(operation, FEW_POINTS)
    spec = family.spec(variant, *(sizes[size] for size in variant.sizes))
    generator = np.random.default_rng(0)
    inputs = []
    shapes = operation.argument_shapes(sizes)
    for shape, dtype, bounds in zip(shapes, variant.argument_dtypes, family.input_ranges(spec), strict=True):
        array = np.empty(shape, ELEMENT_TYPES[dtype].numpy)
        fill_random(array, dtype, generator, *bounds)
        inputs.append(torch.from_numpy(array).double())
    found = evaluation(operation, sizes, variant.result_dtype)(*inputs)
    np.testing.assert_allclose(found.numpy(), by_definition(operation, sizes, inputs), rtol=1e-12, atol=1e-12)
    if operation.name in CALLS:
        torch.testing.assert_close(found, CALLS[operation.name](*inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_what_families_are_held_against_in_pytorch_is_what_their_lines_say(name):
    """PyTorch's own operations where it has them, and the evaluation of the line in views of the input."""
    family, spec, _ = golden_program(name)
    torch.manual_seed(0)
    inputs = [
        low + (high - low) * torch.rand(operand.shape, dtype=torch.float64).round(decimals=2)
        for operand, (low, high) in zip(family.graph(spec).arguments, family.input_ranges(spec), strict=True)
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
    VERIFIER.verify(family.program(spec))
    assert float(family.pytorch(spec)(torch.ones(1000), torch.ones(1000))) == 1000


UNKNOWN = re.compile(
    r"custom op '(linalg|arith)\.\w+' is unknown|unregistered operation 'arith\.(max|min)imumf' found"
    # MLIR 16 has the filter's groups first under this name.
    r"|'linalg\.conv_2d_ngchw_fgchw' op inferred input/output operand #1"
)


@pytest.mark.parametrize("version", [16, 19, 22])
@pytest.mark.parametrize("form", FORMS)
def test_a_form_parses_on_the_versions_that_are_said_to_know_it_and_on_the_wheel(form, version):
    specs = {name: golden_program(name)[:2] for name in GOLDEN_SPECS}
    texts = {name: family.program(spec, form) for name, (family, spec) in specs.items()}
    made, errors = each_by_mlir_opt(version, texts.values())
    parsed = {name for name, text in zip(texts, made, strict=True) if text}
    assert parsed == {name for name, (_, spec) in specs.items() if known(spec.variant.versions(form), version)}
    assert [error for error in errors if not UNKNOWN.match(error)] == []
    for text in texts.values():
        VERIFIER.verify(text)


def known(versions, version):
    return versions.oldest <= version and (versions.newest is None or version <= versions.newest)
