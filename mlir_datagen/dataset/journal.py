"""The journal of a session of measuring: what is done already, so that a stopped session goes on where it was."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from mlir_datagen.dataset.disk_errors import recordable
from mlir_datagen.errors import UserError
from mlir_datagen.programs.proof import Failure, Measurement

Place = tuple[str, str]
"""Split and name of a program."""


class Journal:
    """A hidden file beside a dataset with a line of JSON for each program that is done, written as it is done.

    The first line says what the times belong to; a journal that belongs to something else starts over. Entering it
    reads what an earlier session left, less a last line that a kill has cut. Leaving it keeps the file.

    Args:
        dataset: the dataset's folder.
        purpose: the last part of the file's name.
        header: the dataset's digest and all that a session's times depend on, as plain values.

    Raises:
        UserError: on entering, when another process has the journal, or when it cannot be written.
    """

    def __init__(self, dataset: Path, purpose: str, header: Mapping[str, Any]) -> None:
        self.path = dataset.with_name(f".{dataset.name}.{purpose}.jsonl")
        self.outcomes: dict[Place, Measurement | Failure] = {}
        self._dataset = dataset
        self._header = _line(header)
        self._file: BinaryIO

    def add(self, place: Place, outcome: Measurement | Failure) -> None:
        """Write one program's outcome down."""
        split, name = place
        kind = "failed" if isinstance(outcome, Failure) else "measured"
        with recordable(self.path):
            self._file.write(_line({"split": split, "name": name, kind: dataclasses.asdict(outcome)}))
            self._file.flush()
        self.outcomes[place] = outcome

    def remove(self) -> None:
        """Delete the file: what it holds is stored elsewhere now, or not needed any more."""
        self.path.unlink()

    def __enter__(self) -> Self:
        with recordable(self.path):
            while not self._try_lock():
                self._file.close()
            kept = self._read()
            self._file.seek(kept)
            self._file.truncate()
            if kept == 0:
                self._file.write(self._header)
                self._file.flush()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _try_lock(self) -> bool:
        """Lock the file; False when another process removed it meanwhile."""
        self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(
                f"Another run is measuring {self._dataset} now, and has locked {self.path}. Wait until it ends, or "
                "stop it, and type the same command again; it goes on where that run stopped."
            ) from None
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False

    def _read(self) -> int:
        """Take in the outcomes that belong to this session; return how many bytes of the file that are."""
        lines = self._file.readlines()
        if not lines or lines[0] != self._header:
            return 0
        kept = len(lines[0])
        for line in lines[1:]:
            entry = _entry(line)
            if entry is None:
                break
            place, outcome = entry
            self.outcomes[place] = outcome
            kept += len(line)
        return kept


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode() + b"\n"


def _entry(line: bytes) -> tuple[Place, Measurement | Failure] | None:
    """Read a program's line; None when it is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        read = json.loads(line)
        outcome = Failure(**read["failed"]) if "failed" in read else Measurement(**read["measured"])
        return (read["split"], read["name"]), outcome
    except (ValueError, KeyError, TypeError):
        return None
