"""Graphs: what follows from them, held against the parser's reading of their text, and the texts that are filled in."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers import CONTEXTS, GOLDEN_SPECS, emitted, golden_program
from hypothesis import given, settings
from hypothesis import strategies as st

from mlir_datagen.mlir.outline import program_outline
from mlir_datagen.mlir.signature import Operand
from mlir_datagen.ops.contractions import CONTRACTIONS
from mlir_datagen.ops.elementwise import elementwise, with_number
from mlir_datagen.ops.graph import Graph, Node
from mlir_datagen.ops.structured_operation import FORMS
from mlir_datagen.programs.spec import spec_json


def two_matmuls_and_a_sum():
    """Return a graph with two results, one of which another node reads: a b, and relu(a b) + a b."""
    square = {"m": 4, "k": 4, "n": 4}
    plane = {"d0": 4, "d1": 4}
    nodes = (
        Node(CONTRACTIONS["matmul"], (0, 1), square, "f32"),
        Node(with_number("max", 2), (2,), {**plane, "number": 0}, "f32"),
        Node(elementwise("add", 2), (3, 2), plane, "f32"),
    )
    arguments = (Operand("a", (4, 4), "f32"), Operand("b", (4, 4), "f32"))
    return Graph("chain", arguments, nodes, {2: "product", 4: "sum"})


@pytest.mark.parametrize("form", FORMS)
def test_a_graph_of_several_nodes_is_a_program_and_costs_what_its_text_says(form):
    graph = two_matmuls_and_a_sum()
    read, outline = program_outline(graph.text(form), CONTEXTS.next()), graph.outline()
    assert [node._replace(op="") for node in outline.nodes] == [node._replace(op="") for node in read.nodes]
    assert [node.op for node in outline.nodes] == ["matmul", "max_number", "add"]
    assert outline.edges == read.edges == ((0, 1), (0, 2), (1, 2))
    assert (outline.main, outline.loops) == (read.main, read.loops) == (0, graph.loops)
    assert graph.flops == outline.flops == read.flops == 2 * 64 + 16 + 16
    assert graph.bytes_moved == 4 * 4 * 16
    assert graph.results == (Operand("product", (4, 4), "f32"), Operand("sum", (4, 4), "f32"))


def test_a_graph_computes_what_its_nodes_compute_one_after_the_other():
    torch.manual_seed(0)
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    product, total = two_matmuls_and_a_sum().evaluation()(a, b)
    torch.testing.assert_close(product, a @ b)
    torch.testing.assert_close(total, torch.relu(a @ b) + a @ b)


@pytest.mark.parametrize("name", GOLDEN_SPECS)
@settings(max_examples=6)
@given(data=st.data())
def test_a_text_that_is_filled_in_is_the_one_that_is_emitted(name, data):
    """Also where attributes become equal or differ, two sizes are one number, and element types have long literals."""
    family, golden, _ = golden_program(name)
    sizes = st.one_of(st.integers(1, 3), st.integers(40, 2**31 - 1))
    spec = family.spec(golden.variant, *(data.draw(sizes) for _ in golden.dimensions))
    spec = spec._replace(variant=spec.variant.of(data.draw(st.sampled_from(spec.variant.words))))
    graph = family.graph(spec)
    for form in FORMS:
        assert family.program(spec, form) == graph.text(form) == emitted(graph, form)


@pytest.mark.parametrize("name", GOLDEN_SPECS)
@settings(max_examples=4)
@given(data=st.data())
def test_programs_of_a_column_are_those_of_its_rows(name, data):
    """Also where neighbours differ in which attributes are equal, and in the number that a body has."""
    family, golden, _ = golden_program(name)
    sizes = st.one_of(st.integers(1, 3), st.integers(40, 1000))
    rows = [tuple(data.draw(sizes) for _ in golden.dimensions) for _ in range(data.draw(st.integers(1, 5)))]
    variant = golden.variant.of(data.draw(st.sampled_from(golden.variant.words)))
    forms = [data.draw(st.sampled_from(FORMS)) for _ in rows]
    column = family.spec(variant, *np.array(rows, np.int64).T)
    specs = [family.spec(variant, *row) for row in rows]
    texts = [family.graph(spec).text(form) for spec, form in zip(specs, forms, strict=True)]
    assert family.programs(column, forms) == texts
    assert [json.loads(spec) for spec in family.specs_json(column, len(rows))] == [
        json.loads(json.dumps(spec.fields)) for spec in specs
    ]
    assert family.specs_json(column, len(rows)) == list(map(spec_json, specs))
