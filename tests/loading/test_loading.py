"""Rows of a dataset by number, name and filter, held against what pyarrow and the datasets library read."""

from __future__ import annotations

import math
import pickle
import shutil

import datasets
import pandas
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import mlir_datagen
from mlir_datagen import UserError, load_dataset
from mlir_datagen.dataset.reader import Dataset


@pytest.fixture(scope="module")
def programs(in_parquet):
    return load_dataset(in_parquet)


def rows_of(folder):
    dataset = Dataset(folder)
    files = [folder / file for split in dataset.splits for file in dataset.index_files(split)]
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def test_rows_are_those_of_the_files(programs, in_parquet):
    expected = rows_of(in_parquet)
    assert list(programs) == expected
    assert len(programs) == len(expected) == 60
    assert [programs[number] for number in (0, 17, 59, -1)] == [expected[number] for number in (0, 17, 59, -1)]
    assert list(programs[40:5:-7]) == expected[40:5:-7]
    assert list(programs.take([5, 50, 5])) == [expected[number] for number in (5, 50, 5)]


def test_rows_are_those_that_the_datasets_library_reads(programs, in_parquet, tmp_path):
    read = datasets.load_dataset(str(in_parquet), cache_dir=str(tmp_path))
    assert programs.splits == list(read)
    for split in read:
        assert list(programs.split(split)) == list(read[split])


def test_names_find_programs(programs):
    for row in (programs[0], programs[55]):
        assert programs[f"{row['split']}/{row['name']}"] == row
    train = programs.split("train")
    assert train[train[3]["name"]] == train[3]


def test_a_name_of_two_splits_must_say_which(programs):
    shared = {row["name"] for row in programs.split("train")} & {row["name"] for row in programs.split("test")}
    name = min(shared)
    with pytest.raises(UserError, match=f"2 programs are named {name}: type which, as train/{name}, test/{name}"):
        programs[name]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("matmul_99", "No program here is named 'matmul_99'"),
        ("train/matmul_99", "No program here is named 'train/matmul_99'"),
        (60, "There is no program 60: there are 60, from 0 on"),
        (-61, "There is no program -61"),
    ],
)
def test_what_is_not_there_is_an_index_error_and_a_key_error(programs, key, message):
    for error in (IndexError, KeyError, UserError):
        with pytest.raises(error, match=message):
            programs[key]
    with pytest.raises(UserError, match='Did you mean "matmul_00'):
        programs["matmul_9"]


def test_filters_keep_what_pandas_keeps(programs, in_parquet):
    frame = pandas.DataFrame(rows_of(in_parquet))
    median = int(frame.flops.median())
    for kept, expected in (
        (programs.where(family="matmul"), frame[frame.family == "matmul"]),
        (programs.where(family=["matmul", "sequence"], split="train"),
         frame[frame.family.isin(["matmul", "sequence"]) & (frame.split == "train")]),
        (programs.where(pc.field("flops") <= median, family="conv2d"),
         frame[(frame.flops <= median) & (frame.family == "conv2d")]),
        (programs.where(error=None), frame[frame.error.isna()]),
        (programs.where(family="relu"), frame[:0]),
        (programs[::-1].where(minimum_mlir=16)[::-1], frame[frame.minimum_mlir == 16]),
    ):  # fmt: skip
        assert [(row["split"], row["name"]) for row in kept] == list(zip(expected.split, expected.name, strict=True))


@pytest.mark.parametrize(
    ("conditions", "values", "message"),
    [
        ((), {"famly": "matmul"}, "has no column 'famly'. Did you mean \"family\""),
        ((), {"flops": "many"}, "flops is of the type int64, and 'many' is not"),
        ((), {"flops": 1024.5}, r"flops is of the type int64, and 1024\.5 is not"),
        ((), {"flops": [1024, 2**70]}, "flops is of the type int64"),
        ((), {"flops": math.nan}, "flops is of the type int64, and nan is not"),
        ((), {"family": 3}, "family is of the type string, and 3 is not"),
        ((), {"error": "small"}, "error is of the type double, and 'small' is not"),
        ((), {"nodes": 3}, "nodes has lists"),
        ((pc.field("flps") < 3,), {}, "does not fit the columns"),
        (("flops < 3",), {}, "must be an expression of pyarrow.compute"),
    ],
)
def test_a_wrong_filter_is_answered(programs, conditions, values, message):
    with pytest.raises(UserError, match=message):
        programs.where(*conditions, **values)


def test_shards_are_the_files_of_the_index(programs):
    shards = programs.shards()
    assert [len(shard) for shard in shards] == [16, 16, 16, 2, 10]
    assert [row for shard in shards for row in shard] == list(programs)
    assert [len(shard) for shard in programs.where(family="matmul").shards()] == [
        sum(row["family"] == "matmul" for row in shard) for shard in shards
    ]


def test_tables_have_the_columns_that_are_asked_for(programs):
    table = programs.split("test").table(["flops", "name"])
    assert table.to_pydict() == {
        column: [row[column] for row in programs.split("test")] for column in ("flops", "name")
    }
    assert programs.where(family="relu").table(["flops"]).num_rows == 0
    assert [len(batch) for batch in programs.batches(10)] == [10, 6, 10, 6, 10, 6, 2, 10]
    for columns, message in (("flops", "must be a list"), (["flop"], 'Did you mean "flops"')):
        with pytest.raises(UserError, match=message):
            programs.table(columns)


def test_words_are_all_that_occur(programs):
    rows = list(programs)
    assert programs.words("family") == sorted({row["family"] for row in rows})
    assert programs.words("nodes.op") == sorted({node["op"] for row in rows for node in row["nodes"]})
    assert programs.words("nodes.loops.iterator") == ["parallel", "reduction"]
    for column, message in (("flops", "has no words"), ("nodes", "Name one"), ("nodes.ops", 'Did you mean "op"')):
        with pytest.raises(UserError, match=message):
            programs.words(column)


def test_programs_can_be_sent_to_other_processes(programs):
    again = pickle.loads(pickle.dumps(programs.split("test")))
    assert list(again) == list(programs.split("test"))


def test_texts_and_times_that_are_in_other_files(in_files):
    programs = load_dataset(in_files, "train")
    assert [row["mlir"] for row in programs] == [(in_files / row["file"]).read_text() for row in programs]
    times = programs.table(["median_ns", "disturbed", "runs"])
    assert min(times.column("median_ns").to_pylist()) > 0
    quick = programs.where(pc.field("median_ns") < 1e5)
    assert 0 < len(quick) == sum(row["median_ns"] < 1e5 for row in programs)


def test_a_changed_text_is_not_handed_out(in_files, tmp_path):
    copy = shutil.copytree(in_files, tmp_path / in_files.name)
    row = load_dataset(copy)[0]
    (copy / row["file"]).write_text(row["mlir"].replace("linalg", "other"))
    with pytest.raises(UserError, match=f"the text of {row['name']} is not the one of its sha256"):
        load_dataset(copy)[0]
    assert load_dataset(copy).table(["name"]).num_rows == 24


def test_what_is_no_dataset_is_answered(tmp_path, in_parquet):
    with pytest.raises(UserError, match="is not a dataset"):
        load_dataset(tmp_path)
    with pytest.raises(UserError, match=r"has no split 'trian'. Did you mean \"train\"\? It has train, test"):
        load_dataset(in_parquet, "trian")


def test_the_public_name():
    assert mlir_datagen.load_dataset is load_dataset
