"""Small networks as torch-mlir converts them, one file each; a program of its own, as the converter is noisy.

python tests/support/converting.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch_mlir import fx


class Residual(nn.Module):
    """A small residual network: convolutions with padding, batch normalisation, both poolings, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
                *(nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)),
            )
            for _ in range(2)
        )
        self.head = nn.Linear(8, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = functional.max_pool2d(self.stem(image), 3, 2, 1)
        for block in self.blocks:
            features = functional.relu(block(features) + features)
        return self.head(features.mean((2, 3)))


class Biased(nn.Module):
    """Convolutions with a bias, which torch-mlir makes the init of the convolution, and average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 4, 3, groups=4), nn.Sigmoid()
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layers(image)


class Transformer(nn.Module):
    """Embeddings and two layers of attention: gathers, layer normalisation, softmax, batched products, slices."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.places = nn.Embedding(20, 16), nn.Embedding(8, 16)
        self.layers = nn.ModuleList(
            nn.ModuleList([nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16), nn.LayerNorm(16), nn.Linear(16, 16)])
            for _ in range(2)
        )

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        state = self.embedding(words) + self.places(torch.arange(words.shape[1]))
        mask = torch.ones(words.shape[1], words.shape[1], dtype=torch.bool).tril()
        for first, project, merge, second, widen in self.layers:
            parts = project(first(state)).split(16, dim=2)
            query, key, value = (part.reshape(1, -1, 2, 8).transpose(1, 2) for part in parts)
            scores = (query @ key.transpose(2, 3) * 0.25).masked_fill(~mask, -1e9).softmax(-1)
            state = state + merge((scores @ value).transpose(1, 2).reshape(1, -1, 16))
            state = state + functional.gelu(widen(second(state)))
        return state


class Layer(nn.Module):
    """One function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *arguments: torch.Tensor) -> torch.Tensor:
        return self.function(*arguments)


def _random(*shapes: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.rand(shape) for shape in shapes)


CONVERTED: dict[str, tuple[Any, tuple[torch.Tensor, ...]]] = {
    "residual": (Residual, _random((1, 3, 32, 32))),
    "biased": (Biased, _random((1, 3, 14, 14))),
    "transformer": (Transformer, (torch.arange(8).reshape(1, 8),)),
    "matmul": (lambda: Layer(torch.mm), _random((64, 128), (128, 32))),
    "conv2d": (
        lambda: Layer(lambda x, w: functional.conv2d(x, w, stride=(2, 1), dilation=(1, 2))),
        _random((2, 3, 28, 32), (16, 3, 3, 5)),
    ),
    "conv2d_bias": (
        lambda: Layer(lambda x, w, b: functional.conv2d(x, w, b, stride=(2, 1), dilation=(1, 2))),
        _random((2, 3, 28, 32), (16, 3, 3, 5), (16,)),
    ),
    "pooling_max": (
        lambda: Layer(lambda x: functional.max_pool2d(x, (3, 5), (2, 1), dilation=(1, 2))),
        _random((2, 3, 28, 32)),
    ),
    **{
        f"elementwise_{name}": (lambda function=function: Layer(function), _random((2, 7, 5, 3), (2, 7, 5, 3)))
        for name, function in (("add", torch.add), ("mul", torch.mul), ("max", torch.maximum))
    },
}


def convert(module: nn.Module, inputs: tuple[torch.Tensor, ...], name: str) -> str:
    """Convert a module with its parameters and buffers lifted to arguments."""
    module.eval()
    held = {
        **dict(module.named_parameters()),
        **{key: value for key, value in module.named_buffers() if "num_batches" not in key},
    }

    class Lifted(nn.Module):
        def forward(self, *arguments: torch.Tensor) -> Any:
            given, parameters = arguments[: len(inputs)], arguments[len(inputs) :]
            return torch.func.functional_call(module, dict(zip(held, parameters, strict=True)), given)

    values = [value.detach() for value in held.values()]
    return str(fx.export_and_import(Lifted(), *inputs, *values, output_type="linalg-on-tensors", func_name=name))


if __name__ == "__main__":
    for name, (make, inputs) in CONVERTED.items():
        Path(sys.argv[1], f"{name}.mlir").write_text(convert(make(), inputs, name))
