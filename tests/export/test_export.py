"""Exports: what MLIR-RL loads, with the dataset's own times, and what stands in the way of one."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import config, mlir_opt
from mlir19 import program_of, run_main
from stored_times import store_times, stored_times
from warm_scripts import run_warm

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.export import ExportSettings, TimeBounds
from mlir_datagen.dataset.exported import RECORD
from mlir_datagen.errors import UserError
from mlir_datagen.export import EXPORTERS
from mlir_datagen.export.base import export_dataset
from mlir_datagen.pipeline.run import Listener, generate
from mlir_datagen.programs.proof import Measurement

MLIR_RL = EXPORTERS["mlir_rl"]


ALL = ExportSettings("mlir_rl", bounds=TimeBounds(min_ns=None), torch=False)
"""However short: the programs here take nanoseconds."""


MAXIMUM = ("pooling", "max")
FILLED = ("batch_matvec_", "matmul_", "batch_matmul_", "conv_2d_", "conv2d_", "pooling_")
"""How the names begin of the operations that have initial values."""


def export(dataset, measure=True, settings=ALL):
    return export_dataset(MLIR_RL, dataset, measure, Listener(), settings)


def measured_dataset(folder):
    return generate(config(num_samples=24, measure__kind="baseline", output_dir=str(folder))).path


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A measured dataset of all families and its export. Tests must not change it."""
    dataset = measured_dataset(tmp_path_factory.mktemp("exported"))
    assert export(dataset).folder == dataset / "mlir_rl"
    return dataset


@pytest.fixture
def dataset(original, tmp_path):
    """A copy to change, which has no export."""
    copy = tmp_path / original.name
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("mlir_rl"))
    return copy


def read(folder, *files):
    return [json.loads((folder / file).read_text()) for file in files]


def exported_times(dataset):
    train, evaluation = read(dataset / "mlir_rl", "execution_times_train.json", "execution_times_eval.json")
    return train, evaluation


