"""Each bad input: exit code 2, one paragraph that says what to type, no traceback, nothing written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml
from forging import columns, forge
from helpers import SCRIPTS
from warm_scripts import run_warm


def refused(done, *parts):
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    message = " ".join(done.stderr.split())
    assert message.startswith("Error: ")
    assert "\n\n" not in done.stderr.strip()
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ["ops=[matmull]"],
            ['no "matmull" in the group ops', 'Did you mean "matmul" or', "all, contractions, convolutions"],
        ),
        (["ops=matmull"], ['no "matmull" in the group ops', 'Did you mean "matmul" or']),
        (["ops.matmul.dtypes=[f23]"], ["ops.matmul.dtypes", "f32, f64, f16, bf16, i8", "i8_i32"]),
        (["ops.elementwise.dtypes=[f32,i8_i32]"], ["ops.elementwise.dtypes", "f32, f64, f16"]),
        (["ops.pooling.kinds=[avg]", "ops.pooling.dtypes=[i8]"], ["ops.pooling.kinds has avg", "dtypes f32, f64"]),
        (["ops=[unary]", "ops.unary.dtypes=[i32]"], ["ops.unary.dtypes", "f32, f64, f16, bf16."]),
        (["ops.elementwise.kinds=[div_unsigned]"], ["kinds has div_unsigned", "dtypes i8, i16, i32, i64"]),
        (["dims=tiny"], ['no "tiny" in the group dims', "default, large, small"]),
        (["experiment=tinny"], ['no "tinny" in the group experiment', 'Did you mean "tiny"?']),
        (["sed=3"], ['no key "sed"', 'Did you mean "seed"?', "num_samples"]),
        (["dim=small"], ['no key "dim"', 'Did you mean "dims"?']),
        (["+sed=3"], ['no key "sed"', 'Did you mean "seed"?']),
        (["limits.max_byte=3"], ['no key "limits.max_byte"', 'Did you mean "limits.max_bytes"?']),
        (["ops.matmul.wieght=2"], ['no key "ops.matmul.wieght"', 'Did you mean "ops.matmul.weight"?']),
        (["+ops.matmul.wieght=2"], ['no key "wieght" in ops.matmul', 'Did you mean "weight"?']),
        (["num_samples=0"], ["num_samples is 0", "at least 1", "num_samples=500"]),
        (["num_samples=-5"], ["num_samples is -5", "at least 1"]),
        (["num_samples=many"], ["num_samples is 'many'", "whole number"]),
        (["num_samples=2.5"], ["num_samples is 2.5", "whole number"]),
        (["num_samples=4000000000"], ["num_samples is 4000000000", "at most 100000000"]),
        (["seed=9223372036854775808"], ["seed is 9223372036854775808", "at most 9223372036854775807"]),
        (["ops.matmul.weight=1" + 400 * "0"], ["ops.matmul.weight is 1000", "at most 1000000"]),
        (["output_dir=null"], ["output_dir is None", "output_dir=outputs"]),
        (["output_dir="], ["output_dir is ''"]),
        (["output_dir=[a,b]"], ["output_dir is ['a', 'b']"]),
        (["output_dir=a,b"], ["output_dir has several values, 'a,b'", "Type -m", "output_dir='…'"]),
        (["name=" + 300 * "a"], ["64 at most"]),
        (["ops=null"], ["nothing to generate"]),
        (["check=run"], ['no "run" in the group check', "execute, lower, parse"]),
        (["check=execute", "check.fraction=2"], ["check.fraction is 2", "at most 1"]),
        (["measure=baseline", "measure.max_seconds=0"], ["measure.max_seconds is 0", "above 0"]),
        (["measure.runs=0"], ["measure.runs is 0"]),
        (["sandbox.seconds=0"], ["sandbox.seconds is 0"]),
        (["seed=-1"], ["seed is -1", "seed=42"]),
        (
            ["splits={train: 80, test: 10}", "num_samples=100"],
            ["add up to 90", "num_samples is 100", "only one of them"],
        ),
        (["splits={train: 80, test: 0}"], ["splits.test is 0", "at least 1"]),
        (["splits={a/b: 80}"], ["split named 'a/b'"]),
        (["splits={train: 8}", "split_ratios={test: 1}"], ["splits names train and split_ratios names test"]),
        (
            ["ops=[]"],
            [
                "nothing to generate",
                "scripts/list_ops.py lists the ops",
                "'ops=[matmul,conv2d]'",
            ],
        ),
        (["ops.matmul.grid.m=[]"], ["ops.matmul.grid.m is []", "may not be empty"]),
        (["ops.matmul.grid.m=[64,0]"], ["ops.matmul.grid.m is 0", "at least 1"]),
        (["ops.matmul.grid.m=64"], ["ops.matmul.grid.m is 64", "a list like"]),
        (["dims.matrix=[-64]"], ["is -64", "at least 1"]),
        (["ops.matmul.grid.m={from: 9, to: 8, step: 1}"], ["ops.matmul.grid.m is empty", "from 9 is above to 8"]),
        (["ops.matmul.grid.m={from: 9, to: 12, step: 0}"], ["ops.matmul.grid.m.step is 0"]),
        (["ops.matmul.grid.m={same_as: q}"], ["the same as 'q'", "Those are n, k"]),
        (["ops.matmul.grid.m={same_as: m}"], ["the same as 'm'", "Those are n, k"]),
        (
            ["ops=[conv2d]", "dims.kernel=[225]"],
            ["No program of conv2d exists", "the kernel is larger than every input"],
        ),
        (["ops.pooling.kinds=[maximum]"], ["ops.pooling.kinds is 'maximum'", "max, avg"]),
        (["ops.elementwise.ranks=[5]"], ["ops.elementwise.ranks is 5", "1, 2, 3, 4"]),
        (["ops.elementwise.kinds=[]"], ["ops.elementwise.kinds is []", "add, mul, max"]),
        (["ops.matmul.weight=-1"], ["ops.matmul.weight is -1", "at least 0"]),
        (["ops.matmul.weight=heavy"], ["ops.matmul.weight is 'heavy'"]),
        (["ops=[matmul]", "ops.matmul.weight=0"], ["Every op has weight 0"]),
        (
            ["dims=large", "ops=[conv2d]", "dims.kernel=[300]"],
            ["No program of conv2d exists", "larger than every input"],
        ),
        (
            ["dims.dilation=[2]", "dims.kernel=[1]"],
            ["No program of conv2d exists", "dilation_height must have the value 1"],
        ),
        (["limits.max_flops=10"], ["The limits leave nothing", "10 flops", "Raise limits.max_bytes"]),
        (
            ["dims.matrix=[2147483647]", "ops=[matmul]", "limits.max_bytes=null"],
            ["leave nothing", "4611686018427387904"],
        ),
        (["limits.max_bytes=0"], ["limits.max_bytes is 0", "limits.max_bytes=null"]),
        (["on_exhausted=explode"], ["on_exhausted is 'explode'", "redistribute, error"]),
        (["storage=tape"], ["storage is 'tape'", "both, files, parquet"]),
        (["dry_run=maybe"], ["dry_run is 'maybe'", "true, false"]),
        (["name=../x"], ["name is '../x'"]),
        (["ops=[matmul]", "num_samples=300"], ["too few programs", "matmul 105 (asked for 250)", "dims=large"]),
        (["on_exhausted=error"], ["too few programs", "matmul 105 (asked for 250)", "on_exhausted=redistribute"]),
        (["ops=[matmul", "num_samples=3"], ["'ops=[matmul' cannot be read", "key=value"]),
        (["num_samples"], ["'num_samples' cannot be read"]),
        (["dims=null"], ['no "null" in the group dims', "default, large, small"]),
        (["suites=-1"], ['no "-1" in the group suites', "'suites=[bert_ops]'"]),
        (["models=3"], ['no "3" in the group models', "resnet18"]),
        (["check=1.5"], ['no "1.5" in the group check', "execute, lower, parse"]),
        (["export=true"], ['no "true" in the group export', "export=mlir_rl"]),
        (["converter=[0]"], ['no "[0]" in the group converter', "manual, torch_mlir"]),
        (["ops=[null]"], ['no "null" in the group ops', "'ops=[matmul,conv2d]'"]),
        (["num_samples=1" + 5000 * "0"], ["num_samples is '1000", "whole number"]),
        (["sandbox.seconds=1" + 300 * "0"], ["sandbox.seconds is 1000", "at most 100000000"]),
        (["exclude=[données/x]"], ["cannot be read", """'exclude=["données/x"]'"""]),
        (["name=été"], ["name is 'été'", "a letter, then letters"]),
        (["output_dir=~nobody_of_this_name/x"], ["there is no such home folder"]),
        (["-m", "seed=1,-1"], ["seed is -1"]),
        (["--config-dir", "."], ["--config-dir outputs/<dataset> --config-name config"]),
        (["--no-report"], ["no option '--no-report'", "without dashes, as report=false"]),
        (["--cfgg", "job"], ["no option '--cfgg'", 'Did you mean "--cfg"']),
        (["--cfg", "jobs"], ["invalid choice: 'jobs'", "--hydra-help lists all options"]),
        (["seed=3", "-m", "dims=small"], ["unrecognized arguments: dims=small", "the options before all settings"]),
        (["--config-path", "."], ["--config-path is not supported"]),
        (["--config-di", ".", "--config-na", "config"], ["--config-di is not supported"]),
        (["--experimental-rerun", "pickle"], ["--experimental-rerun is not supported"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_bad_setting(arguments, parts, tmp_path):
    refused(run_warm("generate", *arguments, cwd=tmp_path), *parts)
    # A sweep stops at its first bad job, after those before it.
    assert "-m" in arguments or not list(tmp_path.iterdir())


def test_an_output_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    done = run_warm("generate", "experiment=tiny", "output_dir=file/outputs", cwd=tmp_path)
    refused(done, "file/outputs", "cannot be used", "output_dir=")
    refused(run_warm("generate", "experiment=tiny", "output_dir=/proc/outputs", cwd=tmp_path), "cannot be used")


# A dry run only reads, which a folder of mode 555 allows.
@pytest.mark.parametrize(("mode", "dry_run"), [(0o000, "true"), (0o000, "false"), (0o555, "false")])
def test_an_output_folder_without_permission(mode, dry_run, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(mode)
    # The system's administrator may write everywhere, unless he gives that up.
    powers = "-dac_override,-dac_read_search"
    as_a_user = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"] if os.geteuid() == 0 else []
    arguments = ["experiment=tiny", f"output_dir={locked}", f"dry_run={dry_run}"]
    done = subprocess.run(
        [*as_a_user, sys.executable, str(SCRIPTS / "generate.py"), *arguments],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    locked.chmod(0o755)
    refused(done, "cannot be used: Permission denied")


def test_an_output_folder_that_holds_something_else(tiny, tmp_path):
    place = tmp_path / "outputs" / tiny.name
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("precious")
    refused(run_warm("generate", "experiment=tiny", cwd=tmp_path), "is in the way", "not a finished dataset")
    assert [path.name for path in place.iterdir()] == ["thesis.tex"]
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == [tiny.name]


def test_another_dataset_under_the_name(tiny, tmp_path):
    place = tmp_path / "outputs" / tiny.name
    shutil.copytree(tiny, place)
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps({**manifest, "fingerprint": "0" * 12}))
    refused(run_warm("generate", "experiment=tiny", cwd=tmp_path), "is in the way", "'000000000000'")


def test_a_damaged_dataset_is_not_taken_for_finished(tiny, tmp_path):
    place = tmp_path / "outputs" / tiny.name
    shutil.copytree(tiny, place)
    (place / "train" / "matmul_0000.mlir").unlink()
    refused(run_warm("generate", "experiment=tiny", cwd=tmp_path), "damaged", "train/ has 19 files instead of 20")


def saved_copy(tiny, folder, **changes):
    folder.mkdir()
    saved = yaml.safe_load((tiny / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**saved, **changes}))
    return folder


def rerun(folder, cwd, *arguments):
    return run_warm("generate", "--config-dir", str(folder), "--config-name", "config", *arguments, cwd=cwd)


def test_a_saved_config_of_an_unknown_schema_version(tiny, tmp_path):
    folder = saved_copy(tiny, tmp_path / "saved", schema_version=99)
    refused(rerun(folder, tmp_path), "schema_version is 99", "reads 2 only")


def test_a_typo_in_a_saved_config(tiny, tmp_path):
    folder = saved_copy(tiny, tmp_path / "saved", sed=3)
    refused(rerun(folder, tmp_path), 'no key "sed"', 'Did you mean "seed"?')


def test_a_group_cannot_be_chosen_again(tiny, tmp_path):
    folder = saved_copy(tiny, tmp_path / "saved")
    refused(rerun(folder, tmp_path, "dims=small"), "dims", "composed already")
    refused(rerun(folder, tmp_path, "ops=[matmul]"), "ops")


def test_a_folder_without_a_saved_config(tmp_path):
    refused(rerun(tmp_path, tmp_path), "no saved config at", "config.yaml")


# Hydra itself refuses os.system and its like, but not this.
EVIL = "{_target_: shutil.copyfile, src: config.yaml, dst: PWNED}"


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        (f"hydra: {{callbacks: {{evil: {EVIL}}}}}", 'no key "hydra"'),
        (f"hydra: {{launcher: {EVIL}}}", 'no key "hydra"'),
        ("defaults: [_self_, {override hydra/launcher: evil}]", 'no key "defaults"'),
        (f"evil: {EVIL}", 'no key "evil"'),
        ("evil: !!python/object/apply:shutil.copyfile [config.yaml, PWNED]", "not a readable YAML file"),
        ("evil: ${oc.env:HOME}", 'no key "evil"'),
        ("name: ${oc.env:HOME}", "name is '${oc.env:HOME}'"),
        ("seed: 1\nseed: 2", "the key 'seed' stands there twice"),
        ("name: " + 3000 * "[", "not a readable YAML file"),
    ],
    ids=lambda value: value[:30],
)
def test_a_saved_config_of_a_stranger_runs_nothing(tiny, tmp_path, addition, message):
    folder = tmp_path / "saved"
    shutil.copytree(tiny, folder)
    kept = [line for line in (tiny / "config.yaml").read_text().splitlines() if not line.startswith(addition[:5])]
    (folder / "config.yaml").write_text("\n".join([*kept, addition, ""]))
    refused(rerun(folder, folder), message)
    refused(run_warm("reproduce", str(folder), cwd=folder), message)
    assert not list(tmp_path.rglob("PWNED"))
    assert not list(tmp_path.rglob("outputs"))


def test_what_lies_beside_a_saved_config_does_not_reach_hydra(tiny, tmp_path):
    folder = tmp_path / "saved"
    shutil.copytree(tiny, folder)
    evil = f"# @package _global_\nhydra: {{callbacks: {{evil: {EVIL}}}}}\n"
    for place in ("experiment/foo.yaml", "hydra/callbacks/evil.yaml", "generate.yaml"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(evil)
    (folder / "config.yaml").write_text("# @package hydra\n" + (tiny / "config.yaml").read_text())
    made = run_warm("generate", "--config-dir", ".", "--config-name", "config", cwd=folder)
    assert made.returncode == 0, made.stderr
    for choice in ("+experiment=foo", "+hydra/callbacks=evil"):
        refused(rerun(folder, folder, choice))
    assert not list(tmp_path.rglob("PWNED"))


def test_verify_names_a_changed_byte(tiny, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    victim = folder / "train" / "conv2d_0001.mlir"
    victim.write_bytes(victim.read_bytes().replace(b"conv2d", b"conv2e"))
    refused(run_warm("verify", str(folder), cwd=tmp_path), "train/conv2d_0001.mlir was changed")


@pytest.mark.parametrize("name", ["train.parquet", "config.yaml", "README.md", "SHA256SUMS"])
def test_verify_names_a_changed_file(tiny, tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    refused(run_warm("verify", str(folder), cwd=tmp_path), f"{name} was changed")


def test_verify_names_missing_and_added_files(tiny, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    (folder / "test" / "matmul_0000.mlir").rename(folder / "test" / "matmul_9999.mlir")
    done = run_warm("verify", str(folder), cwd=tmp_path)
    refused(done, "test/matmul_0000.mlir is missing", "test/matmul_9999.mlir does not belong to it")


def _with(**changes):
    return lambda manifest: {**manifest, **changes}


@pytest.mark.parametrize(
    "damage",
    [
        lambda manifest: {"schema_version": 2},
        lambda manifest: [],
        _with(files=None),
        _with(files={}),
        _with(counts={"../x": {"matmul": 1}}),
        _with(counts={"train": 3}),
        _with(quotas=[]),
        _with(digest=None),
        _with(generator_version="2"),
        _with(storage="tape"),
    ],
)
def test_a_damaged_manifest(damage, tiny, tmp_path):
    place = tmp_path / "outputs" / tiny.name
    shutil.copytree(tiny, place)
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps(damage(manifest)))
    for done in (
        run_warm("verify", str(place), cwd=tmp_path),
        run_warm("reproduce", str(place), cwd=tmp_path),
        run_warm("generate", "experiment=tiny", cwd=tmp_path),
    ):
        refused(done, "is damaged")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train/matmul_0000.mlir", lambda data: b"module {\n}\n", "has another text in its file than in the index"),
        ("train.parquet", lambda data: data[:-100], "cannot be read"),
        ("train.parquet", columns(flops=7), "has flops 7 where"),
        ("train.parquet", columns(family="nope"), 'There is no op "nope"'),
        ("train.parquet", columns(spec="{"), "has no usable spec"),
        ("train.parquet", columns(sha256=None), "is damaged"),
        ("train.parquet", columns(name="twice"), "the file of twice is 'train/matmul_0000.mlir' where"),
        ("train.parquet", columns(mlir="module {"), "is not valid MLIR"),
        ("config.yaml", lambda data: data.replace(b"seed: 42", b"seed: 43"), "seed is 42 in the manifest and 43"),
        ("config.yaml", lambda data: data.replace(b"weight: 1", b"weight: 2", 1), "its fingerprint is not that of"),
    ],
)
def test_verify_does_not_trust_checksums_alone(name, change, message, tiny, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    forge(folder, name, change)
    refused(run_warm("verify", str(folder), cwd=tmp_path), message)


@pytest.mark.parametrize("script", ["verify", "reproduce"])
def test_a_folder_that_is_no_dataset(script, tmp_path):
    refused(run_warm(script, "nowhere", cwd=tmp_path), "nowhere is not a dataset", "manifest.json")


def test_reproduce_refuses_another_generator_version(tiny, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "generator_version": 999}))
    refused(run_warm("reproduce", str(folder), cwd=tmp_path), "generator version 999", "Check out")


def test_reproduce_names_what_differs(tiny, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    victim = folder / "train" / "matmul_0000.mlir"
    victim.write_text(victim.read_text().replace("0.0", "1.0"))
    refused(run_warm("reproduce", str(folder), cwd=tmp_path), "train/matmul_0000.mlir differs")


def test_reproduce_into_a_folder_that_is_none(tiny, tmp_path):
    refused(run_warm("reproduce", str(tiny), "--work-dir", "nowhere", cwd=tmp_path), "nowhere is not a folder")


@pytest.mark.parametrize(
    "spec",
    ["{", '{"m": 1}', '{"m": 1, "n": 2, "q": 3}', "[1]", '["m", "n", "k"]', '"mnk"', "5", "null"],
)
def test_a_spec_that_is_none(spec, tmp_path):
    refused(run_warm("program", "matmul", spec, cwd=tmp_path), "is not a spec of matmul")


@pytest.mark.parametrize(
    ("family", "spec", "message"),
    [
        ("matmul", {"m": 1.5, "n": 2, "k": 3}, "whole numbers"),
        ("matmul", {"m": 0, "n": 2, "k": 3}, "whole numbers"),
        ("elementwise", {"kind": "mod", "shape": [3]}, "its kind must be one of add, mul, max"),
        ("elementwise", {"kind": "add", "shape": [3, 3, 3, 3, 3]}, "must have 1, 2, 3, 4 dimensions"),
        ("matmul", {"m": 1, "n": 2, "k": 3, "dtype": "f8"}, "its dtype one of f32"),
        ("matmul", {"m": 1, "n": True, "k": 3}, "whole numbers"),
        ("matmul", {"m": 1, "n": "2", "k": 3}, "n is '2', and must be a whole number above 0"),
        ("relu", {"shape": 5}, "shape is 5, and must be a list of dimensions"),
    ],
)
def test_a_spec_of_no_program(family, spec, message, tmp_path):
    refused(run_warm("program", family, json.dumps(spec), cwd=tmp_path), message)
