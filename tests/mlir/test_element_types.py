"""The one home of element types: each entry held against MLIR, PyTorch and numpy, and that there is no other."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest
import torch
from helpers import CONTEXTS, REPOSITORY, VERIFIER, golden_program
from torch_mlir import ir

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.element_types import (
    ELEMENT_TYPES,
    as_array,
    as_held,
    as_tensor,
    dense,
    dense_of,
    fill_random,
    highest,
    is_float,
    literal,
    lowest,
    number_type,
    of_torch,
    promoted,
    torch_dtype,
    unwritten,
    whole_range,
    widened,
)
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.signature import Operand
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.network_builder import NetworkBuilder
from mlir_datagen.proving.job import job_of, job_without_reference
from mlir_datagen.proving.reference import compare, empty_results, random_arguments

CONTEXT = ir.Context()
HOME = REPOSITORY / "mlir_datagen" / "mlir" / "element_types.py"
FLOATS = ("f8E4M3FN", "f8E5M2", "f16", "bf16", "f32", "f64")
INTEGERS = ("i8", "i16", "i32", "i64")
EVERY = pytest.mark.parametrize("dtype", ["i1", *INTEGERS, *FLOATS])
EVERY_FLOAT = pytest.mark.parametrize("dtype", FLOATS)
RUNNABLE = pytest.mark.parametrize("dtype", ["i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64"])
"""Those that the pipeline lowers; nothing of it takes the float8s apart."""


def parsed(text, type_):
    with CONTEXT:
        return ir.Attribute.parse(f"{text} : {type_}")


def test_the_element_types_are_these():
    assert set(ELEMENT_TYPES) == {"i1", *INTEGERS, *FLOATS}
    assert all(name == element.name for name, element in ELEMENT_TYPES.items())
    words = {word for family in FAMILIES.values() for word in family.dtypes}
    assert {part for word in words for part in word.split("_")} <= set(ELEMENT_TYPES)


@EVERY
def test_widths_are_those_of_mlir_and_of_memory(dtype):
    element = ELEMENT_TYPES[dtype]
    with CONTEXT:
        type_ = ir.Type.parse(dtype)
    assert element.bits == type_.width
    assert element.is_float == is_float(dtype) == isinstance(type_, ir.FloatType)
    assert element.size == element.numpy.itemsize == torch_dtype(dtype).itemsize == -(-element.bits // 8)


@EVERY_FLOAT
def test_floating_point_types_are_those_of_pytorch(dtype):
    element, limits = ELEMENT_TYPES[dtype], torch.finfo(torch_dtype(dtype))
    assert (element.least, element.largest, element.unit) == (limits.min, limits.max, limits.eps / 2)
    # Half a unit is lost beside 1, and what is a little more is not.
    one = torch.tensor([1 + element.unit, 1 + 1.1 * element.unit], dtype=torch.float64).to(torch_dtype(dtype))
    assert (one.double() > 1).tolist() == [False, True]
    assert element.has_infinity == math.isinf(float(torch.tensor(math.inf).to(torch_dtype(dtype)).double()))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_those_of_pytorch(dtype):
    element, limits = ELEMENT_TYPES[dtype], torch.iinfo(torch_dtype(dtype))
    assert (element.least, element.largest, element.bits, element.unit) == (limits.min, limits.max, limits.bits, 0)


@EVERY
def test_arrays_and_tensors_are_the_same_memory(dtype):
    numbers = [0, 1, 1, 0] if dtype == "i1" else [0, 1, -2, 3]
    array = np.array(numbers).astype(ELEMENT_TYPES[dtype].numpy)
    held = as_tensor(array, dtype)
    assert (held.dtype, held.double().tolist()) == (torch_dtype(dtype), numbers)
    back = as_array(held)
    assert (back.dtype, back.ctypes.data) == (array.dtype, array.ctypes.data)
    assert widened(back).astype(np.float64).tolist() == numbers
    assert as_tensor(array[:1].reshape(()), dtype).shape == as_array(held[1].clone()).shape == ()
    assert of_torch(torch_dtype(dtype)) == dtype


def test_dtypes_of_pytorch_that_have_no_name_of_their_own():
    assert of_torch(torch.uint8) == "i8"
    assert as_array(torch.tensor([255], dtype=torch.uint8)).tolist() == [-1]
    assert of_torch(torch.complex64) is None
    with pytest.raises(KeyError, match="complex64"):
        as_array(torch.zeros(2, dtype=torch.complex64))


def test_promotion_is_that_of_pytorch():
    names = [name for name in ELEMENT_TYPES if not name.startswith("f8")]
    for one in names:
        for other in names:
            expected = of_torch(torch.promote_types(torch_dtype(one), torch_dtype(other)))
            assert promoted([one, other]) == expected, (one, other)
    assert [promoted([name]) for name in ELEMENT_TYPES] == list(ELEMENT_TYPES)
    assert promoted(["f16", "i64", "bf16", "i1"]) == "f32"


@pytest.mark.parametrize("number", [True, 3, 2.5])
def test_numbers_of_python_are_what_pytorch_takes_them_to_be(number):
    assert torch_dtype(number_type(number)) == torch.tensor(number).dtype


def numbers_of(dtype):
    """Return numbers within the type and beyond it."""
    element = ELEMENT_TYPES[dtype]
    inside = [0.0, -0.0, 1.0, 1e-5, 0.1, -3.5, 1 / 3, 1e16, element.largest, element.least, math.nan]
    half = element.largest * element.unit  # From the largest number to where infinity begins, or a little less.
    return [*inside, *(sign * (element.largest + part * half) for sign in (1, -1) for part in (0.2, 3)), math.inf]


@EVERY_FLOAT
def test_literals_are_read_by_mlir_as_pytorch_rounds(dtype):
    for number in numbers_of(dtype):
        read = parsed(literal(number, dtype), dtype).value
        expected = float(torch.tensor(number, dtype=torch.float64).to(torch_dtype(dtype)).double())
        assert read == expected or (math.isnan(read) and math.isnan(expected)), (number, literal(number, dtype))
        assert math.copysign(1, read) == math.copysign(1, expected) or math.isnan(read)


def test_literals_are_these():
    assert [literal(number, "f32") for number in (1, 1e-5, 1e16)] == ["1.0", "1.0e-05", "1.0e+16"]
    assert [literal(number, "f32") for number in (1e39, -math.inf)] == ["0x7F800000", "0xFF800000"]
    assert [literal(math.nan, dtype) for dtype in ("f32", "f64")] == ["0x7FC00000", "0x7FF8000000000000"]
    assert literal(-math.nan, "f32") == "0x7FC00000"
    # As it is given, where it is rounded to the largest number.
    assert literal(-3.4028235e38, "f32") == "-3.4028235e+38"
    assert [literal(number, "i1") for number in (0, 2)] == ["false", "true"]
    assert [literal(number, "i8") for number in (127, 128, -129, 3.9, True)] == ["127", "-128", "127", "3", "1"]
    assert literal(2**63, "i64") == str(-(2**63))


@EVERY
def test_extremes_leave_every_number_as_it_is(dtype):
    element = ELEMENT_TYPES[dtype]
    for bound, number in ((lowest(dtype), element.least), (highest(dtype), element.largest)):
        assert bound == number or (math.isinf(bound) and element.has_infinity and bound * number > 0)
    if dtype != "i1":
        assert parsed(literal(lowest(dtype), dtype), dtype).value == lowest(dtype)


@EVERY
def test_what_a_program_does_not_write_is_seen(dtype):
    array = np.full(3, unwritten(dtype), ELEMENT_TYPES[dtype].numpy)
    if is_float(dtype):
        assert np.isnan(widened(array)).all()
    else:
        assert (array == ELEMENT_TYPES[dtype].largest).all()


@EVERY
@pytest.mark.parametrize("values", [[0, 1, 1], [1, 1, 1], []])
def test_dense_attributes_are_read_as_the_numbers(dtype, values):
    array = np.array(values).astype(ELEMENT_TYPES[dtype].numpy)
    type_ = f"tensor<{len(values)}x{dtype}>"
    assert parsed(dense_of(array, dtype), type_) == parsed(dense(values, dtype), type_)


def test_dense_attributes_hold_all_digits():
    values = np.array([0.1, 1 / 3], np.float32)
    assert parsed(dense_of(values, "f32"), "tensor<2xf32>") == parsed(dense(values.tolist(), "f32"), "tensor<2xf32>")
    assert dense_of(values[:1], "f32") == "dense<0x3DCCCCCD>"
    assert dense_of(np.full(2, 2.0**-126, np.float32), "f32") == "dense<0x00800000>"
    assert dense_of(-np.zeros(2, np.float16), "f16") == "dense<0x8000>"


@EVERY
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (-10.0, 10.0), (-1e30, 0.0), (0.0, 1.0)])
def test_random_numbers_are_of_the_range(dtype, low, high):
    element = ELEMENT_TYPES[dtype]
    values, again = (drawn(dtype, low, high) for _ in range(2))
    assert (values == again).all()
    if is_float(dtype):
        low, high = max(low, element.least), min(high, element.largest)
    else:
        low, high = whole_range(dtype, low, high)
    # The narrow types round the ends outwards.
    beyond = element.unit * max(-low, high)
    assert low - beyond <= values.min() <= low + 0.02 * (high - low)
    assert high - 0.02 * (high - low) <= values.max() <= high + beyond
    assert np.unique(values).size >= (2 if dtype == "i1" else 8)
    assert 0.45 < (values > (low + high) / 2).mean() + (values == (low + high) / 2).mean() / 2 < 0.55


def drawn(dtype, low, high):
    array = np.empty((40, 50), ELEMENT_TYPES[dtype].numpy)
    fill_random(array, dtype, np.random.default_rng(0), low, high)
    return widened(array).astype(np.float64)


def test_single_and_double_precision_are_the_generators_own_stream():
    for dtype in (np.float32, np.float64):
        array = np.empty(100, dtype)
        fill_random(array, "f32" if dtype is np.float32 else "f64", np.random.default_rng(0), -10.0, 10.0)
        assert (array == np.random.default_rng(0).random(100, dtype) * dtype(20) + dtype(-10)).all()


def test_ranges_of_integers():
    assert whole_range("i32", -1.0, 1.0) == (-8, 8)
    assert whole_range("i32", -10.0, 10.0) == (-10, 10)
    assert whole_range("i64", -1e30, 0.0) == (-(1 << 20), 0)
    assert whole_range("i8", -1e30, 0.0) == (-128, 0)
    assert whole_range("i1", -1.0, 1.0) == (0, 1)


def test_integers_go_round():
    held = as_held(np.array([127.0, 128.0, -129.0, 300.0, -256.0]), "i8")
    assert held.tolist() == [127, -128, 127, 44, 0]
    for dtype in ("i64", "f16", "i1"):
        values = np.array([0.0, 1.0, 2.0**52 + 1])
        assert as_held(values, dtype).tolist() == values.tolist()


def proven(name, dtype, change=lambda text: text):
    """Run a golden program of another element type on its random arguments, and compare."""
    family, spec, _ = golden_program(name)
    spec = spec._replace(variant=spec.variant.of(dtype))
    text = change(family.program(spec))
    job = job_of(family, spec, text, "execute", measure=False)
    arguments, results = random_arguments(job), empty_results(job)
    CompiledProgram(lower(text, CONTEXTS.next()), len(job.shapes)).bind([*arguments, *results]).run()
    return compare(job, arguments, results)


WRONG = {
    "matmul_mk_kn": ("arith.constant 0", "arith.constant 9"),
    "elementwise_add_2d": ("linalg.add", "linalg.sub"),
    "elementwise_mul_3d": ("linalg.mul", "linalg.add"),
    "pooling_max": ("nchw_max", "nchw_sum"),
}
"""What is right in a golden program, and what is not."""


@RUNNABLE
@pytest.mark.parametrize("name", WRONG)
def test_a_check_in_any_element_type_proves_something(name, dtype):
    assert proven(name, dtype).relative <= (0.05 if is_float(dtype) else 0)
    with pytest.raises(Rejection, match="the result") as rejected:
        proven(name, dtype, lambda text: text.replace(*WRONG[name]))
    assert rejected.value.stage == "matched"


@EVERY_FLOAT
def test_zeros_and_what_is_not_written_never_pass(dtype):
    for name in ("matmul_mk_kn", "elementwise_add_1d", "copy_generic_2d", "transpose_reverse_3d"):
        family, spec, text = golden_program(name)
        computes = family.graph(spec).flops > 0
        assert (dtype in spec.variant.words) == (not computes or dtype not in FLOATS[:2])
        if dtype not in spec.variant.words:
            continue
        spec = spec._replace(variant=spec.variant.of(dtype))
        assert (0 < family.tolerance(spec) <= 0.5) if computes else family.tolerance(spec) == 0
        job = job_of(family, spec, text, "execute", measure=False)
        arguments, results = random_arguments(job), empty_results(job)
        with pytest.raises(Rejection, match="NaN"):
            compare(job, arguments, results)
        results[0].fill(0)
        with pytest.raises(Rejection, match="differs from the reference"):
            compare(job, arguments, results)
        exact = torch.from_numpy(family.reference_result(spec, arguments)).to(torch_dtype(dtype))
        assert compare(job, arguments, [as_array(exact)]).relative <= ELEMENT_TYPES[dtype].unit * 1.01


def test_without_a_family_integers_may_be_indices_and_others_are_random():
    operands = [Operand(dtype, (64,), dtype) for dtype in ("i64", "i8", "bf16", "f32")]
    arguments = random_arguments(job_without_reference("text", operands, (), "execute", measure=False))
    assert [bool(widened(one).any()) for one in arguments] == [False, False, True, True]
    assert all(widened(one).min() >= 0 for one in arguments)


@EVERY
def test_constants_of_every_element_type_are_mlir(dtype):
    builder = NetworkBuilder("f")
    value = builder.filled(lowest(dtype), tensor((4,), dtype))
    other = builder.filled(1, tensor((4,), dtype))
    VERIFIER.verify(builder.finish_network([], [value, other]))


NAMES = frozenset(ELEMENT_TYPES)
OTHER_NAMES = frozenset(
    name for element in ELEMENT_TYPES.values() for name in (element.torch, element.numpy.name) if name != "bool"
)


def names_a_type(node):
    """Tell whether an expression is the name of an element type, in MLIR, PyTorch or numpy."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and node.value.removeprefix("torch.") in NAMES | OTHER_NAMES
    return isinstance(node, ast.Attribute) and node.attr in OTHER_NAMES


