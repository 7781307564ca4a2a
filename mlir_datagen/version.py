"""The versions that a dataset is stamped with."""

from __future__ import annotations

from typing import Any

from mlir_datagen.errors import UserError, shown

PACKAGE_VERSION = "0.9.0"

GENERATOR_VERSION = 9
"""Goes up whenever the same config would give other bytes; it is part of every dataset's fingerprint."""

SCHEMA_VERSION = 2
"""The layout of `config.yaml` and `manifest.json`; goes up when an older reader could misread them."""


def check_schema_version(version: Any) -> None:
    """Refuse a config or manifest whose layout this version does not know."""
    if version != SCHEMA_VERSION:
        raise UserError(
            f"schema_version is {shown(version)}, and this version of mlir_datagen reads {SCHEMA_VERSION} only. "
            "Use the version of mlir_datagen that wrote it (the dataset's manifest.json names it)."
        )
