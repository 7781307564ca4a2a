"""Datasets that cannot be merged, and merged ones that are not what they claim."""

from __future__ import annotations

import json
import re
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forging import different, forge, forge_checksums, rows_changed, table_changed
from merging import hashes, made, manifest_changed, merge, rows, suite

from mlir_datagen.config.compose import compose_config
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import Listener, generate
from mlir_datagen.verification import verify_dataset
from mlir_datagen.verification.reproduction import reproduce


def _moved(folder):
    """Put a program of test into train, in the place of one of that."""
    table = pq.read_table(folder / "test.parquet").slice(0, 1)
    row = table.to_pylist()[0]

    def change(train):
        old = train[-1]
        train[-1] = {**row, **{key: old[key] for key in ("name", "file", "index")}, "split": "train"}

    forge(folder, "train.parquet", rows_changed(change))


def _twice(folder):
    def change(train):
        train[-1] = {**train[0], **{key: train[-1][key] for key in ("name", "file", "index")}}

    forge(folder, "train.parquet", rows_changed(change))


def _row(**changes):
    return lambda folder: forge(folder, "train.parquet", rows_changed(lambda all_rows: all_rows[3].update(changes)))


FAULTS = {
    "moved": (_moved, "is the same program as"),
    "twice": (_twice, "is the same program as train/"),
    "flops": (_row(flops=1), "has flops 1 where"),
    "source": (_row(source="suite"), "has source 'suite' where 'random' follows"),
    "check": (_row(check="unverified"), "has check 'unverified', which is no level"),
    "error": (_row(error=0.5), "has error, and its check is 'parse'"),
    "name": (_row(name="relu_9999"), "has name 'relu_9999' where"),
    "counts": (manifest_changed(counts__train__relu=lambda number: number + 1), "and the manifest counts"),
    "kept": (manifest_changed(parents__0__kept=lambda number: number - 1), "than became of them"),
    "duplicates": (
        manifest_changed(parents__1__duplicates=lambda n: n - 1, parents__1__programs=lambda n: n - 1),
        "attempted",
    ),
    "funnel": (manifest_changed(funnel__rejected__unique=0), "has funnel.rejected.unique 0 where"),
    "digest": (manifest_changed(parents__0__digest="0" * 64), "has other parents than the config"),
    "parents": (manifest_changed(parents=[]), "has other parents than the config"),
    "no parents": (manifest_changed(parents=7), "has no parents, or they are not of their form"),
    "version": (manifest_changed(parents__0__generator_version=1), "has no parents, or they are not of their form"),
    "matched": (manifest_changed(check__matched=5), "has check.matched 5 where 0 follows"),
    "more": (manifest_changed(quotas={"relu": {}}), "has quotas.relu {} where None follows"),
    "card": (
        lambda folder: forge(folder, "README.md", lambda card: card + b"\nGood.\n"),
        "README.md is not the one that the config and the programs give",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults(fault, seeds, tmp_path):
    path = merge(seeds[:2], tmp_path, "storage=parquet").path
    change, said = FAULTS[fault]
    change(path)
    with pytest.raises(UserError) as caught:
        verify_dataset(path)
    found = str(caught.value)
    assert said in found or (fault == "counts" and "programs" in found), found


def test_a_program_that_a_suite_has_is_found(listing, seeds, tmp_path):
    path = merge([seeds[1], listing], tmp_path, "storage=parquet").path
    own = pq.read_table(seeds[0] / "train.parquet").to_pylist()
    row = next(row for row in own if row["sha256"] in hashes(listing, "suites.mine"))

    def change(train):
        train[-1] = {
            **row,
            **{key: train[-1][key] for key in ("file", "index")},
            "name": f"matmul_{len(train) - 1:04d}",
        }

    forge(path, "train.parquet", rows_changed(change))
    with pytest.raises(UserError, match=r"must not be there: suites\.mine has a program that computes the same"):
        verify_dataset(path)
    forge(path, "suites/mine.parquet", rows_changed(lambda all_rows: all_rows[0].update(flops=3)))
    with pytest.raises(UserError, match=r"suites.mine/program_0 has flops 3 where"):
        verify_dataset(path)


DAMAGES = {
    "index": (lambda folder: (folder / "train.parquet").write_bytes(b"none"), "train.parquet was changed"),
    "no index": (lambda folder: forge(folder, "train.parquet", lambda data: b"none"), "index that cannot be read"),
    "no column": (
        lambda folder: forge(folder, "train.parquet", table_changed(lambda table: table.drop_columns(["sha256"]))),
        "index that cannot be read",
    ),
    "config": (lambda folder: (folder / "config.yaml").unlink(), "config.yaml is missing"),
    "missing": (lambda folder: next((folder / "train").iterdir()).unlink(), "files instead of"),
    "text": (
        lambda folder: forge(folder, "train.parquet", rows_changed(lambda all_rows: all_rows[2].update(mlir="x"))),
        "is not the one of its sha256",
    ),
    "family": (
        lambda folder: forge(folder, "train.parquet", rows_changed(lambda all_rows: all_rows[2].update(family="../x"))),
        "has the family '../x', which is no op",
    ),
    "older": (manifest_changed(generator_version=7), "was made by generator version 7, and this is version 9"),
    "fingerprint": (manifest_changed(fingerprint="0" * 12), "has another fingerprint than its config.yaml"),
    "digest": (manifest_changed(digest="0" * 64), "has another digest than its manifest says"),
    "split": (
        manifest_changed(counts=lambda counts: {"a/b" if s == "val" else s: n for s, n in counts.items()}),
        "a split",
    ),
    "unfinished": (lambda folder: (folder / "manifest.json").unlink(), "which is not a finished dataset"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_parent(damage, seeds, tmp_path):
    copy = shutil.copytree(seeds[0], tmp_path / "copy")
    change, said = DAMAGES[damage]
    change(copy)
    with pytest.raises(UserError, match=re.escape(said) if damage != "split" else "files instead of|has a split"):
        merge([seeds[1], copy], tmp_path / "merged")
    assert not list(tmp_path.glob("merged/*"))


def test_a_text_file_that_was_changed(seeds, tmp_path):
    copy = shutil.copytree(seeds[1], tmp_path / "copy")
    next((copy / "train").iterdir()).write_text("module {}")
    with pytest.raises(UserError, match="is not the one of its sha256"):
        merge([seeds[0], copy], tmp_path / "merged")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["merge=[x]"], "ops=[]' 'merge=[outputs/<dataset>,outputs/<another>]'"),
        (["ops=[]", "merge=[x]"], "merge has one dataset, x, and needs at least two"),
        (["ops=[]", "merge=[x,x]"], "has one of these datasets twice. Name each once"),
        (["ops=[]", "merge=[x,7]"], "must be a list of datasets' folders"),
        (["ops=[]", "merge=x"], "must be a list of datasets' folders"),
        (["merge=[x,y]"], "and ops would make other programs"),
        (["ops=[]", "merge=[x,y]", "models=[simple_net]"], "and models would make other programs"),
        (["ops=[]", "merge=[x,y]", "measure=baseline"], "and measure would make"),
        (["ops=[]", "merge=[x,y]", "export=mlir_rl"], "and export would make"),
        (["ops=[]", "merge=[x,y]", "num_samples=9"], "num_samples is 9, which counts random programs"),
        (["ops=[]", "merge=[x,y]", "shard=1/2"], "and shard would make"),
        (["ops=[]", "merge=[x,y]"], "merge names x, which is not a finished dataset. "),
    ],
)
def test_what_cannot_be_asked_for(settings, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(said)):
        generate(compose_config(settings))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("setting", ["split_ratios={train: 1, test: 1}", "form=generic", "check=execute"])
def test_what_follows_cannot_be_chosen(setting, seeds, tmp_path):
    with pytest.raises(UserError, match="cannot be chosen where datasets are merged"):
        merge(seeds, tmp_path, setting)


def test_a_copy_and_another_in_its_place(seeds, tmp_path):
    copy = shutil.copytree(seeds[0], tmp_path / "copy")
    with pytest.raises(UserError, match="are the same dataset: one of them is a copy"):
        merge([seeds[0], copy], tmp_path / "merged")
    folders = [str(copy), str(seeds[1])]
    saved = generate(compose_config(["ops=[]", f"merge=[{','.join(folders)}]", f"output_dir={tmp_path}"])).path
    shutil.rmtree(copy)
    with pytest.raises(UserError, match=re.escape(f"merge names {copy}, which is not a finished dataset")):
        reproduce(saved, tmp_path, Listener())
    shutil.copytree(seeds[2], copy)
    with pytest.raises(UserError, match=r"it is another one\. Restore it"):
        reproduce(saved, tmp_path, Listener())


def test_splits_whose_names_differ_in_case(seeds, tmp_path):
    other = made(tmp_path / "other", split_ratios={"Train": 1, "test": 1}, num_samples=5)
    with pytest.raises(UserError, match="has names that differ only in case"):
        merge([seeds[0], other], tmp_path)


def test_everything_that_is_forged_in_a_row_is_found(tmp_path):
    """Of each column but the few that follow from nothing."""
    parents = [made(tmp_path / "parents", seed=seed, num_samples=10) for seed in (1, 2)]
    path = merge(parents, tmp_path, "storage=parquet").path
    index = path / "test.parquet"
    original, table = index.read_bytes(), pq.read_table(index)
    for column in table.schema.names:
        if column in ("seed", "error", "absolute_error"):
            continue

        def change(all_rows, column=column):
            value = all_rows[1][column]
            if column in ("loops", "unshown", "edges"):
                shape = {"loops": {"bound": 1, "iterator": "parallel"}, "edges": {"producer": 0, "consumer": 0}}
                all_rows[1][column] = [*(value or []), shape.get(column, "x")]
            else:
                is_text = pa.types.is_string(table.schema.field(column).type)
                all_rows[1][column] = different("" if value is None and is_text else value)

        forge(path, "test.parquet", rows_changed(change))
        with pytest.raises(UserError, match=r"does not hold what it claims|is damaged|is not given"):
            verify_dataset(path)
        index.write_bytes(original)
        forge_checksums(path)
    verify_dataset(path)


def test_two_versions_of_a_suite(seeds, listing, tmp_path):
    specs = [json.loads(row["spec"]) for row in rows(listing, "suites.mine")]
    second = made(tmp_path / "second", ("relu",), suites={"mine": suite(specs[:4], version=2)}, num_samples=5)
    with pytest.raises(UserError, match=re.escape("have suites.mine in two versions, 1 and 2")):
        merge([listing, second], tmp_path)
    other = made(tmp_path / "other", ("relu",), suites={"mine": suite(specs[::-1])}, num_samples=5)
    with pytest.raises(UserError, match="or with other programs"):
        merge([listing, other], tmp_path)