def without_measurements(dataset):
    shutil.rmtree(dataset / "measurements")
    manifest = json.loads((dataset / "manifest.json").read_text())
    del manifest["measurements"]
    (dataset / "manifest.json").write_text(json.dumps(manifest))


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_checker_passes_with_mlir_19(original, tmp_path):
    done = run_warm("check_mlir_rl", str(original / "mlir_rl"), "--mlir-opt", mlir_opt(19), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "programs checked: 48; problems: 0" in done.stdout


def test_the_times_are_the_stored_medians_but_where_filling_in_the_initial_values_shows(original):
    """The clock of an exported single operation does not see that."""
    stored = {(row["split"], row["name"]): row["median_ns"] for row in stored_times(original)}
    train, evaluation = exported_times(original)
    programs, baselines, left_out = read(
        original / "mlir_rl", "programs.json", "llm_action/baselines.json", "left_out.json"
    )
    assert left_out == []
    assert len(stored) == 24
    assert all(len(sources) == 1 for sources in programs.values())
    assert {(source["split"], source["name"]) for (source,) in programs.values()} == set(stored)
    for split, times in (("train", train), ("eval", evaluation)):
        assert len(times) > 0
        for name, time in times.items():
            (source,) = programs[name]
            assert (source["split"] == "train") == (split == "train")
            median = round(stored[source["split"], source["name"]])
            assert type(time) is int
            assert time == median or (0 < time < 3 * median and name.startswith(FILLED))
            assert baselines[split][name] == {"mlir": time / 1e6}
    assert set(baselines["train"]) | set(baselines["eval"]) == set(programs)


def test_each_program_is_there_once_in_each_layout(original):
    train, evaluation = exported_times(original)
    folder = original / "mlir_rl"
    assert not set(train) & set(evaluation)
    assert {path.stem for path in (folder / "code_files").iterdir()} == set(train) | set(evaluation)
    for split, times in (("train", train), ("eval", evaluation)):
        assert {path.stem for path in (folder / "llm_action" / split).glob("*.mlir")} == set(times)
        for name in times:
            text = (folder / "code_files" / f"{name}.mlir").read_text()
            assert (folder / "llm_action" / split / f"{name}.mlir").read_text() == text


def test_the_config_has_every_key_that_their_loader_requires(original):
    """The names are those of the config class of MLIR-RL-artifact; the paths must be where the files are."""
    (found,) = read(original / "mlir_rl", "config.json")
    assert set(found) == {
        "max_num_stores_loads", "max_num_loops", "max_num_load_store_dim", "num_tile_sizes", "vect_size_limit", "order",
        "interchange_mode", "exploration", "init_epsilon", "normalize_bounds", "normalize_adv", "reuse_experience",
        "benchmarks_folder_path", "bench_count", "replay_count", "nb_iterations", "ppo_epochs", "ppo_batch_size",
        "value_epochs", "value_batch_size", "value_coef", "value_clip", "entropy_coef", "lr", "truncate", "json_file",
        "eval_json_file", "tags", "debug", "main_exec_data_file", "results_dir",
    }  # fmt: skip
    assert (found["max_num_loops"], found["max_num_load_store_dim"]) == (7, 7)
    assert found["benchmarks_folder_path"] == str(original / "mlir_rl" / "code_files")
    assert found["json_file"] == str(original / "mlir_rl" / "execution_times_train.json")
    assert found["eval_json_file"] == str(original / "mlir_rl" / "execution_times_eval.json")
    readme = (original / "mlir_rl" / "README.md").read_text()
    assert f"CONFIG_FILE_PATH={original}/mlir_rl/config.json python train.py" in readme
    assert "python -m llm_action.src.rl.train_ppo --benchmarks-name" in readme


def test_exported_programs_run_on_mlir_19(original):
    families = {"matmul", "batch_matmul", "conv", "pooling_max", "pooling_avg", "add", "mul", "max", "relu"}
    paths = sorted((original / "mlir_rl" / "code_files").iterdir())
    sample = {family: next((path for path in paths if path.name.startswith(family)), None) for family in families}
    found = [path for path in sample.values() if path is not None]
    assert len(found) >= 7
    for path in found:
        assert run_main(path.read_text())[0] > 0


LEFT_OUT = {
    "func.func @f(%x: tensor<4xf16>, %y: tensor<4xf16>) -> tensor<4xf16> {\n"
    "%r = linalg.exp ins(%x : tensor<4xf16>) outs(%y : tensor<4xf16>) -> tensor<4xf16>\n"
    "return %r : tensor<4xf16>\n}": "argument 0 of @main is of type tensor<4xf16>, whose elements are not of the types",
    "func.func @f(%x: f32) -> f32 {\nreturn %x : f32\n}": "argument 0 of @main is of type f32, and not a ranked tensor",
    "func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {\nreturn %x : tensor<?xf32>\n}": "whose shape is not static",
    "func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {\nreturn %x : tensor<4xf32>\n}": "it has no linalg operation",
    "func.func private @g()\nfunc.func @f() {\nreturn\n}": "its module is not one function",
    "func.func @f() {\nreturn\n}": "@main returns no tensor beside the elapsed time",
    "no MLIR": "custom op 'no' is unknown",
    program_of("relu_1_1_1_1_1_1_1_1"): "linalg.generic has 8 loops; it must have 1 to 7",
    program_of("add_65536_65536"): "the arguments of @main take 51539607552 bytes together",
    program_of("conv_2d_nchw_fchw_1_1_8_8_1_3_3_4_4").replace("dilations = dense<1>", "dilations = dense<2>"): (
        "linalg.conv_2d_nchw_fchw has the dilation [2, 2]; a convolution must have 1"
    ),
}


def test_what_is_outside_the_contract_is_left_out_with_the_reason(dataset):
    """The programs of an index are replaced by others, and two times by none and by one that rounds to 0."""
    path = dataset / "train.parquet"
    table = pq.read_table(path)
    texts = [*LEFT_OUT, *table.column("mlir").to_pylist()[len(LEFT_OUT) :]]
    # One that is the same in the exported form.
    texts[len(LEFT_OUT)] = "// again\n" + texts[-1]
    place = table.schema.get_field_index("mlir")
    pq.write_table(table.set_column(place, "mlir", pa.array(texts)), path)
    manifest = json.loads((dataset / "manifest.json").read_text())
    manifest["storage"] = "parquet"
    times = stored_times(dataset)
    in_test = [row for row in times if row["split"] == "test"]
    in_test[0]["median_ns"] = 0.4
    times.remove(in_test[1])
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    store_times(dataset, times)
    export(dataset)
    left_out, programs = read(dataset / "mlir_rl", "left_out.json", "programs.json")
    assert len(left_out) + sum(map(len, programs.values())) == 24
    names = table.column("name").to_pylist()
    assert [[one["name"] for one in sources] for sources in programs.values() if len(sources) > 1] == [
        [names[len(LEFT_OUT)], names[-1]]
    ]
    in_train = [entry for entry in left_out if entry["split"] == "train"]
    assert [entry["name"] for entry in in_train] == names[: len(LEFT_OUT)]
    for entry, expected in zip(in_train, LEFT_OUT.values(), strict=True):
        assert any(expected in reason for reason in entry["reasons"]), (expected, entry)
    reasons = {entry["name"]: entry["reasons"] for entry in left_out if entry["split"] == "test"}
    assert reasons == {
        in_test[0]["name"]: ["its time, 0 ns, is not positive, and MLIR-RL takes its logarithm"],
        in_test[1]["name"]: ["it has no measured time: measuring it failed"],
    }
    said = (
        f"{24 - len(left_out)} programs exported, {len(left_out)} left out: 1 shorter than min_ns, 1 without a time, "
    )
    assert f"{said}{len(left_out) - 2} outside what MLIR-RL reads." in (dataset / "mlir_rl" / "README.md").read_text()


def with_times(dataset, **medians):
    """Give programs of a dataset, by name, other times; all others have 50 µs."""
    rows = stored_times(dataset)
    for row in rows:
        row["median_ns"] = float(medians.get(f"{row['split']}_{row['name']}", 50_000))
    store_times(dataset, rows)


def test_what_is_too_short_or_too_long_is_left_out_and_counted(dataset, tmp_path):
    names = [(row["split"], row["name"]) for row in stored_times(dataset)]
    short, least, most, long = ("_".join(place) for place in names[:4])
    with_times(dataset, **{short: 9_999, least: 10_000, most: 2_000_000, long: 2_000_001})
    done = run_warm("export", "mlir_rl", str(dataset), "--no-torch", "--max-ns", "2000000", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    account = "22 programs exported, 2 left out: 1 shorter than min_ns, 1 longer than max_ns."
    assert account in done.stdout.splitlines()
    assert account in (dataset / "mlir_rl" / "README.md").read_text()
    (left_out,) = read(dataset / "mlir_rl", "left_out.json")
    assert {(one["split"], one["name"]): one["reasons"] for one in left_out} == {
        names[0]: ["its time, 9999 ns, is less than min_ns, 10000"],
        names[3]: ["its time, 2000001 ns, is more than max_ns, 2000000"],
    }
    train, evaluation = exported_times(dataset)
    assert sorted({*train.values(), *evaluation.values()}) == [10_000, 50_000, 2_000_000]
    # The same again is found; other bounds are another export.
    again = run_warm("export", "mlir_rl", str(dataset), "--no-torch", "--max-ns", "2000000", cwd=tmp_path)
    assert "This export is finished already" in again.stdout
    assert account in again.stdout.splitlines()
    assert export(dataset).account.left_out == {}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--min-ns", "20", "--max-ns", "10"], "--min-ns is 20 and --max-ns is 10: no time is at least the one"),
        (["--min-ns", "-1"], "--min-ns is -1, and must be a whole number of at least 0"),
        (["--max-ns", "0"], "--max-ns is 0, and must be a whole number of at least 1"),
        (["--min-ns", "fast"], "'--min-ns': 'fast' is no number of nanoseconds"),
        (["--no-measure"], "24 shorter than min_ns. The first, "),
        (["--no-measure", "--min-ns", "none", "--max-ns", "1"], "or change the bounds on their times: --min-ns"),
    ],
)
def test_bounds_that_leave_nothing_are_refused(dataset, tmp_path, options, expected):
    done = run_warm("export", "mlir_rl", str(dataset), *options, cwd=tmp_path)
    assert done.returncode == 2
    assert expected in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (dataset / "mlir_rl").exists()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["export.min_ns=20", "export.max_ns=10"], "Give the smaller number to export.min_ns: export.min_ns=10"),
        (["export.min_ns=1.5"], "export.min_ns is 1.5, and must be a whole number of at least 0"),
        (["export.torch=yes"], "export.torch is 'yes', and must be one of true, false"),
    ],
)
def test_bad_settings_of_an_export(settings, expected):
    with pytest.raises(UserError, match=expected):
        compose_config(["ops=[matmul]", "measure=baseline", "export=mlir_rl", *settings])


