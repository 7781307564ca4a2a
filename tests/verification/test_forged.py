"""verify.py on datasets whose checksums agree with what was changed in them: every column, every key, every file."""

from __future__ import annotations

import copy
import json
import os
import shutil

import pyarrow as pa
import pytest
import yaml
from forging import columns, different, forge, forge_checksums, rows_changed, table_changed
from helpers import made_dataset
from warm_scripts import run_warm

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.schema import PLACE_COLUMNS, PROGRAM_COLUMNS
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import generate
from mlir_datagen.verification import UNVERIFIABLE_COLUMNS, verify_dataset

SPLITS = ("train", "suites/mlir_rl_eval", "neural_nets", "extracted")
LISTED = {"decontamination", "neural_nets", "extracted", "suites.mlir_rl_eval"}
COLUMNS = [*PLACE_COLUMNS, *PROGRAM_COLUMNS]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A dataset with programs of every kind."""
    settings = [
        "experiment=tiny",
        "ops=[matmul,relu]",
        "num_samples=8",
        "suites=[mlir_rl_eval]",
        "models=[simple_net]",
        "models.simple_net.sizes.batch=2",
        "extract=ops",
        f"output_dir={tmp_path_factory.mktemp('original')}",
    ]
    return generate(compose_config(settings)).path


@pytest.fixture(scope="module")
def proven(tmp_path_factory):
    """A small dataset whose programs were run and measured."""
    folder = tmp_path_factory.mktemp("proven")
    settings = [
        "experiment=tiny",
        "ops=[matmul,relu]",
        "num_samples=6",
        "check=execute",
        "check.fraction=0.5",
        "measure=baseline",
    ]
    return made_dataset(run_warm("generate", *settings, "measure.runs=2", cwd=folder), folder)


@pytest.fixture
def dataset(original, tmp_path):
    return shutil.copytree(original, tmp_path / "dataset")


def refused(folder, *parts):
    with pytest.raises(UserError) as caught:
        verify_dataset(folder)
    for part in parts:
        assert part in str(caught.value)
    assert len(str(caught.value)) < 5000


def test_the_originals_are_verified(original, proven):
    assert "Not verified, as it follows from nothing here: the versions" in verify_dataset(original)[-1]
    told = verify_dataset(proven)[-1]
    assert "the columns error and absolute_error" in told
    assert "the measured times and the machine" in told


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_column(column, split, dataset):
    """The second row, as the first may be checked in another way than the others."""

    def change(rows):
        row = rows[min(1, len(rows) - 1)]
        if column in UNVERIFIABLE_COLUMNS:
            assert row[column] is None
        if column == "loops":
            row[column].append({"bound": 1, "iterator": "parallel"})
        elif column == "edges":
            row[column].append({"producer": 0, "consumer": 0})
        elif column == "unshown":
            assert row[column] is None
            row[column] = ["input x"]
        else:
            row[column] = different("" if column in ("provenance", "form") and row[column] is None else row[column])

    forge(dataset, f"{split}.parquet", rows_changed(change))
    refused(dataset, column if column not in ("mlir", "sha256", "name") else "")


def test_a_file_where_none_is(tmp_path):
    made = generate(compose_config(["experiment=tiny", "num_samples=4", "storage=parquet", f"output_dir={tmp_path}"]))
    forge(made.path, "train.parquet", columns(file="/etc/passwd"))
    refused(made.path, "has file '/etc/passwd' where None follows")


@pytest.mark.parametrize("part", ["role", "name", "dtype", "shape"])
@pytest.mark.parametrize("split", SPLITS)
def test_a_changed_signature(part, split, dataset):
    def change(rows):
        result = rows[0]["results"][0]
        result[part] = different(result[part])

    forge(dataset, f"{split}.parquet", rows_changed(change))
    refused(dataset, "results" if (split, part) != ("neural_nets", "dtype") else "")


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [row.update(source="suite") for row in rows],
        lambda rows: rows[0].update(source="network", family="network"),
        lambda rows: rows.reverse(),
        lambda rows: rows.append(copy.deepcopy(rows[0])),
        lambda rows: rows.pop(),
        lambda rows: rows[0].update(loops=None),
        lambda rows: rows[0].update(arguments=[None]),
        lambda rows: rows[0]["loops"].append(None),
        lambda rows: rows[0].update(seed=1 << 62),
        lambda rows: rows[0].update(flops=None, check=None),
        lambda rows: rows[0].update(name="../../etc/passwd"),
        lambda rows: rows[0].update(spec='{"m": 1e400}'),
    ],
)
def test_changed_rows(change, dataset):
    forge(dataset, "train.parquet", rows_changed(change))
    refused(dataset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["seed"]), "has no column seed"),
        (lambda table: table.append_column("more", pa.nulls(len(table))), "it has a column more"),
        (lambda table: table.set_column(3, "split", pa.array([1] * len(table))), "has no column split of the type"),
    ],
)
def test_another_schema(change, message, dataset):
    forge(dataset, "train.parquet", table_changed(change))
    refused(dataset, message)


def test_a_program_that_the_config_does_not_draw(dataset):
    """Right in all but that its grid has no such point."""
    config = yaml.safe_load((dataset / "config.yaml").read_text())
    assert 16 in config["ops"]["matmul"]["grid"]["m"]
    text = (dataset / "config.yaml").read_text()
    (dataset / "config.yaml").write_text(text.replace("16, 24", "17, 24"))
    manifest = json.loads((dataset / "manifest.json").read_text())
    manifest["fingerprint"] = compose_saved(dataset).fingerprint
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    forge_checksums(dataset)
    refused(dataset, "is not what the config draws in its place")


def compose_saved(folder):
    from mlir_datagen.config.saved import load_saved_config

    return load_saved_config(folder / "config.yaml")


def leaves(value, path=()):
    """Yield the path of every value of a manifest that is no mapping."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from leaves(inner, (*path, key))
        else:
            yield (*path, key)


