"""Each bad input: exit code 2, one paragraph that says what to type, no traceback, nothing written."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml
from helpers import run_script

SINGLE_POINT = [f"ops.matmul.grid.{axis}=[64]" for axis in "mnk"]


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
        (["ops=[matmull]"], ['no "matmull" in the group ops', 'Did you mean "matmul"?', "conv2d, elementwise, matmul"]),
        (["ops=matmull"], ['no "matmull" in the group ops', 'Did you mean "matmul"?']),
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
        (["num_samples=1"], ["num_samples=1 leaves nothing for the split test", "splits='{train: 5, test: 1}'"]),
        (["seed=-1"], ["seed is -1", "seed=42"]),
        (
            ["splits={train: 80, test: 10}", "num_samples=100"],
            ["add up to 90", "num_samples is 100", "only one of them"],
        ),
        (["splits={train: 80, test: 0}"], ["splits.test is 0", "at least 1"]),
        (["splits={a/b: 80}"], ["split named 'a/b'"]),
        (["splits={train: 8}", "split_ratios={test: 1}"], ["splits names train and split_ratios names test"]),
        (["ops=[]"], ["nothing to generate", "matmul, conv2d, pooling, elementwise", "'ops=[matmul,conv2d]'"]),
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
        (["limits.max_flops=10"], ["The limits leave nothing", "10 flops", "Raise limits.max_bytes"]),
        (["limits.max_bytes=0"], ["limits.max_bytes is 0", "limits.max_bytes=null"]),
        (["on_exhausted=explode"], ["on_exhausted is 'explode'", "redistribute, error"]),
        (["storage=tape"], ["storage is 'tape'", "both, files, parquet"]),
        (["dry_run=maybe"], ["dry_run is 'maybe'", "true, false"]),
        (["name=../x"], ["name is '../x'"]),
        (["ops=[matmul]", "num_samples=300"], ["too few programs", "matmul 105 (asked for 250)", "dims=large"]),
        (["on_exhausted=error"], ["too few programs", "matmul 105 (asked for 250)", "on_exhausted=redistribute"]),
        (["ops=[matmul", "num_samples=3"], ["'ops=[matmul' cannot be read", "key=value"]),
        (["num_samples"], ["'num_samples' cannot be read"]),
        (["-m", "seed=1,-1"], ["seed is -1"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_bad_setting(arguments, parts, tmp_path):
    refused(run_script("generate", *arguments, cwd=tmp_path), *parts)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    # A sweep stops at its first bad job, after those before it.
    assert all("-m" in arguments and path.is_relative_to(tmp_path / "outputs") for path in left)


def test_an_output_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    done = run_script("generate", "experiment=tiny", "output_dir=file/outputs", cwd=tmp_path)
    refused(done, "file/outputs cannot be written", "output_dir=")
    refused(run_script("generate", "experiment=tiny", "output_dir=/proc/outputs", cwd=tmp_path), "cannot be written")


def test_an_output_folder_that_holds_something_else(tiny, tmp_path):
    place = tmp_path / "outputs" / tiny.name
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("precious")
    refused(run_script("generate", "experiment=tiny", cwd=tmp_path), "is in the way", "not a finished dataset")
    assert [path.name for path in place.iterdir()] == ["thesis.tex"]
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == [tiny.name]


def test_another_dataset_under_the_name(tiny, tmp_path):
    place = tmp_path / "outputs" / tiny.name
    shutil.copytree(tiny, place)
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps({**manifest, "fingerprint": "0" * 12}))
    refused(run_script("generate", "experiment=tiny", cwd=tmp_path), "is in the way", "'000000000000'")


def test_a_damaged_dataset_is_not_taken_for_finished(tiny, tmp_path):
    place = tmp_path / "outputs" / tiny.name
    shutil.copytree(tiny, place)
    (place / "train" / "matmul_0000.mlir").unlink()
    refused(run_script("generate", "experiment=tiny", cwd=tmp_path), "damaged", "train/ has 19 files instead of 20")


def saved_copy(tiny, folder, **changes):
    folder.mkdir()
    saved = yaml.safe_load((tiny / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**saved, **changes}))
    return folder


def rerun(folder, cwd, *arguments):
    return run_script("generate", "--config-dir", str(folder), "--config-name", "config", *arguments, cwd=cwd)


def test_a_saved_config_of_an_unknown_schema_version(tiny, tmp_path):
    folder = saved_copy(tiny, tmp_path / "saved", schema_version=99)
    refused(rerun(folder, tmp_path), "schema_version is 99", "reads 1 only")


def test_a_typo_in_a_saved_config(tiny, tmp_path):
    folder = saved_copy(tiny, tmp_path / "saved", sed=3)
    refused(rerun(folder, tmp_path), 'no key "sed"', 'Did you mean "seed"?')


def test_a_group_cannot_be_chosen_again(tiny, tmp_path):
    folder = saved_copy(tiny, tmp_path / "saved")
    refused(rerun(folder, tmp_path, "dims=small"), "dims", "composed already")
    refused(rerun(folder, tmp_path, "ops=[matmul]"), "ops")


def test_a_folder_without_a_saved_config(tmp_path):
    refused(rerun(tmp_path, tmp_path), "no saved config at", "config.yaml")


EVIL = "{_target_: os.system, command: 'touch PWNED', _args_: ['touch PWNED']}"


@pytest.mark.parametrize(
    "addition",
    [
        f"hydra: {{callbacks: {{evil: {EVIL}}}}}",
        f"hydra: {{launcher: {EVIL}}}",
        "hydra: {job_logging: {version: 1, handlers: {evil: {(): os.system, command: touch PWNED}}}}",
        "defaults: [_self_, {override hydra/launcher: evil}]",
        f"evil: {EVIL}",
        "evil: !!python/object/apply:os.system ['touch PWNED']",
        "evil: ${oc.env:HOME}",
        "name: ${oc.env:HOME}",
    ],
)
def test_a_saved_config_of_a_stranger_runs_nothing(tiny, tmp_path, addition):
    folder = tmp_path / "saved"
    shutil.copytree(tiny, folder)
    kept = [line for line in (tiny / "config.yaml").read_text().splitlines() if not line.startswith(addition[:5])]
    (folder / "config.yaml").write_text("\n".join([*kept, addition, ""]))
    refused(rerun(folder, tmp_path))
    refused(run_script("reproduce", str(folder), cwd=tmp_path))
    assert not list(tmp_path.rglob("PWNED"))
    assert not (tmp_path / "outputs").exists()


def test_a_package_directive_does_not_reach_hydra(tiny, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "config.yaml").write_text("# @package hydra\n" + (tiny / "config.yaml").read_text())
    refused(rerun(folder, tmp_path), "directive")


def test_verify_names_a_changed_byte(tiny, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    victim = folder / "train" / "conv2d_0001.mlir"
    victim.write_bytes(victim.read_bytes().replace(b"conv2d", b"conv2e"))
    refused(run_script("verify", str(folder), cwd=tmp_path), "train/conv2d_0001.mlir was changed")


@pytest.mark.parametrize("name", ["train.parquet", "config.yaml", "README.md", "SHA256SUMS"])
def test_verify_names_a_changed_file(tiny, tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    refused(run_script("verify", str(folder), cwd=tmp_path), f"{name} was changed")


def test_verify_names_missing_and_added_files(tiny, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    (folder / "test" / "matmul_0000.mlir").rename(folder / "test" / "matmul_9999.mlir")
    done = run_script("verify", str(folder), cwd=tmp_path)
    refused(done, "test/matmul_0000.mlir is missing", "test/matmul_9999.mlir does not belong to it")


@pytest.mark.parametrize("script", ["verify", "reproduce"])
def test_a_folder_that_is_no_dataset(script, tmp_path):
    refused(run_script(script, "nowhere", cwd=tmp_path), "nowhere is not a dataset", "manifest.json")


def test_reproduce_refuses_another_generator_version(tiny, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "generator_version": 999}))
    refused(run_script("reproduce", str(folder), cwd=tmp_path), "generator version 999", "Check out")


def test_reproduce_names_what_differs(tiny, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    victim = folder / "train" / "matmul_0000.mlir"
    victim.write_text(victim.read_text().replace("0.0", "1.0"))
    refused(run_script("reproduce", str(folder), cwd=tmp_path), "train/matmul_0000.mlir differs")


@pytest.mark.parametrize("spec", ["{", '{"m": 1}', '{"m": 1, "n": 2, "q": 3}', "[1]"])
def test_a_spec_that_is_none(spec, tmp_path):
    refused(run_script("program", "matmul", spec, cwd=tmp_path), "is not a spec of matmul")
