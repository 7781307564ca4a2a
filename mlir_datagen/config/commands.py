"""Commands that make a part of a run again, alone."""

from __future__ import annotations

import json
import shlex
from functools import partial
from typing import Any

import yaml

from mlir_datagen.config.folder import config_directory
from mlir_datagen.config.models import parse_model
from mlir_datagen.config.run import RunConfig
from mlir_datagen.networks.catalogue import TORCHVISION_CLASSIFIERS, torchvision_model
from mlir_datagen.networks.model_spec import ConverterSettings, ModelSpec
from mlir_datagen.sources.settings import NetworkSettings


def network_settings(config: RunConfig) -> NetworkSettings:
    """Return what the source of networks is handed."""
    return NetworkSettings(
        models=tuple(config.models.values()),
        converter=config.converter,
        level=config.check.level,
        seed=config.seed,
        trust=config.trust,
        save_weights=config.save_weights,
        command=partial(_network_command, config),
    )


def _network_command(config: RunConfig, spec: ModelSpec, converter: ConverterSettings) -> str:
    settings = {
        **choosing(spec),
        "ops": "[]",
        "converter": converter.kind,
        "converter.weights": converter.weights,
        "check": config.check.level,
        "measure": config.measure.kind,
        "converter.seconds": converter.seconds,
        "converter.memory_bytes": converter.memory_bytes,
        "seed": config.seed,
    }
    if config.trust:
        settings["trust"] = f"[{','.join(config.trust)}]"
    return f"python scripts/generate.py {shlex.join(f'{key}={value}' for key, value in settings.items())}"


def choosing(spec: ModelSpec) -> dict[str, str]:
    """Return the settings, as the command line has them, with which a run chooses a network.

    They name it where it is as in `conf/models/` or as torchvision's, and describe all of it elsewhere.
    """
    file = config_directory() / "models" / f"{spec.name}.yaml"
    if file.exists() and parse_model(spec.name, yaml.safe_load(file.read_text())) == spec:
        return {"models": f"[{spec.name}]"}
    if spec.name in TORCHVISION_CLASSIFIERS and parse_model(spec.name, torchvision_model(spec.name)) == spec:
        return {"models": f"[torchvision/{spec.name}]"}
    return {f"+models.{spec.name}": _override_value(spec.to_saved())}


def _override_value(value: Any) -> str:
    """Return a plain value as Hydra's overrides spell it: JSON, but with the keys of mappings bare."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_override_value(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_override_value, value))}]"
    return json.dumps(value)
