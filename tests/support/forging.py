"""Changing a finished dataset so that every checksum in it agrees with the change."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def forge(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file, and all digests with it."""
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    forge_checksums(folder)


def forge_checksums(folder: Path) -> None:
    """Write SHA256SUMS, and the digests of the manifest, for what is there now."""
    sums = {}
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        if (folder / line[66:]).exists():
            sums[line[66:]] = hashlib.sha256((folder / line[66:]).read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {file}\n" for file, digest in sums.items()))
    manifest = json.loads((folder / "manifest.json").read_text())
    for file in manifest["files"]:
        if (folder / file).exists():
            manifest["files"][file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    if "measurements" in manifest:
        for file in manifest["measurements"]["files"]:
            manifest["measurements"]["files"][file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    manifest["digest"] = _digest(folder, manifest["counts"]) or manifest["digest"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _digest(folder: Path, splits: list[str]) -> str | None:
    lines = []
    for split in splits:
        try:
            rows = pq.read_table(folder / f"{split.replace('.', '/')}.parquet", columns=["name", "sha256"]).to_pylist()
        except (pa.ArrowException, OSError):
            return None
        lines += [f"{split}/{row['name']} {row['sha256']}\n" for row in rows]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def rows_changed(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[bytes], bytes]:
    """Return a change of a file of Parquet: of its rows, in place."""

    def apply(data: bytes) -> bytes:
        table = pq.read_table(io.BytesIO(data))
        rows = table.to_pylist()
        change(rows)
        stream = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), stream)
        return stream.getvalue()

    return apply


def columns(**changes: Any) -> Callable[[bytes], bytes]:
    """Return a change of a file of Parquet: columns that have one value in all rows."""
    return rows_changed(lambda rows: [row.update(changes) for row in rows])


def table_changed(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """Return a change of a file of Parquet: of its table."""

    def apply(data: bytes) -> bytes:
        stream = io.BytesIO()
        pq.write_table(change(pq.read_table(io.BytesIO(data))), stream)
        return stream.getvalue()

    return apply


def different(value: Any) -> Any:
    """Return another value of the same type."""
    if value is None:
        return 7
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, (int, float)):
        return value * 2 + 1
    if isinstance(value, list):
        return value[:-1] if value else [1]
    return {**value, "forged": 1}
