"""Shards of a config, made apart, and the dataset of all of them."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter

import pytest
from helpers import made_dataset
from planting import REAL, plant_programs
from warm_scripts import run_warm
from whole_trees import broken_sometimes, tree

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.measurements import read_measurements
from mlir_datagen.errors import UserError
from mlir_datagen.ops import FAMILIES
from mlir_datagen.pipeline.run import Listener, generate
from mlir_datagen.pipeline.sharding import generate_shard, merge_shards
from mlir_datagen.proving.machine import machine
from mlir_datagen.verification import verify_dataset

MATMUL = FAMILIES["matmul"]
MIXED = ["ops=[matmul,relu,sequence,dag]", "dims=small", "num_samples=150", "form=mixed", "suites=[conv]", "models=[simple_net]", "converter=manual"]  # fmt: skip # noqa: E501
CHECKED = ["ops=[matmul,pooling]", "dims=small", "num_samples=30", "check=execute"]


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch):
    monkeypatch.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_TASK", 8)
    monkeypatch.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_SLOW_TASK", 8)


def configured(folder, settings, *more):
    return compose_config([*settings, *more, f"output_dir={folder}"])


def shards_of(folder, settings, of):
    made = [generate_shard(configured(folder, settings, f"shard={number}/{of}")) for number in range(1, of + 1)]
    return [one.path for one in made]


@pytest.mark.parametrize(("settings", "of"), [(CHECKED, 1), (MIXED, 5), (CHECKED, 3)], ids=["one", "five", "checked"])
def test_merged_shards_are_the_whole(settings, of, monkeypatch, tmp_path):
    plant_programs(monkeypatch, MATMUL, broken_sometimes(REAL))
    whole = generate(configured(tmp_path / "whole", settings)).path
    shards = shards_of(tmp_path / "shards", settings, of)
    assert len(shards) == of
    merged = merge_shards(shards[::-1], tmp_path / "merged").path
    assert tree(merged) == tree(whole)
    assert (whole / "rejects.jsonl").exists()


def test_a_program_that_fails_twice_is_rejected_as_in_the_whole(monkeypatch, tmp_path):
    """What is there already is no failure of a check, wherever it was checked."""
    from mlir_datagen.programs.proof import Failure
    from mlir_datagen.proving.batch import BatchProver

    real = BatchProver.outcomes

    def failing(self, programs):
        programs = list(programs)
        for program, outcome in zip(programs, real(self, programs), strict=True):
            yield Failure("matched", "planted") if program.sha256[0] in "01234" else outcome

    monkeypatch.setattr(BatchProver, "outcomes", failing)
    whole = generate(configured(tmp_path / "whole", CHECKED)).path
    merged = merge_shards(shards_of(tmp_path / "shards", CHECKED, 3), tmp_path / "merged").path
    assert tree(merged) == tree(whole)
    assert json.loads((whole / "manifest.json").read_text())["funnel"]["rejected"]["matched"] > 3


def test_a_stopped_shard_goes_on(tmp_path):
    config = configured(tmp_path / "shards", MIXED, "shard=1/2")
    left = [20]

    def count(programs):
        left[0] -= programs
        if left[0] < 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_shard(config, Listener(on_written=count))
    resumed = []
    path = generate_shard(config, Listener(on_resume=resumed.append)).path
    assert resumed == [16]
    assert generate_shard(config).existed
    alone = generate_shard(configured(tmp_path / "alone", MIXED, "shard=1/2")).path
    assert tree(path) == tree(alone)


def test_shards_that_were_measured_on_different_machines(monkeypatch, tmp_path):
    settings = ["ops=[matmul]", "dims=small", "num_samples=20", "measure=baseline", "measure.max_seconds=0.01"]
    here = machine()
    first = generate_shard(configured(tmp_path / "one", settings, "shard=1/2")).path
    monkeypatch.setattr("mlir_datagen.proving.machine._cpu_model", lambda: "Other")
    second = generate_shard(configured(tmp_path / "other", settings, "shard=2/2")).path
    assert machine().id != here.id
    merged = merge_shards([second, first], tmp_path / "merged").path
    monkeypatch.undo()
    found = {
        record["id"]: record
        for record in json.loads((merged / "manifest.json").read_text())["measurements"]["machines"]
    }
    assert [found[here.id]["cpu"], len(found)] == [here.cpu, 2]
    times = read_measurements(merged)
    assert Counter(time.machine for time in times.values()) == {id_: one["programs"] for id_, one in found.items()}
    assert len(times) == 20
    verify_dataset(merged)


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    folder = tmp_path_factory.mktemp("halves")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mlir_datagen.sources.random_ops.PROGRAMS_PER_TASK", 8)
        settings = ["ops=[matmul]", "dims=small", "num_samples=40"]
        others = shards_of(folder / "others", [*settings, "seed=1"], 2)
        return [*shards_of(folder, settings, 2), others[1]]


def _cut(folder):
    part = sorted(folder.glob("*.arrow"))[1]
    part.write_bytes(part.read_bytes()[:-1])


def _changed(folder, **others):
    path = folder / "shard.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **others}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one, two: (one, one), "missing: shard=2/2. Make these, too"),
        (lambda one, two: (one,), "Of the 2 shards 1 are missing: shard=2/2"),
        (lambda one, two: (one, two, one.parent), "is no shard: it has no shard.json"),
        (lambda one, two: _cut(one) or (one, two), "is missing or damaged (its content is not that of its name)"),
        (lambda one, two: _changed(one, tasks=7) or (one, two), "it has 7 tasks, and as many parts it must list"),
        (lambda one, two: _changed(one, parts=3) or (one, two), "as many parts it must list"),
        (lambda one, two: _changed(two, first_task=9) or (one, two), "begins with task 9"),
        (lambda one, two: _changed(one, generator_version=1) or (one, two), "Make all shards with one version"),
        (lambda one, two: _changed(one, fingerprint="0" * 12) or (one, two), "are not shards of one run"),
        (lambda one, two: (one / "shard.json").write_text("[") and (one, two), "is damaged"),
    ],
)
def test_what_cannot_be_merged(change, said, halves, tmp_path):
    one, two = (shutil.copytree(folder, tmp_path / folder.name) for folder in halves[:2])
    with pytest.raises(UserError, match=re.escape(said)):
        merge_shards(change(one, two), tmp_path / "merged")
    assert not list(tmp_path.glob("merged/[!.]*"))


def test_shards_of_two_configs(halves, tmp_path):
    with pytest.raises(UserError, match="are not shards of one run: the fingerprint of one is"):
        merge_shards([halves[0], halves[2]], tmp_path)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"])
def test_no_such_shard(shard, tmp_path):
    with pytest.raises(UserError, match="counted from 1: the third of 16 is shard=3/16"):
        configured(tmp_path, ["ops=[matmul]"], f"shard='{shard}'")


def test_more_shards_than_tasks(tmp_path):
    with pytest.raises(UserError, match="Type shard=1/"):
        generate_shard(configured(tmp_path, ["ops=[matmul]", "num_samples=8"], "shard=1/99"))


def test_from_the_command_line(tmp_path):
    settings = ("ops=[matmul,conv2d]", "dims=large", "num_samples=1500", "storage=parquet")
    for number in (1, 2):
        done = run_warm("generate", *settings, f"shard={number}/2", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].startswith("shard: outputs/random-")
    shards = [str(path) for path in tmp_path.glob("outputs/*.shard-*")]
    merged = made_dataset(run_warm("merge", *shards, "-o", "merged", cwd=tmp_path), tmp_path)
    whole = made_dataset(run_warm("generate", *settings, cwd=tmp_path), tmp_path)
    assert tree(merged) == tree(whole)
    assert run_warm("verify", str(merged), cwd=tmp_path).returncode == 0
