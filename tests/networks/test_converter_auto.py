"""Networks that torch-mlir fails on: what is said of it, and the manual converter in its place, on both entrances."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from helpers import REPOSITORY, made_dataset
from networks import SMALL, TRUSTED, generate, index_rows, planted, rejects
from planted_networks import Branches, Bytes, Scatters, Small
from torch import nn
from warm_scripts import run_warm

from mlir_datagen import NeuralNetworkToMLIR, UserError
from mlir_datagen.config.compose import compose_config
from mlir_datagen.networks.fallback import both_failed
from mlir_datagen.networks.model_spec import DEFAULT_MEMORY_BYTES, DEFAULT_SECONDS
from mlir_datagen.programs.proof import Failure

CRASH = "torch-mlir: it crashed its process (SIGSEGV)"
BYTES = torch.tensor([[1, -2, 3]], dtype=torch.int8)


class Scaled(nn.Module):
    def forward(self, x):
        return x * 2


class Scores(nn.Module):
    """A product that takes seconds as a plain loop."""

    def forward(self, x):
        return x @ x


class Stops(nn.Module):
    """torch-mlir checks variances when the program runs."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.norm.running_var.fill_(-1)

    def forward(self, x):
        return torch.nan_to_num(self.norm(x))


def convert(folder, model, inputs, **settings):
    NeuralNetworkToMLIR(folder).convert_model(model, inputs, "mine", **settings)
    (row,) = pq.read_table(folder / "index.parquet").to_pylist()
    return row


def refusal(folder, model, inputs, **settings):
    with pytest.raises(UserError) as caught:
        convert(folder, model, inputs, **settings)
    assert not list(folder.rglob("*.*"))
    return str(caught.value)


def converter_of(row):
    return json.loads(row["spec"])["converter"]


@pytest.mark.parametrize("check", ["parse", "execute"])
def test_a_crash_of_torch_mlir_is_said_and_made_up_for(check, tmp_path):
    said = refusal(tmp_path, Scaled(), [BYTES], use_torch_mlir=True, check=check)
    assert said == f"mine failed at the stage 'emitted': {CRASH}"
    row = convert(tmp_path, Scaled(), [BYTES], check=check)
    assert (row["kind"], row["check"]) == ("manual", check)
    assert converter_of(row) == {"kind": "manual", "weights": "arguments", "instead_of": "torch_mlir"}
    assert (tmp_path / "mine.mlir").read_text().startswith("module")


def test_where_torch_mlir_works_it_is_torch_mlir(tmp_path):
    row = convert(tmp_path, Small(), (1, 3, 8, 8))
    assert row["kind"] == "torch_mlir"
    assert converter_of(row) == {"kind": "torch_mlir", "weights": "arguments"}


def test_a_program_that_always_stops_is_no_program(tmp_path):
    said = refusal(tmp_path, nn.AdaptiveMaxPool2d((2, 3)), (1, 4, 10, 11), use_torch_mlir=True)
    assert said.startswith(
        "mine failed at the stage 'emitted': torch-mlir gives a program that always stops (unimplemented: only support "
        "cases with fixed stride size.), for the operator aten.adaptive_max_pool2d.default"
    )
    assert "mlir_datagen/networks" not in said


def test_a_crash_of_the_program_names_stage_and_signal(tmp_path):
    said = refusal(tmp_path, Stops(), (2, 3), use_torch_mlir=True, check="execute")
    assert said == "mine failed at the stage 'executed': it crashed its process (SIGABRT)"
    assert convert(tmp_path, Stops(), (2, 3), use_torch_mlir=True)["check"] == "parse"


def test_an_operator_that_the_manual_converter_has_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr("mlir_datagen.networks.through_torch_mlir.operator_handler", lambda name: name)
    said = refusal(tmp_path, nn.Sequential(nn.ReLU(), Scatters()), (2, 3), use_torch_mlir=True)
    assert "for the operator aten.scatter.src (" in said
    assert said.endswith(
        "return x.scatter(1, x.argmax(1, keepdim=True), x)), which the manual converter has (converter=manual; in "
        "Python, use_torch_mlir=False)"
    )


