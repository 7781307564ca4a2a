"""The folder that the Python call writes: `.mlir` files, an index beside them, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from mlir_datagen.dataset.arrow import PARQUET_ERRORS, open_parquet
from mlir_datagen.dataset.schema import INDEX_METADATA
from mlir_datagen.dataset.staging import Staging
from mlir_datagen.errors import UserError

FLAT_INDEX = "index.parquet"


def check_replaceable(folder: Path) -> None:
    """Refuse a folder that holds anything but what an earlier call wrote.

    Raises:
        UserError: with the name of something that is not ours.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; the programs need a folder of their own. Name another output_dir.")
    if Path.cwd().is_relative_to(folder):
        raise UserError(
            f"{folder} is the working folder or above it, and the folder of the programs is replaced as a whole. "
            "Name a folder within it: output_dir='programs'."
        )
    foreign = sorted({path.name for path in folder.iterdir()} - _own_files(folder))
    if foreign:
        raise UserError(
            f"{folder} holds {foreign[0]}{f' and {len(foreign) - 1} more' if len(foreign) > 1 else ''}, which this "
            "generator did not write, and the folder would be replaced. Name an empty or a new output_dir."
        )


def replace_folder(staging: Staging) -> None:
    """Publish a staged folder in the place of an earlier one, which must be replaceable."""
    old = staging.path.with_suffix(".replaced")
    with staging.guard(staging.final):
        # A process that was killed between the two renames below may have left it.
        shutil.rmtree(old, ignore_errors=True)
        if staging.final.exists():
            staging.final.rename(old)
        staging.publish()
        shutil.rmtree(old, ignore_errors=True)


def written_files(folder: Path) -> list[str]:
    """Return the names of the `.mlir` files that a call wrote into the folder, in order."""
    with open_parquet(folder / FLAT_INDEX) as index:
        files: list[str] = index.read(columns=["file"]).column("file").to_pylist()
    return files


def _own_files(folder: Path) -> set[str]:
    """Return the names of the files that an earlier call wrote, as far as its index can be read."""
    try:
        with open_parquet(folder / FLAT_INDEX) as index:
            metadata = index.schema_arrow.metadata or {}
        return {FLAT_INDEX, *written_files(folder)} if INDEX_METADATA.items() <= metadata.items() else set()
    except (*PARQUET_ERRORS, KeyError):
        return set()
