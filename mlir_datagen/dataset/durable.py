"""Making sure that what was written is on the disk, and stays there when the power fails."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_MOST_ONE_BY_ONE = 1000
"""Files that are flushed each by itself; of more, all that their filesystem has is flushed at once."""


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
    """Wait until the disk has all that is in a folder, which is on one filesystem.

    Raises:
        OSError: when it cannot.
    """
    paths = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names]
    if len(paths) > _MOST_ONE_BY_ONE:
        _flush_filesystem(folder)
        return
    folders = [Path(parent) for parent, _, _ in os.walk(folder)]
    for path in (*(Path(path) for path in paths if not os.path.islink(path)), *folders):
        flush(path)


def _flush_filesystem(folder: Path) -> None:
    """Wait until the disk has all that is on a folder's filesystem; see syncfs(2).

    Of 20 000 small files, that takes a tenth of the time of one fsync after the other in eight threads. Unlike sync(2),
    it waits for no other disk, and says when something could not be written.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(descriptor)
