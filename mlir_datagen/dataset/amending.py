"""Changing what describes a finished dataset: its card, what lists that, and last the manifest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

from mlir_datagen import foreign
from mlir_datagen.dataset.card import CARD
from mlir_datagen.dataset.durable import flush
from mlir_datagen.dataset.manifest import MANIFEST
from mlir_datagen.dataset.writer import CHECKSUMS, file_sha256


def amend(
    folder: Path,
    manifest: dict[str, Any],
    change: Callable[[str], str],
    files: Mapping[str, bytes],
    gone: Iterable[str],
) -> None:
    """Write files besides the programs, the card, and all that lists these.

    Nothing is replaced before all of it is on the disk, so that a full one leaves the dataset as it was.

    Args:
        folder: the dataset.
        manifest: its manifest, as it is to be but for the digests of these files, which are changed here.
        change: returns the card as it is to be.
        files: what else is written, by its path in there.
        gone: files that are not listed any more, and are deleted.

    Raises:
        OSError: when the folder cannot be read or written.
    """
    card = change(foreign.read_text(folder / CARD))
    digest = _sha256(card)
    line = re.compile(rf"^[0-9a-f]{{64}}  {re.escape(CARD)}$", re.MULTILINE)
    checksums = line.sub(f"{digest}  {CARD}", foreign.read_text(folder / CHECKSUMS, foreign.LARGEST_LIST), count=1)
    manifest["files"] |= {CARD: digest, CHECKSUMS: _sha256(checksums)}
    texts = {CARD: card, CHECKSUMS: checksums, MANIFEST: json.dumps(manifest, indent=2) + "\n"}
    _replace(folder, {**files, **{name: text.encode() for name, text in texts.items()}})
    _remove(folder, sorted(set(gone) - set(files)))


def finish_amendment(folder: Path) -> None:
    """Go on where a process was killed between replacing the card and replacing the manifest.

    What they were to be is beside them then, whole.

    Args:
        folder: the dataset, whose lock is held.

    Raises:
        OSError: when it cannot be read or written.
    """
    try:
        files = foreign.read_json(_partial(folder / MANIFEST))["files"]
        wanted = {name: files[name] for name in (CARD, CHECKSUMS)}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return
    # Those that are not there were replaced already.
    left = [name for name in wanted if _partial(folder / name).exists()]
    found = {name: file_sha256(_partial(folder / name) if name in left else folder / name) for name in wanted}
    if found == wanted:
        for name in (*left, MANIFEST):
            _partial(folder / name).rename(folder / name)
        flush(folder)


def _replace(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files, the last one last, when the disk has what all of them are to be."""
    try:
        for file, content in contents.items():
            _remove_links(folder, file)
            partial = _partial(folder / file)
            partial.parent.mkdir(parents=True, exist_ok=True)
            # What is there may be a link to somewhere else.
            partial.unlink(missing_ok=True)
            partial.write_bytes(content)
            flush(partial)
    except BaseException:
        with suppress(OSError):
            _remove(folder, [f"{file}.partial" for file in contents])
        raise
    for file in contents:
        _partial(folder / file).rename(folder / file)
    for parent in {(folder / file).parent for file in contents}:
        flush(parent)


def _remove(folder: Path, files: Iterable[str]) -> None:
    """Delete files of a dataset, and the folders that have nothing else."""
    for file in files:
        _remove_links(folder, file)
        (folder / file).unlink(missing_ok=True)
        for parent in _parents(file):
            # What holds something else stays.
            with suppress(OSError):
                (folder / parent).rmdir()


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _remove_links(folder: Path, file: str) -> None:
    """Delete what leads out of a dataset on the way to a file of it."""
    for parent in reversed(_parents(file)):
        if (folder / parent).is_symlink():
            (folder / parent).unlink()


def _parents(file: str) -> list[PurePath]:
    """Return the folders within a dataset that a file of it is in, from the innermost."""
    return [parent for parent in PurePath(file).parents if parent.parts]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
