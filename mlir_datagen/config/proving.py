"""The parts of the config about checking and measuring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlir_datagen.errors import UserError
from mlir_datagen.programs.proof import LEVELS
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings, SandboxLimits
from mlir_datagen.values import check_keys, choice, memory_bytes, positive_number, processor_seconds, whole_number

MEASURES = ("none", "baseline")


def parse_check(raw: Mapping[str, Any]) -> CheckSettings:
    """Check the `check` part."""
    _exactly(raw, ("level", "fraction"), "check")
    fraction = positive_number(raw["fraction"], "check.fraction", "check.fraction=0.1")
    if fraction > 1:
        raise UserError(f"check.fraction is {fraction}, and must be at most 1. Type check.fraction=0.1.")
    return CheckSettings(choice(raw["level"], "check.level", LEVELS), fraction)


def parse_measure(raw: Mapping[str, Any]) -> MeasureSettings:
    """Check the `measure` part."""
    _exactly(raw, ("kind", "runs", "max_seconds", "assumed_flops_per_second"), "measure")
    return MeasureSettings(
        kind=choice(raw["kind"], "measure.kind", MEASURES),
        runs=whole_number(raw["runs"], "measure.runs", minimum=1, maximum=10**6, example="measure.runs=5"),
        max_seconds=positive_number(raw["max_seconds"], "measure.max_seconds", "measure.max_seconds=1.0"),
        assumed_flops_per_second=positive_number(
            raw["assumed_flops_per_second"], "measure.assumed_flops_per_second", "measure.assumed_flops_per_second=1e9"
        ),
    )


def parse_sandbox(raw: Mapping[str, Any]) -> SandboxLimits:
    """Check the `sandbox` part."""
    _exactly(raw, ("seconds", "memory_bytes"), "sandbox")
    return SandboxLimits(
        seconds=processor_seconds(raw["seconds"], "sandbox.seconds"),
        memory_bytes=memory_bytes(raw["memory_bytes"], "sandbox.memory_bytes"),
    )


def _exactly(raw: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    check_keys(raw, keys, where)
    for key in keys:
        if key not in raw:
            raise UserError(f"{where} lacks {key}. Compare it with conf/generate.yaml and the files of conf/{where}/.")