def test_where_both_fail_both_are_said(tmp_path):
    said = refusal(tmp_path, Scatters(), (2, 3))
    assert said.startswith(
        "mine was not converted. torch-mlir failed at the stage emitted: torch-mlir gives tm_tensor."
    )
    assert " The manual converter has no handler for the operator aten.scatter.src, which" in said
    failure = Failure("matched", "the result holds NaN")
    assert both_failed(failure, failure) == Failure("matched", "the result holds NaN (with both converters)")
    other = Failure("executed", "it crashed")
    assert both_failed(other, failure) == Failure(
        "matched",
        "torch-mlir failed at the stage executed: it crashed; the manual converter failed at the stage matched: "
        "the result holds NaN",
    )


def test_what_pytorch_refuses_is_tried_once(tmp_path, monkeypatch):
    def no_second(*given):
        raise AssertionError

    monkeypatch.setattr("mlir_datagen.networks.manual.convert_manual", no_second)
    assert refusal(tmp_path, Branches(), (2, 3)).startswith("mine has control flow that depends on the values of its")


def test_the_limits_of_the_call(tmp_path):
    said = refusal(tmp_path, Scores(), (1500, 1500), use_torch_mlir=True, check="execute", seconds=2)
    assert said == "mine failed at the stage 'executed': it ran for longer than seconds, 2 s of processor time"
    for settings, expected in (
        ({"seconds": 0}, "seconds is 0, and must be a whole number of at least 1. Type seconds=600."),
        ({"memory_bytes": "1 GB"}, "memory_bytes is '1 GB', and must be a whole number of at least 1048576. Type mem"),
    ):
        assert refusal(tmp_path, Small(), (1, 3, 8, 8), **settings).startswith(expected)


def test_the_limits_are_those_of_the_command_line():
    for path in (REPOSITORY / "conf" / "converter").glob("*.yaml"):
        settings = yaml.safe_load(path.read_text())
        assert settings["kind"] == path.stem
        assert (settings["seconds"], settings["memory_bytes"]) == (DEFAULT_SECONDS, DEFAULT_MEMORY_BYTES)
    assert compose_config(["models=[resnet18]"]).converter.kind == "torch_mlir"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """What a run printed whose networks torch-mlir converts, crashes on, and fails on with the manual converter."""
    folder = tmp_path_factory.mktemp("auto")
    chosen = [SMALL, planted("bytes"), planted("scatters"), planted("branches"), TRUSTED]
    done = generate(folder, *chosen, "ops=[]", "converter=auto", "check=execute", "save_weights=true")
    return done, made_dataset(done, folder)


def test_a_run_says_which_converter_it_was(dataset):
    done, folder = dataset
    rows = index_rows(folder)
    assert {name: row["kind"] for name, row in rows.items()} == {"bytes": "manual", "small": "torch_mlir"}
    assert converter_of(rows["bytes"]) == {"kind": "manual", "weights": "arguments", "instead_of": "torch_mlir"}
    assert converter_of(rows["small"]) == {"kind": "torch_mlir", "weights": "arguments"}
    assert all(row["check"] == "execute" for row in rows.values())
    said = "bytes was converted by the manual converter, since torch-mlir failed at the stage emitted: "
    assert said + "it crashed its process (SIGSEGV)" in done.stdout.splitlines()
    assert "by `torch_mlir`, or by `manual` where that failed" in (folder / "README.md").read_text()
    assert done.stderr == ""


def test_a_run_says_why_both_failed(dataset):
    _, folder = dataset
    found = rejects(folder)
    assert set(found) == {"branches", "scatters"}
    reason = found["scatters"]["reason"]
    assert reason.startswith(
        "torch-mlir failed at the stage emitted: torch-mlir gives tm_tensor.scatter, which is not of"
    )
    assert "; the manual converter failed at the stage emitted: The manual converter has no handler for the" in reason
    assert "converter=auto" in found["scatters"]["command"]
    # PyTorch refuses it, so that there is nothing to try.
    assert found["branches"]["reason"].startswith("branches has control flow that depends on the values of its inputs")
    assert json.loads(found["scatters"]["spec"])["converter"]["kind"] == "auto"


def test_a_dataset_of_both_converters_is_verified(dataset):
    _, folder = dataset
    done = run_warm("verify", str(folder), cwd=folder)
    assert done.returncode == 0, done.stderr


def test_a_planted_network_crashes_torch_mlir_here_too(tmp_path):
    assert CRASH in refusal(tmp_path, Bytes(), (2, 3), use_torch_mlir=True)