DEPTHWISE = """func.func @f(%image: tensor<1x8x34x34xf32>, %filter: tensor<8x3x3xf32>) -> tensor<1x8x32x32xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x8x32x32xf32>
  %filled = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x8x32x32xf32>) -> tensor<1x8x32x32xf32>
  %r = linalg.depthwise_conv_2d_nchw_chw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>}
      ins(%image, %filter : tensor<1x8x34x34xf32>, tensor<8x3x3xf32>)
      outs(%filled : tensor<1x8x32x32xf32>) -> tensor<1x8x32x32xf32>
  return %r : tensor<1x8x32x32xf32>
}"""


def test_what_is_rewritten_and_what_pytorch_takes_is_measured(dataset):
    """The first program is replaced by one that is rewritten, and that no network's extraction left a call of."""
    path = dataset / "train.parquet"
    table = pq.read_table(path)
    for column, value in (("mlir", DEPTHWISE), ("source", "extracted")):
        values = table.column(column).to_pylist()
        place = table.schema.get_field_index(column)
        table = table.set_column(place, column, pa.array([value, *values[1:]]))
    pq.write_table(table, path)
    manifest = json.loads((dataset / "manifest.json").read_text())
    (dataset / "manifest.json").write_text(json.dumps({**manifest, "storage": "parquet"}))
    first = table.column("name").to_pylist()[0]
    with_times(dataset, **{f"train_{first}": 1})

    unmeasured = export(dataset, measure=False)
    assert unmeasured.account.left_out == {"without a time": 1}
    (left_out,) = read(dataset / "mlir_rl", "left_out.json")
    assert "between transpositions), which was not measured: export without --no-measure" in left_out[0]["reasons"][0]
    baselines, times = {}, {}
    for entries in read(dataset / "mlir_rl", "llm_action/baselines.json")[0].values():
        assert all(set(entry) == {"mlir"} for entry in entries.values())

    assert export(dataset, settings=replace(ALL, torch=True)).account.left_out == {}
    programs, split_baselines = read(dataset / "mlir_rl", "programs.json", "llm_action/baselines.json")
    (name,) = [name for name, (origin, *_) in programs.items() if "rewritten" in origin]
    assert programs[name][0]["name"] == first
    for split, found in zip(("train", "eval"), exported_times(dataset), strict=True):
        times.update(found)
        baselines.update(split_baselines[split])
    # Its own time, not the one that the dataset has of the program as it was.
    assert times[name] > 1_000
    assert set(baselines[name]) == {"mlir"}
    others = [entry for key, entry in baselines.items() if key != name]
    assert len(others) == 23
    assert all(0 < entry["torch"] < 1_000 for entry in others)
    assert len({entry["torch"] for entry in others}) > 12
    assert "23 programs have PyTorch's time as well" in (dataset / "mlir_rl" / "README.md").read_text()


