"""Networks that runs of the tests trust: small ones, and ones that go wrong in one way each."""

from __future__ import annotations

import torch
from torch import nn


class Small(nn.Module):
    """Every role of the signature: parameters, persistent buffers and one that is not, and one that nothing uses."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.scale = nn.Parameter(torch.rand(channels))
        self.register_buffer("offset", torch.linspace(0, 1, channels), persistent=False)
        self.head = nn.Linear(channels, 5)

    def forward(self, image):
        features = self.layers(image).mean((2, 3))
        return self.head(features * self.scale + self.offset)


class Returns(nn.Module):
    """Gives more than tensors."""

    def forward(self, x):
        return {"first": x + 1, "second": (None, x * 2), "third": 3}


class Scans(nn.Module):
    def forward(self, x):
        return torch.cumsum(x, 1)


class Scatters(nn.Module):
    """torch-mlir turns it into an operation of no upstream dialect, and the manual converter has it not."""

    def forward(self, x):
        return x.scatter(1, x.argmax(1, keepdim=True), x)


class Bytes(nn.Module):
    """torch-mlir crashes the process; the manual converter takes it."""

    def forward(self, x):
        return x.to(torch.int8) * 2


class Spectrum(nn.Module):
    """Neither converter can do it."""

    def forward(self, x):
        return torch.fft.fft(x).real


class Branches(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x + 1
        return x - 1


class Selects(nn.Module):
    """torch-mlir was seen to work on it for ever, taking more and more memory."""

    def forward(self, x):
        return x[x > 0] / 2


class GivesNothing(nn.Module):
    def forward(self, x):
        return 3


class Cancels(nn.Module):
    """In single precision, nothing is left of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.large = nn.Parameter(torch.full((3,), 1e9))

    def forward(self, x):
        return (x + self.large) - self.large


class Differs(nn.Module):
    """Is captured as something else than it computes."""

    def forward(self, x):
        return x + 1 if torch.compiler.is_compiling() else x + 1.01


class Hungry(nn.Module):
    """Has 4 GiB of parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1 << 30))

    def forward(self, x):
        return x * self.weight[:3]


class Slow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        while True:
            pass


class Crashes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        raise KeyError("a key")


def build_nothing():
    return 3


class Leaves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        raise SystemExit(3)


class Imaginary(nn.Module):
    """Has a tensor that programs do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("turn", torch.ones(3, dtype=torch.complex64))

    def forward(self, x):
        return x + self.turn.real


class Objects(nn.Module):
    """Raises something whose message has several lines."""

    def forward(self, x):
        raise KeyError("a key\nand more")


class NamesItsDtype(nn.Module):
    """Does not work in double precision."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(self.layer(x).to(torch.float32))
