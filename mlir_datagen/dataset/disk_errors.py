"""What the operating system says about a place on the disk, turned into messages for people."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mlir_datagen.errors import Resumable

SHOWING = "croissant.json, pictures, report.html"
"""What shows a dataset, in words."""


def writable(path: Path) -> AbstractContextManager[None]:
    """Guard what is done to the place of a dataset."""

    def message(said: str, is_full: bool) -> str:
        if is_full:
            return (
                f"There is no room left on the disk of {path}. Free some room and type the same command again: it goes "
                "on where it stopped. Or choose another folder (output_dir=…), or store less (storage=parquet); "
                "dry_run=true tells how much is needed."
            )
        return f"{path} cannot be used: {said}. Choose a folder that can be: output_dir=…"

    return _guard(message)


def recordable(path: Path) -> AbstractContextManager[None]:
    """Guard what is done to a file beside or in a dataset, as far as a session of measuring goes on from it."""

    def message(said: str, is_full: bool) -> str:
        cure = "Free some room on its disk" if is_full else "Make its folder writable, or copy the dataset elsewhere"
        return (
            f"{path} cannot be written: {said}. {cure}, and type the same command again; it goes on where it stopped."
        )

    return _guard(message)


def exportable(path: Path) -> AbstractContextManager[None]:
    """Guard what is done to the place of an export."""

    def message(said: str, is_full: bool) -> str:
        cure = "Free some room on its disk" if is_full else "Make it writable, or copy the dataset elsewhere"
        return f"{path} cannot be written: {said}; nothing was left behind. {cure}, and type the same command again."

    return _guard(message)


def presentable(path: Path, command: str) -> AbstractContextManager[None]:
    """Guard the writing of what shows a finished dataset; the command makes it."""

    def message(said: str, is_full: bool) -> str:
        cure = "Free some room on its disk" if is_full else "Make it writable, or copy the dataset elsewhere"
        return (
            f"The dataset {path} is finished, and what shows it ({SHOWING}) cannot be written: {said}. {cure}, and "
            f"type {command}"
        )

    return _guard(message)


@contextmanager
def _guard(message: Callable[[str, bool], str]) -> Iterator[None]:
    """Raise a message, made of what the system says and whether the disk is full, in place of its errors."""
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise Resumable(message(error.strerror or str(error), is_full)) from error
