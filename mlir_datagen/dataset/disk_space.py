"""How much room a dataset needs on disk, and whether there is so much."""

from __future__ import annotations

import os
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

from mlir_datagen.dataset.writer import Storage, index_table, index_writer
from mlir_datagen.errors import UserError

_CHECKSUM_LINE = 100


def disk_bytes(table: Any, storage: Storage, folder: Path) -> int:
    """Return the bytes on disk of a program table: its index, and whole blocks of its files."""
    stream = BytesIO()
    names = [str(row) for row in range(len(table))]
    with index_writer(stream, storage.with_text) as writer:
        writer.write_table(index_table(table, names, names, 0, storage.with_text))
    total = len(stream.getvalue())
    if storage.folder is not None:
        block = os.statvfs(_existing(folder)).f_frsize
        sizes = [len(text.encode()) for text in table.column("mlir").to_pylist()]
        total += sum(-(-size // block) * block + _CHECKSUM_LINE for size in sizes)
    return total


def check_room(folder: Path, needed: int) -> None:
    """Refuse to start when the disk has less room than is needed.

    Raises:
        UserError: with both numbers.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"The dataset needs about {needed / 1e6:.0f} MB, and the disk of {folder.parent} has {free / 1e6:.0f} MB "
            "left. Choose another folder (output_dir=…), fewer programs (num_samples=…), or store less "
            "(storage=parquet)."
        )


def _existing(folder: Path) -> Path:
    """Return the nearest folder above that exists."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())
