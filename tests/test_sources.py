from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import config
from hypothesis import given
from hypothesis import strategies as st

from mlir_datagen.sources import walk as walk_module
from mlir_datagen.sources.grid import Grid, SameAs
from mlir_datagen.sources.permutation import Permutation
from mlir_datagen.sources.random_ops import RandomOps
from mlir_datagen.sources.split import Splitter, content_hash


@given(st.integers(1, 3000), st.integers(0, 2**63), st.text(max_size=5))
def test_a_permutation_reaches_every_number_once(size, seed, stream):
    assert sorted(Permutation(size, seed, stream)(0, size)) == list(range(size))


@given(st.integers(1, 2**62), st.integers(0, 1000))
def test_any_part_of_a_permutation_can_be_computed_alone(size, seed):
    permutation = Permutation(size, seed, "stream")
    stop = min(size, 50)
    whole = permutation(0, stop)
    assert len(set(whole)) == stop
    assert all((whole >= 0) & (whole < size))
    assert list(permutation(stop // 2, stop)) == list(whole[stop // 2 :])


def test_neighbouring_seeds_share_no_shifted_order():
    one, other = Permutation(10_000, 42, "matmul")(0, 1000), Permutation(10_000, 43, "matmul")(0, 1000)
    matches = [np.count_nonzero(one[shift:] == other[: 1000 - shift]) for shift in range(20)]
    assert max(matches) < 5


def test_a_permutation_spreads_over_its_range():
    quarter = Permutation(1_000_000, 0, "spread")(0, 10_000) // 250_000
    assert all(abs(np.bincount(quarter) - 2500) < 250)


def test_grid_points_are_the_product_of_the_axes():
    grid = Grid({"a": (1, 5, 7), "b": SameAs("a"), "c": range(10, 31, 10)})
    columns = grid.columns(np.arange(grid.size))
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert rows == [(a, a, c) for a, c in itertools.product((1, 5, 7), (10, 20, 30))]


def test_the_share_of_a_split_is_near_its_ratio():
    splitter = Splitter({"train": 8, "val": 1, "test": 1})
    m, n = (column.ravel() for column in np.meshgrid(np.arange(1, 301), np.arange(1, 301)))
    counts = np.bincount(splitter("matmul", (m, n, 64, "f32")))
    assert splitter.names == ["train", "test", "val"]
    np.testing.assert_allclose(counts / counts.sum(), [0.8, 0.1, 0.1], atol=0.005)


def test_the_split_depends_on_kind_family_and_every_dimension():
    base = ("max", 1, 2, 3, "f32")
    others = [("avg", 1, 2, 3, "f32"), ("max", 2, 1, 3, "f32"), ("max", 1, 2, 4, "f32"), ("max", 1, 2, 3, "f64")]
    hashes = {int(content_hash("pooling", spec)) for spec in [base, *others]} | {int(content_hash("conv2d", base))}
    assert len(hashes) == 6


def test_one_program_and_a_column_of_programs_hash_the_same():
    column = content_hash("matmul", (np.array([4, 5]), np.array([6, 7]), np.array([8, 9]), "f32"))
    assert [int(content_hash("matmul", (4, 6, 8, "f32"))), int(content_hash("matmul", (5, 7, 9, "f32")))] == list(
        column
    )


def test_the_order_in_which_ratios_are_written_does_not_matter():
    specs = (np.arange(1, 200), 3, 4, "f32")
    one, other = Splitter({"train": 5, "test": 1}), Splitter({"test": 1, "train": 5})
    assert [one.names[i] for i in one("matmul", specs)] == [other.names[i] for i in other("matmul", specs)]


def test_a_large_grid_is_walked_without_counting_it(monkeypatch):
    wide = {"from": 1, "to": 1_000_000, "step": 1}
    run = config(["matmul"], **{f"ops__matmul__grid__{axis}": wide for axis in "mnk"})
    monkeypatch.setattr(walk_module.VariantWalk, "_count", lambda self: pytest.fail("counted"))
    quota = RandomOps(run).plan(run.splits).quotas[0]
    assert quota.existing == (1_000_000**3, "at most")


def test_a_walk_through_a_large_grid_ends(monkeypatch):
    """Limits that leave next to nothing of a grid that is too large to count."""
    monkeypatch.setattr(walk_module, "ENUMERATION_LIMIT", 1000)
    monkeypatch.setattr(walk_module, "WALK_LIMIT", 20_000)
    wide = {"from": 1, "to": 100, "step": 1}
    run = config(
        ["matmul", "elementwise"], **{f"ops__matmul__grid__{axis}": wide for axis in "mnk"}, limits__max_bytes=48
    )
    quotas = {(quota.split, quota.family): quota for quota in RandomOps(run).plan(run.splits).quotas}
    matmul = quotas["train", "matmul"]
    assert matmul.planned < matmul.asked
    assert matmul.exhausted
    assert matmul.existing == (matmul.planned, "at least")
    assert matmul.planned + quotas["train", "elementwise"].planned == run.splits["train"]
