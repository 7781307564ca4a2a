"""The networks that torchvision lists for classification, each addressable as `torchvision/<name>` without a file."""

from __future__ import annotations

from typing import Any

TORCHVISION_CLASSIFIERS = (
    *("alexnet", "convnext_base", "convnext_large", "convnext_small", "convnext_tiny"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *(f"efficientnet_b{size}" for size in range(8)),
    *("efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s", "googlenet", "inception_v3", "maxvit_t"),
    *("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    *("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"),
    *(f"regnet_x_{size}" for size in ("16gf", "1_6gf", "32gf", "3_2gf", "400mf", "800mf", "8gf")),
    *(f"regnet_y_{size}" for size in ("128gf", "16gf", "1_6gf", "32gf", "3_2gf", "400mf", "800mf", "8gf")),
    *("resnet101", "resnet152", "resnet18", "resnet34", "resnet50"),
    *("resnext101_32x8d", "resnext101_64x4d", "resnext50_32x4d"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    *("squeezenet1_0", "squeezenet1_1"),
    *("swin_b", "swin_s", "swin_t", "swin_v2_b", "swin_v2_s", "swin_v2_t"),
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
    *("vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32", "wide_resnet101_2", "wide_resnet50_2"),
)
"""What `torchvision.models.list_models(module=torchvision.models)` gives; a test holds the two equal."""

_RESOLUTIONS = {"inception_v3": 299}


def torchvision_model(name: str) -> dict[str, Any]:
    """Return the config of one of torchvision's classification networks, as a file of `conf/models/` would have it."""
    return {
        "class": f"torchvision.models.{name}",
        "arguments": {},
        "sizes": {"batch": 1, "resolution": _RESOLUTIONS.get(name, 224)},
        "inputs": [{"name": "x", "shape": ["batch", 3, "resolution", "resolution"]}],
    }
