"""Changing what describes a finished dataset: its card, what lists that, and last the manifest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

from mlir_datagen import foreign
from mlir_datagen.dataset.card import CARD
from mlir_datagen.dataset.durable import flush
from mlir_datagen.dataset.manifest import MANIFEST
from mlir_datagen.dataset.writer import CHECKSUMS


def amend(folder: Path, manifest: dict[str, Any], change: Callable[[str], str]) -> None:
    """Write the card anew, and all that lists it.

    Nothing is replaced before all of it is on the disk, so that a full one leaves the dataset as it was.

    Args:
        folder: the dataset.
        manifest: its manifest, as it is to be but for the digests of these files, which are changed here.
        change: returns the card as it is to be.

    Raises:
        OSError: when the folder cannot be read or written.
    """
    card = change(foreign.read_text(folder / CARD))
    digest = _sha256(card)
    line = re.compile(rf"^[0-9a-f]{{64}}  {re.escape(CARD)}$", re.MULTILINE)
    checksums = line.sub(f"{digest}  {CARD}", foreign.read_text(folder / CHECKSUMS, foreign.LARGEST_LIST), count=1)
    manifest["files"] |= {CARD: digest, CHECKSUMS: _sha256(checksums)}
    texts = {CARD: card, CHECKSUMS: checksums, MANIFEST: json.dumps(manifest, indent=2) + "\n"}
    written = {name: _beside(folder / name, text.encode()) for name, text in texts.items()}
    for name, partial in written.items():
        partial.rename(folder / name)
    flush(folder)


def replace_file(folder: Path, file: str, content: bytes) -> None:
    """Write a file of a dataset, which is there whole, or as it was before.

    Args:
        folder: the dataset.
        file: its path in there; folders that are missing are made.
        content: what it is to be.

    Raises:
        OSError: when it cannot be written.
    """
    _remove_links(folder, file)
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    _beside(path, content).rename(path)
    flush(path.parent)


def remove_files(folder: Path, files: Iterable[str]) -> None:
    """Delete files of a dataset, and the folders that have nothing else.

    Raises:
        OSError: when one cannot be deleted.
    """
    for file in files:
        _remove_links(folder, file)
        (folder / file).unlink(missing_ok=True)
        for parent in _parents(file):
            # What holds something else stays.
            with suppress(OSError):
                (folder / parent).rmdir()


def _remove_links(folder: Path, file: str) -> None:
    """Delete what leads out of a dataset on the way to a file of it."""
    for parent in reversed(_parents(file)):
        if (folder / parent).is_symlink():
            (folder / parent).unlink()


def _parents(file: str) -> list[PurePath]:
    """Return the folders within a dataset that a file of it is in, from the innermost."""
    return [parent for parent in PurePath(file).parents if parent.parts]


def _beside(path: Path, content: bytes) -> Path:
    """Write what a file is to be beside it, and wait until the disk has it."""
    partial = path.with_name(f"{path.name}.partial")
    # What is there may be a link to somewhere else.
    partial.unlink(missing_ok=True)
    try:
        partial.write_bytes(content)
        flush(partial)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return partial


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
