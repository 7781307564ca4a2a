"""What a measured time depends on."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlir_datagen.mlir.parse import llvm_version
from mlir_datagen.mlir.pipelines import BASELINE_PIPELINE
from mlir_datagen.programs.machine import Machine
from mlir_datagen.proving.settings import MeasureSettings

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def session(settings: MeasureSettings, machines: Iterable[Machine]) -> dict[str, Any]:
    """Return what times depend on, as plain values: the machines, the pipeline, the settings."""
    records = [{"id": one.id, **dataclasses.asdict(one)} for one in machines]
    return {"machines": records, "pipeline": BASELINE_PIPELINE, "settings": dataclasses.asdict(settings)}


def machine() -> Machine:
    """Return what this machine is."""
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count(),
        frequency_governor=_GOVERNOR.read_text().strip() if _GOVERNOR.exists() else None,
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        llvm=llvm_version(),
    )


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
