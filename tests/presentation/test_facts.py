from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from merging import rows
from presented import composed, with_times

from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.presentation.dimensions import PARALLEL, REDUCTION, dimension_text, named_dimensions
from mlir_datagen.presentation.facts import dataset_facts
from mlir_datagen.presentation.quantities import chance_gap, empirical_roof, largest_gap


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return with_times(
        composed(tmp_path_factory.mktemp("facts"), "ops=[matmul,elementwise,reduce,dag]", "num_samples=80")
    )


@pytest.fixture(scope="module")
def facts(folder):
    return dataset_facts(Dataset(folder))


def test_facts_are_those_of_the_index(folder, facts):
    index = [row for split in ("train", "test") for row in rows(folder, split)]
    assert facts.programs == len(facts.names) == len(index) == 80
    assert not facts.is_sample
    assert list(facts.names) == [row["name"] for row in index]
    for column in ("split", "family", "kind", "dtype"):
        words = getattr(facts, column)
        assert [words.words[code] for code in words.codes] == [row[column] for row in index]
    np.testing.assert_array_equal(facts.flops, [row["flops"] for row in index])
    np.testing.assert_allclose(facts.intensity, [row["arithmetic_intensity"] for row in index])
    np.testing.assert_array_equal(facts.text_bytes, [len(row["mlir"].encode()) for row in index])
    np.testing.assert_array_equal(facts.nodes, [len(row["nodes"]) for row in index])
    np.testing.assert_array_equal(facts.loops, [len(row["loops"]) for row in index])
    operations = Counter(node["op"] for row in rows(folder, "test") for node in row["nodes"])
    assert facts.operations["test"] == operations
    assert facts.dtypes["train"] == Counter(row["dtype"] for row in rows(folder, "train"))


def test_extents_are_those_of_specs_and_loops(folder, facts):
    index = [row for split in ("train", "test") for row in rows(folder, split)]
    for name, iterator in ((PARALLEL, "parallel"), (REDUCTION, "reduction")):
        expected = [
            (place, loop["bound"])
            for place, row in enumerate(index)
            for node in row["nodes"]
            for loop in node["loops"]
            if loop["iterator"] == iterator
        ]
        found = facts.extents[name]
        assert sorted(zip(found.rows.tolist(), found.values.tolist(), strict=True)) == sorted(expected)
    matmuls = [(place, json.loads(row["spec"])["k"]) for place, row in enumerate(index) if row["family"] == "matmul"]
    assert list(zip(*map(np.ndarray.tolist, facts.extents["k"]), strict=True)) == matmuls


def test_times_are_of_their_programs(facts):
    factors = facts.time_ns / facts.bytes_moved
    assert set(np.round(factors[facts.disturbed])) == {3}
    assert set(np.round(factors[~facts.disturbed])) == {1}
    # Of the undisturbed ones, whose times are a nanosecond for each byte.
    roof = empirical_roof(facts)
    assert roof.gigabytes == pytest.approx(1)
    assert roof.gigaflops == pytest.approx(np.nanmax((facts.flops / facts.time_ns)[~facts.disturbed]))


def test_a_sample_is_fair_and_the_same_each_time(folder):
    one, two = (dataset_facts(Dataset(folder), most=40) for _ in range(2))
    assert one.names == two.names
    assert 20 < len(one.names) < 60
    assert one.is_sample
    assert one.programs == 80
    # Families follow each other in turn.
    assert set(one.family.words) == {"matmul", "elementwise", "reduce", "dag"}
    np.testing.assert_array_equal(one.split.codes, np.sort(one.split.codes))
    # What is counted is counted over all.
    assert sum(one.dtypes["train"].values()) == sum(one.families["train"].values())


def test_sizes_of_texts_in_files(tmp_path):
    facts = [
        dataset_facts(Dataset(composed(tmp_path / kind, "ops=[matmul]", "num_samples=8", f"storage={kind}")))
        for kind in ("files", "parquet")
    ]
    np.testing.assert_array_equal(facts[0].text_bytes, facts[1].text_bytes)


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ('{"m": 64, "n": 32, "dtype": "f32"}', {"m": [64], "n": [32]}),
        ('{"kind": "add", "shape": [7, 5]}', {"shape": [7, 5]}),
        ('{"nodes": [], "m": 64}', {}),
        ('{"m": -1, "n": true, "k": 1.5, "x y": 3, "a": [], "b": [1, "x"], "c": 99999999999999999999}', {}),
        ("[1, 2]", {}),
        ("not JSON", {}),
        (None, {}),
    ],
)
def test_named_dimensions(spec, found):
    assert named_dimensions(spec) == found


def test_dimensions_on_one_line():
    loops = [{"bound": 64, "iterator": "parallel"}, {"bound": 3, "iterator": "reduction"}]
    assert dimension_text({"m": [64], "shape": [7, 5]}, loops) == "m=64 shape=7x5"
    assert dimension_text({}, loops) == "64x3"
    assert dimension_text({}, []) == ""


def test_gaps():
    one, other = np.arange(1000), np.arange(1000) + 250
    assert largest_gap(one, one) == 0
    assert largest_gap(one, other) == pytest.approx(0.25)
    assert largest_gap(np.zeros(3), np.ones(4)) == 1
    # Two samples of one distribution are closer than that in 99 of 100 pairs; these are not of one.
    random = np.random.default_rng(1)
    gaps = [largest_gap(random.random(200), random.random(300)) for _ in range(300)]
    assert 0.97 < np.mean(np.array(gaps) < chance_gap(200, 300)) <= 1
    assert largest_gap(random.random(200), random.random(300) ** 1.5) > chance_gap(200, 300)
