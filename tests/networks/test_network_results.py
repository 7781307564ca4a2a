"""All tensors that a network gives are results of its program, and nothing that it changes stays changed."""

from __future__ import annotations

import copy
import dataclasses
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from test_exact_results import results
from torch import nn

from mlir_datagen import NeuralNetworkToMLIR, UserError
from mlir_datagen.networks.results import tensors_of

CONVERTERS = pytest.mark.parametrize("use_torch_mlir", [True, False])


@dataclasses.dataclass
class Plain:
    """No class that PyTorch knows of."""

    first: torch.Tensor
    nothing: None
    more: list


@dataclasses.dataclass
class Registered:
    value: torch.Tensor


torch.export.register_dataclass(Registered)


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


class Cache:
    """Keeps tensors in attributes, and refers to itself."""

    def __init__(self, *tensors):
        self.layers = [Pair(tensor, tensor * 2) for tensor in tensors]
        self.owner = self
        self._spare = tensors[0]


class Everything(nn.Module):
    def forward(self, x):
        y = x + 1
        return {"plain": Plain(y, None, [x * 3, "text", 7]), "cache": Cache(x - 1, y), "same": (Registered(x / 2), y)}


def test_every_tensor_is_found_once_for_each_time_that_it_is_given():
    x = torch.arange(3.0)
    found = tensors_of(Everything()(x))
    expected = [x + 1, x * 3, x - 1, (x - 1) * 2, x + 1, (x + 1) * 2, x / 2, x + 1]
    assert len(found) == len(expected)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


@CONVERTERS
def test_every_tensor_is_a_result_and_the_check_compares_it(use_torch_mlir, tmp_path):
    NeuralNetworkToMLIR(tmp_path).convert_model(Everything(), (2, 3), "mine", use_torch_mlir, check="execute")
    (row,) = pq.read_table(tmp_path / "index.parquet").to_pylist()
    assert [(one["name"], one["shape"]) for one in row["results"]] == [(f"output{i}", [2, 3]) for i in range(8)]


def language_model(name):
    from mlir_datagen.networks.torchvision_import import import_torchvision

    import_torchvision()
    import transformers

    sizes = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
    if name == "Mistral":
        sizes["num_key_value_heads"] = 4
    if name == "GPT2":
        sizes = {"n_layer": 2, "n_embd": 32, "n_head": 4, "bos_token_id": 0, "eos_token_id": 0}
    config = getattr(transformers, f"{name}Config")(vocab_size=50, **sizes)
    torch.manual_seed(0)
    return getattr(transformers, "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM")(config).eval()


@pytest.mark.parametrize("name", ["Llama", "Mistral", "GPT2"])
def test_a_language_model_converts_as_any_tutorial_writes_it(name, tmp_path):
    NeuralNetworkToMLIR(tmp_path).convert_model(language_model(name), (1, 9), "mine", input_dtypes="i64")
    (row,) = pq.read_table(tmp_path / "index.parquet").to_pylist()
    assert row["kind"] == "torch_mlir"
    logits, *cache = [one["shape"] for one in row["results"]]
    assert logits == [1, 9, 50]
    assert cache == 4 * [[1, 4, 9, 8]]  # Keys and values of two layers.


@pytest.mark.parametrize("converter", ["torch_mlir", "manual"])
@pytest.mark.parametrize("name", ["Llama", "GPT2"])
def test_a_language_model_gives_its_cache_too(name, converter):
    network = language_model(name)
    tokens = torch.randint(0, 50, (1, 9))
    logits, *cache = tensors_of(network(tokens))
    assert logits.shape == (1, 9, 50)
    assert len(cache) == 4  # Keys and values of two layers.

    class Called(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, input0):
            return tensors_of(self.network(input0))

    found, expected = results(Called(), [tokens], converter)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.allclose(ours, theirs, atol=1e-6)


class Changing(nn.Module):
    """Does something to itself in its forward method."""

    def __init__(self, change):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("calls", torch.zeros(3))
        self.plain = torch.zeros(3)
        self.kept = []
        self.change = change

    def forward(self, x):
        self.change(self, x)
        return x + self.weight + self.calls


def raise_after_a_change(network, x):
    network.plain.add_(1)
    raise KeyError("mine")


CHANGES = {
    "weight": [
        lambda network, x: network.weight.add_(1),
        lambda network, x: network.weight.detach().mul_(0.5),
        lambda network, x: nn.init.zeros_(network.weight),
        lambda network, x: setattr(network, "weight", nn.Parameter(network.weight * 2)),
    ],
    "calls": [
        lambda network, x: network.calls.add_(1),
        lambda network, x: network.calls.copy_(x[0]),
        lambda network, x: setattr(network, "calls", network.calls + 1),
    ],
    "seen": [lambda network, x: network.register_buffer("seen", x)],
    "": [
        lambda network, x: network.plain.add_(1),
        lambda network, x: network.weight.data.add_(1),
        lambda network, x: network.calls.data.add_(1),
        raise_after_a_change,
    ],
}
ALLOWED = [
    lambda network, x: setattr(network, "plain", network.plain + x),
    lambda network, x: network.kept.append(x),
    lambda network, x: setattr(network, "last", x),
    lambda network, x: x.add_(1),
]


def assert_as_before(network, before, x, given):
    assert vars(network).keys() == vars(before).keys()
    assert network._parameters.keys() == before._parameters.keys()
    assert network._buffers.keys() == before._buffers.keys()
    assert type(network.plain) is torch.Tensor
    assert network.kept == []
    for name in ("weight", "calls", "plain"):
        assert torch.equal(getattr(network, name), getattr(before, name)), name
    assert network.weight.requires_grad
    assert torch.equal(x, given)


@pytest.mark.parametrize(
    ("name", "change", "use_torch_mlir"),
    [
        (name, change, place % 2 == 0)
        for name, changes in CHANGES.items()
        for place, change in enumerate(changes, len(changes))
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_changes_a_network_is_refused_and_undone(name, change, use_torch_mlir, tmp_path):
    """It is captured before it is converted, so that the converters take turns."""
    network, x = Changing(change), torch.randn(2, 3)
    before, given = copy.deepcopy(network), x.clone()
    with pytest.raises(UserError) as caught:
        NeuralNetworkToMLIR(tmp_path).convert_model(network, [x], "mine", use_torch_mlir, check="parse")
    if name:
        assert str(caught.value).startswith(
            f'The network changes "{name}" in its forward method, which a function on tensors cannot. It is in '
            "evaluation mode already"
        )
    elif change is not raise_after_a_change:
        assert "changes a tensor of its own" in str(caught.value)
    assert_as_before(network, before, x, given)
    assert not list(tmp_path.rglob("*.*"))


@CONVERTERS
@pytest.mark.parametrize("change", ALLOWED, ids=["attribute", "list", "new", "input"])
def test_what_it_keeps_beside_its_tensors_is_undone(change, use_torch_mlir, tmp_path):
    network, x = Changing(change), torch.randn(2, 3)
    before, given = copy.deepcopy(network), x.clone()
    NeuralNetworkToMLIR(tmp_path).convert_model(network, [x], "mine", use_torch_mlir, check="execute")
    (row,) = pq.read_table(tmp_path / "index.parquet").to_pylist()
    assert len(row["results"]) == 1
    assert_as_before(network, before, x, given)
