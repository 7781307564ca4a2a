"""A made dataset, held against tools that we did not write."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess

import datasets
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from helpers import config, golden_program, made_dataset, run_mlir_opt
from warm_scripts import run_warm

from mlir_datagen.dataset.arrow import optional_number_array
from mlir_datagen.dataset.card import dataset_card
from mlir_datagen.dataset.card_head import card_head
from mlir_datagen.dataset.diversity import Diversity
from mlir_datagen.dataset.schema import PLACE_COLUMNS, PROGRAM_COLUMNS
from mlir_datagen.dataset.writer import SplitWriter, Storage
from mlir_datagen.mlir.outline import program_outline
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.ops import FAMILIES
from mlir_datagen.pipeline.run import generate
from mlir_datagen.version import GENERATOR_VERSION

TINY_DIGEST = "aa3c29075208bfaba638cf1e221fa7a62a55552f5004c34ac96d2e51863a68fa"
TINY_GENERATOR_VERSION = 9


def index_of(folder, split="train"):
    return pq.read_table(folder / f"{split}.parquet").to_pylist()


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_the_golden_digest(tiny):
    assert (manifest_of(tiny)["digest"], GENERATOR_VERSION) == (TINY_DIGEST, TINY_GENERATOR_VERSION), (
        "experiment=tiny has other bytes than before. If that is meant: raise GENERATOR_VERSION in "
        "mlir_datagen/version.py, and put both new values here."
    )


def test_the_folder_holds_what_it_should(tiny):
    assert sorted(path.name for path in tiny.iterdir()) == sorted(
        ["README.md", "SHA256SUMS", "config.yaml", "manifest.json", "test", "test.parquet", "train", "train.parquet"]
    )
    assert sorted(path.name for path in (tiny / "test").iterdir()) == [
        "conv2d_0001.mlir", "elementwise_0003.mlir", "matmul_0000.mlir", "pooling_0002.mlir",
    ]  # fmt: skip
    assert len(list((tiny / "train").iterdir())) == 20


def test_sha256sum_agrees(tiny):
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tiny, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = {line.split("  ")[1] for line in (tiny / "SHA256SUMS").read_text().splitlines()}
    present = {path.relative_to(tiny).as_posix() for path in tiny.rglob("*") if path.is_file()}
    assert present - listed == {"SHA256SUMS", "manifest.json"}


def test_the_manifest_names_every_other_top_level_file(tiny):
    files = manifest_of(tiny)["files"]
    assert set(files) == {path.name for path in tiny.iterdir() if path.is_file()} - {"manifest.json"}
    for name, digest in files.items():
        assert hashlib.sha256((tiny / name).read_bytes()).hexdigest() == digest


def test_the_manifest_adds_up(tiny):
    manifest = manifest_of(tiny)
    assert manifest["schema_version"] == 2
    assert tiny.name == f"{manifest['name']}-{manifest['fingerprint']}"
    assert {split: sum(counts.values()) for split, counts in manifest["counts"].items()} == {"train": 20, "test": 4}
    assert manifest["funnel"]["attempted"] == manifest["funnel"]["kept"] == 24
    assert set(manifest["environment"]) == {
        "mlir_datagen", "git_commit", "python", "torch_mlir", "llvm", "numpy", "pyarrow",
    }  # fmt: skip
    assert manifest["environment"]["llvm"].startswith("24.")
    lines = [
        f"{split}/{row['name']} {row['sha256']}\n" for split in manifest["counts"] for row in index_of(tiny, split)
    ]
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == manifest["digest"]


def oldest_mlir(row):
    family = FAMILIES[row["family"]]
    return family.spec_of_json(row["spec"]).variant.versions("named").oldest


@pytest.mark.parametrize("version", [16, 19, 22])
def test_every_program_parses_with_mlir_opt(tiny, version):
    rows = [row for split in ("train", "test") for row in index_of(tiny, split)]
    known = [row for row in rows if oldest_mlir(row) <= version]
    done = run_mlir_opt(version, [(tiny / row["file"]).read_text() for row in known])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("func.func") == len(known)
    # linalg.add, mul and max came after MLIR 16; every other family reaches back to it.
    assert {row["family"] for row in rows} - {row["family"] for row in known} == (
        {"elementwise"} if version == 16 else set()
    )


def test_mlir_opt_refuses_what_is_not_valid():
    """The harness above can fail: one bad program among good ones is found."""
    text = golden_program("matmul_mk_kn")[2]
    done = run_mlir_opt(19, [text, text.replace("return %3", "return %9"), text])
    assert done.returncode != 0
    assert "undeclared SSA value" in done.stderr


def test_load_dataset(tiny, tmp_path):
    loaded = datasets.load_dataset(str(tiny), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 20, "test": 4}
    assert list(loaded["train"].features) == [*PLACE_COLUMNS, *PROGRAM_COLUMNS]
    row = loaded["test"][0]
    assert row["mlir"] == (tiny / row["file"]).read_text()
    assert row["loops"][2]["iterator"] == "reduction"


@pytest.mark.parametrize("storage", ["files", "parquet"])
def test_load_dataset_of_other_storages(storage, tmp_path):
    made = made_dataset(run_warm("generate", "experiment=tiny", f"storage={storage}", cwd=tmp_path), tmp_path)
    loaded = datasets.load_dataset(str(made), cache_dir=str(tmp_path / "cache"))
    assert len(loaded["train"]) == 20
    assert ("mlir" in loaded["train"].features) == (storage == "parquet")
    assert (made / "train").is_dir() == (storage == "files")
    assert (loaded["train"][0]["file"] is None) == (storage == "parquet")
    assert manifest_of(made)["digest"] == TINY_DIGEST
    assert run_warm("verify", str(made), cwd=tmp_path).returncode == 0


def test_rows_describe_their_programs(tiny):
    for row in index_of(tiny):
        text = (tiny / row["file"]).read_text()
        assert row["mlir"] == text
        assert hashlib.sha256(text.encode()).hexdigest() == row["sha256"]
        assert row["name"] == f"{row['family']}_{row['index']:04d}"
        assert row["file"] == f"train/{row['name']}.mlir"
        assert (row["split"], row["source"], row["seed"], row["dtype"]) == ("train", "random", 42, "f32")
        family = FAMILIES[row["family"]]
        spec = family.spec_from_json(json.loads(row["spec"]))
        assert family.program(spec) == text
        assert row["kind"] in family.kinds
        for column, role, operands in (
            ("arguments", "input", family.graph(spec).arguments),
            ("results", "output", family.graph(spec).results),
        ):
            assert row[column] == [
                {"role": role, "name": one.name, "dtype": one.dtype, "shape": list(one.shape)} for one in operands
            ]
        assert row["loops"] == [{"bound": loop.bound, "iterator": loop.iterator} for loop in family.graph(spec).loops]
        assert row["flops"] == family.graph(spec).flops
        assert row["bytes_moved"] == family.graph(spec).bytes_moved
        assert row["arithmetic_intensity"] == row["flops"] / row["bytes_moved"]


def test_nodes_and_edges_are_those_that_the_parser_reads(tmp_path):
    """But for the names: a rectified linear unit is a `linalg.generic` there."""
    settings = ["ops=[matmul,pooling,relu]", "dims=small", "num_samples=30", "form=mixed"]
    made = made_dataset(run_warm("generate", *settings, cwd=tmp_path), tmp_path)
    rows = [row for split in ("train", "test") for row in index_of(made, split)]
    contexts = Contexts()
    for row in rows:
        read = program_outline(row["mlir"], contexts.next())
        assert [{**node, "op": ""} for node in row["nodes"]] == [
            {
                **node._asdict(),
                "op": "",
                "shape": list(node.shape),
                "loops": [loop._asdict() for loop in node.loops],
            }
            for node in read.nodes
        ]
        assert row["edges"] == [edge._asdict() for edge in read.edges]
    assert {tuple(node["op"] for node in row["nodes"]) for row in rows} == {
        ("matmul",),
        ("max_number",),
        ("pooling_nchw_max",),
        ("pooling_nchw_sum", "div_number"),
    }


def test_the_index_is_in_order(tiny):
    assert [row["index"] for row in index_of(tiny)] == list(range(20))


def test_the_saved_config_is_plain_data(tiny):
    saved = yaml.safe_load((tiny / "config.yaml").read_text())
    assert saved["num_samples"] == 24
    assert saved["split_ratios"] == {"train": 5, "test": 1}
    assert "${" not in (tiny / "config.yaml").read_text()


def test_the_hash_seed_does_not_matter(tiny, tmp_path):
    for hash_seed in ("1", "2"):
        folder = tmp_path / hash_seed
        folder.mkdir()
        done = run_warm("generate", "experiment=tiny", cwd=folder, environment={"PYTHONHASHSEED": hash_seed})
        made = made_dataset(done, folder)
        for name in ("SHA256SUMS", "config.yaml", "README.md", "train.parquet"):
            assert (made / name).read_bytes() == (tiny / name).read_bytes()


@pytest.mark.parametrize(("size", "first"), [(10_000, "matmul_0000"), (10_001, "matmul_00000")])
def test_numbers_are_as_wide_as_the_last_one(size, first, tiny, tmp_path):
    rows = pq.read_table(tiny / "train.parquet")
    matmuls = rows.filter(pc.field("family") == "matmul")
    with SplitWriter(tmp_path, "train", size, Storage(None, "index.parquet", with_text=True)) as writer:
        assert writer.write(matmuls)[0] == first


def test_a_disk_that_takes_a_little_at_a_time(monkeypatch, tmp_path):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data)[:7]))
    path = generate(config(["matmul"], num_samples=3, split_ratios={"train": 1}, output_dir=str(tmp_path))).path
    for row in pq.read_table(path / "train.parquet").to_pylist():
        assert (path / row["file"]).read_text() == row["mlir"]


@pytest.mark.parametrize(
    ("programs", "category"),
    [(1, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M"), (10**7, "10M<n<100M")],
)
def test_the_card_says_how_large_a_dataset_is(programs, category):
    head = card_head(config(["matmul"]).dataset_settings, {"train": ["train.parquet"]}, programs)
    assert yaml.safe_load(head)["size_categories"] == [category]


def test_the_card_names_suites_that_lost_programs_alone():
    against = {"suites/whole": {"kept": 9, "size": 9}, "suites/part": {"kept": 8, "size": 9}, "other": {}}
    settings, different = config(["matmul"]).dataset_settings, Diversity(1, 1, 1, 1, {})
    card = dataset_card(settings, {"train": {"matmul": 1}}, against, {}, different)
    assert "**suites/part is incomplete**: 8 of its 9 programs" in card
    assert card.count("is incomplete") == 1


def test_numbers_that_are_missing_here_and_there():
    numbers = [None, 1.5, None, None, 0.0, 2.0, None, 3.0, None, 4.0]
    assert optional_number_array(numbers).to_pylist() == numbers
