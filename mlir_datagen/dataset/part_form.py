"""What a part of a stopped run, or of a shard, must be whoever wrote it: types, nulls, names, digests.

What is in it goes on to the names of files, to the list of rejects and to numbers of the manifest. Whether it is what
its task makes is for the task's source to tell.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Collection
from typing import Any

import orjson
import pyarrow as pa

from mlir_datagen.dataset.results import TaskResult
from mlir_datagen.errors import shown
from mlir_datagen.programs.machine import Machine
from mlir_datagen.programs.program import NETWORKS_SPLIT
from mlir_datagen.programs.proof import STAGES, Failure, Measurement
from mlir_datagen.programs.rejected import Rejected
from mlir_datagen.values import LARGEST

PROGRAM_NAME = re.compile(r"\w{1,200}", re.ASCII)
"""What programs that have names of their own may be called: a part of a path, and no more."""

_SPLIT = re.compile(r"\w{1,200}(\.\w{1,200})?", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FILLED = ("split", "source", "family", "spec", "arguments", "results", "seed", "check", "sha256", "mlir")
"""Columns that have a value for every program."""


def checked_weights(described: Any, result: TaskResult) -> dict[str, str]:
    """Return the digests of the networks' weights that belong to a part, by the names of its programs.

    Raises:
        ValueError: when they are none.
    """
    names: Collection[str] = result.strings("own_name") if result.split == NETWORKS_SPLIT else ()
    weights = _mapping(described)
    if not all(name in names and isinstance(digest, str) for name, digest in weights.items()):
        raise ValueError("its weights are not those of its programs")
    return weights


def checked_result(described: Any, table: Any) -> TaskResult:
    """Return what became of a task.

    Args:
        described: all of it but the table.
        table: the table, of the right schema.

    Raises:
        ValueError, KeyError, TypeError: when it is of another form.
    """
    values = dict(_mapping(described))
    rejected = [Rejected(**_mapping(one)) for one in values.pop("rejected")]
    machines = [Machine.of_record(one) for one in values.pop("machines")]
    result = TaskResult(**values, rejected=rejected, machines=machines, table=table)
    if not isinstance(result.split, str) or not _SPLIT.fullmatch(result.split):
        raise ValueError(f"it has a split {shown(result.split)}")
    for one in rejected:
        if not all(isinstance(field, str) for field in dataclasses.astuple(one)) or one.split != result.split:
            raise ValueError(f"it has a reject {shown(one)}")
        _check_failure(Failure(one.stage, one.reason))
    if not _are(str, result.remarks) or not _are(str, result.lost) or not all(map(_DIGEST.fullmatch, result.lost)):
        raise ValueError("its remarks, or what was lost, are none")
    if result.kept_out is not None:
        _mapping(result.kept_out)
    _check_table(result)
    return result


def _check_table(result: TaskResult) -> None:
    table = result.table
    for name in _FILLED:
        if table.column(name).null_count:
            raise ValueError(f"it has a program without {name}")
    for name in table.column_names:
        _check_elements(name, table.column(name).combine_chunks())
    if [_sha256(text) for text in result.strings("mlir")] != result.strings("sha256"):
        raise ValueError("its programs have other digests")
    if any(split != result.split for split in result.strings("split")):
        raise ValueError("it has programs of another split")
    for name, pattern in (("own_name", PROGRAM_NAME), ("key", _DIGEST)):
        for value in result.strings(name):
            if value is not None and not pattern.fullmatch(value):
                raise ValueError(f"it has a program whose {name} is {shown(value)}")
    _check_outcomes(result)


def _check_outcomes(result: TaskResult) -> None:
    for failure in filter(None, result.strings("failure")):
        _check_failure(Failure(**_mapping(orjson.loads(failure))))
    machines = {machine.id for machine in result.machines}
    for time in filter(None, result.strings("measurement")):
        values = dataclasses.asdict(Measurement(**_mapping(orjson.loads(time))))
        if values.pop("machine") not in machines:
            raise ValueError(f"it has a time {shown(time)} of a machine that it does not describe")
        if not all(isinstance(value, (int, float)) and abs(value) <= LARGEST for value in values.values()):
            raise ValueError(f"it has a time {shown(time)}")


def _check_elements(name: str, array: Any) -> None:
    """Refuse nulls in lists: only whole ones may be left out."""
    if not pa.types.is_list(array.type):
        return
    elements = array.flatten()
    fields = elements.flatten() if pa.types.is_struct(elements.type) else []
    if elements.null_count or any(field.null_count for field in fields):
        raise ValueError(f"it has a program with nothing in a list of {name}")
    for field in fields:
        _check_elements(name, field)


def _check_failure(failure: Failure) -> None:
    if failure.stage not in STAGES or not isinstance(failure.reason, str):
        raise ValueError(f"it has a reject at the stage {shown(failure.stage)}")


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"it has {shown(value)} where a mapping must be")
    return value


def _are(kind: type, values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
