"""Small networks of the usual kinds, each of which is converted and run in about a second."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mlir_datagen.networks.torchvision_import import import_torchvision

import_torchvision()

# After it, for a PyTorch without CUDA.
import transformers  # noqa: E402
from torchvision.models import convnext, mobilenetv2, mobilenetv3, resnet, shufflenetv2, vgg, vision_transformer  # noqa: E402

Inputs = tuple[torch.Tensor, ...]

_VOCABULARY = 40
_LENGTH = 8


class UNet(nn.Module):
    """Goes down twice and up again, with what was on the way down beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = _double(3, 8), _double(8, 16), _double(16, 16)
        self.up2, self.up1 = _double(32, 8), _double(16, 8)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return a map of two classes."""
        first = self.down1(image)
        second = self.down2(functional.max_pool2d(first, 2))
        bottom = self.bottom(functional.avg_pool2d(second, 2))
        up = self.up2(torch.cat([second, functional.interpolate(bottom, scale_factor=2)], 1))
        up = self.up1(torch.cat([first, functional.interpolate(up, scale_factor=2)], 1))
        return self.head(up)


def _double(into: int, out: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(into, out, 3, padding=1), nn.GroupNorm(2, out), nn.LeakyReLU(0.1))


class Recurrent(nn.Module):
    """A gated recurrent network, step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.given, self.state = nn.Linear(6, 24), nn.Linear(12, 24)
        self.head = nn.Linear(12, 12)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """Return the scores after the last step of (batch, steps, 6)."""
        state = signal.new_zeros(signal.shape[0], 12)
        for step in range(signal.shape[1]):
            gate, new = (self.given(signal[:, step]) + self.state(state)).chunk(2, dim=1)
            gate = torch.sigmoid(gate)
            state = gate * state + (1 - gate) * torch.tanh(new)
        return functional.log_softmax(self.head(state), 1)


class Masked(nn.Module):
    """Attention written out, with a causal mask and one of its inputs, as many models have it."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.norm, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return what (batch, length, width) becomes, where (length) of truth values hides keys."""
        normal = self.norm(x)
        query, key, value = self.query(normal), self.key(normal), self.value(normal)
        scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later | hidden, -1e9)
        x = x + self.out(scores.softmax(-1) @ value)
        return x + self.narrow(functional.gelu(self.widen(self.after(x)), approximate="tanh"))


class OfTokens(nn.Module):
    """A network of transformers as a function of tokens and of which of them are there."""

    def __init__(self, name: str, config: str, **arguments: Any) -> None:
        super().__init__()
        small = {"vocab_size": _VOCABULARY, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
        self.network = getattr(transformers, name)(getattr(transformers, config)(**small, **arguments))

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return its first result."""
        return self.network(input_ids=tokens, attention_mask=mask)[0]


def _image(side: int, generator: torch.Generator) -> Inputs:
    return (torch.randn(2, 3, side, side, generator=generator),)


def _tokens(generator: torch.Generator) -> Inputs:
    mask = torch.ones(2, _LENGTH, dtype=torch.int64)
    mask[1, _LENGTH - 3 :] = 0
    return torch.randint(_VOCABULARY, (2, _LENGTH), generator=generator), mask


def _signal(generator: torch.Generator) -> Inputs:
    return (torch.randn(2, 4, 6, generator=generator),)


def _masked(generator: torch.Generator) -> Inputs:
    return torch.randn(2, 16, 16, generator=generator), torch.arange(16) >= 13


def _resnet() -> nn.Module:
    stem = [nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    smaller = nn.Sequential(resnet.conv1x1(8, 16, 2), nn.BatchNorm2d(16))
    blocks = [resnet.BasicBlock(8, 8), resnet.BasicBlock(8, 16, 2, smaller)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def _mobilenet() -> nn.Module:
    blocks = [[1, 8, 1, 1], [3, 8, 2, 2], [3, 16, 1, 2]]
    return mobilenetv2.MobileNetV2(num_classes=10, inverted_residual_setting=blocks, width_mult=0.5)


def _squeezing() -> nn.Module:
    block = partial(mobilenetv3.InvertedResidualConfig, dilation=1, width_mult=1.0)
    blocks = [block(16, 3, 16, 16, True, "RE", 2), block(16, 5, 32, 16, True, "HS", 1)]
    return mobilenetv3.MobileNetV3(blocks, last_channel=32, num_classes=10)


def _vgg() -> nn.Module:
    layers = vgg.make_layers([8, "M", 16, "M", 16, "M"], batch_norm=True)
    return nn.Sequential(layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def _vit() -> nn.Module:
    return vision_transformer.VisionTransformer(16, 8, 1, 2, 32, 32, num_classes=10)


def _convnext() -> nn.Module:
    blocks = [convnext.CNBlockConfig(8, 16, 1), convnext.CNBlockConfig(16, None, 1)]
    return convnext.ConvNeXt(blocks, num_classes=10)


def _shufflenet() -> nn.Module:
    return shufflenetv2.ShuffleNetV2([2, 1, 1], [8, 16, 16, 16, 32], num_classes=10)


_BERT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
_GPT2 = {"n_embd": 16, "n_layer": 1, "n_head": 2, "use_cache": False, "attn_implementation": "eager"}
_LLAMA = {
    **_BERT, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "use_cache": False,
}  # fmt: skip

NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[torch.Generator], Inputs]]] = {
    "resnet": (_resnet, partial(_image, 32)),
    "mobilenet": (_mobilenet, partial(_image, 16)),
    "squeezing": (_squeezing, partial(_image, 16)),
    "shufflenet": (_shufflenet, partial(_image, 32)),
    "vgg": (_vgg, partial(_image, 16)),
    "convnext": (_convnext, partial(_image, 16)),
    "vit": (_vit, partial(_image, 16)),
    "unet": (UNet, partial(_image, 8)),
    "recurrent": (Recurrent, _signal),
    "masked": (Masked, _masked),
    "bert": (partial(OfTokens, "BertModel", "BertConfig", **_BERT), _tokens),
    "gpt2": (partial(OfTokens, "GPT2LMHeadModel", "GPT2Config", **_GPT2), _tokens),
    "llama": (partial(OfTokens, "LlamaForCausalLM", "LlamaConfig", **_LLAMA), _tokens),
}
"""What makes each network, and inputs for it: in the order of the forward method's arguments."""


def network(name: str, seed: int) -> nn.Module:
    """Return a network in evaluation mode, with the random weights that its class gives it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return NETWORKS[name][0]().eval()


def inputs(name: str, seed: int) -> Inputs:
    """Return random inputs of a network."""
    return NETWORKS[name][1](torch.Generator().manual_seed(seed))


def redraw(module: nn.Module, seed: int) -> None:
    """Give a network weights as training may: no scale is one, no shift zero, and nothing too small to show."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: torch.Tensor, mean: float, deviation: float) -> torch.Tensor:
        return mean + deviation * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)

    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not tensor.is_floating_point() or name.endswith("inv_freq"):
                continue
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif tensor.dim() > 1 and tensor.numel() > max(tensor.shape):
                tensor.copy_(normal(tensor, 0.0, tensor[0].numel() ** -0.5))
            elif name.endswith(("weight", "layer_scale")):
                tensor.copy_(normal(tensor, 1.0, 0.3))
            else:
                tensor.copy_(normal(tensor, 0.0, 0.3))
