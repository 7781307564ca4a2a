"""Drawn graphs: that they are valid and as asked for, and what they compute, held against PyTorch's own operations."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import numpy as np
import orjson
import pytest
import torch
from helpers import emitted, run_mlir_opt
from torch.nn import functional

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.outline import program_outline
from mlir_datagen.mlir.parse import Contexts, Verifier
from mlir_datagen.ops.drawn import rules
from mlir_datagen.ops.drawn.blocks import BLOCKS
from mlir_datagen.ops.drawn.draft import CannotBeDrawn, Draft, Draw, Drawing
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.graph_json import NoGraph
from mlir_datagen.proving.job import job_of
from mlir_datagen.proving.reference import compare, empty_results, random_arguments
from mlir_datagen.proving.settings import Cores, MeasureSettings
from mlir_datagen.proving.worker import Worker

AXES = {
    "batch": [1, 2], "channels": [2, 3], "height": range(6, 9), "width": [6, 7], "kernel": [1, 2, 3], "stride": [1, 2],
    "rows": [3, 4], "columns": [4, 5], "heads": [2, 3], "features": [4, 6],
    "extent": [2, 3, 4, 5, 7], "length": [8, 9], "depth": [5, 6],
}  # fmt: skip
SETTINGS = {
    "sequence": {"length": (5, 5)}, "dag": {"length": (3, 8), "fan_out": 2, "depth": 4}, "block": {}, "kernel": {},
    "generic": {"loops": (2, 5), "operations": (1, 6)},
}  # fmt: skip
CONTEXTS = Contexts()


def drawing(name, **changes):
    asked = {"vocabulary": DRAWN_FAMILIES[name].vocabulary, **SETTINGS[name], **changes}
    return Drawing({axis: AXES[axis] for axis in DRAWN_FAMILIES[name].axes}, **asked)


def drawn(name, count=40, **changes):
    """Return the specs of the first draws of a family that lead to one."""
    generators = [np.random.default_rng(number) for number in range(count)]
    found = [DRAWN_FAMILIES[name].draw(drawing(name, **changes), generator) for generator in generators]
    return [spec for spec in found if spec is not None]


@pytest.mark.parametrize("form", ["named", "generic"])
@pytest.mark.parametrize("name", DRAWN_FAMILIES)
def test_every_draw_is_a_valid_program_also_to_parsers_that_are_not_ours(name, form):
    specs = drawn(name)
    assert len(specs) >= 38
    texts = [DRAWN_FAMILIES[name].program(spec, form) for spec in specs]
    assert texts == [emitted(spec.graph, form) for spec in specs]
    verifier = Verifier()
    for text in texts:
        verifier.verify(text)
    for version in (19, 22):
        done = run_mlir_opt(version, texts)
        assert done.returncode == 0, done.stderr
    if form == "generic":
        # No named operation that LLVM's main branch has no more.
        assert not re.search(r"linalg\.(add|mul|max|div|sub|exp) ", "".join(texts))


@pytest.mark.parametrize("name", DRAWN_FAMILIES)
def test_nodes_edges_and_costs_are_what_the_parser_reads(name):
    for spec in drawn(name):
        read = program_outline(DRAWN_FAMILIES[name].program(spec), CONTEXTS.next())
        ours = spec.graph.outline()
        assert [node._replace(op="") for node in ours.nodes] == [node._replace(op="") for node in read.nodes]
        assert (ours.edges, ours.main) == (read.edges, read.main)


@pytest.mark.parametrize("name", DRAWN_FAMILIES)
def test_a_spec_goes_to_json_and_back(name):
    family = DRAWN_FAMILIES[name]
    for spec in drawn(name):
        again = family.spec_of_json(orjson.dumps(spec.fields).decode())
        assert again == spec
        assert family.program(again) == family.program(spec)


@pytest.mark.parametrize("form", ["named", "generic", "category"])
@pytest.mark.parametrize("name", DRAWN_FAMILIES)
def test_what_parses_all_parses_each(name, form):
    family = DRAWN_FAMILIES[name]
    whole = family.versions_of_all(form)
    for spec in drawn(name):
        assert whole.both(family.versions(spec, form)) == whole


def test_a_sequence_has_its_length_and_each_operation_reads_the_one_before():
    for spec in drawn("sequence", vocabulary=("add", "matmul", "relu", "conv2d", "pooling", "sigmoid")):
        assert len(spec.graph.nodes) == 5
        assert [tuple(edge) for edge in spec.graph.edges] == [(place, place + 1) for place in range(4)]
        assert len(spec.graph.results) == 1
    assert {len(spec.graph.nodes) for spec in drawn("sequence", vocabulary=("relu", "add"), length=(1, 3))} == {1, 2, 3}


def test_a_graph_keeps_to_its_fan_out_and_depth_and_has_several_inputs_and_results():
    specs = drawn("dag", vocabulary=("add", "mul", "matmul", "relu", "conv2d", "pooling", "sigmoid"), count=80)
    for spec in specs:
        graph = spec.graph
        assert 3 <= len(graph.nodes) <= 8
        reads = [number for node in graph.nodes for number in node.inputs]
        assert max(map(reads.count, reads)) <= 2
        depth = [0] * len(graph.arguments)
        for node in graph.nodes:
            depth.append(1 + max(depth[number] for number in node.inputs))
        assert max(depth) <= 4
    assert max(len(spec.graph.results) for spec in specs) >= 3
    consumers = [[edge.consumer for edge in spec.graph.edges] for spec in specs]
    assert any(len(set(each)) < len(each) for each in consumers), "none reads what two others computed"


def test_no_operation_is_without_effect():
    """None of max(x, x); nor of max(x, 0) where x is never negative."""
    specs = drawn("dag", count=200, vocabulary=("max", "relu", "sigmoid", "pooling", "softmax"))
    for spec in specs:
        graph = spec.graph
        producers = dict(enumerate(graph.nodes, len(graph.arguments)))
        for node in graph.nodes:
            assert node.operation.name != "max" or node.inputs[0] != node.inputs[1]
            if node.operation.label == "max_number":
                made = producers.get(node.inputs[0])
                assert made is None or made.operation.label not in ("max_number", "neg_exp_add_div")
    assert any(node.operation.name == "max" for spec in specs for node in spec.graph.nodes)


def test_the_order_in_which_a_graph_was_made_does_not_count():
    def made(relu_first):
        draft = Draft()
        a, b = draft.argument(4, 4), draft.argument(4, 4)
        if relu_first:
            positive = rules.relu(draft, a)
            product = draft.named("matmul", a, b)
        else:
            product = draft.named("matmul", a, b)
            rules.sigmoid(draft, product)
            positive = rules.relu(draft, a)
        return draft.finish("graph", [draft.named("add", product, positive)])

    assert made(True) == made(False)
    assert [node.operation.label for node in made(True).nodes] == ["matmul", "max_number", "add"]


def evaluated(graph, *inputs):
    return graph.evaluation()(*inputs)


def drafted(function, *shapes):
    draft = Draft()
    arguments = [draft.argument(*shape) for shape in shapes]
    return draft.finish("graph", [function(draft, *arguments)])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (rules.relu, torch.relu),
        (rules.sigmoid, torch.sigmoid),
        (rules.silu, functional.silu),
        (rules.gelu, functional.gelu),
        (rules.softmax, lambda value: torch.softmax(value, -1)),
    ],
)
def test_activations_are_pytorchs(rule, expected):
    torch.manual_seed(0)
    value = torch.randn(3, 5, dtype=torch.float64) * 4
    torch.testing.assert_close(evaluated(drafted(rule, (3, 5)), value), expected(value), rtol=1e-12, atol=1e-12)


def test_norms_are_pytorchs():
    torch.manual_seed(0)
    value, weight, bias = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 5), (5,), (5,)))
    found = evaluated(drafted(rules.layer_norm, (3, 5)), value, weight, bias)
    torch.testing.assert_close(found, functional.layer_norm(value, (5,), weight, bias), rtol=1e-12, atol=1e-12)
    found = evaluated(drafted(rules.rms_norm, (3, 5)), value, weight)
    torch.testing.assert_close(found, functional.rms_norm(value, (5,), weight, 1e-5), rtol=1e-12, atol=1e-12)


def convolved(image, *weights, **options):
    return torch.relu(functional.conv2d(image, *weights, **options))


def gated(value, gate, up, down):
    return (functional.silu(value @ gate) * (value @ up)) @ down


def separable(image, filters, bias, *rest):
    return convolved(convolved(image, filters.unsqueeze(1), bias, groups=len(bias)), *rest)


def excited(image, narrow, narrow_bias, wide, wide_bias):
    hidden = torch.relu(image.mean((2, 3)) @ narrow + narrow_bias)
    return image * torch.sigmoid(hidden @ wide + wide_bias)[:, :, None, None]


def transformed(value, scale, query, key, content, output, second_scale, gate, up, down):
    normed = functional.rms_norm(value, scale.shape, scale, 1e-5)
    mixed = functional.scaled_dot_product_attention(normed @ query, normed @ key, normed @ content)
    value = mixed @ output + value
    return gated(functional.rms_norm(value, scale.shape, second_scale, 1e-5), gate, up, down) + value


BY_PYTORCH = {
    "conv_bias_relu": convolved,
    "residual": lambda image, w1, b1, w2, b2: torch.relu(functional.conv2d(convolved(image, w1, b1), w2, b2) + image),
    "bottleneck": lambda image, w1, b1, w2, b2, w3, b3: convolved(convolved(convolved(image, w1, b1), w2, b2), w3, b3),
    "depthwise_separable": separable,
    "squeeze_and_excitation": excited,
    "mlp": lambda value, w1, b1, w2, b2: torch.relu(value @ w1 + b1) @ w2 + b2,
    "gated_mlp": gated,
    "layer_norm_gelu": lambda value, scale, shift, weight, bias: functional.gelu(
        functional.layer_norm(value, scale.shape, scale, shift) @ weight + bias
    ),
    "attention": functional.scaled_dot_product_attention,
    "masked_attention": lambda query, key, mask, value: functional.scaled_dot_product_attention(
        query, key, value, mask
    ),
    "grouped_attention": lambda query, key, value: functional.scaled_dot_product_attention(
        query, key.unsqueeze(1), value.unsqueeze(1)
    ),
    "transformer": transformed,
}
"""Each block, from its arguments in their order."""


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_are_what_pytorch_computes(kind):
    (spec,) = drawn("block", count=1, vocabulary=(kind,))
    torch.manual_seed(0)
    inputs = [torch.randn(one.shape, dtype=torch.float64) for one in spec.graph.arguments]
    torch.testing.assert_close(evaluated(spec.graph, *inputs), BY_PYTORCH[kind](*inputs), rtol=1e-11, atol=1e-11)


def proven(name, spec, change=lambda text: text):
    """Run a program on its random arguments, and compare."""
    family = DRAWN_FAMILIES[name]
    job = job_of(family, spec, change(family.program(spec)), "execute", measure=False)
    # The same arguments for the wrong program.
    arguments = random_arguments(dataclasses.replace(job, text=family.program(spec)))
    results = empty_results(job)
    CompiledProgram(lower(job.text, CONTEXTS.next()), len(job.shapes)).bind([*arguments, *results]).run()
    return compare(job, arguments, results)


FAULTS = [
    ("arith.addf", "arith.subf"),
    ("arith.mulf", "arith.addf"),
    ("arith.maximumf", "arith.minimumf"),
    ("arith.divf", "arith.mulf"),
    ("math.exp ", "math.exp2 "),
    ("linalg.add ", "linalg.sub "),
    ("linalg.pooling_nchw_max", "linalg.pooling_nchw_sum"),
    ("arith.constant 0.0", "arith.constant 0.01"),
]


@pytest.mark.parametrize("name", [name for name in DRAWN_FAMILIES if name != "generic"])
def test_right_programs_match_and_wrong_ones_are_caught(name):
    planted = 0
    for number, spec in enumerate(drawn(name, count=12)):
        text = DRAWN_FAMILIES[name].program(spec)
        assert proven(name, spec).relative < 1e-5
        faults = [fault for fault in FAULTS if fault[0] in text]
        if not faults:
            # Nothing is computed: only the places can be wrong.
            assert spec.kind in ("gather", "transpose")
            continue
        wrong = faults[number % len(faults)]
        # The last place: it is no more hidden than the first.
        at = text.rindex(wrong[0])
        with pytest.raises(Rejection, match="the result"):
            proven(name, spec, lambda text, at=at, wrong=wrong: text[:at] + wrong[1] + text[at + len(wrong[0]) :])
        planted += 1
    assert planted >= 9


@pytest.mark.parametrize("name", DRAWN_FAMILIES)
def test_nearly_every_argument_shows_in_what_is_compared(name):
    family, hidden = DRAWN_FAMILIES[name], 0
    for spec in drawn(name):
        arguments = random_arguments(job_of(family, spec, family.program(spec), "execute", measure=False))
        hidden += bool(family.hidden(spec, arguments, family.held_against(spec, arguments)))
    # One of two features, both of which a rectified linear unit may cut off, is hidden now and then.
    assert hidden <= 2


def test_what_does_not_show_is_said_and_not_kept():
    """The second matrix is multiplied with what is always zero."""
    fields = json.loads(json.dumps(SEQUENCE))
    fields["nodes"] = [
        {"line": "d0 d1 -> d0 d1", "body": "max(min(a, number), 0)", "inputs": [0], "sizes": {"number": 0}},
        {"op": "matmul", "inputs": [2, 1]},
        {"line": "d0 d1 -> d0 d1", "body": "add(a, number)", "inputs": [3], "sizes": {"number": 1}},
    ]
    fields["results"] = [4]
    family = DRAWN_FAMILIES["sequence"]
    spec = family.spec_from_json(fields)
    job = job_of(family, spec, family.program(spec), "execute", measure=False)
    worker = Worker(Cores.available(), MeasureSettings("none", 5, 1.0, 1e9), with_reference=True, machine="")
    outcome = worker.prove(job)
    assert (outcome.stage, outcome.reason) == (
        "matched",
        "argument 0 shows in no result, so that nothing is proven of it",
    )
    right = family.spec_from_json(SEQUENCE)
    assert worker.prove(job_of(family, right, family.program(right), "execute", measure=False)).proven == "matched"


def test_what_does_not_fit_is_drawn_otherwise_or_not_at_all():
    draw = Draw(np.random.default_rng(0), {"kernel": [9], "stride": [1], "channels": [2]})
    draft = Draft()
    with pytest.raises(CannotBeDrawn):
        rules.RULES["conv2d"].apply(draft, draw, draft.argument(1, 2, 8, 8), lambda shape: draft.argument(*shape))
    assert drawn("sequence", vocabulary=("relu",)) == []
    assert len(drawn("sequence", vocabulary=("relu", "add"))) == 40


SEQUENCE = {
    "kind": "matrix",
    "arguments": [{"dtype": "f32", "shape": [4, 8]}, {"dtype": "f32", "shape": [8, 2]}],
    "nodes": [
        {"op": "matmul", "inputs": [0, 1]},
        {"line": "d0 d1 -> d0 d1", "body": "max(a, number)", "inputs": [2], "sizes": {"number": 0}},
    ],
    "results": [3],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.update(nodes=7), "nodes is 7, and must be a list"),
        (lambda one: one.update(results=[]), "its results are some of its nodes"),
        (lambda one: one.update(results=[3, 3]), "its results are some of its nodes, each once"),
        (lambda one: one.update(results=[0]), "0 is no result"),
        (lambda one: one["arguments"][0].update(shape=[4, 0]), "whole numbers of at least 1"),
        (lambda one: one["arguments"][0].update(dtype="f33"), "there is no element type 'f33'"),
        (lambda one: one["arguments"][1].update(shape=[9, 2]), "the operands of matmul do not fit together"),
        (lambda one: one["arguments"][1].update(shape=[8]), "matmul does not take operands of such ranks"),
        (lambda one: one["nodes"][0].update(op="matmulx"), "there is no operation 'matmulx'"),
        (lambda one: one["nodes"][0].update(inputs=[0, 3]), "3 is no input"),
        (lambda one: one["nodes"][0].update(inputs=[]), "a node reads something"),
        (lambda one: one["nodes"][0].update(sizes={"m": 1}), "the sizes of matmul that its inputs do not say are"),
        (lambda one: one["nodes"][1].update(body="maxx(a, number)"), "'maxx', which is no scalar operation"),
        (lambda one: one["nodes"][1].update(body="max(a)"), "gives max 1 operands, and it takes 2"),
        (lambda one: one["nodes"][1].update(body="__import__('os')"), "which is no scalar operation"),
        (lambda one: one["nodes"][1].update(body="max(a, number"), "is no expression"),
        (lambda one: one["nodes"][1].update(line="d0 d1 -> d0"), "reduces and its body does not"),
        (lambda one: one["nodes"][1].update(line="d0 d1"), "has no ->"),
        (lambda one: one["nodes"][1].update(sizes={"number": "0"}), "the number of max_number is '0'"),
        (lambda one: one["nodes"][1].update(op="add"), "by its name, or by its line and its body"),
        (
            lambda one: one["nodes"][1].update(body="max(b, number)"),
            "'max(b, number)' reads more than 'd0 d1 -> d0 d1'",
        ),
        (lambda one: one["nodes"][1].update(body=f"{'-' * 99999}1"), "is no expression"),
        (lambda one: one["nodes"][1].update(body=f"{'neg(' * 9999}a{')' * 9999}"), "is no expression"),
        (lambda one: one["nodes"][1].update(body="max(a, -None)"), "is no expression"),
        (
            lambda one: one["nodes"][1].update(line="d0 d1 -> d0", body="a", accumulate="exp"),
            "nothing accumulates with",
        ),
        (
            lambda one: one["nodes"][1].update(line="d0 d1 -> d0", body="a", accumulate="sub"),
            "nothing accumulates with",
        ),
        (lambda one: one["nodes"][1].update(body="exp(a)", dtype="i32", sizes={}), "exp has no element type i32"),
    ],
)
def test_a_strangers_graph_is_refused_for_a_reason(change, message):
    fields = json.loads(json.dumps(SEQUENCE))
    assert DRAWN_FAMILIES["sequence"].spec_from_json(fields).graph.flops == 2 * 4 * 8 * 2 + 4 * 2
    change(fields)
    with pytest.raises((NoGraph, TypeError), match=re.escape(message)):
        DRAWN_FAMILIES["sequence"].spec_from_json(fields)


def test_weights_are_as_small_as_keeps_sums_in_range():
    family = DRAWN_FAMILIES["sequence"]
    spec = family.spec_from_json(SEQUENCE)
    assert family.input_ranges(spec) == [(-1.0, 1.0), (-math.sqrt(3 / 8), math.sqrt(3 / 8))]