def is_pair(node):
    return isinstance(node, ast.Tuple) and len(node.elts) > 1 and names_a_type(node.elts[0])


def traps(tree):
    """Give the lines on which something is said of element types that only the home says."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            found = max(sum(map(names_a_type, side)) for side in (node.keys, node.values))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
            found = sum(keyword.arg in NAMES | OTHER_NAMES for keyword in node.keywords)
        elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            found = sum(map(is_pair, node.elts))
        elif isinstance(node, ast.Match):
            cases = [case.pattern for case in node.cases if isinstance(case.pattern, ast.MatchValue)]
            found = sum(names_a_type(pattern.value) for pattern in cases)
        else:
            # Reading a width or a kind off the spelling: "begins with f", `int(dtype[1:])`, `dtype == "f32"`.
            found = 2 * is_spelling(node)
        if found > 1:
            yield node.lineno


def is_spelling(node):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "startswith":
        return any(isinstance(one, ast.Constant) and one.value in ("f", "bf", "i", "float", "int") for one in node.args)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return is_dtype(node.value)
    # What is special about truth values is not their width.
    return (
        isinstance(node, ast.Compare)
        and is_dtype(node.left)
        and any(isinstance(one, ast.Constant) and one.value in NAMES - {"i1"} for one in node.comparators)
    )


def is_dtype(node):
    return "dtype" in (getattr(node, "attr", ""), getattr(node, "id", ""))


def test_there_is_no_other_table_of_element_types():
    found = []
    for folder in ("mlir_datagen", "scripts", "benchmarks", "tests"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            lines = [] if path == HOME else traps(ast.parse(path.read_text()))
            found += [f"{path.relative_to(REPOSITORY)}:{line}" for line in lines]
    assert not found, f"said of element types outside {HOME.relative_to(REPOSITORY)}: {', '.join(found)}"


@pytest.mark.parametrize(
    "code",
    [
        "BYTES = {'f32': 4, 'bf16': 2}",
        "DTYPES = {torch.float32: 'f32', torch.int64: 'i64'}",
        "NAMES = {1: 'f32', 2: 'f64'}",
        "NUMPY = dict(f32='float32', f64='float64')",
        "UNITS = [('f32', 2.0**-24), ('f64', 2.0**-53)]",
        "PARTS = {torch.float16: 0.5, torch.bfloat16: 1.0}",
        "is_float = dtype.startswith('f')",
        "width = int(dtype[1:])",
        "epsilon = -23 if result.dtype == 'f32' else -52",
        "match dtype:\n  case 'f32': size = 4\n  case 'f64': size = 8",
    ],
)
def test_a_further_table_would_be_found(code):
    assert list(traps(ast.parse(code)))
    assert not list(traps(ast.parse("TAKEN = ('f32', 'f64', 'i1')\nmask = value.type.dtype == 'i1'")))
