"""A shard on the disk: what became of a stretch of a config's tasks, made anywhere, to be merged into its dataset."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlir_datagen import foreign
from mlir_datagen.dataset.description import CONFIG, config_text
from mlir_datagen.dataset.durable import flush_folder
from mlir_datagen.dataset.parts import PART_ERRORS, PART_NAME, read_part
from mlir_datagen.dataset.results import TaskResult
from mlir_datagen.dataset.settings import DatasetSettings
from mlir_datagen.errors import UserError, listed, said, shown
from mlir_datagen.version import GENERATOR_VERSION

SHARD = "shard.json"
_VERSION = 1


@dataclass(frozen=True)
class Shard:
    """What a shard says of itself.

    Attributes:
        fingerprint: of the config.
        number, of: which it is, from 1 on, and of how many.
        first_task, tasks: its stretch of the config's tasks.
        programs: how many it has.
        environment: the versions of what made it.
        parts: the names of its files, one for each task.
    """

    fingerprint: str
    number: int
    of: int
    first_task: int
    tasks: int
    programs: int
    environment: Mapping[str, Any]
    parts: Sequence[str]


def stretch(number: int, of: int, tasks: int) -> range:
    """Return the tasks of a shard."""
    return range((number - 1) * tasks // of, number * tasks // of)


def write_shard(folder: Path, parts: Path, shard: Shard, settings: DatasetSettings) -> None:
    """Write all of a shard: its parts are moved, and what describes it comes last.

    Args:
        folder: where to.
        parts: the folder that has them.
        shard: what it says of itself.
        settings: of the run.
    """
    for name in shard.parts:
        (parts / name).rename(folder / name)
    (folder / CONFIG).write_text(config_text(settings))
    described = {"version": _VERSION, "generator_version": GENERATOR_VERSION, **asdict(shard)}
    (folder / SHARD).write_text(json.dumps(described, indent=2) + "\n")
    flush_folder(folder)


def read_shard(folder: Path) -> Shard:
    """Read what a shard says of itself.

    Raises:
        UserError: when the folder is no shard, or one that this version cannot merge.
    """
    path = folder / SHARD
    try:
        read = foreign.read_json(path)
        if not isinstance(read, dict):
            raise TypeError("it is not a JSON object")
        version, generator = read.pop("version", None), read.pop("generator_version", None)
        if (version, generator) != (_VERSION, GENERATOR_VERSION):
            raise UserError(
                f"{folder} was made by generator version {shown(generator)}, and this is version {GENERATOR_VERSION}, "
                "which makes other bytes. Make all shards with one version."
            )
        shard = Shard(**read)
        _check(shard)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{folder} is no shard: it has no {SHARD}. Name folders that scripts/generate.py printed for shard=1/4, "
            "shard=2/4 and so on."
        ) from None
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged: {said(error)}. Make the shard again.") from error
    return shard


def _check(shard: Shard) -> None:
    numbers = (shard.number, shard.of, shard.first_task, shard.tasks, shard.programs)
    if not all(type(number) is int and number >= 0 for number in numbers) or not 1 <= shard.number <= shard.of:
        raise ValueError("its numbers are none of a shard")
    if not isinstance(shard.parts, list) or len(shard.parts) != shard.tasks:
        raise ValueError(f"it has {shard.tasks} tasks, and as many parts it must list")
    for place, name in enumerate(shard.parts):
        if not isinstance(name, str) or not PART_NAME.fullmatch(name) or int(name[:8]) != place:
            raise ValueError(f"{shown(name)} is not the name of its part {place}")
    if not isinstance(shard.fingerprint, str) or not re.fullmatch(r"[0-9a-f]{12}", shard.fingerprint, re.ASCII):
        raise ValueError(f"{shown(shard.fingerprint)} is no fingerprint")
    if not isinstance(shard.environment, dict) or not all(map(_is_plain, shard.environment.values())):
        raise TypeError("its environment must be a mapping to texts")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str)


def results_of(folder: Path, shard: Shard, first: int) -> Iterator[TaskResult]:
    """Yield what became of a shard's tasks, from one of the config's tasks on.

    Raises:
        UserError: when a part is missing, or is not what its name says.
    """
    for name in shard.parts[max(0, first - shard.first_task) :]:
        path = folder / name
        try:
            part = read_part(path)
        except PART_ERRORS as error:
            raise UserError(
                f"{path} is missing or damaged ({said(error)}). Make shard={shard.number}/{shard.of} again."
            ) from error
        if part.weights:
            raise UserError(f"{path} has weights of networks, and a shard has random programs alone. Make it again.")
        yield part.result


def check_complete(shards: Mapping[Path, Shard]) -> None:
    """Refuse shards that are not all of one config.

    Raises:
        UserError: with what is missing, there twice, or of another config or environment.
    """
    first, *others = shards.items()
    for folder, shard in others:
        for what in ("fingerprint", "of", "environment"):
            one, other = (getattr(each, what) for each in (first[1], shard))
            if one != other:
                raise UserError(
                    f"{first[0]} and {folder} are not shards of one run: the {what} of one is {shown(one)}, that of "
                    f"the other {shown(other)}. Name the shards of one config, made with one version of everything."
                )
    of, numbers = first[1].of, [shard.number for shard in shards.values()]
    # There may be said to be any number of them.
    missing = itertools.islice((number for number in range(1, of + 1) if number not in numbers), 10)
    if some := [f"shard={number}/{of}" for number in missing]:
        raise UserError(f"Of the {of} shards {of - len(set(numbers))} are missing: {listed(some)}. Make these, too.")
    if len(set(numbers)) < len(numbers):
        raise UserError("One of the shards is named twice, in two folders. Name each once.")
