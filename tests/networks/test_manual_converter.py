"""The manual converter on whole networks, with random weights: what they compute, and how they are written."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from manual_networks import assert_parses, convert, largest_error, linalg_operations, random_statistics
from torch import nn

from mlir_datagen.export.mlir_rl.contract import program_problems
from mlir_datagen.mlir.timed_main import Timer
from mlir_datagen.networks.torchvision_import import import_torchvision

IMAGE = (2, 3, 40, 40)
LOOKED_UP = 5  # reads at positions that are data: four embeddings or indexings and a gather


class SimpleNet(nn.Module):
    """The README's network, for smaller images."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(64 * 19 * 19, 10)

    def forward(self, x):
        x = self.pool(self.conv1(x))
        x = x.view(x.size(0), -1)
        return self.fc(x)


def resnet(block, **settings):
    models = import_torchvision().models
    return models.resnet.ResNet(getattr(models.resnet, block), [1, 1, 1, 1], **settings)


def vgg(batch_norm):
    models = import_torchvision().models
    network = models.vgg.VGG(models.vgg.make_layers([8, "M", 16, "M"], batch_norm), init_weights=False)
    network.classifier = nn.Sequential(nn.Linear(16 * 49, 20), nn.ReLU(True), nn.Dropout(), nn.Linear(20, 10))
    return network


def mobilenet():
    setting = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2]]
    return import_torchvision().models.MobileNetV2(inverted_residual_setting=setting)


VISION = {
    "simple_net": (SimpleNet, {"conv_2d_nchw_fchw", "pooling_nchw_max", "matmul"}),
    "resnet_basic": (
        lambda: resnet("BasicBlock"),
        {"conv_2d_nchw_fchw", "pooling_nchw_max", "matmul", "max", "reduce"},
    ),
    "resnet_bottleneck": (lambda: resnet("Bottleneck"), {"conv_2d_nchw_fchw", "max", "rsqrt"}),
    "resnext": (lambda: resnet("Bottleneck", groups=4, width_per_group=16), {"conv_2d_ngchw_gfchw"}),
    "dilated": (lambda: resnet("Bottleneck", replace_stride_with_dilation=[False, True, True]), {"conv_2d_nchw_fchw"}),
    "vgg": (lambda: vgg(False), {"conv_2d_nchw_fchw", "pooling_nchw_max", "matmul"}),
    "vgg_bn": (lambda: vgg(True), {"conv_2d_nchw_fchw", "rsqrt"}),
    "mobilenet_v2": (mobilenet, {"depthwise_conv_2d_nchw_chw", "min"}),
}


@pytest.mark.parametrize("name", VISION)
def test_networks_for_images_compute_what_pytorch_does_in_named_operations_alone(name):
    make, expected = VISION[name]
    torch.manual_seed(0)
    network = random_statistics(make())
    image = torch.randn(IMAGE)
    converted = convert(network, image)
    assert_parses(converted.text)
    counts = linalg_operations(converted.text)
    assert expected <= set(counts)
    assert not {"generic", "map"} & set(counts)
    assert largest_error(network, converted, image) < 1e-5


def language_model(name, attention):
    import_torchvision()
    from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

    common = {"attn_implementation": attention, "return_dict": False, "use_cache": False, "vocab_size": 50}
    if name == "bert":
        sizes = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
        return BertModel(BertConfig(**common, **sizes)).eval()
    sizes = {"n_layer": 2, "n_embd": 32, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
    return GPT2Model(GPT2Config(**common, **sizes)).eval()


@pytest.mark.parametrize(("name", "attention"), [("bert", "sdpa"), ("bert", "eager"), ("gpt2", "sdpa")])
def test_language_models_compute_what_pytorch_does(name, attention):
    torch.manual_seed(0)
    network = language_model(name, attention)
    inputs = {"input_ids": torch.randint(0, 50, (2, 12)), "attention_mask": torch.ones(2, 12, dtype=torch.int64)}
    converted = convert(network, **inputs)
    assert_parses(converted.text)
    # Without an operation that has no loops, which MLIR-RL would not read.
    assert program_problems(Timer().timed(converted.text).facts) == []
    counts = linalg_operations(converted.text)
    assert {"matmul", "batch_matmul", "exp", "reduce", "broadcast", "transpose", "tanh", "select"} <= set(counts)
    assert counts["generic"] <= LOOKED_UP
    assert largest_error(network, converted, **inputs) < 1e-5
    # The mask is an input like any other, and not what it happened to be when the model was captured.
    inputs["attention_mask"][1, 5:] = 0
    assert largest_error(network, converted, **inputs) < 1e-5


def test_arguments_are_inputs_parameters_and_buffers_that_are_used_in_pytorchs_order():
    network = resnet("BasicBlock").eval()
    converted = convert(network, torch.randn(IMAGE))
    names = [argument.name for argument in converted.arguments]
    buffers = [name for name, _ in network.named_buffers() if "num_batches_tracked" not in name]
    assert names == ["x", *(name for name, _ in network.named_parameters()), *buffers]
    roles = ["input", *["parameter"] * len(list(network.parameters())), *["buffer"] * len(buffers)]
    assert [argument.role for argument in converted.arguments] == roles
    assert converted.arguments[1] == ("parameter", "conv1.weight", "f32", (64, 3, 7, 7))
    assert converted.results == (("output", "output", "f32", (2, 1000)),)


def on_meta(make):
    """Make a network without memory for its weights: conversion does not look at them."""
    with torch.device("meta"):
        return make().eval()


def test_large_networks_stay_small_texts():
    from transformers import GPT2Config, GPT2Model

    resnet18 = on_meta(import_torchvision().models.resnet18)
    assert len(convert(resnet18, torch.randn(1, 3, 224, 224, device="meta")).text) < 150_000
    gpt2 = on_meta(lambda: GPT2Model(GPT2Config(return_dict=False, use_cache=False)))
    tokens = torch.zeros(1, 128, dtype=torch.int64, device="meta")
    converted = convert(gpt2, input_ids=tokens, attention_mask=torch.ones_like(tokens))
    assert len(converted.text) < 500_000
    assert_parses(converted.text)


def test_the_same_network_gives_the_same_bytes_in_any_process():
    program = """
import sys, torch
sys.modules["torch_mlir"] = None
from mlir_datagen.networks.manual import convert_manual
from torch import nn
network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.Flatten(), nn.Linear(64, 2))
exported = torch.export.export(network.eval(), (torch.zeros(1, 3, 4, 4),))
one, other = (convert_manual(network, exported, "network").text for _ in range(2))
assert one == other
sys.stdout.write(one)
"""
    texts = []
    for seed in ("1", "2"):
        command = [sys.executable, "-W", "ignore", "-c", program]
        done = subprocess.run(command, env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
        texts.append(done.stdout)
    assert texts[0] == texts[1]
    assert_parses(texts[0])
