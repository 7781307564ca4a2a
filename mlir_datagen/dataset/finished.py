"""Telling whether a folder is a finished dataset, and whether its files are as its manifest says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlir_datagen.dataset.amending import finish_amendment
from mlir_datagen.dataset.locks import locked
from mlir_datagen.dataset.manifest import MANIFEST, MEASUREMENTS_KEY, measured_files, read_manifest
from mlir_datagen.dataset.paths import split_folder
from mlir_datagen.dataset.writer import file_sha256
from mlir_datagen.errors import UserError, said, shown


def changed_files(folder: Path, listed: Mapping[str, str]) -> Iterator[str]:
    """Say what is wrong with the files of a folder whose digests are listed."""
    for file, digest in listed.items():
        try:
            if file_sha256(folder / file) != digest:
                yield f"{said(file)} was changed"
        except (FileNotFoundError, NotADirectoryError):
            yield f"{said(file)} is missing"
        except (OSError, ValueError) as error:
            # A name may have a zero byte.
            yield f"{said(file)} cannot be read: {said(getattr(error, 'strerror', None) or error)}"


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
    found, damaged = _state(path, fingerprint)
    if damaged:
        # Another process may be writing its card just now, or was killed while it did.
        with locked(path, lambda: None):
            found, damaged = _state(path, fingerprint)
            if damaged:
                finish_amendment(path)
                found, damaged = _state(path, fingerprint)
    if damaged:
        raise UserError(
            f"The dataset {path} is damaged: {'; '.join(damaged)}. Delete the folder and run this again "
            "to make it anew; scripts/verify.py checks every byte of a dataset."
        )
    return found


def _state(path: Path, fingerprint: str) -> tuple[dict[str, Any], list[str]]:
    """Return the manifest of a dataset, and what is wrong with the files that it lists."""
    found = read_manifest(path)
    if found.get("fingerprint") != fingerprint:
        raise UserError(
            f"{path} is in the way: its manifest has the fingerprint {shown(found.get('fingerprint'))}, so it is "
            "another dataset under this name. Move it away, or choose another folder (output_dir=…)."
        )
    return found, [*changed_files(path, listed_files(found)), *miscounted_splits(path, found)]


def listed_files(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of all files that a manifest lists, the measured times included, the presentation not."""
    return {**found["files"], **measured_files(found.get(MEASUREMENTS_KEY, {}))}


def miscounted_splits(path: Path, found: Mapping[str, Any]) -> list[str]:
    """Return the splits whose folder has not as many `.mlir` files as the manifest says."""
    if found["storage"] == "parquet":
        return []
    problems = []
    for split, counts in found["counts"].items():
        expected = sum(counts.values())
        present = sum(len(files) for _, _, files in os.walk(path / split_folder(split)))
        if present != expected:
            problems.append(f"{split}/ has {present} files instead of {expected}")
    return problems
