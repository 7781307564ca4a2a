"""The versions that a dataset is stamped with."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mlir_datagen.errors import UserError, listed, shown

PACKAGE_VERSION = "0.10.0"
RELEASE_DATE = "2026-11-30"
"""The day of that version, as what describes a dataset gives it: never the day on which it is made."""

GENERATOR_VERSION = 9
"""Goes up whenever the same config would give other bytes; it is part of every dataset's fingerprint."""
GENERATOR_YEAR = 2026
"""The year of that version, for citations of what it makes."""

SCHEMA_VERSION = 2
"""The layout of `config.yaml` and `manifest.json`; goes up when an older reader could misread them."""


def check_schema_version(version: Any) -> None:
    """Refuse a config or manifest whose layout this version does not know."""
    if version != SCHEMA_VERSION:
        raise UserError(
            f"schema_version is {shown(version)}, and this version of mlir_datagen reads {SCHEMA_VERSION} only. "
            "Use the version of mlir_datagen that wrote it (the dataset's manifest.json names it)."
        )


Versions = tuple[tuple[str, str | None], ...]
"""Names, each with its version; None where it is not installed."""


def installed(libraries: Iterable[str]) -> Versions:
    """Return the versions of libraries."""
    return tuple((library, _installed(library)) for library in libraries)


def _installed(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def said_of_versions(some: Versions, others: Versions) -> str:
    """Say which versions are others than elsewhere: `numpy 1 and not 2`."""
    return listed(
        f"{name} {one} and not {other}" for (name, one), (_, other) in zip(some, others, strict=True) if one != other
    )
