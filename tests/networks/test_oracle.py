"""The verdict on networks: right programs kept, planted wrong ones refused, and what no result shows named."""

from __future__ import annotations

import copy
import warnings
from itertools import chain

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from operator_calls import Calls, answers_of
from planted_networks import Cancels
from torch import nn
from torch.nn import functional

from mlir_datagen import NeuralNetworkToMLIR
from mlir_datagen.errors import Rejection
from mlir_datagen.networks.capture import input_names
from mlir_datagen.networks.conversion import convert
from mlir_datagen.networks.oracle.reference import expected_results
from mlir_datagen.networks.oracle.verdict import judge
from mlir_datagen.networks.state import splat
from mlir_datagen.networks.torchvision_import import import_torchvision

CONVERTERS = pytest.mark.parametrize("converter", ["manual", "torch_mlir"])


def one(function):
    return Calls(lambda x: function(x))


class Held:
    """A network with what PyTorch says of it, and its program.

    Args:
        network: the network.
        inputs: in the order of its forward method.
        constant: whether its weights are constants in its program.
    """

    def __init__(self, network, *inputs, converter="manual", constant=False):
        self.inputs = dict(zip(input_names(network, len(inputs)), inputs, strict=True))
        self.converter, self.constant = converter, constant
        self.program = self.converted(network)
        self.expected = expected_results(network, self.inputs, "network", self.program)

    def converted(self, network):
        return convert(network.eval(), self.inputs, "network", self.converter, self.constant)

    def verdict(self, planted=None):
        """Return the verdict on its program, or on that of another network in its place."""
        program = self.program if planted is None else self.converted(planted)
        answers = answers_of(program, [case.arguments for case in self.expected.cases])
        return judge(answers, program.results, self.expected)

    def assert_matched(self, error=1e-5):
        found = self.verdict()
        assert not found.unshown
        assert found.excused == 0
        assert 0 <= found.errors.relative < error

    def assert_refused(self, planted, reason=r"output0 differs from PyTorch's in \d+ of"):
        with pytest.raises(Rejection, match=reason):
            self.verdict(planted)


IMAGES = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
MANY_IMAGES = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
TENTHS = torch.tensor([0.1, 0.2, 0.7, 0.70000005, 0.69999999, -0.1])

DISCRETE = {
    "quantized": (
        lambda x: torch.clamp(torch.round(x / 0.0078), -128, 127) * 0.0078,
        lambda x: torch.clamp(torch.round(x / 0.0078), -128, 126) * 0.0078,
    ),
    "floor": (lambda x: torch.floor(x * 10), lambda x: torch.floor(x * 10.001)),
}


@pytest.mark.parametrize(
    ("name", "images", "converter"),
    [
        ("quantized", IMAGES, "torch_mlir"),
        ("quantized", MANY_IMAGES, "manual"),
        ("floor", IMAGES, "manual"),
        ("floor", MANY_IMAGES, "torch_mlir"),
    ],
)
def test_the_verdict_on_what_is_discrete_does_not_depend_on_size(name, images, converter):
    right, wrong = map(one, DISCRETE[name])
    held = Held(right, images, converter=converter)
    held.assert_matched()
    held.assert_refused(wrong)


COMPARED = {
    "equal": (lambda x: x == 0.1, lambda x: x.double() == 0.1),
    "at least": (lambda x: x >= 0.7, lambda x: x.double() >= 0.7),
    "chosen": (lambda x: torch.where(x == 0.1, 1.0, x), lambda x: torch.where(x.double() == 0.1, 1.0, x)),
}


@pytest.mark.parametrize("name", COMPARED)
def test_constants_are_those_of_the_tensors_precision(name):
    right, wrong = map(one, COMPARED[name])
    held = Held(right, TENTHS)
    held.assert_matched()
    held.assert_refused(wrong, "output0 differs from PyTorch's in [12] of 6 elements, as at")


def test_what_hangs_on_a_rounding_is_excused_and_bounded():
    tenth = np.float32(0.1)
    bound = float(np.nextafter(tenth * np.float32(3), np.float32(0)))
    x = torch.linspace(0, 1, 1000)
    x[:4] = 0.1
    network = one(lambda x: torch.cat([x * 3 > bound, x > 0.2]))
    # Two units of rounding less.
    off = one(lambda x: torch.cat([x * 3 * 0.9999998 > bound, x > 0.2]))
    held = Held(network, x)
    assert held.verdict().excused == 0
    assert held.verdict(off).excused == 4
    # An input is not rounded: what is wrong there is wrong.
    held.assert_refused(one(lambda x: torch.cat([x * 3 > bound, x > 0.2 + 1e-3])))
    much = Held(network, torch.where(torch.arange(1000) < 100, 0.1, x))
    much.assert_refused(off, r"output0 differs .* in \d+ of 2000 elements that hang on a rounding; 1% of them may")


