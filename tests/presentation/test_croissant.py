"""`croissant.json`: valid for the library that others read it with, and every record readable through it."""

from __future__ import annotations

import json

import mlcroissant
import numpy as np
import pyarrow.parquet as pq
import pytest
from stored_times import stored_times

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.manifest import read_manifest
from mlir_datagen.dataset.measurements import record_measurements
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.pipeline.run import generate
from mlir_datagen.presentation.croissant import croissant_file
from mlir_datagen.presentation.responsible import responsible_ai
from mlir_datagen.programs.proof import Measurement
from mlir_datagen.version import RELEASE_DATE

# Of what mlcroissant reads with.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SESSION = {"machines": [{"id": "0a", "cpu": "one"}]}


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """Single operations and graphs in several files of Parquet, a suite, and times; what reads their description."""
    settings = ["ops=[matmul,elementwise,sequence]", "dims=small", "num_samples=30", "programs_per_file=10"]
    folder = generate(
        compose_config([*settings, "suites=[gemm]", f"output_dir={tmp_path_factory.mktemp('described')}"])
    ).path
    times = [
        (program.split, program.name, Measurement(1.5 + place, 1.0, 0.5, 5, 0, 1, 1.6, place % 2 == 0, 1000, "0a"))
        for place, program in enumerate(Dataset(folder).programs())
    ]
    record_measurements(folder, read_manifest(folder), times, SESSION, 0)
    (folder / "croissant.json").write_bytes(croissant_file(Dataset(folder)))
    return folder, mlcroissant.Dataset(folder / "croissant.json")


def plain(value):
    """Return a record without the names of its record set, and text as text."""
    if isinstance(value, dict):
        return {name.rpartition("/")[2]: plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, np.ndarray)):
        return [plain(inner) for inner in value]
    return value.decode() if isinstance(value, bytes) else value


def records(described, name):
    return [plain(record) for record in described[1].records(name)]


def by_place(rows):
    return {(row["split"], row["name"]): row for row in rows}


def test_it_is_valid_and_nothing_is_advised(described):
    issues = described[1].metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())


def test_every_column_of_every_program_is_read_through_it(described):
    dataset = Dataset(described[0])
    files = [file for split in dataset.indexes.values() for file in split]
    assert len(files) == 5
    rows = [row for file in files for row in pq.read_table(described[0] / file).to_pylist()]
    for row in rows:
        for node in row["nodes"]:
            # A list in a list of structures.
            del node["loops"]
        for name in ("nodes", "edges", "loops"):
            row[name] = row[name] or []
    read = by_place(records(described, "programs"))
    assert read == by_place(rows)
    assert any(row["edges"] for row in rows)


def test_splits_texts_and_times_are_read_through_it(described):
    folder = described[0]
    splits = Dataset(folder).splits
    assert [record["name"] for record in records(described, "splits")] == splits == ["suites.gemm", "train", "test"]
    texts = {record["file"]: record["mlir"] for record in records(described, "texts")}
    assert texts == {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.mlir")}
    assert by_place(records(described, "measurements")) == by_place(stored_times(folder))


def test_it_answers_what_conferences_ask_for(described):
    text = json.loads((described[0] / "croissant.json").read_text())
    asked = ["dataLimitations", "dataBiases", "personalSensitiveInformation", "dataUseCases", "dataSocialImpact"]
    for name in [*asked, "dataCollection", "dataCollectionType", "machineAnnotationTools", "hasSyntheticData"]:
        assert text[f"rai:{name}"], name
    assert text["prov:wasGeneratedBy"][0]["description"] == text["rai:dataCollection"]
    assert "listed in suites" in text["rai:dataCollection"]
    assert "neural networks" not in text["rai:dataCollection"]
    assert text["license"] == "https://spdx.org/licenses/Apache-2.0.html"
    assert text["datePublished"].startswith(RELEASE_DATE)
    assert croissant_file(Dataset(described[0])) == (described[0] / "croissant.json").read_bytes()


def test_it_says_of_rejects_and_splits_what_is_so(described, tmp_path):
    said = responsible_ai(Dataset(described[0]))["data_preprocessing_protocol"]
    assert "The split of a drawn program is decided by a hash of its content." in said[1]
    listed = generate(compose_config(["ops=[]", "suites=[gemm]", f"output_dir={tmp_path}"])).path
    dataset = Dataset(listed)
    assert not (listed / "rejects.jsonl").exists()
    kept, unique = responsible_ai(dataset)["data_preprocessing_protocol"]
    assert (kept.endswith("were kept."), unique.endswith("across splits.")) == (True, True)
    dataset.manifest["files"]["rejects.jsonl"] = "0"
    assert "rejects.jsonl lists them" in responsible_ai(dataset)["data_preprocessing_protocol"][0]


@pytest.mark.parametrize(
    ("storage", "sets"), [("files", ["splits", "programs", "texts"]), ("parquet", ["splits", "programs"])]
)
def test_it_has_what_the_dataset_has(storage, sets, tmp_path):
    folder = generate(compose_config(["experiment=tiny", f"storage={storage}", f"output_dir={tmp_path}"])).path
    (folder / "croissant.json").write_bytes(croissant_file(Dataset(folder)))
    read = mlcroissant.Dataset(folder / "croissant.json")
    assert [one.id for one in read.metadata.record_sets] == sets
    first = plain(next(iter(read.records("programs"))))
    assert ("mlir" in first) == (storage == "parquet")
