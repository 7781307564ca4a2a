"""The datasets that these tests read."""

from __future__ import annotations

import pytest

from mlir_datagen.config.compose import compose_config
from mlir_datagen.pipeline.run import generate

OPS = ["ops=[matmul,conv2d,sequence]", "dims=small", "executor=serial", "programs_per_file=16"]


def _made(folder, *overrides):
    return generate(compose_config([*OPS, f"output_dir={folder}", *overrides])).path


@pytest.fixture(scope="session")
def in_parquet(tmp_path_factory):
    """60 programs; the index of train has four files."""
    return _made(tmp_path_factory.mktemp("parquet"), "num_samples=60", "storage=parquet")


@pytest.fixture(scope="session")
def in_files(tmp_path_factory):
    """24 programs, with their texts in files alone, and measured."""
    return _made(tmp_path_factory.mktemp("files"), "num_samples=24", "storage=files", "measure=baseline")
