"""What happens to programs that are not kept: planted defects, since the emitters have none of their own."""

from __future__ import annotations

import json
import shlex

import pyarrow.parquet as pq
import pytest
from helpers import config
from planting import REAL, plant_programs, real_program
from warm_scripts import run_warm

from mlir_datagen.errors import UserError
from mlir_datagen.ops import FAMILIES
from mlir_datagen.pipeline.run import generate

MATMUL, POOLING = FAMILIES["matmul"], FAMILIES["pooling"]


def _wide(op):
    return {f"ops__{op}__grid__{axis}": {"from": 1, "to": 20, "step": 1} for axis in "mnk"}


def test_a_rejected_program_is_listed_and_the_next_one_takes_its_place(monkeypatch, tmp_path):
    def broken_sometimes(spec, form):
        text = REAL(spec, form)
        return text.replace("return %3", "return %9") if spec.fields["m"] in (1, 2) else text

    plant_programs(monkeypatch, MATMUL, broken_sometimes)
    outcome = generate(config(output_dir=str(tmp_path)))
    rejects = [json.loads(line) for line in (outcome.path / "rejects.jsonl").read_text().splitlines()]
    assert rejects
    assert all(json.loads(reject["spec"])["m"] in (1, 2) for reject in rejects)
    assert all(reject["stage"] == "verified" for reject in rejects)
    assert "undeclared SSA value" in rejects[0]["reason"]
    funnel = outcome.manifest["funnel"]
    assert funnel["attempted"] == 24 + len(rejects)
    assert funnel["rejected"] == {"emitted": 0, "verified": len(rejects), "unique": 0, "unseen": 0}
    assert funnel["kept"] == 24
    rejected = {
        family: sum(quota["rejected"] for quota in of.values()) for family, of in outcome.manifest["quotas"].items()
    }
    assert {family: number for family, number in rejected.items() if number} == {"matmul": len(rejects)}
    assert {split: sum(counts.values()) for split, counts in outcome.manifest["counts"].items()} == {
        "train": 20, "test": 4,
    }  # fmt: skip
    assert "rejects.jsonl" in outcome.manifest["files"]


def test_a_smaller_dataset_is_a_prefix_of_a_larger_one_also_with_rejections(monkeypatch, tmp_path):
    def broken_sometimes(spec, form):
        return "module {" if spec.fields["m"] in (1, 2) else REAL(spec, form)

    plant_programs(monkeypatch, MATMUL, broken_sometimes)
    large = _train_texts(generate(config(num_samples=48, output_dir=str(tmp_path))))
    for size in (13, 18, 23):
        small = _train_texts(generate(config(num_samples=size, output_dir=str(tmp_path))))
        assert large[: len(small)] == small


def _train_texts(outcome):
    return pq.read_table(outcome.path / "train.parquet").column("mlir").to_pylist()


def test_the_command_of_a_rejection_makes_its_program(monkeypatch, tmp_path):
    plant_programs(monkeypatch, MATMUL, lambda spec, form: REAL(spec, form)[: 40 if spec.fields["k"] == 1 else None])
    outcome = generate(config(["matmul"], output_dir=str(tmp_path)))
    reject = json.loads((outcome.path / "rejects.jsonl").read_text().splitlines()[0])
    python, script, *arguments = shlex.split(reject["command"])
    assert (python, script) == ("python", "scripts/program.py")
    done = run_warm("program", *arguments, cwd=tmp_path)
    assert done.returncode == 0
    assert "func.func @matmul" in done.stdout


def test_the_same_text_twice_is_rejected(monkeypatch, tmp_path):
    """Kinds of pooling that emit the same program, as a careless op might."""
    real = real_program(POOLING)
    plant_programs(
        monkeypatch, POOLING, lambda spec, form: real(POOLING.spec_from_json({**spec.fields, "kind": "max"}), form)
    )
    grid = {"ops__pooling__grid__height": [6], "ops__pooling__grid__stride_width": [1]}
    run = config(["pooling"], num_samples=30, split_ratios={"train": 1}, output_dir=str(tmp_path), **grid)
    outcome = generate(run)
    rejects = [json.loads(line) for line in (outcome.path / "rejects.jsonl").read_text().splitlines()]
    assert {reject["stage"] for reject in rejects} == {"unique"}
    assert outcome.manifest["funnel"]["kept"] == 30
    texts = [path.read_text() for path in (outcome.path / "train").iterdir()]
    assert len(set(texts)) == 30


def test_a_run_that_keeps_nothing_stops(monkeypatch, tmp_path):
    plant_programs(monkeypatch, MATMUL, lambda spec, form: "module {")
    with pytest.raises(UserError, match=r"Not one of 300 programs in a row was kept.*scripts/program.py matmul"):
        generate(config(["matmul"], num_samples=300, output_dir=str(tmp_path), **_wide("matmul")))
    assert list(tmp_path.iterdir()) == []


def test_a_grid_that_runs_out_of_programs_that_are_kept_says_so(monkeypatch, tmp_path):
    plant_programs(monkeypatch, MATMUL, lambda spec, form: REAL(spec, form) if spec.fields["k"] == 1 else "module {")
    with pytest.raises(UserError, match=r"too few programs.* were rejected.*failed at the stage \"verified\""):
        generate(config(["matmul"], output_dir=str(tmp_path), num_samples=60))
    assert list(tmp_path.iterdir()) == []


def test_a_family_that_ran_out_is_said_to_have(tmp_path):
    """There are 125 matmuls in all; what cannot be theirs goes to the others."""
    run = config(["matmul", "conv2d"], num_samples=300, split_ratios={"train": 1}, output_dir=str(tmp_path))
    quotas = generate(run).manifest["quotas"]
    matmul, conv2d = quotas["matmul"]["train"], quotas["conv2d"]["train"]
    assert (matmul["asked"], matmul["existing"], matmul["planned"], matmul["exhausted"]) == (150, 125, 125, True)
    assert (conv2d["asked"], conv2d["planned"], conv2d["exhausted"]) == (150, 175, False)


def test_a_defect_in_our_own_code_is_no_rejection(monkeypatch, tmp_path):
    def buggy(spec, form):
        raise ZeroDivisionError

    plant_programs(monkeypatch, MATMUL, buggy)
    with pytest.raises(ZeroDivisionError):
        generate(config(["matmul"], output_dir=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []
