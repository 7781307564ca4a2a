"""Datasets that are merged, and what tests look at in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from helpers import config

from mlir_datagen.config.compose import compose_config
from mlir_datagen.pipeline.run import Outcome, generate

RATIOS = {"train": 3, "val": 1, "test": 1}


def made(folder: Path, ops: Iterable[str] = ("matmul", "relu"), **changes: Any) -> Path:
    """Return a small dataset."""
    settings = {"num_samples": 100, "split_ratios": RATIOS, **changes}
    return generate(config(ops, output_dir=str(folder), **settings)).path


def merge(folders: Iterable[Path], output_dir: Path, *more: str) -> Outcome:
    """Make one dataset of several."""
    names = ",".join(f'"{folder}"' for folder in folders)
    return generate(compose_config(["ops=[]", f"merge=[{names}]", "name=merged", f"output_dir={output_dir}", *more]))


def rows(dataset: Path, split: str) -> list[dict[str, Any]]:
    """Return the index of a split."""
    found: list[dict[str, Any]] = pq.read_table(dataset / f"{split.replace('.', '/')}.parquet").to_pylist()
    return found


def hashes(dataset: Path, split: str) -> list[str]:
    """Return the digests of the programs of a split."""
    return [row["sha256"] for row in rows(dataset, split)]


def manifest(dataset: Path) -> dict[str, Any]:
    """Return what a dataset says of itself."""
    told: dict[str, Any] = json.loads((dataset / "manifest.json").read_text())
    return told


def count(dataset: Path) -> int:
    """Return how many programs a dataset counts."""
    return sum(sum(counts.values()) for counts in manifest(dataset)["counts"].values())


def tree(dataset: Path) -> dict[Path, str]:
    """Return the digest of each file of a dataset."""
    files = {path.relative_to(dataset): path for path in dataset.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def suite(specs: Iterable[dict[str, Any]], version: int = 1) -> dict[str, Any]:
    """Return a suite of matrix products, as a config has it."""
    programs = {f"program_{number}": {"op": "matmul", **spec} for number, spec in enumerate(specs)}
    return {"version": version, "digest": None, "programs": programs}


def manifest_changed(**changes: Any) -> Callable[[Path], None]:
    """Return a change of a manifest: of the values at paths with `__`, to others or by functions of these."""

    def change(folder: Path) -> None:
        whole = manifest(folder)
        for path, value in changes.items():
            *parents, last = [int(part) if part.isdigit() else part for part in path.split("__")]
            node: Any = whole
            for parent in parents:
                node = node[parent]
            node[last] = value(node[last]) if callable(value) else value
        (folder / "manifest.json").write_text(json.dumps(whole))

    return change
