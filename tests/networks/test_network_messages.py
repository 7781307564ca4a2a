"""What is said of networks that fail in their own code, and of calls that are not as they should be; and no more."""

from __future__ import annotations

import pytest
import torch
from planted_networks import Objects
from test_network_bad_input import described, refusal, said
from test_network_calls import run_python
from torch import nn

from mlir_datagen import NeuralNetworkToMLIR, UserError
from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset import network_folder

CONVERTERS = pytest.mark.parametrize("use_torch_mlir", [True, False])


class ByPosition(nn.Module):
    def forward(self, x, /, scale):
        return x - 2 * scale


class ManyNames(nn.Module):
    def forward(self, x, **others):
        return x


def test_pytorch_does_not_talk_to_the_user(tmp_path):
    # In a process of its own: pytest has handlers for what is logged, so that it would not get to standard error.
    code = """
        import mlir_datagen, torch
        for use_torch_mlir in (True, False):
            try:
                mlir_datagen.NeuralNetworkToMLIR("nets").convert_model(
                    torch.nn.Linear(3, 2), (2, 4), "mine", use_torch_mlir
                )
            except mlir_datagen.UserError as error:
                print(error)
        """
    done = run_python(code, tmp_path)
    assert done.stdout.count("mine cannot be run with these inputs (input: [2, 4] f32): RuntimeError: ") == 2
    assert done.stderr == ""


@CONVERTERS
def test_inputs_that_are_only_taken_by_position(use_torch_mlir, tmp_path):
    path = NeuralNetworkToMLIR(tmp_path).convert_model(
        ByPosition(), [(2, 3), (2, 3)], "mine", use_torch_mlir, check="execute"
    )
    assert path.exists()


def test_an_input_without_a_name(tmp_path):
    message = refusal(tmp_path, ManyNames(), [(2, 3), (2, 3)])
    assert message == "ManyNames.forward takes 1 inputs (x), and 2 shapes are given."


@CONVERTERS
def test_the_networks_own_exceptions_are_not_about_shapes(use_torch_mlir, tmp_path):
    message = refusal(tmp_path, Objects(), (2, 3), use_torch_mlir=use_torch_mlir)
    assert message.startswith("mine cannot be run with these inputs (x: [2, 3] f32): KeyError: 'a key")
    assert "Are the shapes" not in message
    assert "(at planted_networks.py:" in message


class Chooses(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))


def quantized():
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 2)), {nn.Linear})


@CONVERTERS
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: torch.jit.script(nn.Sequential(nn.Linear(3, 2))),
            "The network is compiled TorchScript, which PyTorch does",
        ),
        (
            lambda: torch.jit.trace(nn.Linear(3, 2), torch.ones(2, 3)),
            "The network is compiled TorchScript, which PyTorch",
        ),
        (
            lambda: nn.Sequential(nn.ReLU(), torch.jit.script(nn.Linear(3, 2))),
            'The layer "1" of the network is compiled TorchScript, which PyTorch does not capture.',
        ),
        (quantized, 'The layer "0" of the network is quantized (torch.ao.nn.quantized.dynamic.modules'),
        (Chooses, "mine has control flow within its graph, torch.cond"),
        (lambda: NoSuch(), "PyTorch cannot take the network's graph apart: value argument of type"),
    ],
    ids=["script", "trace", "inner", "quantized", "cond", "refused"],
)
def test_networks_that_pytorch_does_not_capture(make, expected, use_torch_mlir, tmp_path):
    assert refusal(tmp_path, make(), (2, 3), use_torch_mlir=use_torch_mlir).startswith(expected)


class NoSuch(nn.Module):
    def forward(self, x):
        integers = x.to(torch.int64)
        return torch.addcmul(integers, integers, integers, value=1.5)


