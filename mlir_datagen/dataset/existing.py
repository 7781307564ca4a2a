"""Finding a dataset that is finished."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlir_datagen.dataset.manifest import MANIFEST, MEASUREMENTS_KEY, read_manifest
from mlir_datagen.dataset.measurements import MEASUREMENTS
from mlir_datagen.dataset.paths import split_folder
from mlir_datagen.dataset.reader import changed_files
from mlir_datagen.errors import UserError, shown


def find_finished(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return the manifest of the dataset of that fingerprint, or None when it is not there.

    The check is cheap: the files that the manifest lists, and how many programs there are.

    Raises:
        UserError: when the folder is there but is something else, or is damaged.
    """
    if not path.exists():
        return None
    if not path.is_dir() or (not (path / MANIFEST).exists() and any(path.iterdir())):
        raise UserError(
            f"{path} is in the way: this run would make a folder of that name, and what is there is not a finished "
            f"dataset of ours (it has no {MANIFEST}). Move it away, or choose another folder (output_dir=…)."
        )
    if not (path / MANIFEST).exists():
        return None
    found = read_manifest(path)
    if found.get("fingerprint") != fingerprint:
        raise UserError(
            f"{path} is in the way: its manifest has the fingerprint {shown(found.get('fingerprint'))}, so it is "
            "another dataset under this name. Move it away, or choose another folder (output_dir=…)."
        )
    damaged = [*changed_files(path, listed_files(found)), *miscounted_splits(path, found)]
    if damaged:
        raise UserError(
            f"The dataset {path} is damaged: {'; '.join(damaged)}. Delete the folder and run this again "
            "to make it anew; scripts/verify.py checks every byte of a dataset."
        )
    return found


def listed_files(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of all files that a manifest lists, the measured times included."""
    files = dict(found["files"])
    if MEASUREMENTS_KEY in found:
        files[MEASUREMENTS] = found[MEASUREMENTS_KEY]["sha256"]
    return files


def miscounted_splits(path: Path, found: Mapping[str, Any]) -> list[str]:
    """Return the splits whose folder has not as many `.mlir` files as the manifest says."""
    if found["storage"] == "parquet":
        return []
    problems = []
    for split, counts in found["counts"].items():
        expected = sum(counts.values())
        folder = path / split_folder(split)
        present = len(os.listdir(folder)) if folder.is_dir() else 0
        if present != expected:
            problems.append(f"{split}/ has {present} files instead of {expected}")
    return problems
