"""Making sure that what was written is on the disk, and stays there when the power fails."""

from __future__ import annotations

import os
from pathlib import Path

_MOST_ONE_BY_ONE = 1000
"""Files that are flushed each by itself; of more, the system flushes all that it has at once."""


def flush(path: Path) -> None:
    """Wait until the disk has a file, or the names that a folder has.

    Raises:
        OSError: when it cannot.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Wait until the disk has all that is in a folder.

    Raises:
        OSError: when it cannot.
    """
    paths = [path for path in folder.rglob("*") if not path.is_symlink()]
    if len(paths) > _MOST_ONE_BY_ONE:
        os.sync()
        return
    for path in (*paths, folder):
        flush(path)
