"""Temporary folders, and what is left of those whose process was killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlir_datagen.dataset.locks import lock, unlock

_PREFIX = "mlir_datagen_scratch_"


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """Have a temporary folder; it is deleted afterwards, by the next call if this process is killed.

    The folder is locked while it is used, and the lock ends with the process: what is not locked is left over.

    Args:
        parent: where it is; the system's place for such when left out.
    """
    parent = parent or Path(tempfile.gettempdir())
    clear_scratch_folders(parent)
    path, descriptor = _locked_folder(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        unlock(descriptor)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        descriptor = _lock(path)
        # Another process may have taken it for left over before it was locked.
        if descriptor is not None:
            return path, descriptor


def clear_scratch_folders(parent: Path | None = None) -> None:
    """Delete the folders of this user that nobody has locked.

    Args:
        parent: where they are; the system's place for such when left out.
    """
    for path in (parent or Path(tempfile.gettempdir())).glob(f"{_PREFIX}*"):
        descriptor = _lock(path)
        if descriptor is not None:
            shutil.rmtree(path, ignore_errors=True)
            unlock(descriptor)


def _lock(path: Path) -> int | None:
    """Lock a folder of this user's; None when it is none, is gone, or another process has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    with suppress(OSError):
        if os.fstat(descriptor).st_uid == os.getuid():
            lock(descriptor)
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
    unlock(descriptor)
    return None
