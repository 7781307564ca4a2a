"""Programs of a dataset that was not made, held against those of the made one."""

from __future__ import annotations

import random

import pyarrow.parquet as pq
import pytest

from mlir_datagen import UserError, program_at
from mlir_datagen.config.compose import compose_config
from mlir_datagen.pipeline.run import generate
from mlir_datagen.sources.random_ops import RandomOps

SETTINGS = {
    "default": ["num_samples=300"],
    "several of each": ["ops=[named]", "dims=small", "num_samples=300", "form=mixed"],
    "strata": ["ops=[matmul,conv2d]", "dims=large", "num_samples=200", "strata=decades"],
    "element types": ["ops=[matmul,reduce]", "num_samples=200", "ops.matmul.dtypes=[f32,i8_i32]"],
    # Of matmuls there are few, so that others make up for them.
    "one runs out": ["ops=[matmul,relu]", "dims=small", "num_samples=1100"],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_they_are_those_of_the_made_dataset_in_any_order(name, tmp_path):
    settings = SETTINGS[name]
    made = generate(compose_config([*settings, "storage=parquet", f"output_dir={tmp_path}"])).path
    rows = [
        (split, row)
        for split in ("train", "test")
        for row in pq.read_table(
            made / f"{split}.parquet", columns=["index", "name", "spec", "form", "mlir"]
        ).to_pylist()
    ]
    random.Random(0).shuffle(rows)
    for split, row in rows[:120]:
        program = program_at(settings, split, row["index"])
        found = (program.name, program.spec, program.written.form, program.text)
        assert found == (row["name"], row["spec"], row["form"], row["mlir"])
    split, row = rows[0]
    assert program_at(made / "config.yaml", split, row["index"]).text == row["mlir"]


def test_a_program_far_behind_needs_none_of_those_before_it(monkeypatch):
    settings = ["ops=[batch_matmul]", "dims=large", "num_samples=100000000", "split_ratios={train: 1}"]
    monkeypatch.setattr(RandomOps, "produce", lambda task: pytest.fail("a program is made that nobody asked for"))
    assert "func.func @batch_matmul" in program_at(settings, "train", 50_000).text
    monkeypatch.setattr(RandomOps, "plan", lambda *_: pytest.fail("what was planned is planned again"))
    texts = {program_at(settings, "train", index).text for index in range(0, 50_000, 500)}
    assert len(texts) == 100


@pytest.mark.parametrize(
    ("settings", "split", "index", "message"),
    [
        (["ops=[sequence]"], "train", 0, "ops of several operations (sequence"),
        (["check=execute"], "train", 0, "check=execute, which rejects programs"),
        (["measure=baseline"], "train", 0, "measured times"),
        (["exclude=[gemm]"], "train", 0, "exclude, models or suites"),
        (["num_samples=12"], "validation", 0, "There is no split 'validation'. The config has train, test"),
        (["num_samples=12"], "train", 10, "There is no program 10: train has 10, from 0 to 9."),
        (["num_samples=12"], "train", -1, "There is no program -1"),
        (["num_samples=12"], "train", 0.5, "index is 0.5, and must be a whole number."),
        (["op=[matmul]"], "train", 0, 'There is no key "op"'),
        ("nowhere/config.yaml", "train", 0, "There is no saved config at nowhere/config.yaml."),
    ],
)
def test_what_is_not_known_is_an_error(settings, split, index, message):
    with pytest.raises(UserError) as error:
        program_at(settings, split, index)
    assert message in str(error.value)
