"""Drawn graphs as a source: quotas, splits, uniqueness, limits, and what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from forging import columns, forge
from helpers import config, made_dataset, raw_config
from warm_scripts import run_warm

from mlir_datagen.config import parse_config
from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import UserError
from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.programs.content import Splitter
from mlir_datagen.sources.random_ops import RandomOps

GRID = {
    "batch": [1, 2], "channels": [1, 2, 3], "height": [6, 7, 8], "width": [6, 7], "kernel": [1, 2, 3], "stride": [1, 2],
    "rows": [2, 3, 4, 5], "columns": [2, 3, 4], "heads": [1, 2], "features": [2, 4],
    "length": [4, 5, 6], "depth": [4, 5], "extent": [2, 3, 4, 5],
}  # fmt: skip
OWN = {
    "sequence": {"length": 5, "vocabulary": ["add", "matmul", "relu", "conv2d", "pooling", "sigmoid", "softmax"]},
    "dag": {
        "length": {"from": 3, "to": 6},
        "vocabulary": ["add", "mul", "relu", "conv2d"],
        "fan_out": 2,
        "depth": None,
    },
    "block": {"vocabulary": ["mlp", "attention", "residual"]},
    "kernel": {"vocabulary": ["jacobi_2d", "gemm", "reduce_max", "plaquette"]},
    "generic": {
        "loops": {"from": 2, "to": 4},
        "operations": {"from": 1, "to": 4},
        "vocabulary": ["add", "mul", "max", "exp", "log", "div"],
    },
}


def raw_part(name, **changes):
    grid = {axis: GRID[axis] for axis in DRAWN_FAMILIES[name].axes}
    return {"weight": 1, "grid": grid, **OWN[name], **changes}


def run(*names, num_samples=24, **changes):
    """Return a config with these families; of the others, what `helpers` has."""
    raw = raw_config([name for name in names if name not in OWN], num_samples=num_samples, **changes)
    raw["ops"] |= {name: raw_part(name) for name in names if name in OWN}
    return raw


def specs_of(raw):
    settings = parse_config(raw)
    plan = RandomOps(settings.random_settings).plan(settings.splits)
    return [(task.split, family, spec) for task in plan.tasks for family, spec in task.specs()]


def test_a_smaller_dataset_is_the_beginning_of_a_larger_one_and_other_ops_change_nothing():
    few, many = specs_of(run("sequence", num_samples=12)), specs_of(run("sequence", "matmul", "dag", num_samples=90))
    for split in ("train", "test"):
        own = [spec for place, family, spec in few if place == split]
        among = [spec for place, family, spec in many if place == split and family.name == "sequence"]
        assert own == among[: len(own)]
        assert own
    assert specs_of(run("sequence", seed=1))[0] != specs_of(run("sequence", seed=2))[0]


def test_element_types_take_turns_and_change_nothing_of_each_other():
    """Programs of f32 are those that there are without others."""
    for name in OWN:
        alone = [spec for _, _, spec in specs_of(run(name, num_samples=12))]
        mixed = run(name, num_samples=24)
        mixed["ops"][name]["dtypes"] = ["f64", "f32"]
        both = [spec for _, _, spec in specs_of(mixed)]
        by_type = {dtype: [one for one in both if one.dtype == dtype] for dtype in ("f32", "f64")}
        assert [one.dtype for one in both[:4]] == ["f32", "f64", "f32", "f64"]
        assert len(by_type["f32"]) == len(by_type["f64"]) == 12
        assert {one.content for one in by_type["f32"]} == {one.content for one in alone}
        as_f64 = {one.content.replace("f32", "f64") for one in alone}
        assert as_f64 != {one.content for one in by_type["f64"]}, "each graph is there twice"
        for one in by_type["f64"]:
            assert {operand.dtype for operand in one.graph.values} == {"f64"}


def test_the_split_follows_from_the_graph_alone():
    splitter = Splitter({"train": 5, "test": 1})
    for split, family, spec in specs_of(run("sequence", "dag", num_samples=60)):
        assert splitter.names[int(splitter(family.name, spec))] == split
        assert splitter("another", spec) == splitter(family.name, spec)


def test_what_families_share_is_there_once_and_made_up_for(tmp_path):
    """Sequences and graphs of one or two operations of one kind, and single operations, are often the same."""
    small = {"rows": [2, 3, 4], "columns": [2, 3, 4]}
    settings = [
        "ops=[relu,sequence,dag]", "ops.relu.ranks=[2]", "ops.relu.grid.rows=[2,3,4]", "ops.relu.grid.columns=[2,3,4]",
        "ops.sequence.length={from: 1, to: 2}", "ops.sequence.vocabulary=[relu,matmul]",
        "ops.dag.length={from: 1, to: 2}", "ops.dag.vocabulary=[relu,matmul]",
        *(f"ops.{name}.grid.{axis}={values}" for name in ("sequence", "dag") for axis, values in small.items()),
        "num_samples=40", "form=mixed",
    ]  # fmt: skip
    done = run_warm("generate", *settings, cwd=tmp_path)
    made = made_dataset(done, tmp_path)
    manifest = json.loads((made / "manifest.json").read_text())
    texts = [path.read_text() for path in made.glob("t*/*.mlir")]
    hasher = ProgramHasher()
    assert len(texts) == 40 == len({hasher.hash(text) for text in texts})
    assert manifest["funnel"]["attempted"] > 40
    assert "what computes the same was there before" in (made / "rejects.jsonl").read_text()
    for script in ("verify", "reproduce"):
        assert run_warm(script, str(made), cwd=tmp_path).returncode == 0
    forge(made, "train.parquet", columns(family="nobody"))
    refused = run_warm("verify", str(made), cwd=tmp_path)
    assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)
    assert 'There is no op "nobody".' in refused.stderr
    # One whose text is another, and which computes the same, is found.
    twin = next(path for path in made.glob("train/*.mlir") if "relu" in path.name)
    assert hasher.hash(twin.read_text()) == hasher.hash(twin.read_text().replace("@relu", "@dag"))


def test_limits_and_strata_bound_graphs():
    found = specs_of(run("sequence", "block", limits__max_flops=3000, limits__min_flops=500))
    assert all(500 <= spec.graph.flops <= 3000 for _, _, spec in found)
    raw = run("sequence", num_samples=20)
    raw["strata"] = {"seconds": [1e-9, 3e-7, 1e-3], "shares": [1, 1]}
    family = DRAWN_FAMILIES["sequence"]
    seconds = [family.baseline_seconds(spec) for _, _, spec in specs_of(raw)]
    # A share of each split, rounded.
    assert np.searchsorted([3e-7], seconds).tolist().count(0) in (10, 11)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("sequence", {"length": 0}, "ops.sequence.length is 0, and must be a whole number of at least 1"),
        ("sequence", {"length": {"from": 3, "to": 2}}, "ops.sequence.length is empty: from 3 is above to 2"),
        ("sequence", {"length": {"from": 3}}, "must be a number, or a range like {from: 2, to: 8}"),
        ("sequence", {"length": 65}, "ops.sequence.length is 65, and must be at most 64"),
        ("sequence", {"vocabulary": []}, "ops.sequence.vocabulary is [], and must be a list of at least one of add"),
        ("sequence", {"vocabulary": ["matmull"]}, 'Did you mean "matmul"?'),
        ("sequence", {"dtypes": ["f16"]}, "ops.sequence.dtypes is 'f16', and must be one of f32, f64"),
        ("kernel", {"dtypes": ["i32"]}, "ops.kernel.dtypes is 'i32', and must be one of f32, f64, f16"),
        ("block", {"dtypes": "f64"}, "ops.block.dtypes is 'f64', and must be a list of at least one of f32, f64"),
        ("sequence", {"fan_out": 2}, 'There is no key "fan_out" in ops.sequence'),
        ("dag", {"fan_out": 0}, "ops.dag.fan_out is 0, and must be a whole number of at least 1"),
        ("dag", {"depth": 0}, "ops.dag.depth is 0"),
        ("block", {"vocabulary": ["resnet"]}, "must be one of conv_bias_relu"),
        ("block", {"length": 3}, 'There is no key "length" in ops.block'),
        ("kernel", {"vocabulary": ["jacobi"]}, "must be one of relu, sigmoid"),
        ("kernel", {"loops": 3}, 'There is no key "loops" in ops.kernel'),
        ("generic", {"loops": 9}, "ops.generic.loops is 9, and must be at most 8"),
        ("generic", {"loops": {"from": 3, "to": 2}}, "ops.generic.loops is empty: from 3 is above to 2"),
        ("generic", {"operations": 0}, "ops.generic.operations is 0, and must be a whole number of at least 1"),
        ("generic", {"operations": 17}, "ops.generic.operations is 17, and must be at most 16"),
        ("generic", {"vocabulary": ["floor"]}, "must be one of add, sub"),
        ("generic", {"length": 3}, 'There is no key "length" in ops.generic'),
        ("sequence", {"grid": {"rows": [2]}}, "ops.sequence.grid lacks the dimension batch"),
    ],
)
def test_bad_settings_say_what_is_allowed(name, change, message):
    raw = run(name)
    raw["ops"][name] |= change
    with pytest.raises(UserError, match=re.escape(message)):
        parse_config(raw)


def test_an_axis_of_its_own_is_needed():
    raw = run("sequence")
    raw["ops"]["sequence"]["grid"]["width"] = {"same_as": "height"}
    with pytest.raises(UserError, match="Give it its own values"):
        parse_config(raw)


def test_what_cannot_be_chained_is_said():
    raw = run("sequence")
    raw["ops"]["sequence"]["vocabulary"] = ["relu"]
    settings = parse_config(raw)
    with pytest.raises(UserError, match=r"No program of sequence exists: .* never leads to a program") as caught:
        RandomOps(settings.random_settings)
    assert "Change ops.sequence.vocabulary, ops.sequence.length, ops.sequence.grid" in str(caught.value)


def test_few_graphs_are_said_to_be_few():
    raw = run("sequence", num_samples=50, on_exhausted="error")
    raw["ops"]["sequence"] |= {"length": 1, "vocabulary": ["matmul"]}
    raw["ops"]["sequence"]["grid"] |= {"rows": [2], "columns": [2]}
    settings = parse_config(raw)
    with pytest.raises(UserError, match=r"The grids have too few programs .* sequence at least \d"):
        RandomOps(settings.random_settings).plan(settings.splits)


@pytest.mark.parametrize("name", ["block", "generic", "kernel"])
def test_all_there_is_is_in_the_mix_that_conf_has(name):
    family = DRAWN_FAMILIES[name]
    assert compose_config([f"ops=[{name}]"]).ops[name].drawing.vocabulary == family.vocabulary


def test_a_saved_config_is_the_same_config():
    settings = parse_config(run("sequence", "dag", "block", "generic", "kernel", "matmul"))
    assert parse_config(settings.to_saved()).fingerprint == settings.fingerprint
    assert config(["matmul"]).fingerprint != settings.fingerprint
    typed = run("sequence", "dag", "block", "generic", "kernel", "matmul")
    typed["ops"]["dag"]["dtypes"] = ["f32"]
    assert parse_config(typed).fingerprint == settings.fingerprint
    typed["ops"]["dag"]["dtypes"] = ["f64", "f32"]
    other = parse_config(typed)
    assert other.fingerprint != settings.fingerprint
    assert other.to_saved()["ops"]["dag"]["dtypes"] == ["f32", "f64"]
    assert parse_config(other.to_saved()).fingerprint == other.fingerprint


def test_drawn_graphs_are_measured_and_exported_with_pytorchs_times(tmp_path):
    settings = ["ops=[sequence,dag,block,generic,kernel]", "dims=small", "num_samples=10", "measure=baseline"]
    done = run_warm("generate", *settings, "measure.runs=2", "export=mlir_rl", "export.min_ns=1", cwd=tmp_path)
    made = made_dataset(done, tmp_path)
    programs = json.loads((made / "mlir_rl" / "programs.json").read_text())
    families = {source["name"].rpartition("_")[0] for sources in programs.values() for source in sources}
    assert families == {"sequence", "dag", "block", "generic", "kernel"}
    baselines = json.loads((made / "mlir_rl" / "llm_action" / "baselines.json").read_text())
    times = [one for split in baselines.values() for one in split.values()]
    assert len(times) == len(programs) >= 8
    assert all(one["mlir"] > 0 and one["torch"] > 0 for one in times)
    checked = run_warm("check_mlir_rl", str(made / "mlir_rl"), cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
