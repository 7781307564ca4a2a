"""What small numbers, huge ones, whole ones and equal ones do to the verdict on a network."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
import torch
from operator_calls import Calls
from torch import nn
from torch.nn import functional

from mlir_datagen import NeuralNetworkToMLIR, UserError

CONVERTERS = pytest.mark.parametrize("use_torch_mlir", [True, False])


class Masked(nn.Module):
    """Hides half of its result behind the least number there is, or another."""

    def __init__(self, number):
        super().__init__()
        self.first, self.second, self.number = nn.Linear(8, 8), nn.Linear(8, 8), number

    def forward(self, x):
        return self.second(torch.relu(self.first(x))).masked_fill(torch.ones(8, 8).triu(1).bool(), self.number)


class Positions(nn.Module):
    """Looks up places that are counted as floating-point numbers."""

    def __init__(self):
        super().__init__()
        self.table, self.scale = nn.Embedding(9, 4), nn.Parameter(torch.ones(4))

    def forward(self, x):
        places = (torch.cumsum(torch.ones_like(x), 1) - 1).long()
        return self.table(places) * self.scale + x[..., None]


def proven(model, inputs, folder, **settings):
    NeuralNetworkToMLIR(folder).convert_model(model, inputs, "mine", check="execute", **settings)
    (row,) = pq.read_table(folder / "index.parquet").to_pylist()
    return row


@CONVERTERS
@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (torch.expm1, torch.tensor([1e-4, -1e-4, 1e-6, 1e-5, -1e-6])),
        (torch.log1p, torch.tensor([1e-4, -1e-4, 1e-6, 1e-5, -1e-6])),
        (torch.expm1, torch.tensor([1e-9, -1e-12], dtype=torch.float64)),
        (lambda x: functional.softplus(x) * 1e3, torch.linspace(-12, -4, 16)),
        (functional.mish, torch.linspace(-12, 4, 16)),
        (functional.elu, torch.linspace(-1e-3, 1, 16)),
    ],
    ids=["expm1", "log1p", "expm1 in double precision", "softplus", "mish", "elu"],
)
def test_functions_near_zero_keep_their_digits(function, inputs, use_torch_mlir, tmp_path):
    row = proven(Calls(function), [inputs], tmp_path, use_torch_mlir=use_torch_mlir)
    assert row["proven"] == "matched"
    assert row["error"] < 1e-7


@pytest.mark.parametrize("number", [torch.finfo(torch.float32).min, float("-inf"), 1e30, 0.0])
def test_what_a_mask_does_not_hide_shows(number, tmp_path):
    row = proven(Masked(number), [torch.randn(8, 8, generator=torch.Generator().manual_seed(0))], tmp_path)
    assert (row["proven"], row["unshown"]) == ("matched", [])


@CONVERTERS
def test_places_that_are_counted_are_exact(use_torch_mlir, tmp_path):
    inputs = torch.rand(1, 9, generator=torch.Generator().manual_seed(0))
    row = proven(Positions(), [inputs], tmp_path, use_torch_mlir=use_torch_mlir)
    assert (row["proven"], row["excused"], row["unshown"]) == ("matched", 0, [])


@CONVERTERS
def test_which_of_equals_topk_takes_is_excused_and_bounded(use_torch_mlir, tmp_path):
    network = Calls(lambda x: torch.topk(x, 2)[1], lambda x: torch.topk(x, 2)[0])
    tie = torch.tensor([[1.0, 3, 4, 2], [5, 4, 4, 5], [1, 2, 3, 4]])
    row = proven(network, [tie], tmp_path, use_torch_mlir=use_torch_mlir)
    assert row["excused"] in (0, 2)
    assert row["proven"] == "matched"
    many = torch.tensor([[5.0, 4, 4, 5]]).expand(8, 4).contiguous()
    with pytest.raises(UserError, match=r"in 16 of 16 elements that hang on a rounding; 1% of them may"):
        proven(network, [many], tmp_path, use_torch_mlir=use_torch_mlir)