def parent_of(manifest, path):
    for key in path[:-1]:
        manifest = manifest[key]
    return manifest


def is_unverifiable(path):
    return path[0] == "environment"


@pytest.mark.parametrize("source", ["original", "proven"])
def test_every_key_of_the_manifest(source, request, tmp_path):
    """A changed value, at every place of the manifest, and each missing key at its top."""
    folder = shutil.copytree(request.getfixturevalue(source), tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    places = list(leaves(manifest))
    accepted = []
    # Of the larger dataset, what the other lacks.
    chosen = places if source == "proven" else [path for path in places if LISTED & set(path)]
    for path in [*chosen, *((key,) for key in (manifest if source == "proven" else ["decontamination"]))]:
        forged = copy.deepcopy(manifest)
        parent = parent_of(forged, path)
        if path in places:
            parent[path[-1]] = different(parent[path[-1]])
        else:
            del parent[path[-1]]
        (folder / "manifest.json").write_text(json.dumps(forged))
        try:
            verify_dataset(folder)
        except UserError:
            continue
        accepted.append(path)
    assert [path for path in accepted if not is_unverifiable(path)] == []
    assert (("environment", "python") in accepted) == (source == "proven")


def test_a_missing_version(dataset):
    manifest = json.loads((dataset / "manifest.json").read_text())
    del manifest["environment"]["torch"]
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    refused(dataset, "has no version of torch in its environment")


@pytest.mark.parametrize(
    "path", [(), ("counts", "train"), ("funnel",), ("check",), ("environment",), ("decontamination",)]
)
def test_a_key_too_many(path, dataset):
    manifest = json.loads((dataset / "manifest.json").read_text())
    parent_of(manifest, (*path, ""))["forged"] = 1
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    refused(dataset)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_samples: 8", "num_samples: 90000000", "train has 7 programs, and config.yaml asks for 75000000"),
        ("window: 1", "window: null", "config.yaml has no split 'extracted'"),
    ],
)
def test_a_config_of_other_splits(old, new, message, dataset):
    text = (dataset / "config.yaml").read_text()
    assert old in text
    (dataset / "config.yaml").write_text(text.replace(old, new))
    manifest = json.loads((dataset / "manifest.json").read_text())
    manifest["fingerprint"] = compose_saved(dataset).fingerprint
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    forge_checksums(dataset)
    refused(dataset, message)


