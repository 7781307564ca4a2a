"""Handlers that users register: how layers are called, and what is said of handlers that do something else."""

from __future__ import annotations

import pytest
import torch
from manual_networks import convert, largest_error
from torch import nn

from mlir_datagen.errors import UserError
from mlir_datagen.networks.manual import register_layer, register_operator, registry
from mlir_datagen.ops.blocks import elementwise


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_operators", {})
    monkeypatch.setattr(registry, "_layers", {})


class Two(nn.Module):
    """Computes its results in another order than it returns them."""

    def forward(self, x):
        a = x + 1
        b = x * 2
        return b, a


class Takes(nn.Module):
    def forward(self, x, y, *, shift=None, unused=None):
        return y - x if shift is None else y - x + shift


class Around(nn.Module):
    """Calls a layer in one of several ways."""

    def __init__(self, layer, call):
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self, x):
        return self.call(self.layer, x)


def emit_two(builder, layer, x):
    assert len(layer.results) == 2
    return elementwise(builder, "mul", x, 2), elementwise(builder, "add", x, 1)


def emit_takes(builder, layer, x, y, shift=None, unused=None):
    difference = elementwise(builder, "sub", y, x)
    return difference if shift is None else elementwise(builder, "add", difference, shift)


CALLS = {
    "both results": (Two, emit_two, lambda layer, x: layer(x)[0] - layer(x)[1]),
    "the first result": (Two, emit_two, lambda layer, x: layer(x)[0].relu()),
    "the second result": (Two, emit_two, lambda layer, x: layer(x)[1].relu()),
    "results as they are": (Two, emit_two, lambda layer, x: layer(x)),
    "two inputs": (Takes, emit_takes, lambda layer, x: layer(x.relu(), x * 3)),
    "inputs made in another order": (Takes, emit_takes, lambda layer, x: (lambda y: layer(x.relu(), y))(x * 3)),
    "inputs by name": (Takes, emit_takes, lambda layer, x: layer(y=x * 3, x=x)),
    "some by name": (Takes, emit_takes, lambda layer, x: layer(x, shift=x.exp(), y=x * 3)),
    "twice, in two ways": (Takes, emit_takes, lambda layer, x: layer(layer(x, x * 3), x, shift=x)),
    "the same input twice": (Takes, emit_takes, lambda layer, x: layer(x, x)),
    "an input that it does not use": (Takes, emit_takes, lambda layer, x: layer(x, x * 3, shift=x, unused=x.exp())),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_layers_handler_takes_and_returns_what_its_forward_method_does(name):
    layer, emit, call = CALLS[name]
    calls = []
    register_layer(layer)(lambda *arguments: calls.append(0) or emit(*arguments))
    torch.manual_seed(0)
    network, x = Around(layer(), call), torch.randn(2, 3)
    converted = convert(network, x)
    assert calls
    assert not network.layer._forward_hooks
    assert not network._forward_pre_hooks
    assert largest_error(network, converted, x) < 1e-6


def test_a_layer_that_only_changes_its_input_in_place_can_have_a_handler_when_its_result_is_what_is_used():
    register_layer(nn.ReLU)(lambda builder, layer, x: elementwise(builder, "max", x, 0))
    network, x = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 2)), torch.randn(2, 3)
    assert largest_error(network, convert(network, x), x) < 1e-6


class Adding(nn.Module):
    def forward(self, x):
        x.add_(1)
        return x * 2


def test_what_a_layer_changes_and_does_not_return_is_refused():
    register_layer(Adding)(lambda builder, layer, x: elementwise(builder, "mul", x, 2))
    with pytest.raises(UserError, match=r'layer "layer" of class Adding makes and does not return.*in place'):
        convert(Around(Adding(), lambda layer, x: (lambda y: layer(y) + y)(x * 3)), torch.randn(2, 3))


def test_the_network_itself_may_be_the_layer():
    register_layer(Two)(emit_two)
    x = torch.randn(2, 3)
    assert largest_error(Two(), convert(Two(), x), x) < 1e-6


def test_a_handler_of_the_network_itself_is_named_as_such():
    register_layer(Two)(lambda builder, layer, x: x)
    with pytest.raises(UserError, match=r"handler of the network itself, of class Two, returned one value"):
        convert(Two(), torch.randn(2, 3))


