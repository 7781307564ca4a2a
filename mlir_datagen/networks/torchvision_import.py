"""Importing torchvision beside a PyTorch that its compiled operators were not built for."""

from __future__ import annotations

import importlib
from typing import Any

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_NEEDED = ("torchvision::nms", "torchvision::qnms")


def import_torchvision() -> Any:
    """Import torchvision, also where its compiled operators cannot load, and return it.

    Built for another PyTorch, such as one with CUDA, they do not load, and torchvision's own import fails on the first
    that it refers to. No classification network uses them, so that their names alone are enough.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    import torch

    for operator in _NEEDED:
        torch.library.define(operator, _SCHEMA)
    return importlib.import_module("torchvision")
