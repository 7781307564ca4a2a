"""Splits of more files than a folder should have."""

from __future__ import annotations

import subprocess

import pyarrow.parquet as pq
import pytest
from helpers import made_dataset
from warm_scripts import run_warm

from mlir_datagen.dataset.paths import program_file


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    settings = ["ops=[elementwise]", "dims=large", "splits={train: 10010, test: 20}", "storage=files"]
    return made_dataset(run_warm("generate", *settings, cwd=folder), folder)


def test_they_are_spread_over_numbered_folders(many):
    assert {entry.name: len(list(entry.iterdir())) for entry in (many / "train").iterdir()} == {"0": 10000, "1": 10}
    assert len(list((many / "test").glob("*.mlir"))) == 20
    rows = pq.read_table(many / "train.parquet", columns=["name", "file", "sha256"]).to_pylist()
    assert (rows[0]["name"], rows[-1]["name"]) == ("elementwise_00000", "elementwise_10009")
    assert rows[-1]["file"] == "train/1/elementwise_10009.mlir"
    assert len({row["sha256"] for row in rows}) == 10010
    assert all((many / row["file"]).is_file() for row in rows)


@pytest.mark.parametrize("split", ["suites.gemm", "extracted", "neural_nets"])
def test_names_that_end_with_a_size_are_no_numbers(split):
    name = "matmul_16_768_50257"
    assert program_file(split, name) == f"{split.replace('.', '/')}/{name}.mlir"
    assert program_file("train", "matmul_50257") == "train/5/matmul_50257.mlir"


def test_sha256sum_and_verify_find_them(many):
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=many, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (verified := run_warm("verify", str(many), cwd=many.parent)).returncode == 0, verified.stderr


def test_a_missing_one_is_noticed(many):
    file = next((many / "train" / "1").iterdir())
    text = file.read_text()
    file.unlink()
    try:
        missing = run_warm("verify", str(many), cwd=many.parent)
    finally:
        file.write_text(text)
    assert missing.returncode == 2
    assert f"train/1/{file.name}" in missing.stdout + missing.stderr