class Asinh(nn.Module):
    def forward(self, x):
        return torch.asinh(x)


def fail(builder, *arguments):
    return 1 // 0


OPERATORS = {
    r"returned None, and must return one value of type tensor<2x3xf32>": lambda builder, result, x: None,
    r"returned '%x', and must return one value": lambda builder, result, x: "%x",
    r"returned tensor<2x3xf32>, tensor<2x3xf32>, and must return one value": lambda builder, result, x: (x, x),
    r"returned one value of type tensor<3xf32>, and must": lambda builder, result, x: builder.reduce("sum", x, [0]),
    r"raised TypeError.*takes 2 positional arguments but 3 were given. It is called with the builder, the result's "
    r"type and the operator's arguments": lambda builder, result: result,
    r"raised ZeroDivisionError at .*test_manual_handlers\.py:\d+: ": fail,
}


@pytest.mark.parametrize("message", OPERATORS)
def test_an_operators_handler_that_does_something_else_is_named(message):
    register_operator("aten.asinh.default")(OPERATORS[message])
    where = r'handler of the operator aten\.asinh\.default in the module "0" \(.*return torch\.asinh\(x\)\) '
    with pytest.raises(UserError, match=where + message):
        convert(nn.Sequential(Asinh(), nn.ReLU()), torch.randn(2, 3))


LAYERS = {
    r"returned None, and must return tensor<2x3xf32>, tensor<2x3xf32>": lambda builder, layer, x: None,
    r"returned 'a', and must return": lambda builder, layer, x: ["a"],
    r"returned one value of type tensor<2x3xf32>, and must": lambda builder, layer, x: x,
    r"returned tensor<2x3xf32>, None, and must": lambda builder, layer, x: (x, None),
    r"raised TypeError.*It is called with the builder, a LayerCall, and the tensors": lambda builder, layer: None,
    r"raised ZeroDivisionError": fail,
    r'cannot be converted: There is no parameter or buffer "0\.nope"\.': lambda builder, layer, x: layer.parameter(
        "nope"
    ),
}


@pytest.mark.parametrize("message", LAYERS)
def test_a_layers_handler_that_does_something_else_is_named(message):
    register_layer(Two)(LAYERS[message])
    with pytest.raises(UserError, match=r'layer "0" of class Two ' + message):
        convert(nn.Sequential(Two()), torch.randn(2, 3))


def test_a_bug_in_a_built_in_handler_is_none_of_the_users(monkeypatch):
    monkeypatch.setitem(registry.BUILT_IN, "aten.relu.default", fail)
    with pytest.raises(ZeroDivisionError):
        convert(nn.ReLU(), torch.randn(2, 3))


def test_a_result_that_is_not_converted_is_refused_where_it_is_used():
    image = torch.randn(1, 1, 4, 4)
    message = r"aten\.max_pool2d_with_indices\.default in the model itself .*without its result number 1"
    with pytest.raises(UserError, match=message):
        convert(nn.MaxPool2d(2, return_indices=True), image)


REFUSED = {
    r'got \'aten\.asinh\'.*@register_operator\("aten\.asinh\.default"\)': lambda: register_operator("aten.asinh"),
    r"register_operator got the function fail.*@register_operator\(": lambda: register_operator(fail),
    r'register_operator got <OpOverload.*@register_operator\("aten\.asinh\.default"\)': lambda: register_operator(
        torch.ops.aten.asinh.default
    ),
    r'register_operator\("aten\.asinh\.default"\) got None as': lambda: register_operator("aten.asinh.default")(None),
    r"register_layer got Linear\(.*@register_layer\(Linear\)": lambda: register_layer(nn.Linear(2, 2)),
    r"register_layer got 'Linear'.*a class that inherits": lambda: register_layer("Linear"),
    r"register_layer got <class 'int'>.*a class that inherits": lambda: register_layer(int),
    r"register_layer got the function fail": lambda: register_layer(fail),
    r"register_layer\(Linear\) got 3 as the handler": lambda: register_layer(nn.Linear)(3),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_operator_no_layer_or_no_handler_is_not_registered(message):
    with pytest.raises(UserError, match=message):
        REFUSED[message]()
