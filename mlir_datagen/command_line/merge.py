"""Make one dataset of several, or of all shards of a config: `mlir-datagen merge outputs/random-* -o merged`.

Of finished datasets, what is there twice is there once, and no split has what another has. Of shards, the result has
the bytes that the config makes without them; stopped, that goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.command_line.telling import present, print_outcome, progress
from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.overrides import quoted
from mlir_datagen.dataset.manifest import MANIFEST
from mlir_datagen.dataset.shard import SHARD
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import Listener, Outcome, generate
from mlir_datagen.pipeline.sharding import merge_shards

_NAME, _STORAGE = "merged", "both"


def _main(folders: tuple[Path, ...], output_dir: Path, name: str | None, storage: str | None, report: bool) -> None:
    started = time.perf_counter()
    with progress("reading", "merging") as listener:
        outcome = _merged(folders, output_dir, name, storage, listener)
    seconds = time.perf_counter() - started
    try:
        if report:
            present(outcome.path)
    finally:
        print_outcome(outcome, seconds)


def _merged(
    folders: Sequence[Path], output_dir: Path, name: str | None, storage: str | None, listener: Listener
) -> Outcome:
    datasets = [folder for folder in folders if (folder / MANIFEST).exists()]
    shards = [folder for folder in folders if (folder / SHARD).exists()]
    if datasets and shards:
        raise UserError(
            f"{datasets[0]} is a finished dataset, and {shards[0]} is a shard of one. Merge all shards of a config "
            "first, and their dataset with the other."
        )
    if not datasets and not shards:
        raise UserError(
            f"{folders[0]} is neither a finished dataset, with a {MANIFEST}, nor a shard, with a {SHARD}. Name folders "
            "that scripts/generate.py printed as its last line."
        )
    if not datasets:
        if name is not None or storage is not None:
            raise UserError("--name and --storage are for datasets; of shards, their config says both. Leave them out.")
        return merge_shards(folders, output_dir, listener)
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise UserError(
            "One dataset is made of at least two different ones, each named once. Type for instance python "
            "scripts/merge.py outputs/<dataset> outputs/<another> -o outputs"
        )
    settings = {
        "ops": "[]",
        "merge": f"[{','.join(quoted(str(folder)) for folder in folders)}]",
        "name": quoted(name or _NAME),
        "storage": quoted(storage or _STORAGE),
        "output_dir": quoted(str(output_dir)),
    }
    return generate(compose_config([f"{key}={value}" for key, value in settings.items()]), listener)


command = Command(
    "merge",
    callback=_main,
    help="Make one dataset of several, or of all shards of a config.",
    params=[
        click.Argument(
            ["folders"],
            nargs=-1,
            required=True,
            type=click.Path(path_type=Path),
            help="datasets, whose order numbers the programs; or shards",
        ),
        click.Option(
            ["-o", "--output-dir"],
            type=click.Path(path_type=Path),
            default="outputs",
            show_default=True,
            help="where the dataset goes",
        ),
        click.Option(["--name"], help=f"of the dataset that is made of others (default: {_NAME})"),
        click.Option(["--storage"], help=f"where the text goes there: files, parquet, or both (default: {_STORAGE})"),
        click.Option(["--report/--no-report"], default=True, help="whether pictures and a report are made beside it"),
    ],
    examples=[
        ("outputs/random-* -o merged --storage parquet", "one dataset of several"),
        ("outputs/random-*.shard-*", "the dataset of all shards of a config"),
    ],
)