def test_pythons_own_code_is_not_the_networks(tmp_path):
    message = refusal(tmp_path, ByPosition(), [(2, 3)])
    assert "missing" in message
    assert "inspect.py" not in message


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"input_dtypes": 5}, "input_dtypes is 5, and must be one of f32, f64, i64, i32, i1."),
        ({"input_shape": []}, "input_shape has [], and must be a tuple of numbers above 0"),
        ({"input_shape": (10**30,)}, "There is not enough memory to convert mine. Give it a smaller batch"),
        (
            {"input_shape": [torch.ones(3, dtype=torch.complex64)]},
            "The network has a tensor of torch.complex64, and programs have f32, f64,",
        ),
        ({"use_torch_mlir": "no"}, "use_torch_mlir is 'no', and must be True for torch-mlir, False for this"),
        (
            {"model": nn.Linear(3, 2, device="meta")},
            'The network has no values for "weight", which is on the device "meta". Build it without that device,',
        ),
        (
            {"model": nn.LazyLinear(2)},
            'The network has no values for "weight" yet, whose shape its first inputs decide. Call it once: model(ex',
        ),
    ],
    ids=["dtypes", "empty", "huge", "complex", "text", "meta", "lazy"],
)
def test_bad_arguments_of_the_call(settings, expected, tmp_path):
    arguments = {"model": ManyNames(), "input_shape": (2, 3), "model_name": "mine", **settings}
    with pytest.raises(UserError) as caught:
        NeuralNetworkToMLIR(tmp_path).convert_model(**arguments)
    assert str(caught.value).startswith(expected)
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize("folder", [None, 3])
def test_an_output_folder_that_is_no_path(folder):
    with pytest.raises(UserError, match=rf"output_dir is {folder}, and must be the path of a folder, such as"):
        NeuralNetworkToMLIR(folder)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            ["models=[resnet18]", "+models.resnet18.arguments.pretrained=true"],
            "models.resnet18.arguments has 'pretrained': pretrained weights are not downloaded.",
        ),
        (
            [described("transformers.DetrModel", arguments="{backbone: [{use_pretrained_backbone: true}]}")],
            "models.mine.arguments.backbone has 'use_pretrained_backbone': pretrained weights are not downloaded.",
        ),
        (
            ["models=[resnet18]", "models.resnet18.sizes.resolution=99999999999999999999999"],
            "models.resnet18.sizes.resolution is 99999999999999999999999, and must be at most 9223372036854775807",
        ),
    ],
    ids=["pretrained", "deep", "huge"],
)
def test_bad_settings(settings, expected):
    assert said(settings).startswith(expected)


def test_saying_that_nothing_is_pretrained_is_allowed():
    arguments = "{weights_backbone: null, use_pretrained_backbone: false}"
    spec = compose_config(["ops=[]", described("torchvision.models.resnet18", arguments=arguments)]).models["mine"]
    assert spec.arguments == {"weights_backbone": None, "use_pretrained_backbone": False}
    assert "pretrained weights are not downloaded" in said(
        [described("torchvision.models.resnet18", arguments="{weights_backbone: DEFAULT}")]
    )


@pytest.mark.parametrize("interrupted", ["mine.mlir", "index"])
def test_an_interrupted_call_can_be_made_again(interrupted, tmp_path, monkeypatch):
    converter = NeuralNetworkToMLIR(tmp_path)
    plain = network_folder._replace

    def replace(path, data):
        if interrupted == path.name:
            plain(path, data)
        raise KeyboardInterrupt

    def write(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if interrupted == "index":
            patch.setattr(network_folder.pq, "write_table", write)
        patch.setattr(network_folder, "_replace", replace)
        with pytest.raises(KeyboardInterrupt):
            converter.convert_model(nn.Linear(3, 2), (4, 3), "mine", use_torch_mlir=False)
    path = converter.convert_model(nn.Linear(3, 2), (4, 3), "mine", use_torch_mlir=False)
    assert path.read_text().startswith("module")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.parquet", "mine.mlir"]
    assert torch.is_grad_enabled()
