"""The parts of the config about suites, about what is extracted from networks, and about what is kept out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from mlir_datagen.config.folder import config_directory
from mlir_datagen.config.models import parse_model
from mlir_datagen.errors import UserError, nearest, shown
from mlir_datagen.networks.catalogue import TORCHVISION_CLASSIFIERS, torchvision_model
from mlir_datagen.networks.model_spec import CONVERTERS, ModelSpec
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.family import NotOfFamily
from mlir_datagen.ops.graph_json import NoGraph
from mlir_datagen.programs.spec import spec_of_fields
from mlir_datagen.sources.settings import Exclusion, ExtractSettings, SuiteSpec
from mlir_datagen.values import check_keys, choice, mapping, whole_number

_NAME = re.compile(r"[A-Za-z0-9_]{1,128}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def parse_extract(raw: Mapping[str, Any], with_models: bool) -> ExtractSettings:
    """Check the `extract` part.

    Raises:
        UserError: for a window or a stride below 1, or where there is no network to extract from.
    """
    check_keys(raw, ("window", "stride"), "extract")
    settings = _extract(raw, "extract")
    if settings.window is not None and not with_models:
        raise UserError(
            "There is no network to extract operations from. Choose some as well: "
            "'models=[resnet18]' extract=ops, or leave extract out."
        )
    return settings


def _extract(raw: Mapping[str, Any], key: str) -> ExtractSettings:
    window, stride = raw.get("window"), raw.get("stride", 1)
    if window is not None:
        whole_number(window, f"{key}.window", minimum=1, example=f"{key}.window=5")
    return ExtractSettings(window, whole_number(stride, f"{key}.stride", minimum=1, example=f"{key}.stride=3"))


def parse_suites(raw: Mapping[str, Any]) -> dict[str, SuiteSpec]:
    """Check the `suites` part; return it in the order of the names.

    Raises:
        UserError: for any value that is not allowed.
    """
    for name in raw:
        if not _NAME.fullmatch(name):
            raise UserError(
                f"suites has {shown(name)}, and a suite's name becomes that of a folder: letters, digits, underscores."
            )
    return {name: _parse_suite(name, mapping(raw[name], f"suites.{name}")) for name in sorted(raw)}


def parse_exclude(value: Any) -> tuple[Exclusion, ...]:
    """Check the folders of datasets, and the names of suites, whose programs are kept out."""
    entries = {_exclusion(entry) for entry in value} if isinstance(value, list) else {None}
    found = [entry for entry in entries if entry is not None]
    if len(found) < len(entries):
        raise UserError(
            f"exclude is {shown(value)}, and must be a list of datasets' folders and suites' names: "
            "'exclude=[outputs/<dataset>]'."
        )
    return tuple(sorted(found, key=lambda exclusion: exclusion.name))


def _exclusion(entry: Any) -> Exclusion | None:
    """Return a name, or a dataset as a saved config has it; None for anything else."""
    if isinstance(entry, str) and entry:
        return Exclusion(entry)
    if isinstance(entry, Mapping) and set(entry) == {"dataset", "digest"} and entry["dataset"]:
        folder, digest = entry["dataset"], entry["digest"]
        if isinstance(folder, str) and isinstance(digest, str) and _DIGEST.fullmatch(digest):
            return Exclusion(folder, digest)
    return None


def suite_names() -> list[str]:
    """Return the names of the suites that `conf/suites/` defines."""
    return sorted(path.stem for path in (config_directory() / "suites").glob("*.yaml"))


def defined_suite(name: str) -> SuiteSpec | None:
    """Return a suite as `conf/suites/` defines it; None when there is none of that name."""
    path = config_directory() / "suites" / f"{name}.yaml"
    if not _NAME.fullmatch(name) or not path.is_file():
        return None
    return _parse_suite(name, mapping(yaml.safe_load(path.read_text()), f"suites.{name}"))


def _parse_suite(name: str, raw: Mapping[str, Any]) -> SuiteSpec:
    key = f"suites.{name}"
    check_keys(raw, ("version", "digest", "programs", "models", "converter", "window", "stride"), key)
    version = whole_number(raw.get("version"), f"{key}.version", minimum=1, example=f"{key}.version=1")
    digest = raw.get("digest")
    if digest is not None and not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise UserError(f"{key}.digest is {shown(digest)}, and must be 64 hexadecimal digits, or null for a new suite.")
    if (raw.get("programs") is None) == (raw.get("models") is None):
        raise UserError(f"{key} must have either programs or models.")
    if raw.get("programs") is not None:
        programs = mapping(raw["programs"], f"{key}.programs")
        checked = {one: _parse_program(f"{key}.programs.{one}", one, programs[one]) for one in programs}
        return SuiteSpec(name, version, digest, checked, (), None, ExtractSettings(None, 1))
    models = raw["models"]
    if not isinstance(models, list) or not models or not all(isinstance(model, str) for model in models):
        raise UserError(f"{key}.models is {shown(models)}, and must be a list of names of conf/models/.")
    converter = choice(raw.get("converter"), f"{key}.converter", CONVERTERS)
    specs = tuple(defined_model(model) for model in models)
    return SuiteSpec(name, version, digest, {}, specs, converter, _extract(raw, key))


def _parse_program(key: str, name: str, raw: Any) -> tuple[str, dict[str, Any]]:
    fields = dict(mapping(raw, key))
    op = fields.pop("op", None)
    if not _NAME.fullmatch(name) or op not in PROGRAM_FAMILIES:
        raise UserError(
            f"{key} has op {shown(op)}, and must have a name of letters, digits and underscores and one of the ops, "
            "which scripts/list_ops.py lists."
        )
    try:
        spec = spec_of_fields(op, fields)
    except TypeError as error:
        raise UserError(f"{key} does not have the fields of {op}: {error}.") from error
    except (NotOfFamily, NoGraph) as error:
        raise UserError(f"{key} is not a program of {op}: {error}.") from error
    problem = PROGRAM_FAMILIES[op].problem(spec)
    if problem is not None:
        raise UserError(f"{key} is not a program of {op}: {problem}.")
    return op, fields


def defined_model(name: str) -> ModelSpec:
    """Return a network as `conf/models/` or torchvision's list defines it, whatever else a run changes.

    Raises:
        UserError: when neither has it.
    """
    files = {path.stem: path for path in (config_directory() / "models").glob("*.yaml")}
    if name in files:
        return parse_model(name, yaml.safe_load(files[name].read_text()))
    short = name.removeprefix("torchvision/")
    if short in TORCHVISION_CLASSIFIERS:
        return parse_model(short, torchvision_model(short))
    raise UserError(f"There is no model {shown(name)}.{nearest(name, [*files, *TORCHVISION_CLASSIFIERS])}")
