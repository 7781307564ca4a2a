"""Every op in the element types that it may have: right programs match, and wrong ones are found."""

from __future__ import annotations

import pytest
import typed_graphs
from helpers import REPOSITORY, each_by_mlir_opt
from typed_programs import cases, problems, small_spec

from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import Rejection
from mlir_datagen.ops import FAMILIES, coverage
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.structured_operation import FORMS
from mlir_datagen.proving.job import job_of
from mlir_datagen.proving.prover import Prover
from mlir_datagen.proving.reference import compare, draws, empty_results, random_arguments

PAIRS = [(family, word) for family in FAMILIES.values() for word in family.dtypes]


def test_a_program_of_each_op_matches_and_wrong_ones_are_found():
    """Each op in a seventh of its element types, so that all types come up; benchmarks/typed_programs.py has all."""
    turns = [
        (family, word, number + place)
        for number, family in enumerate(FAMILIES.values())
        for place, word in enumerate(family.dtypes)
        if (number + place) % min(7, len(family.dtypes)) == 0
    ]
    assert {family.name for family, _, _ in turns} == set(FAMILIES)
    assert {word for _, word, _ in turns} == {word for _, word in PAIRS}
    chosen = [case for turn in turns for case in cases(*turn)]
    assert sum(case.defect is not None for case in chosen) > len(turns)
    assert problems(chosen) == []


def test_drawn_graphs_of_each_type_match_and_wrong_ones_are_found():
    """One of each family, right and wrong; benchmarks/typed_graphs.py has more."""
    run = compose_config(["check=execute"])
    with Prover(run.check, run.measure, run.sandbox) as prover:
        for family in DRAWN_FAMILIES.values():
            for dtype in family.dtypes:
                chosen = list(typed_graphs.cases(family, dtype, 1))
                assert {case.spec.graph.arguments[0].dtype for case in chosen} == {dtype}
                assert [case.defect is None for case in chosen].count(False) == 1
                unexpected = [
                    one for one in typed_graphs.outcomes(prover, chosen) if not typed_graphs.is_as_expected(*one)
                ]
                assert unexpected == []


def compare_zeros(job):
    results = empty_results(job)
    results[0].fill(0)
    for draw in range(draws(job)):
        compare(job, random_arguments(job, draw), results)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_zeros_are_never_right(family):
    for word in family.dtypes:
        for place in range(len(family.variants)):
            spec = small_spec(family, word, place)
            job = job_of(family, spec, family.program(spec), "execute", measure=False)
            with pytest.raises(Rejection, match="differs from the reference"):
                compare_zeros(job)


@pytest.mark.parametrize("name", ["matmul", "dot", "conv_1d_nwc_wcf"])
def test_narrow_integers_show_arithmetic_in_the_wrong_type(name):
    family = FAMILIES[name]
    spec = small_spec(family, "i8_i32")
    text = family.program(spec, "generic")
    converted = [line for line in text.splitlines() if "arith.extsi" in line]
    assert len(converted) == 2
    without_sign = text.replace("arith.extsi", "arith.extui")
    names = [line.split(" = ")[0].strip() for line in converted]
    product = next(line for line in text.splitlines() if "arith.muli" in line)
    narrow = product.replace("i32", "i8").replace(names[0], "%in").replace(names[1], "%in_0")
    name_of_product = product.split(" = ")[0].strip()
    too_early = text.replace(converted[0] + "\n", "").replace(converted[1] + "\n", "")
    widened = f"{names[0]} = arith.extsi {name_of_product} : i8 to i32"
    too_early = too_early.replace(product, f"{narrow}\n      {widened}")
    total = next(line for line in text.splitlines() if "arith.addi" in line)
    too_early = too_early.replace(total, total.replace(name_of_product, names[0]))
    wrong = [job_of(family, spec, each, "execute", measure=False) for each in (without_sign, too_early)]
    assert len({text, without_sign, too_early}) == 3
    right = next(cases(family, "i8_i32"))
    found = problems([right, *(right._replace(defect="wrong type", job=job) for job in wrong)])
    assert found == []


@pytest.mark.parametrize("version", [16, 19, 22])
@pytest.mark.parametrize("form", FORMS)
def test_programs_of_all_element_types_parse_on_the_versions_that_are_said_to_know_them(form, version):
    specs = [small_spec(family, word, place) for family, word in PAIRS for place in range(0, len(family.variants), 3)]
    families = [family for family, _ in PAIRS for _ in range(0, len(family.variants), 3)]
    texts = [family.program(spec, form) for family, spec in zip(families, specs, strict=True)]
    made, _ = each_by_mlir_opt(version, texts)
    for family, spec, text in zip(families, specs, made, strict=True):
        oldest, newest = spec.variant.versions(form)
        is_known = oldest <= version and (newest is None or version <= newest)
        assert bool(text) == is_known, (family.name, spec.variant.name)


def test_the_page_on_the_ops_is_current():
    page = (REPOSITORY / "docs" / "ops.md").read_text()
    assert page == coverage.ops_page(), "write it again: python scripts/list_ops.py > docs/ops.md"
    assert "docs/ops.md" in (REPOSITORY / "README.md").read_text()


def test_every_named_operation_is_there_or_there_is_a_reason():
    assert len(coverage.covered()) == 80
    assert not set(coverage.covered()) & set(coverage.lacking())
