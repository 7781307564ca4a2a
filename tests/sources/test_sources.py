from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import config, planned_specs
from hypothesis import given
from hypothesis import strategies as st

from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import Spec
from mlir_datagen.programs.content import Splitter, content_hash
from mlir_datagen.sources import walk as walk_module
from mlir_datagen.sources.grid import Grid, SameAs
from mlir_datagen.sources.mix import FamilyWalk
from mlir_datagen.sources.permutation import Permutation
from mlir_datagen.sources.random_ops import RandomOps
from mlir_datagen.sources.walk import Existing


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


def matmul(*dimensions):
    """Return the spec of a matmul, or of a column of them."""
    family = FAMILIES["matmul"]
    return family.spec(family.variants[0], *dimensions)


def test_the_share_of_a_split_is_near_its_ratio():
    splitter = Splitter({"train": 8, "val": 1, "test": 1})
    m, n = (column.ravel() for column in np.meshgrid(np.arange(1, 301), np.arange(1, 301)))
    counts = np.bincount(splitter("matmul", matmul(m, n, 64)))
    assert splitter.names == ["train", "test", "val"]
    np.testing.assert_allclose(counts / counts.sum(), [0.8, 0.1, 0.1], atol=0.005)


def test_the_split_depends_on_kind_family_and_every_dimension():
    kinds = {variant.kind: variant for variant in FAMILIES["pooling"].variants}
    base = Spec(kinds["max"], (1, 2, 3))
    others = [
        Spec(kinds["avg"], (1, 2, 3)),
        Spec(kinds["max"], (2, 1, 3)),
        Spec(kinds["max"], (1, 2, 4)),
        Spec(kinds["max"].of("f64"), (1, 2, 3)),
    ]
    hashes = {int(content_hash("pooling", spec)) for spec in [base, *others]} | {int(content_hash("conv2d", base))}
    assert len(hashes) == 6


def test_one_program_and_a_column_of_programs_hash_the_same():
    column = content_hash("matmul", matmul(np.array([4, 5]), np.array([6, 7]), np.array([8, 9])))
    assert [int(content_hash("matmul", matmul(*point))) for point in ((4, 6, 8), (5, 7, 9))] == list(column)


def test_the_order_in_which_ratios_are_written_does_not_matter():
    specs = matmul(np.arange(1, 200), 3, 4)
    one, other = Splitter({"train": 5, "test": 1}), Splitter({"test": 1, "train": 5})
    assert [one.names[i] for i in one("matmul", specs)] == [other.names[i] for i in other("matmul", specs)]


def test_a_large_grid_is_walked_without_counting_it(monkeypatch):
    wide = {"from": 1, "to": 1_000_000, "step": 1}
    run = config(["matmul"], **{f"ops__matmul__grid__{axis}": wide for axis in "mnk"})
    monkeypatch.setattr(walk_module.VariantWalk, "_count", lambda self: pytest.fail("counted"))
    quota = RandomOps(run.random_settings).plan(run.splits).quotas[0]
    assert quota.existing == (1_000_000**3, "at most")


def test_a_walk_through_a_large_grid_ends(monkeypatch):
    """Limits that leave next to nothing of a grid that is too large to count."""
    monkeypatch.setattr(walk_module, "ENUMERATION_LIMIT", 1000)
    monkeypatch.setattr(walk_module, "WALK_LIMIT", 20_000)
    wide = {"from": 1, "to": 100, "step": 1}
    run = config(
        ["matmul", "elementwise"], **{f"ops__matmul__grid__{axis}": wide for axis in "mnk"}, limits__max_bytes=48
    )
    quotas = {(quota.split, quota.family): quota for quota in RandomOps(run.random_settings).plan(run.splits).quotas}
    matmul = quotas["train", "matmul"]
    assert matmul.planned < matmul.asked
    assert matmul.exhausted
    assert matmul.existing == (matmul.planned, "at least")
    assert matmul.planned + quotas["train", "elementwise"].planned == run.splits["train"]


def test_windows_are_those_that_fit_each_written_once():
    """Counted by moving a window along: whatever fits is a program, unless a stride or a dilation has no effect."""
    axes = {"height": [3, 5, 6], "kernel_height": [1, 2, 3], "stride_height": [1, 2], "dilation_height": [1, 2]}
    fixed = {"batch": [1], "channels": [1], "width": [4], "kernel_width": [1], "stride_width": [1]}
    fitting = []
    for height, kernel, stride, dilation in itertools.product(*axes.values()):
        positions = [top for top in range(0, height, stride) if top + (kernel - 1) * dilation < height]
        if positions and (dilation == 1 or kernel > 1) and (stride == 1 or len(positions) > 1):
            fitting.append((height, kernel, stride, dilation))
    run = config(
        ["pooling"],
        ops__pooling__kinds=["max"],
        ops__pooling__grid={**axes, **fixed, "dilation_width": [1]},
        num_samples=len(fitting),
        split_ratios={"train": 1},
    )
    specs = [spec.fields for _, spec in planned_specs(run)["train"]]
    assert sorted(fitting) == sorted(tuple(spec[axis] for axis in axes) for spec in specs)


def test_a_program_that_just_meets_the_limits_is_one():
    """Whatever the limits are, one of 2**64 operations is none: its cost would not fit into its column."""
    grid = {f"ops__matmul__grid__{axis}": [2, 2**21] for axis in "mnk"}
    unlimited = {"max_bytes": None, "max_flops": None}
    counts = {}
    for key, limit in (("max_bytes", 48), ("max_flops", 16), ("max_flops", None), ("max_flops", 2**63 - 1)):
        run = config(["matmul"], **grid, split_ratios={"train": 1}, num_samples=1, limits={**unlimited, key: limit})
        counts[key, limit] = RandomOps(run.random_settings).plan({"train": 1}).quotas[0].existing
    assert list(counts.values()) == [(1, "exact"), (1, "exact"), (7, "exact"), (7, "exact")]


def test_a_constraint_may_hold_at_the_far_end_of_a_grid_alone():
    run = config(["pooling"], ops__pooling__grid__height=[2, 9], ops__pooling__grid__kernel_height=[3])
    assert {spec.fields["height"] for _, spec in planned_specs(run)["train"]} == {9}


def test_a_number_that_was_searched_for_is_a_lower_bound_beside_an_upper_one():
    found = [Existing(5, "at least"), Existing(10**12, "at most"), Existing(2, "exact")]
    walks = [SimpleNamespace(existing=lambda split, one=one: one) for one in found]
    assert FamilyWalk(None, walks, 0).existing(0) == (7, "at least")
    assert FamilyWalk(None, walks[1:], 0).existing(0) == (10**12 + 2, "at most")
    assert FamilyWalk(None, walks[2:], 0).existing(0) == (2, "exact")


def test_a_mix_begins_anew_after_programs_that_it_did_not_take():
    """As when one generator is asked for other operations: ten matmuls are no part of a sequence of three and one."""
    run = config(["matmul", "conv2d"], ops__matmul__weight=3)

    def planned(size, taken):
        return [quota.planned for quota in RandomOps(run.random_settings).plan({"train": size}, taken).quotas]

    for size in range(1, 5):
        assert planned(size, {("train", "matmul"): 10}) == planned(size, None)
