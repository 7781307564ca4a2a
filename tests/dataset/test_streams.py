"""What workers send and runs keep: streams of Arrow, made once."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest
from pyarrow import ipc

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.arrow_stream import stream_of, with_metadata
from mlir_datagen.dataset.results import result_of
from mlir_datagen.pipeline.run import planned
from mlir_datagen.programs.proof import Failure


@pytest.fixture(scope="module")
def result():
    source, plan = planned(compose_config(["ops=[matmul,relu]", "dims=small", "num_samples=8"]))
    return result_of(source.produce(plan.tasks[0]))


def test_metadata_is_added_without_making_the_stream_again():
    schema = pa.schema([("a", pa.string()), ("b", pa.list_(pa.int64()))])
    metadata = {b"mlir_datagen": b'{"x": "' + b"y" * 1001 + b'"}'}
    for rows in ([], [{"a": "x" * 100, "b": [1, 2]}, {"a": None, "b": None}]):
        table = pa.Table.from_pylist(rows, schema)
        content = with_metadata(stream_of(table, schema), schema, metadata)
        assert content == stream_of(table, schema.with_metadata(metadata))
        with ipc.open_stream(content) as stream:
            assert stream.schema.metadata == metadata
            assert stream.read_all().to_pylist() == rows


def test_what_was_sent_is_kept_as_it_came(result, monkeypatch):
    sent = pickle.loads(pickle.dumps(result))
    assert sent.beside_table == result.beside_table
    assert sent.table.equals(result.table)
    with monkeypatch.context() as patched:
        patched.setattr("mlir_datagen.dataset.results.stream_of", lambda *_: pytest.fail("it is made again"))
        assert sent.stream == result.stream
        assert sent.without({}).settled() is sent


def test_what_is_left_of_it_has_a_stream_of_its_own(result):
    sent = pickle.loads(pickle.dumps(result))
    fewer = sent.without({0: Failure("unique", "it was there")})
    with ipc.open_stream(fewer.stream) as stream:
        assert stream.read_all().equals(result.table.slice(1))
