"""What a network's results are held against: PyTorch's own, whatever the network does with dtypes and infinities."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from test_network_bad_input import described, in_process
from torch import nn

from mlir_datagen import NeuralNetworkToMLIR, UserError
from mlir_datagen.config.compose import compose_config
from mlir_datagen.networks import given_network
from mlir_datagen.networks.isolated import IsolatedProgram
from mlir_datagen.networks.oracle.expected import Expected
from mlir_datagen.networks.oracle.reference import expected_results
from mlir_datagen.networks.worker import NetworkJob, Refusal, reached

CONVERTERS = pytest.mark.parametrize("use_torch_mlir", [True, False])


class Calls(nn.Module):
    """A network whose forward method is a function of a layer and an input."""

    def __init__(self, function, layer=None):
        super().__init__()
        self.function, self.layer = function, layer

    def forward(self, x):
        return self.function(self.layer, x)


class WithGradient(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("offset", torch.ones(3, requires_grad=True))

    def forward(self, x):
        return x + self.offset


def converted(model, folder, shape=(2, 3), **settings):
    NeuralNetworkToMLIR(folder).convert_model(model, shape, "mine", check="execute", **settings)
    (row,) = pq.read_table(folder / "index.parquet").to_pylist()
    return row


@CONVERTERS
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Linear(3, 3), Calls(lambda _, x: x.to(torch.float32)), nn.Linear(3, 2)),
        lambda: Calls(lambda layer, x: (x * 2, layer.weight), nn.Linear(3, 2)),
        WithGradient,
        lambda: Calls(lambda _, x: x.masked_fill(x > 0, float("-inf"))),
    ],
    ids=["names its dtype", "returns a parameter", "buffer with a gradient", "infinities"],
)
def test_networks_that_are_right(make, use_torch_mlir, tmp_path):
    assert converted(make(), tmp_path, use_torch_mlir=use_torch_mlir)["error"] < 1e-6


class Counts(nn.Module):
    """Replaces its buffer each time that it is called."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(3))

    def forward(self, x):
        self.calls = self.calls + 1
        return x * self.calls


@CONVERTERS
def test_a_buffer_that_is_replaced_is_refused_and_left_as_it_was(use_torch_mlir, tmp_path):
    model = Counts()
    calls = model.calls
    with pytest.raises(UserError, match='The network changes "calls" in its forward method'):
        converted(model, tmp_path, use_torch_mlir=use_torch_mlir)
    assert model.calls is calls
    assert calls.tolist() == [0, 0, 0]


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_network_that_cannot_be_copied(tmp_path):
    model = nn.utils.weight_norm(nn.Linear(3, 2))
    assert converted(model, tmp_path, use_torch_mlir=True)["error"] < 1e-6
    assert model(torch.ones(2, 3)).shape == (2, 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_finite_in_pytorch_has_to_be_in_the_program(value, tmp_path, monkeypatch):
    monkeypatch.setattr(IsolatedProgram, "run", lambda *given: [np.full((2, 3), value, np.float32)])
    with pytest.raises(UserError, match="stage 'matched': the result holds NaN or inf where PyTorch's has "):
        converted(nn.ReLU(), tmp_path)


def test_a_nan_is_never_right(tmp_path):
    message = "stage 'matched': PyTorch's own result, output0, is NaN in 6 of 6 elements on these inputs and weights"
    with pytest.raises(UserError, match=message):
        converted(Calls(lambda _, x: torch.log(x - 5)), tmp_path)


def test_results_of_another_element_type_are_refused(tmp_path, monkeypatch):
    def other(*given):
        (case,) = expected_results(*given).cases
        results = tuple(result._replace(dtype="f64") for result in case.results)
        return Expected((case._replace(results=results),), ())

    monkeypatch.setattr(given_network, "expected_results", other)
    with pytest.raises(UserError, match=r"'matched': the results are f32 \[2, 3\] instead of f64 \[2, 3\]"):
        converted(nn.ReLU(), tmp_path)


def test_element_types_that_numpy_has_not(tmp_path):
    model, inputs = nn.Linear(3, 2).bfloat16(), [torch.ones(2, 3, dtype=torch.bfloat16)]
    with pytest.raises(UserError, match=r"a tensor of torch\.bfloat16, which cannot be a constant in the text\. Make"):
        NeuralNetworkToMLIR(tmp_path).convert_model(model, inputs, "mine", True, weights="embedded")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_networks_in_half_precision_are_compared(dtype, tmp_path):
    model, inputs = nn.Linear(3, 2).to(dtype), [torch.linspace(0.5, 1, 6).reshape(2, 3).to(dtype)]
    with torch.no_grad():
        model.weight.copy_(torch.linspace(0.3, 1, 6).reshape(2, 3))
        model.bias.fill_(0.5)
    NeuralNetworkToMLIR(tmp_path).convert_model(model, inputs, "mine", True, check="execute")
    (row,) = pq.read_table(next(tmp_path.glob("*.parquet"))).to_pylist()
    assert (row["proven"], row["check"]) == ("matched", "execute")
    assert row["error"] < 0.02


def test_a_program_that_cannot_be_linked_is_not_called(monkeypatch):
    # As where the processor leaves the conversion of bf16 to the compiler's library.
    monkeypatch.setattr("mlir_datagen.mlir.jit.ExecutionEngine.raw_lookup", lambda engine, name: None)
    config = compose_config(["ops=[]", described("planted_networks.Returns")])
    job = NetworkJob(config.models["mine"], 0, config.converter, ("planted_networks",), "execute", None)
    failure = in_process(job)
    assert failure.stage == "executed"
    assert failure.reason.startswith("it cannot be compiled: it calls functions")


@CONVERTERS
@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        (nn.Embedding(10, 4), [torch.tensor([10**12])], "IndexError: index out of range in self"),
        (nn.Embedding(10, 4), [torch.tensor([-1])], "IndexError: index out of range in self"),
    ],
    ids=["far", "negative"],
)
def test_what_pytorch_refuses_is_not_run(model, inputs, expected, use_torch_mlir, tmp_path):
    with pytest.raises(UserError) as caught:
        converted(model, tmp_path, inputs, use_torch_mlir=use_torch_mlir)
    assert str(caught.value).startswith("mine cannot be run with these inputs (input: [")
    assert expected in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_network_in_double_precision_is_not_run_on_inputs_in_single(tmp_path):
    with pytest.raises(UserError, match=r"mine cannot be run with these inputs .+ must have the same dtype"):
        converted(nn.Linear(3, 2).double(), tmp_path, use_torch_mlir=True)


def test_a_failure_names_the_stage_that_was_reached(tmp_path, monkeypatch):
    def fails(*arguments):
        raise ZeroDivisionError("by zero\nand more")

    monkeypatch.setattr("mlir_datagen.networks.network_program.NetworkProgram.run", fails)
    config = compose_config(["ops=[]", described("planted_networks.Returns")])
    job = NetworkJob(
        config.models["mine"], 0, config.converter, ("planted_networks",), "execute", None, tmp_path / "mine.stage"
    )
    assert reached(job) == "emitted"
    assert in_process(job) == Refusal("executed", "ZeroDivisionError: by zero")
    # So it is known, too, where a process was that did not live to tell.
    assert reached(job) == "executed"
