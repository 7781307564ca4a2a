"""The op vocabulary: what is emitted, held against parsers, loops and types that MLIR itself derives."""

from __future__ import annotations

import json
import math
import re
from functools import cache

import numpy as np
import pytest
from helpers import GOLDEN_SPECS, REPOSITORY, VERIFIER, each_by_mlir_opt, golden_program, with_bodies

from mlir_datagen.config.op_options import selections
from mlir_datagen.mlir.element_types import ELEMENT_TYPES
from mlir_datagen.ops import FAMILIES, PROGRAM_FAMILIES
from mlir_datagen.programs.spec import spec_json

GOLDEN = REPOSITORY / "tests" / "golden"


def test_table_configs_and_goldens_name_the_same_ops():
    variants = {f"{family.name}_{variant.name}" for family in FAMILIES.values() for variant in family.variants}
    files = {path.stem for path in (REPOSITORY / "conf" / "ops").glob("*.yaml")}
    assert files - set(PROGRAM_FAMILIES) == set(selections())
    assert {"matmul", "conv2d", "pooling", "elementwise", "relu"} < files
    assert {path.stem for path in GOLDEN.glob("*.mlir")} == variants == set(GOLDEN_SPECS)


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_golden_program(name):
    _, _, text = golden_program(name)
    assert text == (GOLDEN / f"{name}.mlir").read_text()
    VERIFIER.verify(text)


LOOPS = "--one-shot-bufferize=bufferize-function-boundaries", "--convert-linalg-to-affine-loops"


@pytest.fixture(scope="module")
def by_mlir():
    """Return what MLIR makes of the golden programs: version and options → name → text."""

    @cache
    def made(version, *options):
        texts = {name: with_bodies(name) for name in GOLDEN_SPECS}
        return dict(zip(texts, each_by_mlir_opt(version, texts.values(), *options)[0], strict=True))

    return made


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_the_iteration_space_is_the_one_that_mlir_lowers_to(name, by_mlir):
    family, spec, _ = golden_program(name)
    loops = by_mlir(22, *LOOPS)[name]
    bounds = [int(bound) for bound in re.findall(r"affine\.for %\w+ = 0 to (\d+)", loops)]
    ours = [loop.bound for loop in family.graph(spec).loops]
    assert ours in [bounds[start : start + len(ours)] for start in range(len(bounds))]


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_the_iterators_are_those_of_the_generalized_operation(name, by_mlir):
    family, spec, _ = golden_program(name)
    generic = by_mlir(22, "--linalg-generalize-named-ops")[name]
    iterators = [re.findall(r'"(\w+)"', found) for found in re.findall(r"iterator_types = \[(.*?)\]", generic)]
    assert [loop.iterator for loop in family.graph(spec).loops] in iterators


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_the_signature_and_its_size_are_those_of_the_function(name):
    family, spec, text = golden_program(name)
    head = re.search(r"func\.func @(\w+)\((.*)\) -> (.*) \{", text)
    assert head[1] == family.name
    found = re.findall(r"tensor<((?:\d+x)*)(i1|i32|f32|f64)>", head[0])
    shapes = [([int(extent) for extent in extents.split("x")[:-1]], dtype) for extents, dtype in found]
    operands = [*family.graph(spec).arguments, *family.graph(spec).results]
    assert shapes == [(list(operand.shape), operand.dtype) for operand in operands]
    sizes = [math.prod(shape) * ELEMENT_TYPES[dtype].size for shape, dtype in shapes]
    assert family.graph(spec).bytes_moved == sum(sizes)


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("matmul_mk_kn", 2 * 64 * 32 * 128),
        ("conv2d_nchw_fchw", 2 * (2 * 16 * 13 * 24) * (3 * 3 * 5)),
        ("pooling_max", (2 * 3 * 13 * 24) * 15),
        ("pooling_avg", (2 * 3 * 13 * 24) * 15 + 2 * 3 * 13 * 24),
        ("elementwise_add_3d", 105),
        ("relu_generic_3d", 105),
        ("batch_matmul_bmk_bkn", 2 * 3 * 16 * 8 * 32),
        ("batch_matvec_bmk_bk", 2 * 3 * 16 * 32),
        ("fill_generic_2d", 0),
        ("fill_rng_2d_mn", 11 * 12 * 10),
        ("softmax_last_2d", 5 * 7 * 5),
        ("unpack_rows", 0),
    ],
)
def test_flops(name, flops):
    family, spec, _ = golden_program(name)
    assert family.graph(spec).flops == flops


def test_maximum_pooling_starts_from_negative_infinity():
    assert "0xFF800000" in golden_program("pooling_max")[2]
    assert np.array(0xFF800000, np.uint32).view(np.float32) == -np.inf


def test_average_pooling_divides_by_the_size_of_its_window():
    assert re.search(r"arith\.constant 15\.0 : f32.*arith\.divf", golden_program("pooling_avg")[2], re.DOTALL)


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_a_spec_goes_to_json_and_back(name):
    family, spec, _ = golden_program(name)
    assert family.spec_from_json(json.loads(spec_json(spec))) == spec


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_columns_of_specs_cost_what_the_single_specs_cost(name):
    family, spec, _ = golden_program(name)
    rows = [np.array([extent, extent + 8, 3 * extent]) for extent in spec.dimensions]
    columns = family.spec(spec.variant, *rows)
    singles = [family.spec(spec.variant, *(int(row[index]) for row in rows)) for index in range(3)]
    assert list(family.graph(columns).flops) == [family.graph(single).flops for single in singles]
    assert list(family.graph(columns).bytes_moved) == [family.graph(single).bytes_moved for single in singles]
