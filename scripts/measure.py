"""Measure the programs of a finished dataset, again if it was done: `python scripts/measure.py outputs/<dataset>`.

With `--repeat` nothing is stored: a second session is compared with the stored one. What is stopped goes on where it
was when the same command is typed again.
"""

from __future__ import annotations

import _cli  # isort: split

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from mlir_datagen.dataset.journal import Place
from mlir_datagen.pipeline.measuring import Agreement, Session, measure_dataset, repeat_measurements
from mlir_datagen.pipeline.run import Listener
from mlir_datagen.programs.proof import Failure

_SHOWN = 10
_WHEN_STOPPED = "Stopped; the times measured so far are kept. The same command goes on where it stopped."


def main() -> None:
    """Measure the dataset that the command line names."""
    parser = argparse.ArgumentParser(description="Measure the time of every program of a dataset.")
    parser.add_argument("dataset", type=Path, help="the dataset's folder")
    parser.add_argument("--repeat", action="store_true", help="compare a second session with the stored one")
    arguments = parser.parse_args()
    with tqdm(unit=" programs", disable=None, leave=False) as bar:
        listener = Listener(bar.reset, bar.update)
        done = (repeat_measurements if arguments.repeat else measure_dataset)(arguments.dataset, listener)
    if isinstance(done, Agreement):
        _print_agreement(done)
    else:
        _print_session(done)
    print(f"measured: {arguments.dataset}")


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


if __name__ == "__main__":
    sys.exit(_cli.run(main, _WHEN_STOPPED))
