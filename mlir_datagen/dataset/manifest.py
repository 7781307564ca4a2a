"""The manifest: what a dataset is, and what made it. It is written last, and a folder without one is no dataset."""

from __future__ import annotations

import platform
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlir_datagen import foreign
from mlir_datagen.dataset.licenses import LICENSES
from mlir_datagen.dataset.settings import DatasetSettings
from mlir_datagen.errors import UserError, said, shown
from mlir_datagen.programs.machine import Machine
from mlir_datagen.programs.production import Production
from mlir_datagen.programs.proof import LEVEL_STAGES, STAGES
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.proving.settings import CheckSettings, MeasureSettings
from mlir_datagen.values import LARGEST
from mlir_datagen.version import GENERATOR_VERSION, PACKAGE_VERSION, SCHEMA_VERSION, check_schema_version

MANIFEST = "manifest.json"
_PLAIN_KEY = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
_MEASURED_FILE = re.compile(r"measurements(/\w+){0,2}\.parquet", re.ASCII)
_PRESENTED_FILE = re.compile(r"(pictures/\w+\.(png|svg)|croissant\.json|report\.html)", re.ASCII)
MEASUREMENTS_KEY = "measurements"
PRESENTATION_KEY = "presentation"
OLD_MEASUREMENTS = "measurements.parquet"
"""The one file that measured times were in until version 0.9."""


def manifest(
    settings: DatasetSettings,
    counts: Mapping[str, Mapping[str, int]],
    quotas: Mapping[str, Any],
    production: Production,
    digest: str,
    files: Mapping[str, str],
) -> dict[str, Any]:
    """Return the manifest of a finished dataset.

    Args:
        settings: of the run.
        counts: programs by split and family.
        quotas: what is said of what each family was asked for and had.
        production: what was attempted and rejected.
        digest: the dataset's digest, over every program's place and text.
        files: the sha256 of every other top-level file.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "name": settings.name,
        "fingerprint": settings.fingerprint,
        "generator_version": GENERATOR_VERSION,
        "digest": digest,
        "seed": settings.seed,
        "storage": settings.storage,
        "license": list(settings.licenses),
        "counts": counts,
        "quotas": quotas,
        "funnel": funnel_part(settings.check, settings.measure, production.attempted, production.rejected),
        "check": {
            "level": settings.check.level,
            "fraction": settings.check.fraction,
            "checked_beyond_parsing": production.checked,
            "matched": production.matched,
        },
        "files": files,
        "environment": environment(with_networks=bool(settings.networks)),
    }


def run_stages(check: CheckSettings, measure: MeasureSettings) -> tuple[str, ...]:
    """Return the stages that a run's programs pass, in order."""
    stages = STAGES[: 4 + LEVEL_STAGES[check.level]]
    if not measure.enabled:
        return stages
    return (*(stage for stage in STAGES if stage in {*stages, "lowered", "executed"}), "measured")


def funnel_part(
    check: CheckSettings, measure: MeasureSettings, attempted: int, rejected: Sequence[Rejected]
) -> dict[str, Any]:
    """Return how many programs were attempted, passed each stage and were kept, and the rejects by stage."""
    return funnel_of(run_stages(check, measure), attempted, Counter(one.stage for one in rejected))


def funnel_of(stages: Sequence[str], attempted: int, failed: Mapping[str, int]) -> dict[str, Any]:
    """Return how many programs were attempted, passed each of some stages and were kept, and how many failed it."""
    funnel: dict[str, Any] = {"attempted": attempted}
    left = attempted
    for stage in stages:
        left -= failed.get(stage, 0)
        funnel[stage] = left
    return {**funnel, "kept": left, "rejected": {stage: failed.get(stage, 0) for stage in stages}}


