from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlir_datagen.sources.apportion import UNLIMITED, sequence, shares

weights_of = st.lists(st.fractions(min_value=0, max_value=50, max_denominator=20), min_size=1, max_size=6).filter(any)


@given(weights_of, st.integers(0, 400))
def test_every_prefix_has_each_exact_share_rounded_up_or_down(weights, slots):
    takers = sequence(slots, weights, [UNLIMITED] * len(weights))
    assert len(takers) == slots
    total = sum(weights)
    for length in range(slots + 1):
        for taker, weight in enumerate(weights):
            share = weight * length / total
            assert math.floor(share) <= np.count_nonzero(takers[:length] == taker) <= math.ceil(share)


@given(weights_of, st.data())
def test_a_shorter_sequence_is_a_prefix_also_when_takers_run_out(weights, data):
    capacities = data.draw(st.lists(st.integers(0, 60), min_size=len(weights), max_size=len(weights)))
    long = sequence(200, weights, capacities)
    short = sequence(data.draw(st.integers(0, 200)), weights, capacities)
    assert list(long[: len(short)]) == list(short)
    counts = np.bincount(long, minlength=len(weights))
    assert all(counts <= capacities)
    usable = sum(capacity for capacity, weight in zip(capacities, weights, strict=True) if weight)
    assert len(long) == min(200, usable)


def test_what_one_cannot_take_goes_to_the_others_in_their_own_proportions():
    takers = sequence(100, [Fraction(1), Fraction(1), Fraction(2)], [5, UNLIMITED, UNLIMITED])
    counts = np.bincount(takers)
    assert counts[0] == 5
    assert abs(counts[1:] - np.array([95 / 3, 190 / 3])).max() < 1


def test_shares_of_a_hundred():
    assert shares(100, [Fraction(8), Fraction(1), Fraction(1)]) == [80, 10, 10]


def test_a_large_schedule_repeats_its_period():
    takers = sequence(1_000_000, [Fraction(2), Fraction(1)], [UNLIMITED] * 2)
    assert list(takers[:6]) == list(takers[300_000:300_006])
    assert np.count_nonzero(takers == 1) in (333_333, 333_334)


def test_shares_of_more_slots_than_could_be_gone_through():
    weights = [Fraction(5), Fraction(0), Fraction(1)]
    whole = 10**15 // 6
    assert shares(10**15 - 10**15 % 6, weights) == [5 * whole, 0, whole]
    assert [many - few for many, few in zip(shares(6 * 10**14 + 4, weights), shares(4, weights), strict=True)] == [
        5 * 10**14, 0, 10**14,
    ]  # fmt: skip
