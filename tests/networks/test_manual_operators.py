"""The manual converter operator by operator; what users register; and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from manual_networks import assert_parses, convert, largest_error, linalg_operations
from operator_calls import CONVOLUTIONS, GROUPS, Calls
from torch import nn

from mlir_datagen.errors import UserError
from mlir_datagen.networks.manual import UnknownOperatorError, register_layer, register_operator, registry
from mlir_datagen.ops.blocks import elementwise


@pytest.mark.parametrize("name", GROUPS)
def test_operators_compute_what_pytorch_does(name):
    torch.manual_seed(0)
    network = Calls(*GROUPS[name])
    x = torch.randn(4, 5, 6)
    converted = convert(network, x)
    assert_parses(converted.text)
    assert (linalg_operations(converted.text)["generic"] > 0) == (name == "indexing")
    assert largest_error(network, converted, x) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_windows_compute_what_pytorch_does(dtype):
    torch.manual_seed(0)
    network = Calls(*[lambda x, each=each: each(x) for each in CONVOLUTIONS])
    x = torch.randn(2, 4, 9, 11)
    if dtype == torch.float64:
        network = Calls(*CONVOLUTIONS[7:18])
        x = x.double()
    converted = convert(network, x)
    assert_parses(converted.text)
    assert "generic" not in linalg_operations(converted.text)
    assert largest_error(network, converted, x) < (1e-5 if dtype == torch.float32 else 1e-14)


class Holder(nn.Module):
    """Holds tensors in all the ways there are."""

    def __init__(self):
        super().__init__()
        self.used = nn.Linear(4, 4)
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.used.weight
        self.register_buffer("unused", torch.zeros(9))
        self.register_buffer("hidden", torch.arange(4.0), persistent=False)
        self.large = torch.linspace(0, 1, 400)

    def forward(self, values, *, scale, flag=True, nothing=None):
        values = self.tied(self.used(values)) * scale + self.hidden
        shifts = torch.tensor([1.0, -2.0, 0.5, math.inf]).clamp(max=3)
        return {"all": values + shifts, "large": self.large * 2, "in": scale, "again": scale}


def test_what_a_network_holds_becomes_arguments_or_constants():
    network = Holder()
    inputs = torch.randn(2, 4), torch.tensor([1.0, 2.0, 3.0, 4.0])
    converted = convert(network, inputs[0], scale=inputs[1])
    roles = [(argument.role, argument.name) for argument in converted.arguments]
    assert roles == [
        ("input", "values"),
        ("input", "scale"),
        ("parameter", "used.weight"),
        ("parameter", "used.bias"),
        ("buffer", "hidden"),
        ("buffer", "large"),
    ]
    assert [result.shape for result in converted.results] == [(2, 4), (400,), (4,), (4,)]
    assert "dense<[1.0, -2.0, 0.5, 0x7F800000]>" in converted.text
    assert_parses(converted.text)
    assert largest_error(network, converted, inputs[0], scale=inputs[1]) < 1e-6


def test_literals_become_constants():
    network = nn.Linear(3, 2)
    with torch.no_grad():
        network.weight.fill_(0.5)
    x = torch.randn(4, 3)
    converted = convert(network, x, literals={"weight": "dense<0.5>"})
    assert [argument.name for argument in converted.arguments] == ["input", "bias"]
    assert "arith.constant dense<0.5> : tensor<2x3xf32>" in converted.text
    assert largest_error(network, converted, x) < 1e-6
    with pytest.raises(UserError, match=r'"wieght".*Did you mean "weight"'):
        convert(network, x, literals={"wieght": "dense<0.5>"})


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_operators", {})
    monkeypatch.setattr(registry, "_layers", {})


@torch.library.custom_op("mlir_datagen_tests::scaled_sine", mutates_args=())
def scaled_sine(x: torch.Tensor, scale: float) -> torch.Tensor:
    return torch.sin(x) * scale


@scaled_sine.register_fake
def _(x, scale):
    return torch.empty_like(x)


class Wave(nn.Module):
    def forward(self, x):
        return scaled_sine(x, 3.0)


class Waves(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), Wave())

    def forward(self, x):
        return self.inner(x) + 1


def test_an_unknown_operator_is_an_error_that_says_where_and_what_to_do(own_registry):
    with pytest.raises(UnknownOperatorError) as raised:
        convert(Waves(), torch.randn(2, 4))
    assert raised.value.operator == "mlir_datagen_tests.scaled_sine.default"
    assert raised.value.module_path == "inner.1"
    file, line, code = raised.value.source_line.split(":")
    assert (file, code) == (__file__, " return scaled_sine(x, 3.0)")
    assert int(line) > 0
    assert "@register_operator('mlir_datagen_tests.scaled_sine.default')" in str(raised.value)


def test_a_user_registers_an_operator(own_registry):
    @register_operator("mlir_datagen_tests.scaled_sine.default")
    def emit(builder, result, x, scale):
        return elementwise(builder, "mul", builder.map("math.sin", x), scale)

    x = torch.randn(2, 4)
    converted = convert(Waves(), x)
    network = Waves()
    assert "math.sin" in converted.text
    assert largest_error(network, converted, x) < 1e-6


def test_what_a_user_registers_comes_before_what_is_built_in_and_the_last_wins(own_registry):
    @register_operator("aten.relu.default")
    def wrong(builder, result, x):
        raise AssertionError

    @register_operator("aten.relu.default")
    def emit(builder, result, x):
        return elementwise(builder, "max", x, 0.25)

    assert "0.25 : f32" in convert(nn.ReLU(), torch.randn(3)).text


class Gate(nn.Module):
    """A layer of the user's own with two inputs, two results, and an operator that has no handler."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4))

    def forward(self, x, y):
        return scaled_sine(x, 1.0) * self.weight + y, y * 2


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Gate(), Gate()

    def forward(self, x, y):
        x, y = self.first(torch.relu(x), y)
        x, y = self.second(x, y)
        return self.first(x, y)


