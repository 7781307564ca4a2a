"""Files that a stranger made: saved configs, programs that no parser bears, and what is no file at all."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys

import datasets
import pytest
from forging import forge, rows_changed
from helpers import GOLDEN_SPECS, REPOSITORY, golden_program
from warm_scripts import run_warm

from mlir_datagen import foreign
from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.saved import load_saved_config
from mlir_datagen.dataset.description import config_text
from mlir_datagen.dataset.exported import RECORD
from mlir_datagen.dataset.measurements import record_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError
from mlir_datagen.mlir.bounds import DEEPEST, LONGEST_RUN, nesting_problem
from mlir_datagen.programs.proof import Measurement
from mlir_datagen.verification import verify_dataset

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(9 * [f'*{old}'])}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
TIME = Measurement(1.5, 1.0, 0.5, 5, 2, 10, 1.6, False, 1000, "")
NOWHERE = {"machines": []}
BOMBED_KEYS = ["name", "exclude", "seed", "schema_version", "splits", "trust", "ops"]


def saved(tiny, folder, key, line):
    """Write the config of a dataset with one of its keys given by a line of YAML."""
    lines = (tiny / "config.yaml").read_text().splitlines()
    kept, inside = [], False
    for one in lines:
        inside = one.startswith(f"{key}:") or (inside and one.startswith(" "))
        kept += [] if inside else [one]
    path = folder / "config.yaml"
    path.write_text("\n".join([*kept, line, ""]))
    return path


@pytest.mark.parametrize("key", BOMBED_KEYS)
def test_an_alias_bomb(key, tiny, tmp_path):
    path = saved(tiny, tmp_path, key, f"{BOMB}{key}: *i")
    with pytest.raises(UserError, match="an anchor") as caught:
        load_saved_config(path)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("key", "line", "message"),
    [
        ("name", "name: 2024-99-99", "name is '2024-99-99'"),
        ("name", "name: 2024-01-01", "name is '2024-01-01'"),
        ("seed", "seed: !!int abc", "a tag .* is not allowed"),
        ("seed", 'seed: !!int ""', "a tag .* is not allowed"),
        ("save_weights", "save_weights: !!bool abc", "a tag .* is not allowed"),
        ("measure", "measure: !!float abc", "a tag .* is not allowed"),
        ("name", "name: !!timestamp abc", "a tag .* is not allowed"),
        ("trust", "trust: !!set {a}", "a tag .* is not allowed"),
        ("seed", f"seed: {'9' * 5000}", "a whole number must have decimal digits, 40 at most"),
        ("seed", "seed: 0x2a", "a whole number must have decimal digits, 40 at most"),
        ("seed", "seed: 1:30", "a whole number must have decimal digits, 40 at most"),
        ("seed", f"seed: {'9' * 30}", "seed is 999999999999999999999999999999, and must be at most"),
        ("seed", "seed: .nan", "seed is nan"),
        ("seed", "1: 2", "a key must be text"),
        ("seed", "? [a]\n: 2", "a key must be text"),
        ("seed", "<<: {seed: 3}", 'no key "<<"'),
        ("seed", "x: *nothing", "an alias .* is not allowed"),
        ("exclude", f"exclude: {'[' * 60}{']' * 60}", "nested more than 48 deep"),
        ("exclude", f"exclude: {'[' * 100_000}", "nested more than 48 deep"),
        ("name", f"name: {'a' * 100_000}", "name is 'aaa"),
        ("ops", f"ops: [{'1, ' * 20_000}1]", "ops is "),
        ("ops", f"ops: [{'1,' * 200_000}1]", "there are more than 100000 values"),
        ("name", f"# {'x' * (2 << 20)}", "it has more than 2097152 bytes"),
        ("name", 'name: "\\uD800"', "name is "),
    ],
    ids=lambda value: value[:30],
)
def test_a_saved_config_with_odd_values(key, line, message, tiny, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        load_saved_config(saved(tiny, tmp_path, key, line))
    assert len(str(caught.value)) < 1500


def test_every_saved_config_is_plain(tiny, tmp_path):
    for settings in (
        ["suites=[gemm,networks]"],
        ["experiment=neural_nets"],
        ["models=[gpt2]", "ops=[]", "exclude=[gemm]"],
    ):
        run = compose_config(settings)
        (tmp_path / "config.yaml").write_text(config_text(run.dataset_settings))
        assert load_saved_config(tmp_path / "config.yaml").fingerprint == run.fingerprint


def test_a_saved_config_of_other_files(tiny, tmp_path):
    os.mkfifo(tmp_path / "config.yaml")
    with pytest.raises(UserError, match="it is not a regular file"):
        load_saved_config(tmp_path / "config.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0")
    with pytest.raises(UserError, match="not a readable YAML file"):
        load_saved_config(tmp_path / "binary")


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        *(("verify", kind) for kind in ("pipe", "device", "huge", "folder")),
        *((script, "pipe") for script in ("reproduce", "export", "generate")),
    ],
)
def test_a_manifest_that_is_no_file(script, kind, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "outputs" / tiny.name)
    manifest = folder / "manifest.json"
    manifest.unlink()
    if kind == "pipe":
        os.mkfifo(manifest)
    elif kind == "device":
        manifest.symlink_to("/dev/zero")
    elif kind == "huge":
        manifest.touch()
        os.truncate(manifest, 1 << 40)
    else:
        manifest.mkdir()
    arguments = {"export": ["mlir_rl", str(folder)], "generate": ["experiment=tiny"]}.get(script, [str(folder)])
    done = run_warm(script, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    message = " ".join(done.stderr.split())
    assert message.startswith("Error: ")
    assert "manifest.json cannot be read: it " in message


@pytest.mark.parametrize(
    "file", ["SHA256SUMS", "train.parquet", "train/matmul_0000.mlir", "measurements", "rejects.jsonl"]
)
def test_other_files_that_are_pipes(file, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "dataset")
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)
    with pytest.raises(UserError, match="is neither a file nor a folder"):
        verify_dataset(folder)
    if file.endswith("mlir"):
        return
    done = run_warm("export", "mlir_rl", "--no-measure", str(folder), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("file", ["README.md", "SHA256SUMS"])
def test_times_are_not_recorded_beside_pipes(file, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "dataset")
    (folder / file).unlink()
    os.mkfifo(folder / file)
    with pytest.raises(UserError, match="it is not a regular file"):
        record_measurements(folder, json.loads((folder / "manifest.json").read_text()), [], NOWHERE, 0)


def test_times_are_not_written_through_links(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "dataset")
    partial = ["README.md.partial", "SHA256SUMS.partial", "manifest.json.partial"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "measurements").symlink_to(elsewhere)
    for name in (*partial, "elsewhere/train.parquet"):
        (tmp_path / name).write_text("mine")
        if name in partial:
            (folder / name).symlink_to(tmp_path / name)
    for times in ([("train", "matmul_0000", TIME)], []):
        record_measurements(folder, json.loads((folder / "manifest.json").read_text()), times, NOWHERE, 0)
    assert {(tmp_path / name).read_text() for name in (*partial, "elsewhere/train.parquet")} == {"mine"}
    assert not (folder / "measurements").exists()


def test_a_record_of_an_export_that_is_a_pipe(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "dataset")
    (folder / "mlir_rl").mkdir()
    os.mkfifo(folder / "mlir_rl" / RECORD)
    with pytest.raises(UserError, match="is neither a file nor a folder"):
        verify_dataset(folder)


@pytest.mark.parametrize(
    "measurements", [[], {}, None, "x", {"sha256": 3}, {"sha256": "x", "programs": [], "failed": 0}, {"sha256": "x"}]
)
def test_measurements_that_are_none(measurements, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "dataset")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "measurements": measurements}))
    with pytest.raises(UserError, match="measurements is"):
        Dataset(folder)


@pytest.mark.parametrize(
    "text",
    [
        '{"seed": 1, "seed": 2}',
        '{"seed": NaN}',
        f'{{"seed": {"9" * 5000}}}',
        "[" * 100_000,
        '{"schema_version": 2',
        '"\\ud800"',
        "",
    ],
    ids=lambda text: text[:20],
)
def test_a_manifest_that_is_no_json(text, tmp_path):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        Dataset(tmp_path)


NESTED = {
    "modules": "module {" * 20_000 + "}" * 20_000,
    "modules in a body": "module { func.func @f() { " + "module {" * 20_000 + "}" * 20_000 + " return } }",
    "lists": f"module attributes {{a.b = {'[' * 20_000}{']' * 20_000}}} {{}}",
    "types": f"module attributes {{a.b = {'tuple<' * 20_000}i1{'>' * 20_000}}} {{}}",
    "after arrows": f"module attributes {{a.b = {'() -> (' * 20_000}i1{')' * 20_000}}} {{}}",
    "in spite of strings": 'module attributes {a.b = "}}}}]" } {' + "module {" * 20_000 + "}" * 20_000 + "}",
    "in spite of comments": "module { // }\n" * 20_000 + "}" * 20_000,
    "signs": f"module attributes {{a.b = affine_map<(d0) -> ({'-' * 300_000}d0)>}} {{}}",
    "signs and comments": "module attributes {a.b = affine_map<(d0) -> (" + "- //\n" * 100_000 + "d0)>} {}",
    "sums": f"module attributes {{a.b = affine_map<(d0) -> ({'d0 + ' * 300_000}d0)>}} {{}}",
    "a shape": f"module attributes {{a.b = dense<1.0> : tensor<{'1x' * 300_000}f32>}} {{}}",
    "names for types": "".join(f"!t{i} = tuple<{f'!t{i - 1}' if i else 'i1'}>\n" for i in range(20_000)) + "module {}",
    "names that double": "!t = i1\n" + "".join(f"!t{i}t = tuple<!t, !t>\n" for i in range(60)) + "module {}",
    "brackets that do not match": "module { (]" + "x" * LONGEST_RUN,
}  # fmt: skip


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_text_that_would_end_the_process(text):
    assert nesting_problem(text) is not None


def test_text_that_is_as_deep_as_may_be():
    assert nesting_problem("module {" * DEEPEST + "}" * DEEPEST) is None
    assert nesting_problem("module {" * (DEEPEST + 1) + "}" * (DEEPEST + 1)) is not None
    assert nesting_problem("module { // ((((\n" * 5 + '"((((" \n' * 200 + "}" * 5) is None


def test_every_program_of_ours_is_shallow():
    for name in GOLDEN_SPECS:
        assert nesting_problem(golden_program(name)[2]) is None
    assert (
        nesting_problem("#map = affine_map<(d0) -> (d0 >= 0)>\n#map1 = affine_set<(d0) : (d0 - 1 >= 0)>\nmodule {}")
        is None
    )


@pytest.mark.parametrize(
    ("script", "name"), [("verify", "modules"), ("verify", "names for types"), ("export", "modules")]
)
def test_deep_text_in_an_index(name, script, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "dataset")
    text = NESTED[name]

    def change(rows):
        rows[0].update(mlir=text, sha256=hashlib.sha256(text.encode()).hexdigest())

    (folder / "train/matmul_0000.mlir").write_text(text)
    forge(folder, "train.parquet", rows_changed(change))
    arguments = ["mlir_rl", str(folder)] if script == "export" else [str(folder)]
    done = run_warm(script, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "is not given to MLIR's parser" in " ".join(done.stderr.split())
    if script == "export":
        done = run_warm("generate", "experiment=tiny", "seed=7", f'exclude=["{folder}"]', cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "is not given to MLIR's parser" in " ".join(done.stderr.split())


def test_the_checker_of_mlir_rl_says_what_it_does_not_parse(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "deep.mlir").write_text(NESTED["modules"])
    os.mkfifo(tmp_path / "train" / "pipe.mlir")
    os.mkfifo(tmp_path / "baselines.json")
    done = run_warm("check_mlir_rl", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "train/deep.mlir: it crashes MLIR" in done.stdout
    assert "train/pipe.mlir: it cannot be read: it is not a regular file" in done.stdout
    assert "baselines.json: it cannot be read: it is not a regular file" in done.stdout


def test_reading_a_file_that_is_larger_than_it_may_be(tmp_path):
    path = tmp_path / "file"
    path.write_text("12345")
    assert foreign.read_text(path, 5) == "12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        foreign.read_text(path, 4)
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="more than 1000 bytes"):
        foreign.read_bytes(path, 1000)


def test_brackets_in_the_path_of_a_dataset(tiny, tmp_path):
    """The README's line for a path that is a pattern."""
    path = str(shutil.copytree(tiny, tmp_path / "a[b] *c"))
    loaded = datasets.load_dataset(
        "parquet", data_files={"train": glob.escape(path) + "/train.parquet"}, cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded["train"]) == 20
    assert 'data_files={"train": glob.escape(path) + "/train.parquet"}' in (REPOSITORY / "README.md").read_text()


def test_a_short_fuzz(tmp_path):
    command = [sys.executable, "benchmarks/fuzz.py", "--settings", "12", "--real", "1", "--files", "8", "--seed", "3"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in another way" in done.stdout