def test_a_dataset_of_nothing_that_can_be_exported_is_refused(tmp_path):
    grid = {"dilation_height": [2], "kernel_height": [3], "height": [6, 8], "stride_height": [1]}
    changes = {f"ops__conv2d__grid__{axis}": values for axis, values in grid.items()}
    run = config(["conv2d"], num_samples=4, measure__kind="baseline", output_dir=str(tmp_path), **changes)
    dataset = generate(run).path
    with pytest.raises(UserError, match=r"None of the \d+ programs .* has the dilation"):
        export(dataset)
    assert not (dataset / "mlir_rl").exists()


def test_a_dataset_without_times_is_measured_first(dataset, tmp_path):
    without_measurements(dataset)
    options = ("--min-ns", "none", "--no-torch")
    done = run_warm("export", "mlir_rl", str(dataset), "--no-measure", cwd=tmp_path)
    assert done.returncode == 2
    assert f"python scripts/measure.py {dataset}" in " ".join(done.stderr.split())
    assert not (dataset / "mlir_rl").exists()
    done = run_warm("export", "mlir_rl", str(dataset), *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "24 programs exported, 0 left out." in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == f"exported: {dataset / 'mlir_rl'}"
    train, evaluation = exported_times(dataset)
    assert len(train) + len(evaluation) == len(stored_times(dataset)) == 24


def test_an_export_is_found_finished_and_follows_the_times(dataset):
    assert not export(dataset).existed
    before = files_of(dataset / "mlir_rl")
    assert export(dataset).existed
    assert files_of(dataset / "mlir_rl") == before
    without_measurements(dataset)
    again = export(dataset)
    assert not again.existed
    after = files_of(dataset / "mlir_rl")
    assert {file for file in after if after[file] != before[file]} <= {
        "execution_times_train.json", "execution_times_eval.json", "llm_action/baselines.json", RECORD, "README.md",
    }  # fmt: skip
    assert after[RECORD] != before[RECORD]


def test_a_moved_dataset_is_exported_anew_with_its_paths(dataset, tmp_path):
    export(dataset)
    moved = tmp_path / "moved"
    dataset.rename(moved)
    assert not export(moved).existed
    assert read(moved / "mlir_rl", "config.json")[0]["json_file"].startswith(str(moved))


@pytest.mark.parametrize(
    "what", ["a file", "a folder", "a link", "a change", "an addition", "a loss", "another dataset"]
)
def test_what_is_in_the_way_is_named_and_kept(dataset, original, tmp_path, what):
    folder = dataset / "mlir_rl"
    if what == "a file":
        folder.write_text("mine")
    elif what == "a folder":
        folder.mkdir()
        (folder / "mine").write_text("mine")
    elif what == "a link":
        folder.symlink_to(tmp_path)
    else:
        shutil.copytree(original / "mlir_rl", folder)
        if what == "another dataset":
            record = json.loads((folder / RECORD).read_text())
            (folder / RECORD).write_text(json.dumps({**record, "dataset_digest": "0"}))
        else:
            path = folder / ("mine" if what == "an addition" else "config.json")
            path.unlink() if what == "a loss" else path.write_text("mine")
    before = files_of(dataset)
    with pytest.raises(UserError, match=f"{folder} is in the way: .* Move it away or delete it"):
        export(dataset)
    assert files_of(dataset) == before


def test_an_empty_folder_is_not_in_the_way(dataset):
    (dataset / "mlir_rl").mkdir()
    assert not export(dataset).existed
    assert (dataset / "mlir_rl" / RECORD).exists()


def test_a_failing_export_leaves_nothing_behind(dataset, monkeypatch):
    export(dataset)
    before = files_of(dataset.parent)
    monkeypatch.setattr(type(MLIR_RL), "version", 99)
    monkeypatch.setattr(
        "mlir_datagen.export.mlir_rl.exporter._describe", lambda *_: (_ for _ in ()).throw(OSError(28, "No"))
    )
    with pytest.raises(UserError, match=r"cannot be written: No; nothing was left behind\. Free some room"):
        export(dataset)
    assert files_of(dataset.parent) == before
    assert sorted(path.name for path in dataset.parent.iterdir()) == [dataset.name]


def test_a_path_that_a_shell_would_take_apart_is_refused(dataset, tmp_path):
    moved = tmp_path / "my data"
    dataset.rename(moved)
    with pytest.raises(UserError, match="passes the paths of programs to one unquoted"):
        export(moved)
    assert not (moved / "mlir_rl").exists()


def test_changed_measurements_are_refused(dataset):
    (dataset / "measurements" / "train.parquet").write_bytes((dataset / "train.parquet").read_bytes())
    with pytest.raises(UserError, match=r"Measure the dataset again: python scripts/measure\.py"):
        export(dataset)


@pytest.mark.parametrize("arguments", [["mlir_rl", "nowhere"], ["mlir_lr", "."], ["mlir_rl"]])
def test_the_script_refuses_what_is_no_dataset_or_no_consumer(tmp_path, arguments):
    done = run_warm("export", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_dataset_with_an_export_verifies_and_has_the_same_digest(original, dataset, tmp_path):
    done = run_warm("verify", str(original), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "there is no other but the exports mlir_rl, which are whole." in done.stdout
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (original, dataset)]
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("mlir_rl/mine", "mlir_rl/mine does not belong to it"),
        ("mlir_rl/config.json", "config.json was changed. The dataset itself is not touched by that. Delete"),
        ("other/mine", "other/mine does not belong to it"),
    ],
)
def test_verify_finds_what_is_wrong_with_an_export(original, dataset, tmp_path, file, expected):
    shutil.copytree(original / "mlir_rl", dataset / "mlir_rl")
    (dataset / file).parent.mkdir(exist_ok=True)
    (dataset / file).write_text("mine")
    done = run_warm("verify", str(dataset), cwd=tmp_path)
    assert done.returncode == 2
    assert expected in " ".join(done.stderr.split())


