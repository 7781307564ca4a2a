"""The parts of the config about checking and measuring."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mlir_datagen.config.values import check_keys, choice, whole_number
from mlir_datagen.errors import UserError
from mlir_datagen.proving.job import LEVELS
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings, SandboxLimits

MEASURES = ("none", "baseline")


def parse_check(raw: Mapping[str, Any]) -> CheckSettings:
    """Check the `check` part."""
    _exactly(raw, ("level", "fraction"), "check")
    fraction = _positive(raw["fraction"], "check.fraction", "check.fraction=0.1")
    if fraction > 1:
        raise UserError(f"check.fraction is {fraction}, and must be at most 1. Type check.fraction=0.1.")
    return CheckSettings(choice(raw["level"], "check.level", LEVELS), fraction)


def parse_measure(raw: Mapping[str, Any]) -> MeasureSettings:
    """Check the `measure` part."""
    _exactly(raw, ("kind", "runs", "max_seconds", "assumed_flops_per_second"), "measure")
    return MeasureSettings(
        kind=choice(raw["kind"], "measure.kind", MEASURES),
        runs=whole_number(raw["runs"], "measure.runs", minimum=1, example="measure.runs=5"),
        max_seconds=_positive(raw["max_seconds"], "measure.max_seconds", "measure.max_seconds=1.0"),
        assumed_flops_per_second=_positive(
            raw["assumed_flops_per_second"], "measure.assumed_flops_per_second", "measure.assumed_flops_per_second=1e9"
        ),
    )


def parse_sandbox(raw: Mapping[str, Any]) -> SandboxLimits:
    """Check the `sandbox` part."""
    _exactly(raw, ("seconds", "memory_bytes"), "sandbox")
    return SandboxLimits(
        seconds=whole_number(raw["seconds"], "sandbox.seconds", minimum=1, example="sandbox.seconds=60"),
        memory_bytes=whole_number(
            raw["memory_bytes"], "sandbox.memory_bytes", minimum=1 << 20, example="sandbox.memory_bytes=17179869184"
        ),
    )


def _exactly(raw: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    check_keys(raw, keys, where)
    for key in keys:
        if key not in raw:
            raise UserError(f"{where} lacks {key}. Compare it with conf/generate.yaml and the files of conf/{where}/.")


def _positive(value: Any, key: str, example: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise UserError(f"{key} is {value!r}, and must be a number above 0. Type {example}.")
    return float(value)
