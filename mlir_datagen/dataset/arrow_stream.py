"""Tables of Arrow as a stream of bytes, which may be anyone's.

Arrow itself refuses what is cut or does not fit together, but it believes what a compressed column says of its size: a
megabyte of zeros becomes thirty thousand. So the sizes are added up before any of them is made room for.

A stream, and not the file with a list of its parts at the end: that may name one part a million times.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from pyarrow import ipc

_OPTIONS = ipc.IpcWriteOptions(compression="lz4")
"""What is written is read again soon: zstd would take half of the room, but three times as long."""

# Of Arrow's tables of fields: `Message` and `RecordBatch`, in its format/Message.fbs.
_HEADER = 2
_ROWS, _BUFFERS, _COMPRESSION = 0, 2, 3

_UNCOMPRESSED = -1


def stream_of(table: Any, schema: Any) -> bytes:
    """Return a table as bytes.

    Args:
        table: the table.
        schema: its schema, with what else is to be kept as metadata.
    """
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema, options=_OPTIONS) as writer:
        writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


def with_metadata(content: bytes, schema: Any, metadata: Mapping[bytes, bytes]) -> bytes:
    """Return a stream with something kept as metadata: what `stream_of` makes of its table then.

    Args:
        content: the stream.
        schema: its schema, without metadata.
        metadata: what is to be kept.
    """
    # The schema is the first message of a stream.
    described: bytes = schema.with_metadata(metadata).serialize().to_pybytes()
    return described + content[schema.serialize().size :]


def table_of(content: bytes, schema: Any, most_rows: int, most_bytes: int) -> Any:
    """Return the table that a stream has, with the metadata of its schema.

    Args:
        content: the stream.
        schema: what it must have, less the metadata.
        most_rows: how many rows it may have.
        most_bytes: how many bytes its columns may have when they are not compressed.

    Raises:
        OSError, pyarrow.ArrowException, ValueError: when it is none, has another schema, or is larger.
    """
    buffer = pa.py_buffer(content)
    with ipc.open_stream(buffer) as stream:
        if not stream.schema.equals(schema):
            raise ValueError("it has other columns")
        rows = size = 0
        for batch_rows, batch_size in _claims(buffer):
            rows, size = rows + batch_rows, size + batch_size
            if rows > most_rows or size > most_bytes:
                raise ValueError(f"it says that it has more than {most_rows} rows, or {most_bytes} bytes")
        table = stream.read_all()
    table.validate(full=True)
    return table


def _claims(buffer: Any) -> Iterator[tuple[int, int]]:
    """Yield of each batch of a stream how many rows, and how many bytes without compression, it says that it has."""
    messages = iter(ipc.MessageReader.open_stream(buffer))
    next(messages)
    for message in messages:
        if message.type != "record batch":
            raise ValueError(f"it has a {message.type}")
        try:
            yield _claim(bytes(message.metadata), memoryview(message.body))
        except struct.error as error:
            raise ValueError("its parts do not fit together") from error


def _claim(metadata: bytes, body: memoryview) -> tuple[int, int]:
    header = _field(metadata, _number("<I", metadata, 0), _HEADER)
    batch = header + _number("<I", metadata, header)
    place = _field(metadata, batch, _ROWS)
    rows = _number("<q", metadata, place) if place else 0
    is_compressed = _field(metadata, batch, _COMPRESSION) != 0
    place = _field(metadata, batch, _BUFFERS)
    start = place + _number("<I", metadata, place)
    count = _number("<I", metadata, start)
    size = 0
    for offset, length in struct.iter_unpack("<qq", metadata[start + 4 : start + 4 + 16 * count]):
        if rows < 0 or offset < 0 or not 0 <= length <= len(body) - offset:
            raise ValueError("its parts do not fit together")
        said = _number("<q", body, offset) if is_compressed and length else _UNCOMPRESSED
        if said < _UNCOMPRESSED:
            raise ValueError("its parts do not fit together")
        size += length if said == _UNCOMPRESSED else said
    return rows, size


def _field(metadata: bytes, table: int, number: int) -> int:
    """Return where a field of one of the tables is; 0 where it is left out."""
    fields = table - _number("<i", metadata, table)
    place = 4 + 2 * number
    offset = _number("<H", metadata, fields + place) if place < _number("<H", metadata, fields) else 0
    return table + offset if offset else 0


def _number(form: str, content: bytes | memoryview, place: int) -> int:
    found: int = struct.unpack_from(form, content, place)[0]
    return found