KINDS = {
    "ties": ("manual", lambda x: x.round().argmax(-1), lambda x: x.flip(-1).round().argmax(-1)),
    "greatest": ("manual", lambda x: (x * 3).max(-1)[1], lambda x: (x * 3).min(-1)[1]),
    "bounds": ("manual", lambda x: x.clamp(-0.3, 0.3), lambda x: x.clamp(-0.3, 0.3001)),
    "a number": ("manual", torch.sum, lambda x: x[:, :4].sum() + x[:, 4].abs().sum()),
    "softmax": ("manual", lambda x: x.softmax(-1), lambda x: x.softmax(-2)),
    "gelu": ("manual", functional.gelu, lambda x: functional.gelu(x, approximate="tanh")),
    "gelu with tanh": (
        "manual",
        lambda x: functional.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + torch.tanh(0.797724 * (x + 0.044715 * x**3))),
    ),
    "an epsilon": (
        "manual",
        lambda x: functional.layer_norm(x, (6,)),
        lambda x: functional.layer_norm(x, (6,), eps=1e-4),
    ),
    # The manual converter has no handlers for these.
    "remainder": ("torch_mlir", lambda x: (x * 10) % 1, lambda x: (x * 10) % 1.001),
    "division of negatives": (
        "torch_mlir",
        lambda x: (x * 9).int() // -4,
        lambda x: torch.div((x * 9).int(), -4, rounding_mode="trunc"),
    ),
    "remainder of negatives": ("torch_mlir", lambda x: (x * 9).int() % 4, lambda x: (x * 9).int() % -4),
}


@pytest.mark.parametrize("name", KINDS)
def test_right_programs_are_kept_and_planted_ones_are_not(name):
    converter, right, wrong = KINDS[name]
    x = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0))
    held = Held(one(right), x, converter=converter)
    held.assert_matched()
    held.assert_refused(one(wrong))


@CONVERTERS
def test_inputs_that_are_nan_where_the_model_looks_for_it(converter):
    x = torch.tensor([1.0, torch.nan, 3.0])
    held = Held(one(lambda x: torch.where(torch.isnan(x), 0.5, x * 2)), x, converter=converter)
    held.assert_matched()
    planted = one(lambda x: torch.where(torch.isnan(x), 0.25, x * 2))
    held.assert_refused(planted, r"as at \[1\], where it is 0.25 instead of 0.5")


class Sine(nn.Module):
    def forward(self, x):
        return torch.sin(x)


def with_sines(network, activation):
    """Return a network with a sine in the place of each activation."""
    planted = copy.deepcopy(network)
    for layer in list(planted.modules()):
        for name, child in layer.named_children():
            if isinstance(child, activation):
                setattr(layer, name, Sine())
    return planted


def vision_transformer(models):
    sizes = {"image_size": 32, "patch_size": 16, "num_layers": 1, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 48}
    return models.VisionTransformer(**sizes, num_classes=10), nn.GELU


def convnext(models):
    blocks = [models.convnext.CNBlockConfig(16, 24, 1), models.convnext.CNBlockConfig(24, None, 1)]
    return models.ConvNeXt(blocks, num_classes=10), nn.GELU


def faint(models):
    """Moves by a millionth from one input to the next, as the networks with default statistics of torchvision do."""
    blocks = [[nn.Conv2d(3 if each == 0 else 8, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU()] for each in range(3)]
    for convolution, _, _ in blocks:
        nn.init.normal_(convolution.weight, std=1e-3)
    return nn.Sequential(*chain.from_iterable(blocks), nn.Flatten(), nn.Linear(72, 5)), nn.ReLU


@pytest.mark.parametrize(
    ("make", "converter"), [(vision_transformer, "manual"), (convnext, "torch_mlir"), (faint, "torch_mlir")]
)
def test_networks_whose_weights_hide_what_they_compute(make, converter):
    torch.manual_seed(0)
    network, activation = make(import_torchvision().models)
    held = Held(network.eval(), IMAGES, converter=converter)
    held.assert_matched()
    held.assert_refused(with_sines(network, activation))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).to(dtype).eval()
    held = Held(network, torch.randn(4, 8).to(dtype), converter="torch_mlir")
    try:
        held.verdict()
    except Rejection as rejection:
        if "it calls functions that this process does not have" in rejection.reason:
            pytest.skip(f"this processor leaves {dtype} to the compiler's library")
        raise
    held.assert_matched(error=4 * torch.finfo(dtype).eps)
    planted = copy.deepcopy(network)
    planted[1] = nn.LeakyReLU(0.2)
    held.assert_refused(planted)