def test_a_dataset_of_another_version_is_verified_as_far_as_that_goes(dataset):
    manifest = json.loads((dataset / "manifest.json").read_text())
    manifest |= {"generator_version": 1, "fingerprint": "0" * 12}
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    assert "They are of another generator version (1)" in " ".join(verify_dataset(dataset))
    (dataset / "manifest.json").write_text(json.dumps({**manifest, "digest": "0" * 64}))
    refused(dataset, "the dataset's digest is not the one in the manifest")
    manifest["counts"]["train"]["matmul"] -= 1
    manifest["counts"]["train"]["relu"] += 1
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    refused(dataset, "the manifest counts")


@pytest.mark.parametrize("file", ["config.yaml", "README.md"])
def test_a_changed_description(file, dataset):
    forge(dataset, file, lambda data: data + b"# more\n")
    refused(dataset, f"{file} is not the one that the config and the programs give")


def test_a_file_that_the_checksums_list_and_nothing_has(dataset):
    (dataset / "run_me.sh").write_text("true")
    with (dataset / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  run_me.sh\n")
    forge_checksums(dataset)
    refused(dataset, "SHA256SUMS lists run_me.sh")


@pytest.mark.parametrize("place", ["train/matmul_0000.mlir", "train", "README.md", "train.parquet"])
def test_a_symbolic_link(place, dataset, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (dataset / place).rename(elsewhere)
    (dataset / place).symlink_to(elsewhere)
    refused(dataset, f"{place} is a symbolic link")


@pytest.mark.parametrize("place", ["train/more.mlir", "export.json"])
def test_a_named_pipe(place, dataset):
    os.mkfifo(dataset / place)
    refused(dataset, f"{place} is neither a file nor a folder")


@pytest.mark.parametrize(
    ("forged", "message"),
    [
        ({"error": 0.5, "check": "parse"}, "has error, and its check is 'parse'"),
        ({"error": None, "check": "execute"}, "has no error, and its check is 'execute'"),
        ({"error": -1.0, "check": "execute"}, "has error -1.0"),
        ({"check": "lower"}, "has check 'lower' where"),
        ({"proven": "executed", "check": "execute"}, "has proven 'executed' where 'matched' follows"),
        ({"proven": "matched", "check": "parse"}, "has proven 'matched' where 'parsed' follows"),
        ({"excused": 1, "check": "execute"}, "has excused 1, and its check is 'execute'"),
        ({"unshown": ["x"], "check": "execute"}, "has unshown ['x'], and its check is 'execute'"),
    ],
)
def test_changed_proofs(forged, message, proven, tmp_path):
    folder = shutil.copytree(proven, tmp_path / "copy")

    def change(rows):
        for row in rows:
            if row["check"] == forged["check"] or forged["check"] == "lower":
                row.update({key: value for key, value in forged.items() if key != "check" or value == "lower"})

    forge(folder, "train.parquet", rows_changed(change))
    refused(folder, message)


@pytest.mark.parametrize(
    "change",
    [
        columns(name="other"),
        columns(median_ns=None),
        columns(median_ns=-1.0),
        columns(median_ns=0.0),
        columns(runs=1, disturbed=False),
        columns(machine="00000000"),
        rows_changed(lambda rows: rows.pop()),
        table_changed(lambda table: table.drop_columns(["iqr_ns"])),
        lambda data: b"",
    ],
)
def test_changed_times(change, proven, tmp_path):
    folder = shutil.copytree(proven, tmp_path / "copy")
    forge(folder, "measurements/train.parquet", change)
    refused(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cpu": "Other"}, "has in measurements.machines[0] the record of another machine than"),
        ({"id": "00000000"}, ", of which manifest.json has no record"),
        ({"programs": 5}, "measurements.machines[0].programs 5 where 6 follows"),
        ({"owner": "me"}, "no record of a machine"),
        ({"cores": "many"}, "no record of a machine"),
    ],
)
def test_changed_records_of_machines(change, message, proven, tmp_path):
    folder = shutil.copytree(proven, tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["measurements"]["machines"][0].update(change)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    refused(folder, message)
