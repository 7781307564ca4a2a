"""Measure the programs of a finished dataset, again if it was done: `mlir-datagen measure outputs/<dataset>`.

With `--repeat` nothing is stored: a second session is compared with the stored one. What is stopped goes on where it
was when the same command is typed again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from mlir_datagen.command_line.parsing import Command
from mlir_datagen.command_line.running import saying_when_stopped
from mlir_datagen.command_line.telling import progress, say_next
from mlir_datagen.dataset.journal import Place
from mlir_datagen.pipeline.measuring import Agreement, Session, measure_dataset, repeat_measurements
from mlir_datagen.programs.proof import Failure

_SHOWN = 10
_WHEN_STOPPED = "Stopped; the times measured so far are kept. The same command goes on where it stopped."


def _main(dataset: Path, repeat: bool) -> None:
    started = time.perf_counter()
    with saying_when_stopped(_WHEN_STOPPED), progress(counting="measuring") as listener:
        done = (repeat_measurements if repeat else measure_dataset)(dataset, listener)
    if isinstance(done, Agreement):
        _print_agreement(done)
    else:
        _print_session(done)
    print(f"measured in {time.perf_counter() - started:.1f} s")
    say_next("to look at the times", "show", str(dataset))
    print(f"measured: {dataset}")


def _print_session(done: Session) -> None:
    print(f"programs with a time: {len(done.measured)}")
    if disturbed := sum(measurement.disturbed for _, _, measurement in done.measured):
        print(f"  disturbed: {disturbed}; the column of that name marks them")
    _print_failed(done.failed)


def _print_agreement(done: Agreement) -> None:
    if not done.same_conditions:
        print("The stored times are of another machine, pipeline or settings, as the manifest says.")
    correlation = "not defined" if done.rank_correlation is None else f"{done.rank_correlation:.4f}"
    print(f"Two sessions over {done.programs} programs:")
    if done.elsewhere:
        print(f"left out, as their stored time is of another machine: {done.elsewhere}")
    if done.disturbed:
        print(f"left out, as their time was disturbed in one of them: {done.disturbed}")
    print(f"Spearman rank correlation: {correlation}")
    print(f"median relative difference: {done.relative_difference:.2%}")
    _print_failed(done.failed)


def _print_failed(failed: Sequence[tuple[Place, Failure]]) -> None:
    if failed:
        print(f"programs that failed and have none: {len(failed)}")
    for (split, name), failure in failed[:_SHOWN]:
        print(f"  {split}/{name}: {failure.stage}: {failure.reason}")
    if len(failed) > _SHOWN:
        print(f"  and {len(failed) - _SHOWN} more")


command = Command(
    "measure",
    callback=_main,
    help="Measure the time of every program of a dataset, again if it was done. What is stopped goes on where it was.",
    params=[
        click.Argument(["dataset"], type=click.Path(path_type=Path), help="the dataset's folder"),
        click.Option(["--repeat"], is_flag=True, help="compare a second session with the stored one; store nothing"),
    ],
    examples=[
        ("outputs/<dataset>", "measure it"),
        ("outputs/<dataset> --repeat", "how far a second session agrees with the first"),
    ],
)
