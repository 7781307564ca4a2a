"""Make one dataset of several, or of all shards of a config: `python scripts/merge.py outputs/random-* -o merged`.

Of finished datasets, what is there twice is there once, and no split has what another has. Of shards, the result has
the bytes that the config makes without them; stopped, that goes on where it was.
"""

from __future__ import annotations

import _cli  # isort: split

import argparse
import sys
import time
from pathlib import Path

import _telling

from mlir_datagen.config.compose import compose_config
from mlir_datagen.config.overrides import quoted
from mlir_datagen.dataset.manifest import MANIFEST
from mlir_datagen.dataset.shard import SHARD
from mlir_datagen.errors import UserError
from mlir_datagen.pipeline.run import Listener, Outcome, generate
from mlir_datagen.pipeline.sharding import merge_shards

_NAME, _STORAGE = "merged", "both"


def main() -> None:
    """Merge the datasets or the shards that the command line names."""
    parser = argparse.ArgumentParser(description="Make one dataset of several, or of all shards of a config.")
    parser.add_argument("folders", type=Path, nargs="+", help="datasets, whose order numbers the programs; or shards")
    parser.add_argument(
        "-o", "--output-dir", type=Path, default=Path("outputs"), help="where the dataset goes (outputs)"
    )
    parser.add_argument("--name", help=f"of the dataset that is made of others ({_NAME})")
    parser.add_argument("--storage", help=f"where the text goes there: files, parquet, or both ({_STORAGE})")
    parser.add_argument(
        "--no-report", dest="report", action="store_false", help="make no croissant.json beside the dataset"
    )
    arguments = parser.parse_args()
    started = time.perf_counter()
    with _telling.progress() as listener:
        outcome = _merged(arguments, listener)
    seconds = time.perf_counter() - started
    try:
        if arguments.report:
            _telling.present(outcome.path)
    finally:
        _telling.print_outcome(outcome, seconds)


def _merged(arguments: argparse.Namespace, listener: Listener) -> Outcome:
    folders: list[Path] = arguments.folders
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
        if arguments.name is not None or arguments.storage is not None:
            raise UserError("--name and --storage are for datasets; of shards, their config says both. Leave them out.")
        return merge_shards(folders, arguments.output_dir, listener)
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise UserError(
            "One dataset is made of at least two different ones, each named once. Type for instance python "
            "scripts/merge.py outputs/<dataset> outputs/<another> -o outputs"
        )
    settings = {
        "ops": "[]",
        "merge": f"[{','.join(quoted(str(folder)) for folder in folders)}]",
        "name": quoted(arguments.name or _NAME),
        "storage": quoted(arguments.storage or _STORAGE),
        "output_dir": quoted(str(arguments.output_dir)),
    }
    return generate(compose_config([f"{key}={value}" for key, value in settings.items()]), listener)


if __name__ == "__main__":
    sys.exit(_cli.run(main))
