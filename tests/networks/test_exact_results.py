"""Operators whose results are exact: each converter's program gives PyTorch's own numbers, bit for bit or NaN for NaN.

Nothing here goes by a tolerance, nor by the comparison that `check=execute` makes.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from operator_calls import Calls, answers_of
from torch.nn import functional

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.networks.conversion import convert
from mlir_datagen.networks.state import chosen

CONVERTERS = pytest.mark.parametrize("converter", ["torch_mlir", "manual"])
NAN, INF = math.nan, math.inf

FLOATS = torch.tensor(
    [
        *(0.1, 0.2, 0.7, 0.3, -0.1, 0.0, 1.0, -1.0, 2.5, -2.5, 0.5, 1.5, -0.5, NAN, INF, -INF, 3.0),
        *(16777216.0, 0.9999999, 7.0, -7.0, 5.999999, 6.000001, NAN),
    ]
)
OTHERS = FLOATS.roll(7)
INTEGERS = torch.tensor(
    [0, 1, -1, 2, -2, 3, -3, 7, -7, 8, -8, 100, -100, 2**31 - 1, 1 - 2**31, 16777217, 5, -5, 6, -6, 9, -9, 10, -10]
)
DIVISORS = torch.tensor([3, -3, 2, -2, 7, -7, 5, 1, -1, 4, -4, 9, 100, 3, -3, 2, -2, 7, -7, 5, 1, -1, 4, -4])


def results(module, inputs, converter, name="network"):
    """Convert a network and run its program; return what it gives and what PyTorch gives."""
    named = {f"input{index}": tensor for index, tensor in enumerate(inputs)}
    with torch.no_grad():
        expected = [np.array(tensor.numpy()) for tensor in module(*inputs)]
    converted = convert(module.eval(), named, name, converter, constant=False)
    arguments = [tensor.numpy() for tensor in chosen(converted.arguments, module, named)]
    (found,) = answers_of(converted, [arguments])
    return found, expected


def assert_exact(functions, inputs, converter):
    found, expected = results(Calls(*functions), inputs, converter)
    for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), index
        assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"), (index, ours, theirs)


def comparisons(number):
    return [
        lambda x: x == number,
        lambda x: x != number,
        lambda x: x < number,
        lambda x: x <= number,
        lambda x: x > number,
        lambda x: x >= number,
        lambda x: torch.where(x == number, 1.0, x),
        lambda x: torch.where(x > number, x, number),
        lambda x: x.masked_fill(x >= number, 2.0),
        lambda x: functional.threshold(x, number, 20.0),
        lambda x: x.clone().ge_(number),
    ]


@CONVERTERS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("number", [0.1, 0.7, 0, 1e40])
def test_a_number_is_compared_in_the_tensors_type(number, dtype, converter):
    assert_exact(comparisons(number)[: 11 if number < 1e40 else 6], [FLOATS.to(dtype)], converter)


@CONVERTERS
def test_numbers_and_tensors_are_compared_in_the_type_that_pytorch_takes(converter):
    functions = [
        lambda i, j, f, d, s: i == 16777216.0,
        lambda i, j, f, d, s: i < 0.5,
        lambda i, j, f, d, s: j < 2**40,
        lambda i, j, f, d, s: j == 2**32 + 7,
        lambda i, j, f, d, s: (i > 0) == 2,
        lambda i, j, f, d, s: i == f,
        lambda i, j, f, d, s: f == d,
        lambda i, j, f, d, s: f == s,
        lambda i, j, f, d, s: i >= s,
        lambda i, j, f, d, s: j <= i,
        lambda i, j, f, d, s: torch.where(i > 0, i, s),
        lambda i, j, f, d, s: torch.where(i > 0, f, s),
        lambda i, j, f, d, s: torch.where(j > 0, 0.1, j),
        lambda i, j, f, d, s: i.clamp(min=1.5),
        lambda i, j, f, d, s: torch.maximum(f, d),
    ]
    scalar = torch.tensor(0.1, dtype=torch.float64)
    inputs = [INTEGERS, INTEGERS.to(torch.int32), FLOATS, FLOATS.double() + 1e-12, scalar]
    if converter == "manual":
        functions.pop(13)  # A clamp that changes the type.
    assert_exact(functions, inputs, converter)


@CONVERTERS
def test_tensors_that_the_network_makes_itself_are_compared_as_others_are(converter):
    functions = [
        lambda x: (torch.ones(3) > 0) | (x[:3] > 0),
        lambda x: (torch.full((3,), 2.5) < 0) & (x[:3] > 0),
        lambda x: (torch.full((3,), 0.5) >= 0.5) & (x[:3] > 0),
        lambda x: (torch.ones(3, dtype=torch.int32) > 0.5) & (x[:3] > 0),
        lambda x: (torch.zeros(3) == 0).to(x.dtype) + x[:3],
        lambda x: (1 - torch.ones(3) >= 0).to(x.dtype) + x[:3],
    ]
    assert_exact(functions, [FLOATS], converter)


@CONVERTERS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding(dtype, converter):
    functions = [
        torch.floor,
        torch.ceil,
        torch.round,
        torch.trunc,
        torch.frac,
        lambda x: torch.floor(x * 10),
        lambda x: torch.round(x / 0.0078),
        lambda x: torch.clamp(torch.round(x / 0.0078), -128, 127) * 0.0078,
        lambda x: torch.floor(x / 0.1),
    ]
    assert_exact(functions, [FLOATS.to(dtype)], converter)


@CONVERTERS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_boundaries_and_what_is_not_a_number(dtype, converter):
    functions = [
        lambda x, y: x.clamp(0.1, 0.7),
        lambda x, y: x.clamp(min=-0.1),
        lambda x, y: x.clamp(max=0.7),
        lambda x, y: x.clamp(1.0, 0.0),
        lambda x, y: torch.clamp_min(x, 0.3),
        lambda x, y: torch.clamp_max(x, 0.3),
        lambda x, y: functional.relu6(x),
        lambda x, y: functional.hardtanh(x, -0.1, 0.7),
        lambda x, y: functional.hardsigmoid(x).isnan(),
        lambda x, y: functional.relu(x),
        lambda x, y: functional.hardshrink(x, 0.1),
        lambda x, y: torch.maximum(x, y),
        lambda x, y: torch.minimum(x, y),
        lambda x, y: torch.max(x, x[0]),
        lambda x, y: x.amax(0),
        lambda x, y: x.reshape(4, 6).amin(1),
        lambda x, y: x.max(),
        lambda x, y: torch.isnan(x),
        lambda x, y: torch.isinf(x),
        lambda x, y: torch.isfinite(x),
        lambda x, y: torch.nan_to_num(x),
        lambda x, y: torch.nan_to_num(x, 1.0, 2.0, -2.0),
        lambda x, y: torch.isclose(x, y),
        lambda x, y: torch.isclose(x, y, equal_nan=True),
        lambda x, y: x == y,
        lambda x, y: x != y,
        lambda x, y: x <= y,
        lambda x, y: torch.where(torch.isnan(x), y, x),
        lambda x, y: torch.sign(x),
    ]
    assert_exact(functions, [FLOATS.to(dtype), OTHERS.to(dtype)], converter)


TIES = torch.tensor([[3.0, 1, 3, 1], [NAN, 3, NAN, 1], [-INF] * 4, [INF] * 4, [0.0, 0, 5, 5], [2, NAN, 2, NAN]])


@CONVERTERS
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_the_first_of_equals_is_taken(dtype, converter):
    functions = [
        lambda x: x.argmax(1),
        lambda x: x.argmin(0, keepdim=True),
        torch.argmax,
        torch.argmin,
        lambda x: x.max(1)[1],
        lambda x: x.min(-1, keepdim=True)[0],
        lambda x: x.min(0)[1],
        lambda x: x.sort(1)[0],
        lambda x: x.sort(1)[1],
        lambda x: torch.sort(x, dim=0, descending=True, stable=True)[1],
        lambda x: x.argsort(1, descending=True),
        lambda x: x.topk(3)[0],
        lambda x: x.topk(2, dim=0, largest=False)[0],
        # Which of equals it takes, PyTorch does not promise.
        lambda x: ((x != x) + torch.tensor([3, 1, 4, 0]) * 2).topk(3)[1],
    ]
    assert_exact(functions, [TIES if dtype.is_floating_point else TIES.nan_to_num().clamp(-9, 9).to(dtype)], converter)


@CONVERTERS
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_division_and_remainder_of_negative_integers(dtype, converter):
    functions = [
        lambda x, y: x // y,
        lambda x, y: x % y,
        lambda x, y: x // 3,
        lambda x, y: x % -3,
        torch.fmod,
        lambda x, y: torch.fmod(x, -3),
        torch.remainder,
        lambda x, y: torch.div(x, y, rounding_mode="trunc"),
        lambda x, y: torch.div(x, y, rounding_mode="floor"),
        lambda x, y: torch.div(x, -7, rounding_mode="floor"),
        lambda x, y: x / y,
        lambda x, y: (x >> 1) << 2 if converter == "torch_mlir" else x,
    ]
    inputs = [INTEGERS.to(dtype), DIVISORS.to(dtype)]
    assert_exact(functions, inputs, converter)
    if dtype == torch.int64:
        large = torch.tensor([2**62 + 1, -(2**62) - 1, 2**53 + 1])
        assert_exact([lambda x: x // 3, lambda x: x % 3, lambda x: torch.fmod(x, 5)], [large], converter)


@CONVERTERS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_division_and_remainder_of_floats(dtype, converter):
    functions = [
        lambda x, y: x // y,
        lambda x, y: x % y,
        lambda x, y: x // 0.1,
        lambda x, y: x % 0.1,
        torch.fmod,
        lambda x, y: torch.fmod(x, 0.7),
        lambda x, y: torch.div(x, y, rounding_mode="trunc"),
        lambda x, y: torch.div(x, 0.7, rounding_mode="floor"),
        lambda x, y: x // -2.5,
    ]
    assert_exact(functions, [FLOATS.to(dtype), OTHERS.to(dtype)], converter)


@CONVERTERS
def test_running_sums_of_integers_and_infinities(converter):
    functions = [
        lambda x, i, b: i.cumsum(0),
        lambda x, i, b: i.reshape(4, 6).cumsum(-1),
        lambda x, i, b: i.to(torch.int32).cumsum(0),
        lambda x, i, b: i.cumsum(0, dtype=torch.int32),
        lambda x, i, b: b.cumsum(0),
        lambda x, i, b: i.to(torch.float64).cumsum(0),
        lambda x, i, b: x.cumsum(0),
        lambda x, i, b: i[:1].cumsum(0),
        lambda x, i, b: i[0].cumsum(0),
        lambda x, i, b: (i[:9] % 4 + 1).cumprod(0),
    ]
    infinite = torch.tensor([1.0, 2.0, INF, 1.0, -INF, 0.0])
    assert_exact(functions, [infinite, INTEGERS, INTEGERS > 0], converter)


@CONVERTERS
def test_a_long_range_is_right_to_its_end(converter):
    functions = [
        lambda x: torch.arange(10_000) + x,
        lambda x: torch.arange(5, 20_005, 2) * x,
        lambda x: torch.arange(0, 1000, 0.1)[-3:] + x,
        lambda x: torch.arange(9_000).flip(0) + x,
    ]
    assert_exact(functions, [torch.tensor([1])], converter)


def test_the_approximate_gelu_has_the_right_constant():
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    (found,), (expected,) = results(Calls(lambda x: functional.gelu(x, approximate="tanh")), [x], "torch_mlir")
    assert np.abs(found - expected).max() < 1e-15


@CONVERTERS
@pytest.mark.parametrize("exponent", [-1, -2, -(2**40)])
def test_negative_powers_of_integers_are_refused(exponent, converter):
    with pytest.raises(UserError, match="negative"):
        convert(Calls(lambda x: x**exponent), {"x": INTEGERS}, "network", converter, constant=False)


@CONVERTERS
def test_long_sorts_are_left_to_the_error(converter):
    with pytest.raises((UserError, Rejection)):
        convert(Calls(lambda x: x.sort()[0]), {"x": torch.zeros(2000)}, "network", converter, constant=False)
