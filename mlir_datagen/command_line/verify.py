"""Check a dataset against all that it claims: `mlir-datagen verify outputs/<dataset>`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.command_line.telling import progress, say, say_next
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import shown
from mlir_datagen.verification import verify_dataset

_MOST_WORKERS = 1024


def _main(dataset: Path, workers: int | None) -> None:
    started = time.perf_counter()
    with progress("comparing files", "verifying") as listener:
        listener.on_start(Dataset(dataset).count())
        checked = verify_dataset(dataset, listener.on_written, workers)
    for sentence in checked:
        say(sentence)
    print(f"checked in {time.perf_counter() - started:.1f} s")
    say_next("to make it again and compare", "reproduce", str(dataset))
    print(f"verified: {dataset}")


def _number(context: click.Context, _: click.Parameter, word: str | None) -> int | None:
    """Return a number of worker processes."""
    if word is None:
        return None
    if not word.isdecimal() or int(word) > _MOST_WORKERS:
        raise click.BadParameter(f"it is {shown(word)}, and must be from 0, for none, to {_MOST_WORKERS}", context)
    return int(word)


command = Command(
    "verify",
    callback=_main,
    help="Check a dataset's files, programs, uniqueness and splits.",
    params=[
        click.Argument(["dataset"], type=click.Path(path_type=Path), help="the dataset's folder"),
        click.Option(
            ["--workers"],
            metavar="N",
            callback=_number,
            help="worker processes (one for each core, where there is much to do)",
        ),
    ],
    examples=[
        ("outputs/<dataset>", "every file, text, column and count against what it follows from"),
        ("outputs/<dataset> --workers 0", "without worker processes"),
    ],
)
