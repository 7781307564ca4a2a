"""Where the manual converter can be wrong and right on ordinary numbers: ends of types, NaN, seldom settings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from manual_networks import convert, largest_error, run
from operator_calls import Calls, filters
from torch.nn import functional

REDUCTIONS = [
    lambda x: x.amax(1),
    lambda x: x.amin(1),
    lambda x: x.max(),
    lambda x: x.min(),
    lambda x: x.max(1)[0],
    lambda x: x.min(1)[1],
    lambda x: x.argmax(1),
    lambda x: x.argmin(1),
]


def assert_equal(network, *inputs):
    """Hold a network's program against PyTorch element by element, NaN against NaN."""
    converted = convert(network, *inputs)
    for result, expected in zip(run(network, converted, *inputs), network(*inputs), strict=True):
        assert result.dtype == expected.numpy().dtype
        assert np.array_equal(result, expected.numpy(), equal_nan=result.dtype.kind == "f")


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.float64])
def test_extremes_of_what_lies_at_the_ends_of_a_type(dtype):
    """On rows of one sign: a maximum that starts from zero is right wherever a number is positive."""
    if dtype.is_floating_point:
        low, high = -math.inf, math.inf
    else:
        low, high = torch.iinfo(dtype).min, torch.iinfo(dtype).max
    rows = [[-3, -2, -7], [4, 9, 4], [low, low, low], [high, high, high], [low, low + 1, low], [high - 1, high, high]]
    x = torch.tensor(rows, dtype=dtype)
    for values in (x, x[:1], x[1:2]):
        assert_equal(Calls(*REDUCTIONS), values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_maximum_pooling_of_negative_images(dtype):
    network = Calls(lambda x: functional.max_pool2d(x, 2), lambda x: functional.max_pool2d(x, 3, 2, padding=1))
    assert_equal(network, -torch.rand(1, 2, 6, 6, dtype=dtype) - 1)


def test_numbers_that_are_none():
    network = Calls(
        lambda x: x != x,
        lambda x: x == x,
        lambda x: x != 1,
        lambda x: x > 0,
        lambda x: x <= 0,
        torch.isnan,
        lambda x: torch.where(x > 0, x, math.nan),
        lambda x: x.masked_fill(x == 1, math.nan).to(torch.bool),
    )
    assert_equal(network, torch.tensor([math.nan, -1.0, 0.0, 1.0, math.inf, -math.inf]))


def test_element_types_that_meet():
    small, large = torch.tensor([2**31 - 1, -5], dtype=torch.int32), torch.tensor([2**40, 1])
    network = Calls(
        lambda a, b: a + b,
        lambda a, b: a < b,
        lambda a, b: b == a,
        lambda a, b: a.to(torch.float32) > b,
        lambda a, b: (a > 0) == b,
        lambda a, b: torch.cat([a, b]),
    )
    assert_equal(network, small, large)


def test_constants_that_are_written_with_an_exponent():
    network = Calls(lambda x: x * 1e-05, lambda x: x + 1e16, lambda x: x * 3e-7, lambda x: torch.full_like(x, 1e22))
    assert_equal(network, torch.tensor([1.0, -2.5], dtype=torch.float64))


def test_exponentials_do_not_overflow():
    network = Calls(
        lambda x: functional.softmax(x, 1),
        lambda x: functional.log_softmax(x, 1),
        lambda x: functional.softmax(-x.abs(), -1),
        torch.sigmoid,
        functional.softplus,
        torch.tanh,
        lambda x: functional.scaled_dot_product_attention(x[None], x[None], x[None]),
    )
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)) * 1000
    assert largest_error(network, convert(network, x), x) < 1e-6


def test_settings_that_are_seldom_given():
    network = Calls(
        lambda x: x.var(1, correction=0),
        lambda x: x.var((2, 3), correction=2, keepdim=True),
        lambda x: functional.conv2d(x, filters(2, 2, 3, 3), groups=2),
        lambda x: functional.conv2d(x, filters(6, 2, 3, 3), groups=2, stride=2),
    )
    x = torch.randn(2, 4, 7, 7, generator=torch.Generator().manual_seed(0))
    assert largest_error(network, convert(network, x), x) < 1e-6
