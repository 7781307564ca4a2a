"""Reading files that may come from anyone: regular ones alone, and no more of them than there is a use for.

All else is an `OSError`, as for a file that cannot be read: a named pipe would never end, a device might not either,
and a file of a terabyte fills the memory.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

LARGEST_DESCRIPTION = 64 << 20
"""In bytes: of a manifest, a record, or another file that describes others."""

LARGEST_LIST = 1 << 30
"""In bytes: of a file with a line for each program."""

LARGEST_PROGRAM = 4 << 30
"""In bytes: of the text of a program, which may have the weights of a network in it."""


def open_regular(path: Path) -> BinaryIO:
    """Open a file to be read.

    Raises:
        OSError: when it cannot be opened, or is not a regular file.
    """
    # Opening a named pipe would wait for somebody who writes to it.
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return os.fdopen(number, "rb")


def read_bytes(path: Path, most: int) -> bytes:
    """Return the contents of a file.

    Args:
        path: the file.
        most: how many bytes it may have.

    Raises:
        OSError: when it cannot be read, is not a regular file, or is larger.
    """
    with open_regular(path) as stream:
        if os.fstat(stream.fileno()).st_size <= most:
            # One byte more, as it may be growing.
            data = stream.read(most + 1)
            if len(data) <= most:
                return data
    raise OSError(errno.EFBIG, f"it has more than {most} bytes", str(path))


def read_text(path: Path, most: int = LARGEST_DESCRIPTION) -> str:
    """Return the contents of a file as text in UTF-8, whatever the locale.

    Raises:
        OSError: as `read_bytes`.
        UnicodeDecodeError: a ValueError, when it is not in UTF-8.
    """
    return read_bytes(path, most).decode()


def read_json(path: Path) -> Any:
    """Return the contents of a file of JSON.

    Raises:
        OSError: as `read_bytes`.
        ValueError: when it is not JSON, or has what Python takes beside it or in silence: NaN, the same key twice.
    """
    try:
        return json.loads(read_text(path), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = set[str]()
        for key, _ in pairs:
            if key in keys:
                raise ValueError(f"the key {key!r} stands there twice")
            keys.add(key)
    return found


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
