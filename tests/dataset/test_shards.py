"""An index in several files: how they are cut, that others read them, and that nothing can happen to one unnoticed."""

from __future__ import annotations

import shutil

import datasets
import pyarrow.parquet as pq
import pytest
from helpers import config
from warm_scripts import run_warm

from mlir_datagen.pipeline.run import generate

FILES = [f"train-{number:05d}-of-00006.parquet" for number in range(6)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """100 programs in train and 20 in test, 17 in a file; and the same in one file each."""
    folder = tmp_path_factory.mktemp("shards")
    settings = {"num_samples": 120, "output_dir": str(folder)}
    return tuple(generate(config(**settings, **own)).path for own in ({"programs_per_file": 17}, {}))


def test_each_file_but_the_last_is_full(made):
    cut, whole = made
    assert sorted(path.name for path in cut.glob("*.parquet")) == [
        "test-00000-of-00002.parquet", "test-00001-of-00002.parquet", *FILES,
    ]  # fmt: skip
    assert [pq.read_metadata(cut / file).num_rows for file in FILES] == [17] * 5 + [15]
    rows = [row for file in FILES for row in pq.read_table(cut / file).to_pylist()]
    assert rows == pq.read_table(whole / "train.parquet").to_pylist()


def test_tasks_end_where_no_file_does(made, monkeypatch, tmp_path):
    monkeypatch.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_TASK", 8)
    path = generate(config(num_samples=120, programs_per_file=17, output_dir=str(tmp_path))).path
    for file in FILES:
        assert pq.read_table(path / file).equals(pq.read_table(made[0] / file))


def test_others_read_them_as_one(made, tmp_path):
    cut, whole = (datasets.load_dataset(str(path), cache_dir=str(tmp_path / path.name)) for path in made)
    assert {split: rows.num_rows for split, rows in cut.items()} == {"train": 100, "test": 20}
    for split in whole:
        assert cut[split]["mlir"] == whole[split]["mlir"]


@pytest.mark.parametrize("script", ["verify", "reproduce"])
def test_it_is_verified_and_comes_back(script, made, tmp_path):
    done = run_warm(script, str(made[0]), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def _exchange(folder):
    (folder / FILES[0]).rename(folder / "other")
    (folder / FILES[1]).rename(folder / FILES[0])
    (folder / "other").rename(folder / FILES[1])


def _one_more(folder):
    shutil.copy(folder / FILES[0], folder / "train-00006-of-00007.parquet")


def _truncate(folder):
    (folder / FILES[3]).write_bytes((folder / FILES[3]).read_bytes()[:-5])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / FILES[2]).unlink(), f"{FILES[2]} is missing"),
        (
            lambda folder: shutil.copy(folder / FILES[0], folder / "train-00006-of-00007.parquet"),
            "does not belong to it",
        ),
        (
            lambda folder: (folder / FILES[3]).write_bytes((folder / FILES[3]).read_bytes()[:-5]),
            f"{FILES[3]} was changed",
        ),
        (_exchange, f"{FILES[0]} was changed; {FILES[1]} was changed"),
    ],
    ids=["a missing one", "one more", "a truncated one", "two exchanged ones"],
)
def test_what_happens_to_a_file_is_found(change, said, made, tmp_path):
    copy = shutil.copytree(made[0], tmp_path / made[0].name)
    change(copy)
    done = run_warm("verify", str(copy), cwd=tmp_path)
    assert done.returncode != 0
    assert said in " ".join((done.stderr + done.stdout).split())
