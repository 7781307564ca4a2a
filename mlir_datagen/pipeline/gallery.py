"""A page with one program of every op: what a reader gets before he asks for any."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.run import RunConfig
from mlir_datagen.dataset.results import result_of
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.sources.random_ops import RandomOps

_SETTINGS = ("dims=small", "num_samples=1", "splits=null", "limits.max_flops=2000000")


def gallery_page() -> str:
    """Return the page: of each op the first program that a small dataset has, its costs, and what makes it again."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# A program of every op\n"
    yield "Written by `python scripts/list_programs.py`: the first program of each op with `dims=small`, and what the"
    yield "index says of it. [ops.md](ops.md) says which operations and element types each op has.\n"
    settings = compose_config(["ops=[all]", *_SETTINGS])
    for name in PROGRAM_FAMILIES:
        row = _first_row(settings, name)
        yield f"## {name}\n"
        yield f"{_costs(row)}\n"
        yield f"```bash\npython scripts/program.py {name} {shlex.quote(row['spec'])}\n```\n"
        yield f"```mlir\n{row['mlir']}```\n"


def _first_row(settings: RunConfig, name: str) -> dict[str, Any]:
    alone = dataclasses.replace(settings.random_settings, ops={name: settings.ops[name]})
    source = RandomOps(alone)
    (task,) = source.plan(settings.splits).tasks
    row: dict[str, Any] = result_of(source.produce(task)).table.to_pylist()[0]
    return row


def _costs(row: Mapping[str, Any]) -> str:
    loops = " x ".join(f"{loop['bound']} {loop['iterator']}" for loop in row["loops"])
    nodes = ", ".join(dict.fromkeys(f"`{node['op']}`" for node in row["nodes"]))
    count = len(row["nodes"])
    return (
        f"{count} operation{'s' if count > 1 else ''} ({nodes}); loops of the main one: {loops}; "
        f"{row['flops']} flops, {row['bytes_moved']} bytes, {row['arithmetic_intensity']:.2f} flops for each byte."
    )
