"""What a run has made so far, kept beside its dataset until that is published: a stopped run goes on from there.

A part is what became of one task, checked, proven and ready to be written, in a file of its own: a table of Arrow, and
all else as JSON in its metadata. Its name says which one it is, and the digest of its content, so that one that was cut
or changed is made again. So is one that somebody else wrote, as far as that shows: in its form, or where it has other
programs than its task. Nothing in it is run.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from mlir_datagen import foreign
from mlir_datagen.dataset.arrow_stream import table_of, with_metadata
from mlir_datagen.dataset.part_form import checked_result, checked_weights
from mlir_datagen.dataset.results import RESULT_SCHEMA, TaskResult
from mlir_datagen.dataset.weights import WEIGHTS_FOLDER, weights_file
from mlir_datagen.dataset.writer import file_sha256
from mlir_datagen.errors import Resumable
from mlir_datagen.programs.program import NETWORKS_SPLIT

Fits = Callable[[TaskResult, Collection[str]], bool]
"""Tells whether a result, and the names of the networks whose weights are there, can be what became of a task."""

PART_NAME = re.compile(r"\d{8}-[0-9a-f]{64}\.arrow", re.ASCII)
_METADATA = b"mlir_datagen"
_LARGEST = 4 << 30
"""In bytes: of a part, and of what is in it. The texts of one are in a column, which takes half of that."""
_MOST_PROGRAMS = 1 << 20


class Parts:
    """The parts of one run, in the order in which its tasks were written.

    Only a run that has its dataset's lock may have them.

    Args:
        dataset: the folder of the dataset to be.
        root: where it is until it is published.
        header: all that programs depend on, as plain values: parts that depend on anything else are no good.

    Attributes:
        folder: where they are.
        programs: how many programs they have.
        count: how many of them were handed out again, or taken in.
    """

    def __init__(self, dataset: Path, root: Path, header: Mapping[str, Any]) -> None:
        self.folder, self._root = parts_folder(dataset), root
        self._header = _sha256(orjson.dumps(header, option=orjson.OPT_SORT_KEYS))
        self.count = self.programs = 0
        self._with_weights: set[str] = set()
        self._waiting = self._usable()

    def next(self, fits: Fits) -> TaskResult | None:
        """Return what became of the next task, if that is known, with its files put in their place.

        Args:
            fits: tells whether a result can be that of the task. One that cannot is made again, and so are those after
                it.

        Raises:
            Resumable: when a part has changed since this was opened.
        """
        if not self._waiting:
            return None
        path = self._waiting.popleft()
        part = self._usable_part(path, self.count)
        if part is None:
            raise Resumable(
                f"{path} was changed while the run went on from it. Type the same command again: what it held is made "
                "again."
            )
        if not fits(part.result, part.weights):
            self._forget([path, *self._waiting])
            return None
        for name in part.weights:
            target = weights_file(self._root, name)
            target.parent.mkdir(exist_ok=True)
            _link(weights_file(self.folder, name), target)
        self.count += 1
        self._with_weights.update(part.weights)
        return part.result

    def add(self, result: TaskResult) -> None:
        """Keep what became of the next task.

        Raises:
            OSError: when it cannot be written.
        """
        assert not self._waiting
        self.folder.mkdir(exist_ok=True)
        names = result.strings("own_name") if result.split == NETWORKS_SPLIT else []
        # Of networks of one name, as the run and a suite may have, the run's come first, and have weights.
        weights = [name for name in names if name not in self._with_weights and weights_file(self._root, name).exists()]
        self._with_weights.update(names)
        for name in weights:
            kept = weights_file(self.folder, name)
            kept.parent.mkdir(exist_ok=True)
            kept.unlink(missing_ok=True)
            _link(weights_file(self._root, name), kept)
        content = _content(Part(self._header, self.count, self._digests(weights), result))
        name = f"{self.count:08d}-{_sha256(content)}.arrow"
        partial = self.folder / f".{name}.partial"
        partial.write_bytes(content)
        partial.rename(self.folder / name)
        self.count += 1
        self.programs += len(result)

    def _forget(self, paths: Iterable[Path]) -> None:
        for path in paths:
            _delete(path)
        self._waiting.clear()

    @property
    def names(self) -> list[str]:
        """The names of their files, in order."""
        return sorted(path.name for path in self.folder.glob("*.arrow"))

    def _digests(self, weights: Iterable[str]) -> dict[str, str]:
        return {name: file_sha256(weights_file(self.folder, name)) for name in weights}

    def _usable(self) -> deque[Path]:
        """Return the parts that are whole, up to the first that is not; delete the others."""
        usable = deque[Path]()
        if self.folder.is_symlink() or not self.folder.is_dir():
            _delete(self.folder)
            return usable
        weights = self.folder / WEIGHTS_FOLDER
        if weights.is_symlink() or not weights.is_dir():
            _delete(weights)
        found = sorted(path for path in self.folder.iterdir() if path.name != WEIGHTS_FOLDER)
        for number, path in enumerate(found):
            part = self._usable_part(path, number) if number == len(usable) and PART_NAME.fullmatch(path.name) else None
            if part is None:
                _delete(path)
            else:
                usable.append(path)
                self.programs += len(part.result)
        return usable

    def _usable_part(self, path: Path, number: int) -> Part | None:
        """Return a part; None where it is not whole, or is none of this run."""
        # What is in it has another form in other versions, or where somebody else wrote it.
        with suppress(*PART_ERRORS):
            part = None if path.is_symlink() else read_part(path)
            if part is None or part.header != self._header or part.number != number:
                return None
            are_linked = any(weights_file(self.folder, name).is_symlink() for name in part.weights)
            if not are_linked and part.weights == self._digests(part.weights):
                return part
        return None


class Part(NamedTuple):
    """A part.

    Attributes:
        header: the digest of what it depends on.
        number: which one it is.
        weights: the digests of the networks' weights that belong to it, by name.
        result: what became of a task.
    """

    header: str
    number: int
    weights: dict[str, str]
    result: TaskResult


def part_bytes(result: TaskResult) -> int:
    """Return the size of a part."""
    return len(_content(Part("", 0, {}, result)))


def _content(part: Part) -> bytes:
    """Return a part as the bytes of its file."""
    described = {
        "header": part.header, "number": part.number, "weights": part.weights, "result": part.result.beside_table,
    }  # fmt: skip
    return with_metadata(part.result.stream, RESULT_SCHEMA, {_METADATA: orjson.dumps(described)})


PART_ERRORS = (OSError, pa.ArrowException, ValueError, KeyError, TypeError, AttributeError)
"""What reading a part raises when it is none: others have another form, of other versions or of somebody else."""


def read_part(path: Path) -> Part:
    """Read a part.

    Raises:
        OSError, pyarrow.ArrowException, ValueError, KeyError, TypeError, AttributeError: when it is none.
    """
    content = foreign.read_bytes(path, _LARGEST)
    if path.name.partition("-")[2] != f"{_sha256(content)}.arrow":
        raise ValueError("its content is not that of its name")
    table = table_of(content, RESULT_SCHEMA, _MOST_PROGRAMS, _LARGEST)
    described = orjson.loads(table.schema.metadata[_METADATA])
    result = checked_result(described["result"], table.replace_schema_metadata(None))
    return Part(described["header"], described["number"], checked_weights(described["weights"], result), result)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def parts_folder(dataset: Path) -> Path:
    """Return where the parts of a dataset that is being made are."""
    return dataset.with_name(f".{dataset.name}.parts")


def remove_parts(dataset: Path) -> None:
    """Delete what was kept of a run: its dataset is published, or cannot be made."""
    _delete(parts_folder(dataset))


def remove_forgotten_parts(dataset: Path) -> None:
    """Delete what a run has left that was killed when it had just published its dataset, where that can be done."""
    if parts_folder(dataset).exists():
        # The run may be at it itself, or the folder be nobody's to change.
        with suppress(OSError):
            remove_parts(dataset)


def _link(path: Path, other: Path) -> None:
    """Have a file under another name as well, or a copy where the disk cannot do that."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)


def _delete(path: Path) -> None:
    """Delete what may be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
