from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from helpers import REPOSITORY, made_dataset, run_script
from hypothesis import settings
from merging import made, rows, suite

# Last, since tests have modules of the same names.
sys.path.append(str(REPOSITORY / "benchmarks"))

settings.register_profile("ours", deadline=None, max_examples=40)
settings.load_profile("ours")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of `experiment=tiny`, made by the command line. Tests must not change it."""
    folder = tmp_path_factory.mktemp("tiny")
    return made_dataset(run_script("generate", "experiment=tiny", cwd=folder), folder)


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Datasets of three seeds that have many programs in common, stored in three ways. Tests must not change them."""
    folder = tmp_path_factory.mktemp("seeds")
    return [made(folder, seed=seed, storage=kind) for seed, kind in enumerate(("both", "files", "parquet"))]


@pytest.fixture(scope="session")
def listing(tmp_path_factory: pytest.TempPathFactory, seeds: list[Path]) -> Path:
    """A dataset with a suite of programs that the first of those has drawn. Tests must not change it."""
    drawn = [json.loads(row["spec"]) for row in rows(seeds[0], "train") if row["family"] == "matmul"][:5]
    return made(tmp_path_factory.mktemp("listing"), ("relu",), suites={"mine": suite(drawn)}, storage="parquet")