class Unpadded(nn.TransformerEncoder):
    """Leaves the mask out."""

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        return super().forward(src, src_key_padding_mask=src_key_padding_mask & False)


@CONVERTERS
def test_padded_attention_runs_the_path_that_is_exported(converter):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network, planted = Padded(nn.TransformerEncoder(layer, 1)).eval(), Padded(Unpadded(layer, 1))
    padding = torch.tensor([[False, False, False, True], [False, False, True, True]])
    held = Held(network, torch.rand(2, 4, 8), padding, converter=converter)
    held.assert_matched()
    assert torch.backends.mha.get_fastpath_enabled()
    held.assert_refused(planted)


class Padded(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, x, padding):
        return self.encoder(x, src_key_padding_mask=padding)


class Attends(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


def test_multi_head_attention():
    torch.manual_seed(0)
    # The bias of the keys makes no difference to any result, and has to be no finding for that.
    Held(Attends().eval(), torch.rand(2, 4, 8)).assert_matched()


class Masked(nn.Module):
    def forward(self, x, mask):
        return (x + (1 - mask) * torch.finfo(x.dtype).min).softmax(-1)


class Unmasked(nn.Module):
    def forward(self, x, mask):
        return (x + mask * 0).softmax(-1)


def test_a_mask_of_ones_is_checked_on_other_masks():
    held = Held(Masked(), torch.rand(3, 5), torch.ones(3, 5, dtype=torch.int64))
    held.assert_matched()
    held.assert_refused(Unmasked())


class Dead(nn.Module):
    """Has a parameter that is multiplied by zero, and an input that it does not use."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x, mask):
        return self.layer(x) + self.scale * 0


@CONVERTERS
def test_what_does_not_show_is_a_finding_and_not_a_match(converter, tmp_path):
    use = {"use_torch_mlir": converter == "torch_mlir"}
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="mine gives PyTorch's results, but is not called matched: .* do not show "):
        NeuralNetworkToMLIR(tmp_path).convert_model(Dead(), [(2, 3), (2, 3)], "mine", check="execute", **use)
    (row,) = pq.read_table(tmp_path / "index.parquet").to_pylist()
    assert row["check"] == "execute"
    assert row["proven"] == "executed"
    assert row["unshown"] == ["input mask", "parameter scale", "operation aten.mul.Tensor"]
    assert 0 <= row["error"] < 1e-6


def test_an_input_that_rounding_swallows_does_not_show():
    network = one(lambda x: (x + 1e9) - 1e9)
    found = Held(network, torch.rand(2, 3)).verdict()
    assert found.unshown == ("input input0", "operation aten.sub.Tensor")


class CancelsTwice(Cancels):
    def forward(self, x):
        return (2 * x + self.large) - self.large


def test_weights_that_swallow_it_are_others_for_the_check():
    held = Held(Cancels(), torch.rand(2, 3))
    assert held.verdict().unshown == ()
    held.assert_refused(CancelsTwice())


def test_weights_in_the_text_have_to_be_those_of_the_network_and_are_no_findings():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    nn.init.zeros_(network[2].bias)
    held = Held(network, torch.rand(2, 3), constant=True)
    held.assert_matched()
    planted = copy.deepcopy(network)
    with torch.no_grad():
        planted[2].bias[1] = 1e-3
    held.assert_refused(planted, "output0 differs from PyTorch's in 2 of 4")


def test_equal_terms_add_up_with_equal_errors():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 40000), nn.Linear(40000, 2))
    splat(network)
    held = Held(network, torch.rand(1, 4), constant=True)
    held.assert_matched(error=1e-3)
    planted = copy.deepcopy(network)
    with torch.no_grad():
        planted[1].weight.mul_(1.01)
    held.assert_refused(planted)


def test_a_right_network_is_matched_without_a_warning_and_is_not_changed(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    before = copy.deepcopy(network.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NeuralNetworkToMLIR(tmp_path).convert_model(network, (1, 3, 8, 8), "mine", check="execute")
    (row,) = pq.read_table(tmp_path / "index.parquet").to_pylist()
    assert (row["proven"], row["excused"], row["unshown"]) == ("matched", 0, [])
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_an_element_that_the_program_does_not_write_is_found():
    held = Held(Calls(lambda x: x * 2, lambda x: (x * 4).int()), torch.rand(2, 3))
    arguments = held.expected.cases[0].arguments
    (answer,) = answers_of(held.program, [arguments])
    judge([answer], held.program.results, held.expected)
    for index, unwritten in enumerate([np.nan, np.iinfo(np.int32).max]):
        planted = [result.copy() for result in answer]
        planted[index][1, 2] = unwritten
        with pytest.raises(Rejection, match=("NaN", "output1")[index]):
            judge([planted], held.program.results, held.expected)
