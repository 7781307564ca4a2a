"""The folder that the Python call for networks writes: a `.mlir` file for each, an index, and weights if asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlir_datagen.dataset.arrow import PARQUET_ERRORS, open_parquet
from mlir_datagen.dataset.columns import program_row
from mlir_datagen.dataset.disk_errors import writable
from mlir_datagen.dataset.files_folder import FLAT_INDEX
from mlir_datagen.dataset.schema import INDEX_METADATA, index_schema
from mlir_datagen.dataset.weights import remove_weights, save_weights, weights_file
from mlir_datagen.errors import UserError, said
from mlir_datagen.programs.program import NETWORKS_SPLIT, Program


def check_addable(folder: Path, name: str) -> None:
    """Refuse a folder that cannot be written, or whose file of that name is not ours.

    Raises:
        UserError: with what is in the way.
    """
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError("it is not writable")
    if (folder / f"{name}.mlir").exists() and name not in {row["name"] for row in _rows(folder)}:
        raise UserError(
            f"{folder / f'{name}.mlir'} was not written by this converter, and would be replaced. Choose another "
            "model_name or output_dir."
        )


def add_network(folder: Path, program: Program, state: Mapping[str, Any] | None) -> Path:
    """Write a network, in the place of an earlier one of its name; return the path of its `.mlir` file.

    Args:
        folder: the folder, which `check_addable` has seen.
        program: the network.
        state: its parameters and buffers by name, PyTorch's tensors, if they are written too.

    Raises:
        UserError: when it cannot be written.
    """
    path = folder / f"{program.name}.mlir"
    rows = [other for other in _rows(folder) if other["name"] != program.name]
    rows.append({**program_row(NETWORKS_SPLIT, program), "name": program.name, "file": path.name, "mlir": None})
    rows.sort(key=lambda one: one["name"])
    with writable(folder):
        weights = weights_file(folder, program.name)
        if state is not None:
            save_weights(weights, state)
        elif weights.exists():
            # Those of the network that is replaced would be taken for this one's.
            remove_weights(folder, program.name)
        numbered = [{**one, "index": index} for index, one in enumerate(rows)]
        partial = folder / f".{FLAT_INDEX}.partial"
        pq.write_table(
            pa.Table.from_pylist(numbered, schema=index_schema(with_text=False)), partial, compression="zstd"
        )
        partial.rename(folder / FLAT_INDEX)
        # Last: a call that is interrupted leaves no file that the index does not have, which the next would refuse.
        _replace(path, program.text.encode())
    return path


def _rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the networks that earlier calls wrote."""
    index = folder / FLAT_INDEX
    if not index.exists():
        return []
    try:
        with open_parquet(index) as file:
            is_ours = INDEX_METADATA.items() <= (file.schema_arrow.metadata or {}).items()
            rows: list[dict[str, Any]] = file.read().to_pylist() if is_ours else []
    except PARQUET_ERRORS as error:
        raise UserError(f"{index} cannot be read ({said(error)}). Delete it, or choose another output_dir.") from error
    if not is_ours or any(row.get("source") != "network" or not isinstance(row.get("name"), str) for row in rows):
        raise UserError(f"{index} is another index, and would be replaced. Choose another output_dir.")
    return rows


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.rename(path)
