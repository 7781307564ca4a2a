"""Each bad input: exit code 2, one paragraph that says what to type, no traceback, nothing written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml
from bad_settings import BAD_SETTINGS
from forging import columns, forge
from helpers import SCRIPTS
from warm_scripts import run_warm

from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import generate


def refused(done, *parts):
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    message = " ".join(done.stderr.split())
    assert message.startswith("Error: ")
    assert "\n\n" not in done.stderr.strip()
    for part in parts:
        assert part in message


TO_THE_SCRIPT = [
    (arguments, parts) for arguments, parts in BAD_SETTINGS if any(one.startswith("-") for one in arguments)
]
"""What is an error of the options, and not of a run in Python."""
OF_ANY_RUN = [one for one in BAD_SETTINGS if one not in TO_THE_SCRIPT]


def typed(value):
    return " ".join(value) if isinstance(value, list) else None


@pytest.mark.parametrize(("arguments", "parts"), OF_ANY_RUN, ids=typed)
def test_a_bad_setting(arguments, parts, tmp_path, monkeypatch):
    """What the error says; for a tenth of them, the next test has what the script makes of it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        generate(compose_config(arguments))
    message = " ".join(str(caught.value).split())
    for part in parts:
        assert part in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "parts"), [*OF_ANY_RUN[::10], *TO_THE_SCRIPT], ids=typed)
def test_a_bad_setting_of_the_script(arguments, parts, tmp_path):
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