def test_the_exported_form_is_measured_where_filling_in_initial_values_may_show(dataset, monkeypatch):
    """Half a nanosecond a byte, and a hundredth of the time: 2 µs for 40 bytes."""
    names = stored_times(dataset)
    with_times(dataset, **{f"{row['split']}_{row['name']}": 2_000 for row in names})
    jobs = []

    def measured(folder, given, listener):
        jobs.extend(given)
        return [Measurement(12_345.4, 1.0, 1.0, 5, 0, 1, 1.0, False, 1, "here") for _ in given]

    monkeypatch.setattr("mlir_datagen.export.base.measure_jobs", measured)
    export(dataset)
    (programs,) = read(dataset / "mlir_rl", "programs.json")
    tables = {split: pq.read_table(dataset / f"{split}.parquet").to_pylist() for split in ("train", "test")}
    rows = {(split, row["name"]): row for split, table in tables.items() for row in table}
    expected = {}
    for name, (origin, *_) in programs.items():
        row = rows[origin["split"], origin["name"]]
        written = math.prod(row["results"][0]["shape"]) * 4
        is_filled = row["family"] in ("matmul", "conv2d", "batch_matmul") or (row["family"], row["kind"]) == MAXIMUM
        expected[name] = 12_345 if is_filled and written > 40 else 2_000
    train, evaluation = exported_times(dataset)
    assert {**train, **evaluation} == expected
    assert 0 < list(expected.values()).count(12_345) == len(jobs) < 24
    assert all("bufferization.to_tensor" in job.text and "linalg.fill" not in job.text for job in jobs)
