"""Small datasets to look at: of single operations and drawn graphs, with times that are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from merging import rows

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.measurements import record_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.pipeline.run import generate
from mlir_datagen.programs.proof import Measurement

_SESSION = {"machines": [{"id": "m", "cpu": "A processor"}], "pipeline": "none", "settings": {}}


def composed(folder: Path, *overrides: str) -> Path:
    """Make a dataset as the command line does, in this process; return its folder."""
    return generate(compose_config([*overrides, "dims=small", "executor=serial", f"output_dir={folder}"])).path


def with_times(folder: Path) -> Path:
    """Record a time of each program: a nanosecond for each byte, and of every tenth thrice as long, as disturbed."""
    dataset = Dataset(folder)
    measured = []
    for split, found in dataset.rows():
        for place, row in enumerate(found):
            disturbed = place % 10 == 9
            time = float(row["bytes_moved"]) * (3 if disturbed else 1)
            measured.append(
                (split, row["name"], Measurement(time, time * 0.9, time * 0.1, 5, 0, 1, time, disturbed, 1000, "m"))
            )
    record_measurements(folder, json.loads((folder / "manifest.json").read_text()), measured, _SESSION, 0)
    return folder


def index(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of train and test by split and name."""
    return {f"{row['split']}/{row['name']}": row for split in ("train", "test") for row in rows(folder, split)}
