"""Make what shows a dataset, or a page that lays two side by side: `mlir-datagen report outputs/<dataset>`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.command_line.telling import present, progress, say_next
from mlir_datagen.errors import UserError

_PAGE = "comparison.html"


def _main(datasets: tuple[Path, ...], output: Path | None) -> None:
    started = time.perf_counter()
    if len(datasets) == 1:
        if output is not None:
            raise UserError(
                "-o is for the page of two datasets. What shows one is in its folder: leave -o out, or name another "
                "dataset to compare it with."
            )
        files = present(datasets[0])
        print(f"{len(files)} files made, or found unchanged, in {time.perf_counter() - started:.1f} s")
        say_next("to make it again and compare", "reproduce", str(datasets[0]))
        page = next(file for file in files if file.suffix == ".html")
    else:
        page = _compared(datasets, output or Path(_PAGE))
        print(f"made in {time.perf_counter() - started:.1f} s")
    print(f"report: {page}")


def _compared(datasets: tuple[Path, ...], output: Path) -> Path:
    # Only here, since it brings the libraries of the page.
    from mlir_datagen.pipeline.presenting import compare_datasets

    with progress("reading", "reading", unit="datasets") as listener:
        return compare_datasets(datasets, output, listener)


command = Command(
    "report",
    callback=_main,
    help="Make the pictures, croissant.json and the report of a dataset; of two, a page with both side by side.",
    params=[
        click.Argument(
            ["datasets"],
            nargs=-1,
            required=True,
            type=click.Path(path_type=Path),
            help="a dataset's folder; two to compare them",
        ),
        click.Option(
            ["-o", "--output"], type=click.Path(path_type=Path), help=f"the page of two datasets (default: {_PAGE})"
        ),
    ],
    examples=[
        ("outputs/<dataset>", "what shows it, in its folder, unless it is there already"),
        ("outputs/<dataset> outputs/<another> -o comparison.html", "both on one page"),
    ],
)
