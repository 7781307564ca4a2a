"""Whatever a config asks for, it makes a valid dataset, or is told what is wrong with it and what is allowed."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import pyarrow.parquet as pq
from any_config import AnyConfig, any_config
from helpers import run_mlir_opt
from hypothesis import HealthCheck, given, settings

from mlir_datagen.config import parse_config
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import generate
from mlir_datagen.sources import draws
from mlir_datagen.verification import verify_dataset

RUNS_OUT = re.compile(
    r"too few programs|No program of \w+ exists|The limits leave nothing|there are no programs with the other choices"
)
"""What may be said of a config whose values are all allowed: there are not as many programs."""
ALLOWED = re.compile(
    r"must |at most|Type |Use |Give |Change |Ask for|Raise|Leave it out|keys there are|It takes|Compare it"
)
"""What a message says that tells what to type instead."""


def check_made(path: Path, asked: int) -> None:
    """Hold a dataset against our own verification, and its programs against a parser that is not ours."""
    verify_dataset(path)
    rows = [row for file in path.glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    assert 0 < len(rows) <= asked
    known = [row for row in rows if row["minimum_mlir"] <= 19 and (row["maximum_mlir"] or 19) >= 19]
    done = run_mlir_opt(19, [row.get("mlir") or (path / row["file"]).read_text() for row in known])
    assert done.returncode == 0, done.stderr


def check(chosen: AnyConfig) -> str:
    """Make the dataset of a config; return how that ended."""
    with tempfile.TemporaryDirectory() as folder, patch.object(draws, "FRUITLESS_LIMIT", 300):
        try:
            run = parse_config({**chosen.raw, "output_dir": folder})
            made = generate(run)
        except UserError as error:
            message = str(error)
            assert list(Path(folder).iterdir()) == []
            assert ALLOWED.search(message), message
            if chosen.spoilt is None:
                assert RUNS_OUT.search(message), message
                return "too few programs"
            # The key, or the one that it is in or has in it.
            assert chosen.spoilt.rpartition(".")[2].rstrip("x") in message, (chosen.spoilt, message)
            return "refused"
        assert chosen.spoilt is None, f"{chosen.spoilt} was not refused"
        check_made(made.path, sum(run.splits.values()))
        return "made"


def test_every_config_makes_a_valid_dataset_or_says_what_is_wrong():
    ends = Counter[str]()

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(any_config())
    def each(chosen):
        ends[check(chosen)] += 1

    each()
    # Both come up, so that neither is held of nothing.
    assert min(ends["made"], ends["refused"]) >= 3, ends
