"""Make a dataset again from its saved config and compare: `mlir-datagen reproduce outputs/<dataset>`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from mlir_datagen.command_line.parsing import Command, Several
from mlir_datagen.command_line.telling import progress
from mlir_datagen.verification.reproduction import reproduce


def _main(dataset: Path, work_dir: Path | None, trust: tuple[str, ...]) -> None:
    started = time.perf_counter()
    with progress() as listener:
        compared = reproduce(dataset, work_dir, listener, trust)
    print(compared)
    print(f"made again in {time.perf_counter() - started:.1f} s")
    print(f"reproduced: {dataset}")


command = Command(
    "reproduce",
    callback=_main,
    help="Make a dataset again from its saved config and compare every byte.",
    params=[
        click.Argument(["dataset"], type=click.Path(path_type=Path), help="the dataset's folder"),
        click.Option(
            ["--work-dir"],
            type=click.Path(path_type=Path),
            help="where it is made again (default: the system's temporary folder)",
        ),
        Several(["--trust"], metavar="PACKAGE...", help="packages whose classes its networks may import"),
    ],
    examples=[
        ("outputs/<dataset>", "make it again and compare"),
        ("outputs/<dataset> --trust my_networks", "networks of a package of your own are imported"),
    ],
)
