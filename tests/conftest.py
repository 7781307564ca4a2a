from __future__ import annotations

import sys
from pathlib import Path

import pytest
from helpers import REPOSITORY, made_dataset, run_script
from hypothesis import settings

# Last, since tests have modules of the same names.
sys.path.append(str(REPOSITORY / "benchmarks"))

settings.register_profile("ours", deadline=None, max_examples=40)
settings.load_profile("ours")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of `experiment=tiny`, made by the command line. Tests must not change it."""
    folder = tmp_path_factory.mktemp("tiny")
    return made_dataset(run_script("generate", "experiment=tiny", cwd=folder), folder)
