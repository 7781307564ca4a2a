"""What shows a finished dataset, its presentation: files that are made after it, and are no part of it.

The manifest alone lists them, under a key of their own. Whatever becomes of them, the dataset is whole.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlir_datagen.dataset.amending import amend
from mlir_datagen.dataset.card import CARD
from mlir_datagen.dataset.card_sections import with_pictures
from mlir_datagen.dataset.disk_errors import exportable, presentable
from mlir_datagen.dataset.finished import changed_files
from mlir_datagen.dataset.manifest import PRESENTATION_KEY, presented_files
from mlir_datagen.dataset.writer import CHECKSUMS
from mlir_datagen.version import PACKAGE_VERSION


def write_presentation(
    folder: Path, manifest: dict[str, Any], files: Mapping[str, bytes], pictures: Mapping[str, str]
) -> None:
    """Write the presentation of a dataset in place of the one that it has, and show its pictures on the card.

    Args:
        folder: the dataset.
        manifest: its manifest, which is changed.
        files: what it consists of, by path in the dataset.
        pictures: those of them that the card shows, and what each shows, in words.

    Raises:
        UserError: when the folder cannot be written; the dataset is as it was then.
    """
    with presentable(folder, rest_command(folder)):
        gone = presented_files(manifest)
        manifest[PRESENTATION_KEY] = {
            "of": presented_identity(manifest),
            "files": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
            "pictures": dict(pictures),
        }
        amend(folder, manifest, lambda card: with_pictures(card, pictures), files, gone)


def write_page(page: Path, content: bytes) -> None:
    """Write a page that belongs to no dataset, whole or not at all, in place of what is there under its name.

    Raises:
        UserError: when it cannot be written.
    """
    with exportable(page):
        page.parent.mkdir(parents=True, exist_ok=True)
        partial = page.with_name(f".{page.name}.partial")
        partial.unlink(missing_ok=True)
        try:
            partial.write_bytes(content)
            partial.rename(page)
        finally:
            partial.unlink(missing_ok=True)


def rest_command(folder: Path) -> str:
    """Return what is typed to make what shows a finished dataset."""
    return f"python scripts/report.py {shlex.quote(str(folder))}"


def is_presented(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Tell whether a dataset has a presentation of what it is now, and all its files are as the manifest says."""
    told = manifest.get(PRESENTATION_KEY)
    is_current = told is not None and told["of"] == presented_identity(manifest)
    return is_current and not any(changed_files(folder, presented_files(manifest)))


def presented_identity(manifest: Mapping[str, Any]) -> str:
    """Return a digest of all that a presentation follows from: the dataset, its times, and what makes it."""
    described = {key: value for key, value in manifest.items() if key not in (PRESENTATION_KEY, "files")}
    files = {file: digest for file, digest in manifest["files"].items() if file not in (CARD, CHECKSUMS)}
    return hashlib.sha256(json.dumps([PACKAGE_VERSION, described, files], sort_keys=True).encode()).hexdigest()
