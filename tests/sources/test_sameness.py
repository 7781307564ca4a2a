"""Programs of operations without a body, and drawn graphs that compute the same."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlir_datagen.config.compose import compose_config
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.ops import FAMILIES, PROGRAM_FAMILIES
from mlir_datagen.ops.drawn.draft import Drawing
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.structured_operation import GENERIC
from mlir_datagen.pipeline.run import generate
from mlir_datagen.sources.sameness import compared
from mlir_datagen.verification import verify_dataset

KERNEL = DRAWN_FAMILIES["kernel"]
COUNTED = {
    "pack": {"kind": "rows", "rows": 8, "columns": 16, "tile_rows": 4, "tile_columns": 2},
    "softmax": {"kind": "last", "shape": [8, 16]},
}


@pytest.mark.parametrize("name", COUNTED)
def test_a_kernel_and_the_operation_that_computes_the_same(name):
    """They are one program, though the operation by its name does not say so; other sizes are another."""
    family = FAMILIES[name]
    spec = family.spec_from_json(COUNTED[name])
    hasher = ProgramHasher()
    drawing = Drawing({"rows": [8], "columns": [16]}, (name,))
    kernels = [KERNEL.draw(drawing, np.random.default_rng(seed)) for seed in range(200)]
    hashes = {hasher.hash(KERNEL.program(kernel)) for kernel in kernels}
    assert hasher.hash(family.program(spec)) not in hashes
    assert hasher.hash(compared(family, spec, family.program(spec))) in hashes
    other = family.spec_from_json({**COUNTED[name], **({"rows": 16} if name == "pack" else {"shape": [16, 16]})})
    assert hasher.hash(compared(family, other, family.program(other))) not in hashes


def test_what_computes_the_same_is_there_once(tmp_path):
    run = compose_config(
        [
            "ops=[softmax,pack,kernel]", "num_samples=24", "storage=parquet", "split_ratios={train: 1, test: 1}",
            "ops.kernel.vocabulary=[softmax,pack]", "on_exhausted=redistribute", f"output_dir={tmp_path}",
            "ops.kernel.grid.rows=[8,16]", "ops.kernel.grid.columns=[8,16]", "ops.softmax.kinds=[last]",
            "ops.softmax.ranks=[2]", "ops.softmax.grid={rows: [8,16], columns: [8,16]}",
            "ops.pack.grid={rows: [8,16], columns: [8,16], tile_rows: [2,4,8], tile_columns: [2,4,8]}",
        ]
    )  # fmt: skip
    made = generate(run)
    rows = [row for path in made.path.rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
    hasher, families = ProgramHasher(), PROGRAM_FAMILIES
    texts = [
        families[row["family"]].program(families[row["family"]].spec_of_json(row["spec"]), GENERIC) for row in rows
    ]
    assert {row["family"] for row in rows} == {"softmax", "pack", "kernel"}
    assert len({hasher.hash(text) for text in texts}) == len(rows)
    rejected = [json.loads(line) for line in (made.path / "rejects.jsonl").read_text().splitlines()]
    assert {one["stage"] for one in rejected} == {"unique"}
    verify_dataset(made.path)
