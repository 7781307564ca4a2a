"""What lies at the edge of what can be converted: tensors without elements, endless lengths, what is lacking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import REPOSITORY
from operator_calls import Calls
from test_exact_results import results
from torch.nn import functional
from torch_mlir import fx

from mlir_datagen.errors import UserError
from mlir_datagen.networks.conversion import convert
from mlir_datagen.networks.manual.coverage import core_operators, coverage_page, lacking_operators
from mlir_datagen.networks.manual.registry import BUILT_IN

EMPTY = {
    "cat": lambda x: torch.cat([x, x]),
    "cat of a vector": lambda x: torch.cat([torch.zeros(0), x, x[:, :0]], 1),
    "cat with others": lambda x: torch.cat([x, torch.ones(2, 3)]),
    "stack": lambda x: torch.stack([x, x], -1),
    "roll": lambda x: x.roll(1),
    "roll of dimensions": lambda x: x.roll((1, -2), (0, 1)),
    "pad": lambda x: functional.pad(x, (1, 2, 1, 0), value=3.0),
    "repeat": lambda x: x.repeat(2, 3),
    "reshape": lambda x: x.reshape(3, 0, 7),
    "flatten": lambda x: x.flatten(),
    "sum": lambda x: x.sum(0),
    "mean": lambda x: x.mean(0),
    "variance": lambda x: x.var(0),
    "deviation": lambda x: x.std(),
    "any": lambda x: (x > 0).any(0),
    "all": lambda x: (x > 0).all(),
    "product": lambda x: x.prod(0),
    "softmax": lambda x: x.softmax(0),
    "norm": lambda x: functional.layer_norm(x, (3,)),
    "matmul": lambda x: x.T @ x,
    "linear": lambda x: functional.linear(x, torch.ones(4, 3), torch.ones(4)),
    "attention": lambda x: functional.scaled_dot_product_attention(torch.ones(1, 2, 3), x[None], x[None]),
    "index": lambda x: x[torch.zeros(0, dtype=torch.int64)],
    "gather": lambda x: x.gather(1, torch.zeros(0, 3, dtype=torch.int64)),
    "flip": lambda x: x.flip(0),
    "position": lambda x: x.argmax(1),
    "extreme": lambda x: x.max(1)[0],
    "running sum": lambda x: x.cumsum(0),
    "sort": lambda x: x.sort(0)[1],
    "unbind": lambda x: x.unbind(1)[0],
    "split": lambda x: x.split(1, 1)[2],
    "where": lambda x: torch.where(x > 0, x, 1.0),
    "remainder": lambda x: x % 2,
    "broadcast": lambda x: x + torch.ones(1, 3),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tensors_without_elements():
    found, expected = results(Calls(*EMPTY.values()), [torch.zeros(0, 3)], "manual")
    for name, ours, theirs in zip(EMPTY, found, expected, strict=True):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), name
        assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"), name


IMAGES = {
    "convolution": lambda x: functional.conv2d(x, torch.ones(4, 3, 3, 3), padding=1),
    "channels": lambda x: functional.conv2d(x, torch.ones(3, 1, 3, 3), groups=3),
    "max": lambda x: functional.max_pool2d(x, 2),
    "average": lambda x: functional.avg_pool2d(x, 3, padding=1, count_include_pad=False),
    "adaptive": lambda x: functional.adaptive_avg_pool2d(x, (3, 5)),
    "batch": lambda x: functional.batch_norm(x, torch.zeros(3), torch.ones(3)),
    "group": lambda x: functional.group_norm(x, 3),
    "larger": lambda x: functional.interpolate(x, scale_factor=2),
}


def test_batches_without_images():
    found, expected = results(Calls(*IMAGES.values()), [torch.zeros(0, 3, 8, 8)], "manual")
    assert [ours.shape for ours in found] == [theirs.shape for theirs in expected]


def text_of(function, tensor, converter="manual"):
    return convert(Calls(function).eval(), {"x": tensor}, "network", converter, constant=False).text


def test_long_ranges_are_no_long_texts():
    text = text_of(lambda x: (torch.arange(50_000_000) + x, x.expand(10**6).argmax(0), x.repeat(10**7)), torch.ones(1))
    assert len(text) < 100_000


def test_averages_that_would_take_a_long_text_are_refused():
    with pytest.raises(UserError, match=r"averages over windows of different sizes would take .* numbers in the text"):
        text_of(lambda x: functional.adaptive_avg_pool2d(x, (3999, 3999)), torch.ones(1, 1, 4000, 4000))


def test_the_page_on_the_manual_converter_is_current():
    page = (REPOSITORY / "docs" / "manual_converter.md").read_text()
    assert page == coverage_page(), "write it again: python scripts/list_operators.py > docs/manual_converter.md"
    assert "manual_converter.md" in (REPOSITORY / "docs" / "networks.md").read_text()


def test_what_the_page_says_is_so():
    lacking = lacking_operators()
    assert set(lacking) < set(core_operators())
    assert not set(lacking) & set(BUILT_IN)
    assert {"aten.scatter.src", "aten.asinh.default", "aten._fft_r2c.default"} <= set(lacking)
    assert not {"aten.relu.default", "aten.topk.default", "aten.remainder.Tensor"} & set(lacking)
    with pytest.raises(UserError, match=r"no handler for the operator aten\.asinh\.default"):
        text_of(torch.asinh, torch.ones(3))


UNTOUCHED = [
    lambda x: functional.max_pool2d(functional.conv2d(x, torch.ones(4, 3, 3, 3)).relu(), 2),
    lambda x: functional.gelu(x).softmax(-1).sum((2, 3)) * 0.1 + 1,
    lambda x: torch.where(x > 0, x, 0.5).masked_fill(x < 2, -1.0),
    lambda x: (x @ x.transpose(2, 3)).mean(1).amax(-1) / 3,
    lambda x: functional.layer_norm(x.flatten(2), (36,)).transpose(1, 2)[:, ::2],
    lambda x: (functional.silu(x.sigmoid()) - x.tanh()) ** 2,
]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("function", UNTOUCHED)
def test_what_needs_no_rewriting_is_as_torch_mlir_gives_it(function):
    image = torch.ones(1, 3, 6, 6)
    plain = str(
        fx.export_and_import(Calls(function).eval(), image, output_type="linalg-on-tensors", func_name="network")
    )
    assert text_of(function, image, "torch_mlir") == plain


@pytest.mark.parametrize("converter", ["manual", "torch_mlir"])
def test_a_refusal_ends_where_its_own_words_do(converter):
    with pytest.raises(UserError, match=r"make the base a float, as with x\.float\(\)\.$"):
        convert(Calls(lambda x: x**-1).eval(), {"x": torch.arange(1, 5)}, "network", converter, constant=False)
