"""Single generics drawn at random: their bodies stay in range and have effect, and proofs find what is wrong."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import numpy as np
import pytest

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.ops.drawn.bodies import LARGEST, RANGES, Reduction, all_has_effect, draw_body
from mlir_datagen.ops.drawn.draft import CannotBeDrawn, Draw, Drawing
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.graph_json import NoGraph
from mlir_datagen.ops.scalars import SCALARS
from mlir_datagen.proving.job import job_of
from mlir_datagen.proving.reference import compare, draws, empty_results, random_arguments, worst

GENERIC = DRAWN_FAMILIES["generic"]
AXES = {"extent": [2, 3, 4, 5, 7], "kernel": [1, 2, 3], "stride": [1, 2]}
CONTEXTS = Contexts()
ONE, TWO = Reduction(None, 1, (1,)), Reduction(None, 1, (1, 1))


def drawn(count, **changes):
    asked = {"vocabulary": GENERIC.vocabulary, "loops": (2, 5), "operations": (1, 6), **changes}
    found = [GENERIC.draw(Drawing(AXES, **asked), np.random.default_rng(number)) for number in range(count)]
    return [spec for spec in found if spec is not None]


def operation_of(spec):
    (node,) = spec.graph.nodes
    return node.operation


def test_what_is_drawn_is_what_was_asked_for():
    specs = drawn(300)
    seen = {"loops": set(), "operations": set(), "arguments": set(), "accumulate": set(), "iterators": set()}
    for spec in specs:
        operation = operation_of(spec)
        body, notation = operation.body, operation.notation
        seen["loops"].add(len(notation.loops))
        seen["operations"].add(len(body.steps) - (body.accumulate is not None))
        seen["arguments"].add(len(spec.graph.arguments))
        seen["accumulate"].add(body.accumulate)
        seen["iterators"].add(operation.iterators[:2])
        read = {loop for access in notation.inputs for each in access.dimensions for loop in (each.position,)}
        assert {*read, *(window.offset for _, window in notation.windows)} == set(notation.loops)
        assert min(operation.extents(spec.graph.nodes[0].sizes)) >= 2
    assert seen["loops"] == {2, 3, 4, 5}
    assert seen["operations"] == {1, 2, 3, 4, 5, 6}
    assert seen["arguments"] == {1, 2, 3}
    assert seen["accumulate"] == {None, "add", "max", "min", "mul"}
    assert seen["iterators"] == set(itertools.product(["parallel", "reduction"], repeat=2))
    assert {step for spec in specs for step in operation_of(spec).body.steps} == set(RANGES)
    assert {spec.kind for spec in specs} == {"parallel", "reduction", "window"}
    bounds = {len(operation_of(spec).notation.loops) for spec in drawn(40, loops=(3, 3))}
    assert bounds == {3}


def test_bodies_stay_in_range():
    """On a million of inputs, the corners of their range among them."""
    generator = np.random.default_rng(0)
    inputs = generator.uniform(-1, 1, (3, 5000))
    inputs[:, :27] = np.array(list(itertools.product([-1, 0, 1], repeat=3))).T
    for spec in drawn(200):
        domains = []

        def apply(kind, *operands, domains=domains):
            for operand, (low, high) in zip(operands, RANGES[kind].domains, strict=True):
                domains.append(bool(np.min(operand) >= low - 1e-9 and np.max(operand) <= high + 1e-9))
            return RANGES[kind].function(*operands)

        body = operation_of(spec).body
        values = body.evaluate(inputs[: len(spec.graph.arguments)], None, apply)
        assert all(domains), body.text
        assert np.isfinite(values).all()
        assert np.abs(values).max() <= LARGEST


def test_the_table_is_about_scalars_and_right_about_where_they_turn():
    for kind, known in RANGES.items():
        assert len(known.domains) == SCALARS[kind].arity
        assert SCALARS[kind].has("f32")
        if len(known.domains) == 1:
            low, high = (max(-6.0, known.domains[0][0]), min(6.0, known.domains[0][1]))
            ends = np.sort(np.random.default_rng(0).uniform(low, high, (50, 2)), axis=1)
            for first, last in ends:
                values = known.function(np.linspace(first, last, 2001))
                assert known.of([(first, last)]) == pytest.approx((values.min(), values.max()), abs=0.01), kind


@pytest.mark.parametrize(
    ("text", "reduction"),
    [
        ("max(a, mul(a, 1.0))", ONE),
        ("neg(neg(a))", ONE),
        ("log(exp(a))", ONE),
        ("sub(add(a, b), b)", TWO),
        ("abs(add(a, 1.5))", ONE),
        ("abs(sub(a, 1.5))", ONE),
        ("max(a, 3.0)", ONE),
        ("exp(mul(a, 0.0))", ONE),
        ("cos(a)", Reduction("max", 1000, (1000,))),
        ("min(powf(2.0, b), a)", Reduction("min", 512, (512, 512))),
        # All of b is the same; the least of what a bounds is the bound.
        ("sub(max(a, 0.75), b)", Reduction("min", 448, (448, 1))),
    ],
)
def test_what_has_no_effect_is_not_drawn(text, reduction):
    assert not all_has_effect(text, reduction)


def test_what_has_an_effect_is():
    assert all_has_effect("div(a, add(1.0, exp(neg(a))))", Reduction("add", 16384, (16384,)))
    assert all_has_effect("max(a, b)", Reduction("add", 100, (10, 10)))
    assert all_has_effect("sub(max(a, 0.75), b)", Reduction("min", 4, (4, 4)))


@pytest.mark.parametrize(("vocabulary", "reduction"), [(("log",), ONE), (("exp",), TWO), (("neg",), ONE)])
def test_what_a_vocabulary_cannot_say_is_not_drawn(vocabulary, reduction):
    draw = Draw(np.random.default_rng(0), {})
    with pytest.raises(CannotBeDrawn):
        draw_body(draw, vocabulary, 2, reduction)


def proven(spec, text):
    """Run a text on the arguments of a program as often as a proof does, and compare."""
    job = job_of(GENERIC, spec, GENERIC.program(spec), "execute", measure=False)
    program = CompiledProgram(lower(text, CONTEXTS.next()), len(job.shapes))
    found = []
    for draw in range(draws(job)):
        arguments, results = random_arguments(job, draw), empty_results(dataclasses.replace(job, text=text))
        program.bind([*arguments, *results]).run()
        found.append(compare(job, arguments, results))
    return worst(found)


FAULTS = [
    ("arith.addf", "arith.subf"), ("arith.subf", "arith.addf"), ("arith.mulf", "arith.addf"),
    ("arith.divf", "arith.mulf"), ("arith.maximumf", "arith.minimumf"), ("arith.minimumf", "arith.maximumf"),
    ("math.exp ", "math.exp2 "), ("math.log ", "math.log2 "), ("math.log1p", "math.exp"), ("math.sqrt", "math.rsqrt"),
    ("math.rsqrt", "math.sqrt"), ("math.tanh", "math.sin"), ("math.erf", "math.tanh"), ("math.sin", "math.cos"),
    ("math.cos", "math.sin"), ("math.powf", "arith.mulf"), ("math.absf", "arith.negf"), ("arith.negf", "math.exp"),
]  # fmt: skip


def test_right_programs_match_and_wrong_ones_are_caught():
    planted = 0
    for number, spec in enumerate(drawn(26)):
        text = GENERIC.program(spec)
        assert not proven(spec, text).hidden
        places = [(found.start(), *fault) for fault in FAULTS for found in re.finditer(fault[0], text)]
        at, right, wrong = places[number % len(places)]
        with pytest.raises(Rejection, match="the result"):
            proven(spec, text[:at] + wrong + text[at + len(right) :])
        planted += 1
    assert planted >= 24


def test_loops_in_another_order_are_said_and_checked():
    spec = next(one for one in drawn(50) if "loops" in one.fields["nodes"][0])
    fields = spec.fields
    again = GENERIC.spec_from_json(fields)
    assert again == spec
    loops = operation_of(spec).notation.loops
    assert fields["nodes"][0]["loops"].split() == list(loops)
    bounds = [loop.bound for loop in spec.graph.loops]
    assert math.prod(bounds) == spec.graph.nodes[0].points
    fields["nodes"][0]["loops"] = "d0 d9"
    with pytest.raises(NoGraph, match="in some order, and not 'd0 d9'"):
        GENERIC.spec_from_json(fields)
    fields["nodes"][0]["loops"] = 7
    with pytest.raises(NoGraph, match="by its name, or by its line and its body"):
        GENERIC.spec_from_json(fields)
