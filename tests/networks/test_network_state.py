"""Networks that share tensors, change them, or give one twice: the program is right, and the model stays as it was."""

from __future__ import annotations

import copy

import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from mlir_datagen import NeuralNetworkToMLIR, UserError

CONVERTERS = pytest.mark.parametrize("use_torch_mlir", [True, False])


class Tied(nn.Module):
    """A language model's way of using its table for its head too."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.table.weight

    def forward(self, numbers):
        return self.head(self.table(numbers))


class From(nn.Module):
    """A network whose forward method is a function."""

    def __init__(self, function, **buffers):
        super().__init__()
        self.function = function
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor)

    def forward(self, x):
        return self.function(self, x)


class Clash(nn.Module):
    """Its input and its buffer have one name."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.arange(6.0).reshape(2, 3))

    def forward(self, x, mask):
        return x * self.mask + mask


def row(folder, name="mine"):
    (found,) = (row for row in pq.read_table(folder / "index.parquet").to_pylist() if row["name"] == name)
    return found


def shared():
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


@CONVERTERS
@pytest.mark.parametrize(("make", "dtype"), [(shared, "f32"), (Tied, "i64")])
def test_a_model_that_shares_tensors_is_left_as_it_was(make, dtype, use_torch_mlir, tmp_path):
    model = make()
    kept, values = dict(model.named_parameters(remove_duplicate=False)), copy.deepcopy(model.state_dict())
    NeuralNetworkToMLIR(tmp_path).convert_model(
        model, (2, 3), "mine", use_torch_mlir, input_dtypes=dtype, check="execute"
    )
    found = dict(model.named_parameters(remove_duplicate=False))
    assert list(found) == list(kept)
    assert all(found[name] is kept[name] for name in kept)
    assert all(torch.equal(tensor, values[name]) for name, tensor in model.state_dict().items())
    arguments = [one["name"] for one in row(tmp_path)["arguments"] if one["role"] != "input"]
    assert arguments == [name for name, _ in model.named_parameters()]
    assert row(tmp_path)["error"] < 1e-6


def twice(network, x):
    y = x + 1
    return y, y


@CONVERTERS
@pytest.mark.parametrize(
    "function",
    [
        twice,
        lambda network, x: (x + 1, x + 1),
        lambda network, x: (x, x),
        lambda network, x: {"first": x * 2, "second": (x * 2).reshape(-1)},
    ],
    ids=["twice", "equal", "input", "view"],
)
def test_a_result_that_is_given_twice(function, use_torch_mlir, tmp_path):
    NeuralNetworkToMLIR(tmp_path).convert_model(From(function), (2, 3), "mine", use_torch_mlir, check="execute")
    assert len(row(tmp_path)["results"]) == 2


@CONVERTERS
@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2)),
        From(lambda network, x: x.add_(1) * 2),
        From(lambda network, x: x.view(-1).mul_(3).view(2, 3)),
        nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True)),
    ],
    ids=["relu", "add", "view", "later"],
)
def test_inputs_changed_in_place_are_no_results(model, use_torch_mlir, tmp_path):
    NeuralNetworkToMLIR(tmp_path).convert_model(model, (2, 3), "mine", use_torch_mlir, check="execute")
    found = row(tmp_path)
    assert [one["name"] for one in found["results"]] == ["output0"]
    assert found["error"] < 1e-6


def count(network, x):
    network.calls.add_(1)
    return x + network.calls


def always_training():
    layer = nn.BatchNorm1d(3)
    layer.train = lambda mode=True: layer
    return layer


@CONVERTERS
@pytest.mark.parametrize(
    ("make", "changed", "advice"),
    [
        (
            lambda: From(count, calls=torch.zeros(3)),
            "calls",
            "It is in evaluation mode already, so that its own code does this: let it compute with a copy, as with "
            "tensor.clone(), and return what is to be kept as a result.",
        ),
        (
            always_training,
            "running_mean",
            "The network of class BatchNorm1d stays in training mode: put it into evaluation mode.",
        ),
        (
            lambda: nn.Sequential(nn.Linear(3, 3), always_training()),
            "1.running_mean",
            'The layer "1" of class BatchNorm1d stays in training mode: put it into evaluation mode.',
        ),
    ],
    ids=["counts", "training", "layer"],
)
def test_a_network_that_changes_its_buffers_is_refused(make, changed, advice, use_torch_mlir, tmp_path):
    model = make()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(UserError) as caught:
        NeuralNetworkToMLIR(tmp_path).convert_model(model, (2, 3), "mine", use_torch_mlir)
    assert str(caught.value) == (
        f'The network changes "{changed}" in its forward method, which a function on tensors cannot. {advice}'
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@CONVERTERS
def test_an_input_and_a_buffer_of_one_name(use_torch_mlir, tmp_path):
    NeuralNetworkToMLIR(tmp_path).convert_model(
        Clash(), [(2, 3), (2, 3)], "mine", use_torch_mlir, check="execute", save_weights=True
    )
    found = row(tmp_path)
    assert [(one["role"], one["name"]) for one in found["arguments"]] == [
        *(("input", "x"), ("input", "mask"), ("buffer", "mask"))
    ]
    assert found["error"] < 1e-6