def test_a_user_registers_a_layer(own_registry):
    @register_layer(Gate)
    def emit(builder, layer, x, y):
        assert isinstance(layer.module, Gate)
        wave = elementwise(builder, "mul", builder.map("math.sin", x), layer.parameter("weight"))
        return elementwise(builder, "add", wave, y), elementwise(builder, "mul", y, 2)

    torch.manual_seed(0)
    network = Gated()
    inputs = torch.randn(2, 4), torch.randn(2, 4)
    converted = convert(network, *inputs)
    assert converted.text.count("math.sin") == 3
    assert [argument.name for argument in converted.arguments] == ["x", "y", "first.weight", "second.weight"]
    assert largest_error(network, converted, *inputs) < 1e-6


def test_a_layers_handler_that_returns_something_else_is_named(own_registry):
    register_layer(nn.Linear)(lambda builder, layer, x: x)
    with pytest.raises(
        UserError,
        match=r'layer "0" of class Linear returned one value of type tensor<2x4xf32>, and must return .*2x3xf32',
    ):
        convert(nn.Sequential(nn.Linear(4, 3)), torch.randn(2, 4))


def test_the_outermost_of_layers_with_handlers_is_taken(own_registry):
    register_layer(nn.Linear)(lambda builder, layer, x: pytest.fail("the inner layer was asked"))
    register_layer(nn.Sequential)(lambda builder, layer, x: x)
    assert "linalg.matmul" not in convert(Nested(), torch.randn(2, 4)).text


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x):
        return self.inner(x) * 2


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls.add_(1)
        return x + self.calls


def test_what_cannot_be_converted_is_said():
    with pytest.raises(UserError, match=r"tensor of torch\.float16.*model\.float\(\)"):
        convert(nn.ReLU(), torch.randn(3).half())
    with pytest.raises(UserError, match=r'changes "calls" in its forward method.*in evaluation mode already'):
        convert(Counting(), torch.randn(3))
    with pytest.raises(UserError, match=r'aten\.convolution\.default in the module "0".*transposed convolutions'):
        convert(nn.Sequential(nn.ConvTranspose2d(3, 4, 2)), torch.randn(1, 3, 4, 4))
    for settings in ({"scale_factor": 1.5}, {"scale_factor": 2.1}, {"size": (5, 8)}):
        with pytest.raises(UserError, match=r"upsample_nearest2d.*for integer factors alone"):
            convert(nn.Upsample(**settings), torch.randn(1, 1, 4, 4))
    integers = torch.tensor([1, 2, 3])
    with pytest.raises(UserError, match=r"aten\.pow\.Scalar in the model itself .*powers of integers.*2\.0 \*\* x"):
        convert(Calls(lambda x: 2**x), integers)
    with pytest.raises(UserError, match=r"max_pool2d.*windows of integers are not converted.*x\.float\(\)"):
        convert(nn.MaxPool2d(2), torch.ones(1, 1, 4, 4, dtype=torch.int64))
    with pytest.raises(UserError, match=r"A number is read out of a tensor in the model itself .*depends on data"):
        convert(Calls(lambda x: x * x.sum().item()), torch.randn(3))
    network = nn.ReLU()
    dynamic = torch.export.export(network, (torch.randn(3, 2),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    from mlir_datagen.networks.manual import convert_manual

    with pytest.raises(UserError, match=r"static shapes.*dynamic_shapes"):
        convert_manual(network, dynamic, "network")
