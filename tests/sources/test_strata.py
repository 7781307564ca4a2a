"""Programs spread over how long they are estimated to run: exact shares, within the laws that hold without."""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import yaml
from helpers import config, planned_specs, raw_config
from hypothesis import given, settings
from hypothesis import strategies as st

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.run import parse_config
from mlir_datagen.errors import UserError
from mlir_datagen.ops import FAMILIES
from mlir_datagen.sources.apportion import shares
from mlir_datagen.sources.random_ops import RandomOps

SECONDS = [1e-7, 1e-6, 1e-5, 1e-4]
GRID = {"from": 2, "to": 60, "step": 2}
LARGER = {
    f"ops__{op}__grid__{axis}": GRID for op, axes in (("matmul", "mnk"), ("batch_matmul", "mnk")) for axis in axes
}
FEW = settings(max_examples=8)
MIXES = st.sampled_from([["matmul"], ["matmul", "batch_matmul"], ["matmul", "elementwise", "batch_matmul"]])


def spread(ops=("matmul",), seconds=SECONDS, portions=None, **changes):
    """Return a run whose matrix products take 0.1 to 100 µs."""
    larger = {key: value for key, value in LARGER.items() if key.split("__")[1] in ops}
    return config(ops, strata={"seconds": seconds, "shares": portions}, **{**larger, **changes})


def stratum(family, spec, seconds=SECONDS):
    estimated = float(FAMILIES[family].baseline_seconds(spec))
    assert seconds[0] <= estimated <= seconds[-1]
    return int(np.searchsorted(seconds, estimated, side="right")) - 1


@FEW
@given(st.integers(0, 2**32), st.sampled_from([None, [1, 2, 4], [5, 1, 1]]), st.integers(20, 60))
def test_every_stratum_has_its_exact_share(seed, portions, size):
    run = spread(seed=seed, portions=portions, num_samples=size)
    quotas = RandomOps(run.random_settings).plan(run.splits).quotas
    for split, programs in planned_specs(run).items():
        counts = Counter(stratum(family, spec) for family, spec in programs)
        expected = shares(len(programs), [Fraction(portion) for portion in portions or [1, 1, 1]])
        assert [counts[place] for place in range(3)] == expected
        (quota,) = [quota for quota in quotas if quota.split == split]
        assert [(one.asked, one.planned) for one in quota.strata] == [(count, count) for count in expected]
        assert [(one.begin, one.end) for one in quota.strata] == list(itertools.pairwise(SECONDS))
        assert quota.scarce == ()


@FEW
@given(MIXES, st.integers(0, 2**32), st.integers(6, 40), st.integers(6, 40))
def test_a_smaller_dataset_is_a_prefix_of_a_larger_one(ops, seed, one, other):
    small, large = (planned_specs(spread(ops, seed=seed, num_samples=size)) for size in sorted((one, other)))
    for split, programs in small.items():
        assert large[split][: len(programs)] == programs


@FEW
@given(st.integers(0, 2**32))
def test_adding_an_op_does_not_change_the_others_programs(seed):
    alone, mixed = (
        planned_specs(spread(ops, seed=seed, num_samples=30))
        for ops in (["matmul"], ["matmul", "batch_matmul", "elementwise"])
    )
    for split, programs in alone.items():
        after = [program for program in mixed[split] if program[0] == "matmul"]
        common = min(len(programs), len(after))
        assert programs[:common] == after[:common]


@FEW
@given(st.integers(0, 2**32))
def test_splits_are_disjoint_and_the_same_program_is_in_the_same_with_and_without_strata(seed):
    programs = planned_specs(spread(seed=seed, num_samples=60))
    everything = [program for split in programs.values() for program in split]
    assert len(set(everything)) == len(everything) == 60
    larger = {key: value for key, value in LARGER.items() if "__matmul__" in key}
    others = planned_specs(config(["matmul"], seed=seed + 1, num_samples=60, **larger))
    assert not set(programs["train"]) & set(others["test"])
    assert not set(programs["test"]) & set(others["train"])


