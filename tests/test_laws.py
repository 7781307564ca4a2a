"""The laws that make datasets comparable: they hold for plans over any mix, and so for what is made from them."""

from __future__ import annotations

import math
from collections import Counter

from helpers import config, planned_specs
from hypothesis import given, settings
from hypothesis import strategies as st

from mlir_datagen.ops import FAMILIES
from mlir_datagen.programs.content import Splitter

mixes = st.lists(st.sampled_from(list(FAMILIES)), min_size=1, max_size=4, unique=True)
seeds = st.integers(0, 2**32)
few = settings(max_examples=20)


def by_family(programs):
    return {family: [spec for name, spec in programs if name == family] for family, _ in programs}


@few
@given(mixes, seeds, st.integers(6, 40), st.integers(6, 40))
def test_a_smaller_dataset_is_a_prefix_of_a_larger_one(ops, seed, one, other):
    small, large = (planned_specs(config(ops, seed=seed, num_samples=n)) for n in sorted((one, other)))
    for split, programs in small.items():
        assert large[split][: len(programs)] == programs


@few
@given(mixes, st.sampled_from(list(FAMILIES)), seeds)
def test_adding_an_op_does_not_change_the_others_programs(ops, added, seed):
    alone = planned_specs(config(ops, seed=seed, num_samples=30))
    mixed = planned_specs(config({*ops, added}, seed=seed, num_samples=30))
    for split in alone:
        before, after = by_family(alone[split]), by_family(mixed[split])
        for family in set(before) & set(after):
            common = min(len(before[family]), len(after[family]))
            assert before[family][:common] == after[family][:common]


@few
@given(mixes, st.sampled_from(list(FAMILIES)), st.integers(1, 9), seeds)
def test_weights_do_not_change_which_programs_a_family_gives(ops, heavy, weight, seed):
    ops = list({*ops, heavy})
    even = planned_specs(config(ops, seed=seed))["train"]
    skewed = planned_specs(config(ops, seed=seed, **{f"ops__{heavy}__weight": weight}))["train"]
    one, other = by_family(even), by_family(skewed)
    for family in set(one) & set(other):
        common = min(len(one[family]), len(other[family]))
        assert one[family][:common] == other[family][:common]


@few
@given(mixes, seeds, seeds)
def test_splits_are_disjoint_across_seeds_and_without_duplicates(ops, seed, other_seed):
    one, other = (planned_specs(config(ops, seed=s, num_samples=40)) for s in (seed, other_seed))
    everything = [program for split in one.values() for program in split]
    assert len(set(everything)) == len(everything) == 40
    assert not set(one["train"]) & set(other["test"])
    assert not set(one["test"]) & set(other["train"])


@few
@given(seeds, st.dictionaries(st.sampled_from(["train", "val", "test"]), st.integers(1, 30), min_size=1))
def test_splits_have_the_exact_sizes_asked_for_and_exact_quotas(seed, splits):
    run = config(seed=seed, num_samples=None, splits=splits)
    planned = planned_specs(run)
    assert {split: len(programs) for split, programs in planned.items()} == splits
    splitter = Splitter(run.split_ratios)
    for split, programs in planned.items():
        counts = Counter(family for family, _ in programs)
        share = splits[split] / len(run.ops)
        assert all(math.floor(share) <= counts[family] <= math.ceil(share) for family in run.ops)
        assert all(splitter.names[int(splitter(family, spec))] == split for family, spec in programs)


@few
@given(seeds)
def test_a_quota_counts_what_exists(seed):
    run = config(["matmul"], seed=seed, num_samples=125, split_ratios={"train": 1})
    programs = planned_specs(run)["train"]
    assert sorted(programs) == sorted(
        ("matmul", FAMILIES["matmul"].spec_from_json({"m": m, "n": n, "k": k}))
        for m in range(1, 6)
        for n in range(1, 6)
        for k in range(1, 6)
    )


def test_kinds_and_ranks_have_equal_shares():
    programs = planned_specs(config(["elementwise"], num_samples=48, split_ratios={"train": 1}))["train"]
    assert set(Counter((spec.kind, len(spec.dimensions)) for _, spec in programs).values()) == {4}