def environment(with_networks: bool) -> dict[str, str | None]:
    """Return the versions of what makes the bytes; they may differ between two machines that make the same dataset.

    Args:
        with_networks: whether the libraries of networks are among them.
    """
    # Only here, since reading a manifest needs no MLIR.
    from mlir_datagen.mlir.parse import llvm_version

    libraries = ("torch", "torchvision", "transformers") if with_networks else ()
    return {
        "mlir_datagen": PACKAGE_VERSION,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "torch_mlir": version("torch-mlir"),
        "llvm": llvm_version(),
        "numpy": version("numpy"),
        "pyarrow": version("pyarrow"),
        **{library: version(library) for library in libraries if find_spec(library) is not None},
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a dataset.

    Raises:
        UserError: when the folder is no dataset, or one that this version cannot read.
    """
    path = folder / MANIFEST
    try:
        read = foreign.read_json(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise UserError(
            f"{folder} is not a dataset: it has no {MANIFEST}. Name a folder that scripts/generate.py printed as its "
            "last line."
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}. Name a dataset's folder.") from error
    except ValueError as error:
        raise UserError(
            f"{path} is damaged: it is not readable as JSON ({said(error)}). Generate the dataset again."
        ) from None
    if not isinstance(read, dict):
        raise UserError(f"{path} is damaged: it is not a JSON object. Generate the dataset again.")
    check_schema_version(read.get("schema_version"))
    if MEASUREMENTS_KEY in read:
        read[MEASUREMENTS_KEY] = _told_now(read[MEASUREMENTS_KEY])
    for key, is_right in {**_FORM, **{key: _OPTIONAL[key] for key in read.keys() & _OPTIONAL.keys()}}.items():
        if not is_right(read.get(key)):
            raise UserError(f"{path} is damaged: {key} is {shown(read.get(key))}. Generate the dataset again.")
    return read


def measured_processors(told: Mapping[str, Any]) -> list[str]:
    """Return the different processors that measured times are of, by what the manifest says of the times."""
    return list(dict.fromkeys(str(machine["cpu"]) for machine in told["machines"]))


def measured_files(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the files that have the measured times.

    Args:
        told: what a manifest says of these; nothing where there are none.
    """
    return dict(told.get("files", {}))


def presented_files(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the files that show a dataset."""
    return dict(manifest.get(PRESENTATION_KEY, {}).get("files", {}))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _told_now(told: Any) -> Any:
    """Return what is said of times as it is said now: before version 0.10, they were of one machine, in one file."""
    try:
        machine = dict(told["machine"])
        record = {"id": Machine.of_record(machine).id, **machine, "programs": told["programs"]}
        files = {OLD_MEASUREMENTS: told["sha256"]}
    except (KeyError, TypeError, ValueError):
        return told
    rest = {key: value for key, value in told.items() if key not in ("machine", "sha256")}
    return {**rest, "files": files, "machines": [record]}


def _is_measured(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_mapping(value.get("files"), _is_text, _MEASURED_FILE)
        and _is_number(value.get("programs"))
        and _is_number(value.get("failed"))
        # Versions before 5 had none.
        and _is_number(value.get("disturbed", 0))
        and isinstance(value.get("machines"), list)
        and all(map(_is_machine, value["machines"]))
    )


def _is_machine(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(_is_text(value.get(key)) for key in ("id", "cpu"))
        and _is_number(value.get("programs"))
    )


def _is_presented(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"of", "files", "pictures"}
        and _is_text(value["of"])
        and _is_mapping(value["files"], _is_text, _PRESENTED_FILE)
        and _is_mapping(value["pictures"], lambda said: _is_text(said) and not set(said) & set("\n[]<>"))
        and set(value["pictures"]) <= set(value["files"])
    )


def _is_mapping(value: Any, is_value: Callable[[Any], bool], key: re.Pattern[str] = _PLAIN_KEY) -> bool:
    """Tell whether it is a mapping whose keys are plain names, and its values of a form."""
    return isinstance(value, dict) and all(key.fullmatch(name) and is_value(item) for name, item in value.items())


def _is_count(value: Any) -> bool:
    return _is_mapping(value, _is_number)


def _is_quota(value: Any) -> bool:
    return _is_mapping(
        value,
        lambda quota: (
            isinstance(quota, dict)
            and all(_is_number(quota.get(key)) for key in ("asked", "planned", "rejected"))
            and isinstance(quota.get("exhausted"), bool)
        ),
    )


# What the other parts rely on; config.yaml has a stricter check of its own.
_FORM: dict[str, Callable[[Any], bool]] = {
    "name": _is_text,
    "fingerprint": _is_text,
    "generator_version": _is_number,
    "digest": _is_text,
    "seed": _is_number,
    "storage": lambda value: value in ("both", "files", "parquet"),
    "counts": lambda value: _is_mapping(value, _is_count) and len(value) > 0,
    "quotas": lambda value: _is_mapping(value, _is_quota),
    "funnel": lambda value: (
        isinstance(value, dict) and all(_is_number(value.get(key)) for key in ("attempted", "kept"))
    ),
    "files": lambda value: _is_mapping(value, _is_text) and "SHA256SUMS" in value,
    "environment": lambda value: isinstance(value, dict),
}


_OPTIONAL: dict[str, Callable[[Any], bool]] = {
    MEASUREMENTS_KEY: _is_measured,
    PRESENTATION_KEY: _is_presented,
    # Of no licence, versions before 0.10 say nothing.
    "license": lambda value: isinstance(value, list) and all(map(_is_text, value)) and {*value} <= {*LICENSES},
}


@lru_cache
def _git_commit() -> str | None:
    """Return the commit of the checkout that this package runs from; None when it is installed from elsewhere."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
