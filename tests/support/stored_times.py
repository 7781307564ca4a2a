"""The measured times of a finished dataset, and others in their place."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def stored_times(dataset: Path) -> list[dict[str, Any]]:
    """Return the rows of all files of times, in the order of the manifest."""
    files = json.loads((dataset / "manifest.json").read_text())["measurements"]["files"]
    return [row for file in files for row in pq.read_table(dataset / file).to_pylist()]


def store_times(dataset: Path, rows: list[dict[str, Any]]) -> None:
    """Write other times, and have the manifest list them."""
    manifest = json.loads((dataset / "manifest.json").read_text())
    told = manifest["measurements"]
    schema = pq.read_schema(dataset / next(iter(told["files"])))
    shutil.rmtree(dataset / "measurements")
    told["files"] = {}
    for split in dict.fromkeys(row["split"] for row in rows):
        file = f"measurements/{split.replace('.', '/')}.parquet"
        (dataset / file).parent.mkdir(parents=True, exist_ok=True)
        chosen = [row for row in rows if row["split"] == split]
        pq.write_table(pa.Table.from_pylist(chosen, schema=schema), dataset / file)
        told["files"][file] = hashlib.sha256((dataset / file).read_bytes()).hexdigest()
    (dataset / "manifest.json").write_text(json.dumps(manifest))
