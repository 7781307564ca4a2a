"""Changing the parts of a stopped run, and of shards, with names that agree with the change; and reading them apart."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import os
import resource
import signal
import struct
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from hypothesis import strategies as st
from pyarrow import ipc

from mlir_datagen.errors import UserError

METADATA = b"mlir_datagen"
SECONDS = 60
MEMORY = 3 << 30
"""In bytes: what a reader of a few kilobytes may have."""

NESTED: Any = []
for _ in range(200):
    NESTED = [NESTED]
ODD = [
    None, True, -1, 0, 3, 1 << 40, (1 << 63) - 1, (1 << 64) - 1, 1.5, "", "x", "../../x", "/tmp/x", "a/b", "\0", "\n",
    "a" * 5000, "é", [], {}, [None], {"a": {}}, NESTED, [["x"]], ["../x"], ["0" * 64], {"../../x": "0" * 64},
    {"home": 1}, "train", "test", "neural_nets",
]  # fmt: skip


def written(folder: Path, number: int, content: bytes) -> Path:
    """Put a part in the place of the one of that number, under a name that agrees with it."""
    for path in folder.glob(f"{number:08d}-*.arrow"):
        path.unlink()
    path = folder / f"{number:08d}-{hashlib.sha256(content).hexdigest()}.arrow"
    path.write_bytes(content)
    return path


def stream_of(table: Any, metadata: dict[bytes, bytes], compression: str | None = "zstd") -> bytes:
    """Return the bytes of a part, however its table is."""
    sink = pa.BufferOutputStream()
    options = ipc.IpcWriteOptions(compression=compression)
    with ipc.new_stream(sink, table.schema.with_metadata(metadata), options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def opened(content: bytes) -> tuple[Any, dict[bytes, bytes]]:
    """Return the table of a part, and its metadata."""
    with ipc.open_stream(content) as stream:
        return stream.read_all().replace_schema_metadata(None), stream.schema.metadata


def described(content: bytes, change: Callable[[Any], Any]) -> bytes:
    """Return a part with what its JSON says changed."""
    table, metadata = opened(content)
    values = orjson.loads(metadata[METADATA])
    changed = change(values)
    return stream_of(table, {METADATA: orjson.dumps(values if changed is None else changed)})


def with_rows(content: bytes, change: Callable[[list[dict[str, Any]]], Any]) -> bytes:
    """Return a part with rows changed, and with digests of the texts that agree."""
    table, metadata = opened(content)
    rows = table.to_pylist()
    change(rows)
    for row in rows:
        if isinstance(row["mlir"], str):
            row["sha256"] = hashlib.sha256(row["mlir"].encode(errors="replace")).hexdigest()
    return stream_of(pa.Table.from_pylist(rows, schema=table.schema), metadata)


@st.composite
def other_bytes(draw: st.DrawFn, contents: list[bytes]) -> bytes:
    """Draw a part with some bytes changed, cut out, put in or taken from another."""
    content, other = draw(st.sampled_from(contents)), draw(st.sampled_from(contents))
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        # Half of them where the schema and the sizes of the columns are.
        place = draw(st.one_of(st.integers(0, 600), st.integers(0, len(changed)))) % (len(changed) + 1)
        length = draw(st.sampled_from([0, 1, 1, 4, 8, 8, 64, 1000, len(changed)]))
        number = draw(st.sampled_from([0, 1, -1, -2, 1 << 20, 1 << 31, 1 << 40, 1 << 62, -(1 << 63)]))
        start = draw(st.integers(0, len(other)))
        new = draw(
            st.sampled_from(
                [
                    b"",
                    bytes([number & 0xFF]),
                    struct.pack("<q", number),
                    other[start : start + length],
                    b"\xff" * length,
                ]
            )
        )
        changed[place : place + length] = new
    return bytes(changed)


@st.composite
def other_values(draw: st.DrawFn, contents: list[bytes]) -> bytes:
    """Draw a part whose JSON has a value of another kind, a key more or one less."""

    def change(values: Any) -> Any:
        if isinstance(values, dict) and values and draw(st.integers(0, 9)):
            key = draw(st.sampled_from(sorted(values)))
            how = draw(st.integers(0, 9))
            if how == 0:
                del values[key]
            elif how == 1:
                values[draw(st.sampled_from(["x", "../../x", "table"]))] = values[key]
            else:
                values[key] = change(values[key])
            return values
        return copy.deepcopy(draw(st.sampled_from([*ODD, [values], {"a": values}])))

    return described(draw(st.sampled_from(contents)), change)


@st.composite
def other_columns(draw: st.DrawFn, contents: list[bytes]) -> bytes:
    """Draw a part with a column of another type, or of nulls, or one less, or with other values in a row."""
    table, metadata = opened(draw(st.sampled_from(contents)))
    place = draw(st.integers(0, table.num_columns - 1))
    name, rows = table.column_names[place], len(table)
    kind = draw(st.sampled_from(["type", "nulls", "drop", "twice", "value", "value", "value", "rows"]))
    if kind == "type":
        other = draw(
            st.sampled_from([
                pa.nulls(rows), pa.array(["x"] * rows).dictionary_encode(), pa.array([b"\xff"] * rows),
                pa.array([1 << 62] * rows), pa.array(["x"] * rows, pa.large_string()), pa.array([["x"]] * rows),
            ])
        )  # fmt: skip
        table = table.set_column(place, name, other)
    elif kind == "nulls":
        table = table.set_column(place, table.schema.field(place), pa.nulls(rows, table.schema.field(place).type))
    elif kind == "drop":
        table = table.remove_column(place)
    elif kind == "twice":
        table = table.append_column(table.schema.field(place), table.column(place))
    elif kind == "rows":
        table = table.slice(draw(st.integers(0, rows)), draw(st.integers(0, rows)))
    else:
        values = table.to_pylist()
        values[draw(st.integers(0, rows - 1))][name] = draw(st.sampled_from(ODD))
        with contextlib.suppress(pa.ArrowException, OverflowError, TypeError):
            table = pa.Table.from_pylist(values, schema=table.schema)
    return stream_of(table, metadata, draw(st.sampled_from(["zstd", "lz4", None])))


def ending(action: Callable[[], object]) -> str:
    """Run something in a process of its own, with little memory; return what it says, or how it ended otherwise."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        try:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                said = str(action())
            if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > MEMORY >> 10:
                said = "more memory than there is use for"
        except UserError as error:
            said = f"error: {error}"
        except BaseException:
            said = f"a traceback: {traceback.format_exc(limit=-4)}"
        os.write(write, said.encode(errors="replace")[:60_000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        told = stream.read().decode(errors="replace")
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return told
