"""Custom networks as a user would write them."""

from __future__ import annotations

import torch
from torch import nn


class SimpleNet(nn.Module):
    """A convolution, a pooling and a linear layer on images of 3 x 224 x 224."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(64 * 111 * 111, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ten logits for each image."""
        x = self.pool(self.conv1(x))
        x = x.view(x.size(0), -1)
        logits: torch.Tensor = self.fc(x)
        return logits
