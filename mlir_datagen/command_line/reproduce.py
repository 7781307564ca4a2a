"""Make a dataset again from its saved config and compare: `mlir-datagen reproduce outputs/<dataset>`."""

from __future__ import annotations

from pathlib import Path

import click
from tqdm import tqdm

from mlir_datagen.command_line.parsing import Command, Several
from mlir_datagen.pipeline.run import Listener
from mlir_datagen.verification.reproduction import reproduce


def _main(dataset: Path, work_dir: Path | None, trust: tuple[str, ...]) -> None:
    with tqdm(unit=" programs", disable=None, leave=False) as bar:
        print(reproduce(dataset, work_dir, Listener(bar.reset, bar.update), trust))
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
