"""What an export trains on and evaluates on, and what a run with an export says when it cannot be written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers import made_dataset
from warm_scripts import run_warm

from mlir_datagen.command_line import generating
from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.export import ExportSettings, TimeBounds
from mlir_datagen.errors import UserError
from mlir_datagen.export import EXPORTERS
from mlir_datagen.export.base import export_dataset
from mlir_datagen.pipeline.run import Listener, generate

MLIR_RL = EXPORTERS["mlir_rl"]
ALL = ExportSettings("mlir_rl", bounds=TimeBounds(min_ns=None), torch=False)
"""However short: the programs here take nanoseconds."""


def suite(**sizes):
    """Return the setting's value that is a suite of matrix products, by name their m and n."""
    programs = ", ".join(f"{name}: {{op: matmul, m: {m}, n: {n}, k: 2}}" for name, (m, n) in sizes.items())
    return f"{{version: 1, digest: null, programs: {{{programs}}}}}"


TWO_SUITES = [
    "ops=[]",
    f"+suites.first={suite(one=(64, 64), two=(4, 4))}",
    f"+suites.second={suite(three=(64, 64), four=(4, 8))}",
    "measure=baseline",
]


@pytest.fixture(scope="module")
def two_suites(tmp_path_factory):
    """Two suites that share a program. Tests may export them, each in its own way."""
    return generate(compose_config([*TWO_SUITES, f"output_dir={tmp_path_factory.mktemp('suites')}"])).path


def read(dataset, file):
    return json.loads((dataset / "mlir_rl" / file).read_text())


def test_a_program_that_two_suites_share_is_one_of_both(two_suites):
    export_dataset(MLIR_RL, two_suites, True, Listener(), ALL)
    origins = read(two_suites, "programs.json")
    assert read(two_suites, "left_out.json") == []
    assert [(one["split"], one["name"]) for one in origins["matmul_64_2_64"]] == [
        ("suites.first", "one"),
        ("suites.second", "three"),
    ]
    assert set(read(two_suites, "execution_times_eval.json")) == {"matmul_64_2_64", "matmul_4_2_4", "matmul_4_2_8"}


def test_an_export_without_anything_to_train_on_says_so(two_suites, tmp_path):
    export_dataset(MLIR_RL, two_suites, True, Listener(), ALL)
    readme = (two_suites / "mlir_rl/README.md").read_text()
    assert "nothing to train on" in readme
    assert "train.py" not in readme
    checked = run_warm("check_mlir_rl", str(two_suites / "mlir_rl"), cwd=tmp_path)
    assert checked.returncode == 0
    assert "execution_times_train.json: it names no program" in checked.stdout


def test_what_is_evaluated_on_is_not_trained_on(two_suites, tmp_path):
    done = run_warm(
        "export",
        *("mlir_rl", str(two_suites), "--train", "suites.first", "--min-ns", "none", "--no-torch"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert set(read(two_suites, "execution_times_train.json")) == {"matmul_4_2_4"}
    assert set(read(two_suites, "execution_times_eval.json")) == {"matmul_64_2_64", "matmul_4_2_8"}
    (left_out,) = read(two_suites, "left_out.json")
    assert (left_out["split"], left_out["name"]) == ("suites.first", "one")
    assert left_out["reasons"] == ["in this form it is the same program as matmul_64_2_64, which is to evaluate on"]
    readme = (two_suites / "mlir_rl/README.md").read_text()
    assert "what is to be trained on (the split `suites.first`)" in readme
    assert "train.py" in readme


def test_a_split_that_is_not_there_cannot_be_trained_on(two_suites):
    with pytest.raises(UserError, match=r"has no split 'extracted' to train on, only suites.first, suites.second"):
        export_dataset(MLIR_RL, two_suites, False, Listener(), replace(ALL, train=("extracted",)))


@pytest.mark.parametrize("value", ["train", "[]", "[1]"])
def test_what_is_trained_on_is_a_list_of_splits(value):
    settings = ["ops=[matmul]", "measure=baseline", "export=mlir_rl", f"export.train={value}"]
    with pytest.raises(UserError, match=r"export.train is .*must be a list of splits"):
        compose_config(settings)


SMALL_EXPORT = ["ops=[matmul]", "dims=small", "num_samples=4", "measure=baseline", "export=mlir_rl"]


def test_a_place_that_mlir_rl_cannot_read_is_refused_before_anything_is_made(tmp_path):
    place = tmp_path / "my data"
    place.mkdir()
    done = run_warm("generate", *SMALL_EXPORT, cwd=place)
    assert done.returncode == 2
    assert "Choose an output_dir whose path" in " ".join(done.stderr.split())
    assert list(place.iterdir()) == []


def test_a_dataset_whose_export_fails_is_named_all_the_same(tmp_path):
    done = run_warm("generate", *SMALL_EXPORT, "export.train=[missing]", cwd=tmp_path)
    assert done.returncode == 2
    assert "has no split 'missing' to train on" in " ".join(done.stderr.split())
    label, path = done.stdout.splitlines()[-1].split(": ")
    assert label == "dataset"
    assert (tmp_path / path / "manifest.json").exists()


def test_stopping_an_export_keeps_the_dataset(two_suites, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlir_datagen.export.base.publish_export", stop)
    with pytest.raises(SystemExit) as stopped:
        generating._export(ALL, two_suites)
    assert stopped.value.code == 130
    printed = capsys.readouterr()
    assert "Stopped while the dataset was exported; it is finished" in printed.err
    assert f"python scripts/export.py mlir_rl {two_suites}" in printed.err


def test_a_suite_that_lacks_programs_says_so(tmp_path):
    big = suite(big=(20000, 20000), small=(4, 4))
    done = run_warm(
        "generate",
        *("ops=[]", f"+suites.sizes={big}", "measure=baseline", "sandbox.memory_bytes=1000000000"),
        cwd=tmp_path,
    )
    dataset = made_dataset(done, tmp_path)
    assert "suites.sizes/big was rejected at the stage" in done.stdout
    assert "suites.sizes is incomplete**: 1 of its 2 programs" in (dataset / "README.md").read_text()
    described = json.loads((dataset / "manifest.json").read_text())["decontamination"]["against"]["suites.sizes"]
    assert (described["kept"], described["size"]) == (1, 2)