def test_a_later_plan_goes_on_where_the_first_ended():
    run = spread(num_samples=40, split_ratios={"train": 1})
    whole = planned_specs(run)["train"]
    later = RandomOps(run.random_settings).plan({"train": 15}, {("train", "matmul"): 25})
    ((task,), (quota,)) = later.tasks, later.quotas
    assert [spec for _, spec in task.specs()] == [spec for _, spec in whole[25:]]
    assert sum(one.planned for one in quota.strata) == sum(one.asked for one in quota.strata) == 15


def test_a_stratum_that_runs_out_is_made_up_for_and_named():
    """There are 8 programs of matmul whose dimensions are 1 or 2, and they take nanoseconds."""
    run = spread(seconds=[1e-10, 1e-8, 1e-4], num_samples=40, ops__matmul__grid__k=[1, 60], split_ratios={"train": 1})
    first, second = RandomOps(run.random_settings).plan(run.splits).quotas[0].strata
    assert (first.asked, second.asked) == (20, 20)
    assert first.planned < 20
    assert first.planned + second.planned == 40
    assert RandomOps(run.random_settings).plan(run.splits).quotas[0].scarce == (first,)
    with pytest.raises(UserError, match=rf"matmul has {first.planned} of 20 programs .* take 1e-10 to 1e-08 s\."):
        RandomOps(
            spread(
                seconds=[1e-10, 1e-8, 1e-4],
                num_samples=40,
                ops__matmul__grid__k=[1, 60],
                split_ratios={"train": 1},
                on_exhausted="error",
            ).random_settings
        ).plan(run.splits)


def test_a_large_grid_is_searched_for_a_rare_stratum(monkeypatch):
    monkeypatch.setattr("mlir_datagen.sources.walk.ENUMERATION_LIMIT", 100)
    walked = planned_specs(spread(num_samples=40))
    monkeypatch.undo()
    assert planned_specs(spread(num_samples=40)) == walked


def test_limits_from_below():
    programs = planned_specs(config(["matmul"], num_samples=9, limits__min_flops=100, limits__max_flops=150))
    flops = [FAMILIES[family].graph(spec).flops for split in programs.values() for family, spec in split]
    assert min(flops) >= 100
    assert max(flops) <= 150


def test_without_strata_the_saved_config_and_the_fingerprint_are_as_ever():
    saved = config().to_saved()
    assert "strata" not in saved
    assert saved["limits"] == {"max_bytes": 8 << 30, "max_flops": None}
    assert config(strata={"seconds": None, "shares": None}).fingerprint == config().fingerprint
    assert config(limits__min_flops=10).fingerprint != config().fingerprint


def test_a_saved_config_has_its_strata():
    run = spread(portions=[0.5, 1, 1.5])
    saved = yaml.safe_load(yaml.safe_dump(run.to_saved()))
    assert saved["strata"] == {"seconds": SECONDS, "shares": [1, 2, 3]}
    assert parse_config(saved).fingerprint == run.fingerprint
    assert spread().fingerprint != run.fingerprint


@pytest.mark.parametrize(
    ("strata", "expected"),
    [
        ({"seconds": [1e-3]}, "strata.seconds is .* must be a list of at least two times"),
        ({"seconds": 1e-3}, "strata.seconds is .* must be a list of at least two times"),
        ({"seconds": [1e-3, 1e-4]}, "strata.seconds has 0.0001 after 0.001, and its times must rise"),
        ({"seconds": [0, 1]}, "strata.seconds is 0, and must be a number above 0"),
        ({"seconds": ["1ms", 1]}, "strata.seconds is '1ms', and must be a number above 0"),
        ({"seconds": [1e-3, 1e-2], "shares": [1, 2]}, r"must be a list of 1 numbers.*'strata.shares=\[1\]'"),
        ({"seconds": [1e-3, 1e-2], "shares": [0]}, "strata.shares is 0, and must be a number above 0"),
        ({"shares": [1]}, "strata.seconds, the times that its classes lie between, is not given"),
        ({"second": [1]}, 'no key "second" in strata. Did you mean "seconds"'),
    ],
)
def test_bad_strata(strata, expected):
    with pytest.raises(UserError, match=expected):
        parse_config(raw_config(strata=strata))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"limits__min_flops": 0}, "limits.min_flops is 0, and must be a whole number of at least 1"),
        (
            {"limits__min_flops": 20, "limits__max_flops": 10},
            "no program has at least the one and at most the other. Type limits.min_flops=10 limits.max_flops=20",
        ),
        ({"measure__kind": "baseline", "strata": {"seconds": [1.0, 2.0]}}, "Type measure.max_seconds=4, or end"),
        (
            {"measure__kind": "baseline", "export": {"consumer": "mlir_rl", "min_ns": 2 * 10**9}},
            "export.min_ns is 2000000000, and programs that take longer than measure.max_seconds, 1 s, are rejected",
        ),
    ],
)
def test_limits_that_no_program_meets(changes, expected):
    with pytest.raises(UserError, match=expected):
        config(**changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"limits__min_flops": 10**9}, "and needs at least 1000000000 and at most .* lower limits.min_flops"),
        (
            {"strata": {"seconds": [1.0, 2.0]}},
            r"is estimated to take 1 to 2 s \(strata.seconds\).* widen strata.seconds, or choose other dimensions",
        ),
    ],
)
def test_limits_that_leave_nothing(changes, expected):
    with pytest.raises(UserError, match=rf"The limits leave nothing.*{expected}"):
        RandomOps(config(["matmul"], **changes).random_settings)


def test_the_experiment_has_programs_for_every_stratum_of_every_op():
    run = compose_config(["experiment=mlir_rl"])
    quotas = RandomOps(run.random_settings).plan(run.splits).quotas
    assert {quota.family for quota in quotas} == set(run.ops)
    assert not [quota for quota in quotas if quota.scarce or quota.exhausted]
    # A median of 10 ms by the estimate, and a tail to a second.
    counts = [sum(quota.strata[place].planned for quota in quotas) for place in range(5)]
    assert counts == [100, 150, 250, 400, 100]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_estimate_of_columns_is_that_of_each(family):
    op = config([family]).ops[family]
    for variant in op.variants:
        grid = op.variant_grid(variant)
        columns = grid.columns(np.arange(min(grid.size, 50)))
        estimated = op.family.baseline_seconds(op.family.spec(variant, *columns))
        rows = zip(*(column.tolist() for column in columns), strict=True)
        single = [float(op.family.baseline_seconds(op.family.spec(variant, *row))) for row in rows]
        assert np.broadcast_to(estimated, len(single)).tolist() == pytest.approx(single)


# Nanoseconds, measured alone on a core of a Xeon at 2.5 GHz: a fast and a slow shape of every kind of loop.
MEASURED = [
    ("matmul", {"m": 64, "n": 64, "k": 32}, 9_300),
    ("matmul", {"m": 64, "n": 64, "k": 256}, 764_000),
    ("matmul", {"m": 16, "n": 1024, "k": 128}, 14_000_000),
    ("matmul", {"m": 16, "n": 1056, "k": 128}, 1_400_000),
    ("elementwise", {"kind": "add", "shape": (256, 256)}, 8_600),
    ("elementwise", {"kind": "add", "shape": (2048, 32)}, 74_800),
    ("elementwise", {"kind": "add", "shape": (64 << 20,)}, 78_000_000),
    ("relu", {"shape": (64 << 20,)}, 50_000_000),
]
WINDOW = {"stride_height": 1, "stride_width": 1, "dilation_height": 1, "dilation_width": 1}
MEASURED += [
    (family, {**shape, "height": size, "width": size, "kernel_height": kernel, "kernel_width": kernel, **WINDOW}, time)
    for family, shape, size, kernel, time in (
        ("conv2d", {"batch": 1, "in_channels": 3, "out_channels": 16}, 58, 3, 60_600),
        ("conv2d", {"batch": 1, "in_channels": 32, "out_channels": 8}, 30, 3, 1_330_000),
        ("pooling", {"kind": "max", "batch": 1, "channels": 59}, 58, 3, 187_000),
        ("pooling", {"kind": "max", "batch": 1, "channels": 2469}, 9, 3, 596_000),
    )
]


@pytest.mark.parametrize(("family", "fields", "nanoseconds"), MEASURED)
def test_the_estimate_is_within_a_factor_of_three_of_what_was_measured(family, fields, nanoseconds):
    estimated = float(FAMILIES[family].baseline_seconds(FAMILIES[family].spec_from_json(fields)))
    assert 1 / 3 < estimated / (nanoseconds * 1e-9) < 3
