"""Numbers at the ends of their types: where a reduction's initial value shows, or an exponential overflows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from manual_networks import convert, largest_error, run
from operator_calls import Calls
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


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.float64])
def test_extremes_of_what_lies_at_the_ends_of_a_type(dtype):
    """Exactly, and on rows of one sign: a maximum that starts from zero is right wherever a number is positive."""
    if dtype.is_floating_point:
        low, high = -math.inf, math.inf
    else:
        low, high = torch.iinfo(dtype).min, torch.iinfo(dtype).max
    rows = [[-3, -2, -7], [4, 9, 4], [low, low, low], [high, high, high], [low, low + 1, low], [high - 1, high, high]]
    x = torch.tensor(rows, dtype=dtype)
    for values in (x, x[:1], x[1:2]):
        network = Calls(*REDUCTIONS)
        for result, expected in zip(run(network, convert(network, values), values), network(values), strict=True):
            assert np.array_equal(result, expected.numpy())


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
