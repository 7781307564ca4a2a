"""What the tests of executors share."""

from __future__ import annotations

import pytest


@pytest.fixture
def few_programs_a_task(monkeypatch):
    """Have worker processes for few programs, too, and several tasks for each of them."""
    monkeypatch.setattr("mlir_datagen.pipeline.run.FEWEST_PROGRAMS", 1)
    monkeypatch.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_TASK", 7)
