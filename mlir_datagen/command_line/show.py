"""Look at a dataset, or at one program of it: `mlir-datagen show outputs/<dataset> train/matmul_0003`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mlir_datagen.command_line.page import Page
from mlir_datagen.command_line.parsing import Command
from mlir_datagen.command_line.shown import (
    dataset_facts,
    program_facts,
    show_dataset,
    show_program,
)
from mlir_datagen.dataset.lookup import find_program
from mlir_datagen.dataset.reader import Dataset


def _main(dataset: Path, name: str | None, as_json: bool) -> None:
    found = Dataset(dataset)
    if name is None:
        facts = dataset_facts(found)
        show = show_dataset
    else:
        facts = program_facts(found, find_program(found, name))
        show = show_program
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        show(Page(), found, facts)


command = Command(
    "show",
    callback=_main,
    help="Show what a dataset has, or one program of it: its text, signature, cost, times, and what makes it again. "
    "Coloured on a terminal, unless NO_COLOR is set; plain text in a pipe.",
    params=[
        click.Argument(["dataset"], metavar="PATH", type=click.Path(path_type=Path), help="the dataset's folder"),
        click.Argument(
            ["name"],
            required=False,
            help="a program: train/matmul_0003, its name alone where no other split has it, or the beginning of one",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="print JSON"),
    ],
    examples=[
        ("outputs/<dataset>", "splits, families, sizes, what is proven, what was measured"),
        ("outputs/<dataset> train/matmul_0003", "one program"),
        ("outputs/<dataset> train/matmul_0003 --json", "its row of the index and its times, for other programs"),
    ],
)
