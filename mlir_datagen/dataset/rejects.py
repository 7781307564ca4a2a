"""The programs of a run that were not kept, each with what repeats it: `rejects.jsonl`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import orjson

from mlir_datagen import foreign
from mlir_datagen.errors import UserError, said, shown
from mlir_datagen.programs.rejected import Rejected

REJECTS = "rejects.jsonl"

_FIELDS = {field.name for field in dataclasses.fields(Rejected)}


def write_rejects(root: Path, rejected: Sequence[Rejected]) -> None:
    """Write the file, if there is anything to write."""
    if rejected:
        lines = [orjson.dumps(dataclasses.asdict(one)).decode() for one in rejected]
        (root / REJECTS).write_text("\n".join(lines) + "\n")


def read_rejects(root: Path) -> list[Rejected]:
    """Return what was rejected, in the order of the run; nothing where there is no such file.

    Raises:
        UserError: when it is not of its format.
    """
    path = root / REJECTS
    try:
        lines = foreign.read_text(path, foreign.LARGEST_LIST).splitlines()
        return [_rejected(line) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({said(error)}). Generate the dataset again.") from error


def _rejected(line: str) -> Rejected:
    fields = orjson.loads(line)
    if (
        not isinstance(fields, dict)
        or set(fields) != _FIELDS
        or not all(isinstance(one, str) for one in fields.values())
    ):
        raise ValueError(f"{shown(line)} is no rejected program")
    return Rejected(**fields)
