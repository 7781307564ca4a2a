"""Argmax and gather: places in loops, and elements that are looked up, held against PyTorch's and planted faults."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest
import torch
from helpers import each_by_mlir_opt, made_dataset
from warm_scripts import run_warm

from mlir_datagen.config.compose import compose_config
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.ops.body import read_expression
from mlir_datagen.ops.drawn.draft import Draft, Drawing
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.graph_json import NoGraph
from mlir_datagen.ops.notation import read
from mlir_datagen.programs.proof import Failure
from mlir_datagen.proving.job import job_of
from mlir_datagen.proving.prover import Prover
from mlir_datagen.proving.reference import random_arguments

KERNEL = DRAWN_FAMILIES["kernel"]
AXES = {"length": [8, 9], "depth": [2, 3], "batch": [4, 5], "rows": [4, 5], "columns": [5, 6]}


def drawn(kind, count=40, dtype="f32"):
    drawing = Drawing(AXES, (kind,), dtype=dtype)
    return [KERNEL.draw(drawing, np.random.default_rng(number)) for number in range(count)]


def job(spec, text=None):
    return job_of(KERNEL, spec, text or KERNEL.program(spec), "execute", measure=False)


def axis_of(spec):
    """Return the axis that is searched, or looked up along."""
    access = spec.graph.nodes[-1].operation.notation.inputs[0]
    kept = spec.graph.nodes[-1].operation.notation.result.names
    (axis,) = [place for place, name in enumerate(access.names) if name not in kept]
    return axis


def tensors(spec):
    return [torch.from_numpy(one) for one in random_arguments(job(spec))]


def test_argmax_is_pytorchs_along_every_axis_also_where_the_largest_is_there_twice():
    axes, ties = set(), 0
    for spec in drawn("argmax"):
        (given,) = tensors(spec)
        axis = axis_of(spec)
        found = spec.graph.evaluation()(given)
        torch.testing.assert_close(found.long(), given.argmax(axis))
        axes.add((given.ndim, axis))
        ties += bool(((given == given.amax(axis, keepdim=True)).sum(axis) > 1).any())
        assert [one.dtype for one in spec.graph.results] == ["i64"]
    assert axes == {(rank, axis) for rank in (2, 3, 4) for axis in range(rank)}
    assert ties > 30


def test_gather_is_pytorchs_along_every_axis_and_within_the_array():
    axes = set()
    for spec in drawn("gather"):
        given, numbers = tensors(spec)
        axis = axis_of(spec)
        assert (int(numbers.min()) >= 0, int(numbers.max()) < given.shape[axis]) == (True, True)
        torch.testing.assert_close(spec.graph.evaluation()(given, numbers), given.index_select(axis, numbers))
        axes.add((given.ndim, axis))
    assert axes == {(rank, axis) for rank in (2, 3) for axis in range(rank)}
    numbers = [tensors(spec)[1] for spec in drawn("gather")]
    assert any(len(set(one.tolist())) < len(one) for one in numbers)
    assert {0, max(AXES["columns"]) - 1} <= {int(number) for one in numbers for number in one}


def extraction(text):
    """Return what an element is read at, the shape of what it is read of, and the place that is looked up."""
    names, shape = re.search(r"tensor\.extract %arg0\[(.*?)\] : tensor<((?:\d+x)+)", text).groups()
    cast = re.search(r"(%\d+) = arith\.index_cast", text)[1]
    names = names.split(", ")
    return names, shape.strip("x").split("x"), names.index(cast)


def moved_by_one(text):
    """Return a gather of the next slices, after the last one the first."""
    _, shape, place = extraction(text)
    return re.sub(
        r"(%\d+ = arith\.index_cast) %in ",
        rf"%one = arith.constant 1 : i64\n      %extent = arith.constant {shape[place]} : i64\n"
        r"      %next = arith.addi %in, %one : i64\n      %other = arith.remsi %next, %extent : i64\n"
        r"      \1 %other ",
        text,
    )


def exchanged(text):
    """Return a gather along another axis of the same extent, or None."""
    names, shape, place = extraction(text)
    others = [other for other in range(len(names)) if other != place and shape[other] == shape[place]]
    if not others:
        return None
    names[place], names[others[0]] = names[others[0]], names[place]
    return re.sub(r"(tensor\.extract %arg0)\[.*?\]", rf"\1[{', '.join(names)}]", text)


def last(text):
    extent = re.search(r"arith\.constant (\d+) : i64", text)[1]
    text = text.replace("arith.constant 9223372036854775807", "arith.constant -1", 1).replace(
        "arith.minsi", "arith.maxsi"
    )
    return text.replace(f"arith.constant {extent} : i64", "arith.constant -1 : i64", 1)


def along_another(text):
    (loop,) = re.findall(r"linalg\.index (\d+)", text)
    return text.replace(f"linalg.index {loop}", f"linalg.index {int(loop) - 1}")


def off_by_one(text):
    return re.sub(
        r"(%\d+) = arith\.index_cast (%\d+) : index to i64",
        r"%one = arith.constant 1 : i64\n      %place = arith.index_cast \2 : index to i64\n"
        r"      \1 = arith.addi %place, %one : i64",
        text,
    )


def of_the_smallest(text):
    bits = re.search(r"arith\.constant (0xF\w+)", text)[1]
    positive = f"0x7{bits[3:]}"
    return text.replace(bits, positive, 1).replace("arith.maximumf", "arith.minimumf")


FAULTS = {
    "argmax": [last, along_another, off_by_one, of_the_smallest],
    "gather": [moved_by_one, exchanged],
}


@pytest.mark.parametrize("dtype", KERNEL.dtypes)
@pytest.mark.parametrize("kind", FAULTS)
def test_right_programs_match_and_wrong_ones_are_caught(kind, dtype):
    specs = drawn(kind, 8 if kind == "argmax" else 24, dtype)
    jobs, wrong = [job(spec) for spec in specs], []
    for spec, fault in itertools.product(specs, FAULTS[kind]):
        right = KERNEL.program(spec)
        if (text := fault(right)) is not None:
            assert text != right
            wrong.append((fault.__name__, job(spec, text)))
    assert {name for name, _ in wrong} == {fault.__name__ for fault in FAULTS[kind]}
    run = compose_config(["check=execute"])
    with Prover(run.check, run.measure, run.sandbox) as prover:
        assert [one for one in prover.prove(jobs) if isinstance(one, Failure)] == []
        outcomes = list(prover.prove([one for _, one in wrong]))
    stages = [(name, getattr(outcome, "stage", "kept")) for (name, _), outcome in zip(wrong, outcomes, strict=True)]
    assert [one for one in stages if one[1] != "matched"] == []
    assert len(wrong) > 20


def test_they_parse_on_the_versions_that_are_said_to_know_them():
    for kind, oldest in (("argmax", 19), ("gather", 16)):
        specs = drawn(kind, 12)
        for version in (16, 19, 22):
            made, _ = each_by_mlir_opt(version, [KERNEL.program(spec) for spec in specs])
            assert {bool(text) for text in made} == {version >= oldest}
        assert {KERNEL.versions(spec, form) for spec in specs for form in ("named", "generic")} == {(oldest, None)}


def test_what_they_compute_is_said_by_their_structure():
    hasher = ProgramHasher()
    for kind in FAULTS:
        texts = {KERNEL.program(spec) for spec in drawn(kind)}
        assert len({hasher.hash(text) for text in texts}) == len(texts)
    other = next(text for spec in drawn("gather") if (text := exchanged(KERNEL.program(spec))) is not None)
    text = next(KERNEL.program(spec) for spec in drawn("gather") if exchanged(KERNEL.program(spec)) == other)
    assert hasher.hash(other) != hasher.hash(text)


def test_of_what_is_looked_up_nodes_do_not_count_the_size():
    spec = drawn("gather", 1)[0]
    given, numbers = spec.graph.arguments
    (result,) = spec.graph.results
    (node,) = spec.graph.outline().nodes
    assert node.op == "gather"
    assert node.bytes_moved == 8 * numbers.shape[0] + 4 * np.prod(result.shape)
    assert spec.graph.bytes_moved == node.bytes_moved + 4 * np.prod(given.shape)


def test_a_sum_of_what_is_looked_up_is_a_sum_of_slices():
    """As of the words of a bag."""
    draft = Draft()
    table, numbers = draft.argument(7, 3), draft.argument(4, 5, dtype="i64")
    graph = draft.finish("graph", [draft.generic("v@b d, n k -> n +d", "a", table, numbers, accumulate="add")])
    given, places = torch.rand(7, 3, dtype=torch.float64), torch.randint(7, (4, 5))
    torch.testing.assert_close(graph.evaluation()(given, places), given[places].sum(1))
    assert "tensor.extract" in graph.text()
    assert graph.nodes[0].operation.label == "gather_add"


GATHER = {
    "kind": "gather",
    "arguments": [{"dtype": "f32", "shape": [4, 3]}, {"dtype": "i64", "shape": [5]}],
    "nodes": [{"line": "v@b d, n -> n d", "body": "a", "inputs": [0, 1]}],
    "results": [2],
}
ARGMAX = {
    "kind": "argmax",
    "arguments": [{"dtype": "f32", "shape": [4, 3]}],
    "nodes": [
        {"line": "m k -> m", "body": "a", "accumulate": "max", "inputs": [0]},
        {
            "line": "m k, m -> m", "body": "select(equal(a, b), index(k), number)", "accumulate": "min",
            "inputs": [0, 1], "sizes": {"number": 3}, "dtype": "i64",
        },
    ],
    "results": [2],
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "change", "message"),
    [
        (
            GATHER,
            lambda one: one["arguments"][1].update(dtype="f32"),
            "gather looks up by 'b', which must be of i32 or",
        ),
        (GATHER, lambda one: one["nodes"][0].update(line="v@c d, n -> n d"), "'v@c d, n -> n d' looks up by 'c'"),
        (GATHER, lambda one: one["nodes"][0].update(line="v@a d, n -> n d"), "looks up by 'a', which is no operand"),
        (GATHER, lambda one: one["nodes"][0].update(line="v@b d, v -> v@b d"), "looks something up where it writes"),
        (GATHER, lambda one: one["nodes"][0].update(line="v@b x=i+1, n -> n i"), "or beside a window or a shift"),
        (
            GATHER,
            lambda one: one["nodes"][0].update(line="v@b d, n -> n", accumulate="add"),
            "the loop 'd' in what it looks up alone",
        ),
        (ARGMAX, lambda one: one["nodes"][1].update(dtype="f32"), "gives places in its loops, and f32 is no type"),
        (ARGMAX, lambda one: one["nodes"][1].update(body="select(equal(a, b), index(j), number)"), "is no loop of"),
        (
            ARGMAX,
            lambda one: one["nodes"][1].update(body="select(equal(a, b), index(k), a)", sizes={}),
            "compares or mixes",
        ),
        (ARGMAX, lambda one: one["nodes"][1].update(body="equal(a, b)", sizes={}), "has a truth value where a number"),
        (ARGMAX, lambda one: one["nodes"][1].update(body="select(index(k), a, b)", sizes={}), "selects by what is no"),
        (ARGMAX, lambda one: one["nodes"][1].update(body="select(equal(a, 1), a, b)", sizes={}), "compares what is no"),
        (ARGMAX, lambda one: one["nodes"][1].update(body="index(3)", sizes={}), "has an index of no loop: it has the"),
        (
            ARGMAX,
            lambda one: one["nodes"][0].update(dtype="f64"),
            "compares or mixes what is of different element types",
        ),
    ],
)
def test_a_strangers_graph_is_refused_for_a_reason(fields, change, message):
    fields = json.loads(json.dumps(fields))
    assert KERNEL.spec_from_json(fields).fields == fields
    change(fields)
    with pytest.raises(NoGraph, match=re.escape(message)):
        KERNEL.spec_from_json(fields)


def test_an_expression_and_a_line_say_them():
    assert read("v@b d, n -> n d").inputs[0].is_looked_up
    assert read("v@b d, n -> n d").loops == ("n", "d")
    assert str(read_expression("select(equal(a, b), index(k), number)").operands[1].loop) == "k"


def test_a_dataset_of_them_is_made_verified_and_exported(tmp_path):
    settings = ["ops=[kernel]", "ops.kernel.vocabulary=[argmax,gather]", "ops.kernel.dtypes=[f32,f64]", "dims=small"]
    more = ["num_samples=16", "measure=baseline", "measure.runs=2", "export=mlir_rl", "export.min_ns=1", "form=mixed"]
    done = run_warm("generate", *settings, *more, "export.torch=false", "ops.kernel.grid.length=[8,16]", cwd=tmp_path)
    made = made_dataset(done, tmp_path)
    for script in ("verify", "reproduce"):
        done = run_warm(script, str(made), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    programs = json.loads((made / "mlir_rl" / "programs.json").read_text())
    texts = [path.read_text() for path in (made / "mlir_rl").rglob("*.mlir")]
    assert programs
    assert any("tensor.extract" in text for text in texts)
    assert any("linalg.index" in text and "arith.cmpf" in text for text in texts)
    checked = run_warm("check_mlir_rl", str(made / "mlir_rl"), cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
