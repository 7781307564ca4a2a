"""How quickly a dataset is read, beside the datasets library: `python benchmarks/loading.py outputs/<dataset>`.

Both read the same folder in turns: opening it, rows at random, rows in order, and the programs of one family.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import datasets
from tabulate import tabulate

from mlir_datagen import load_dataset

_ROWS = 500
_ROUNDS = 3


def main() -> None:
    """Print the seconds of each, medians of some rounds."""
    parser = argparse.ArgumentParser(description="Compare load_dataset with the datasets library.")
    parser.add_argument("dataset", type=Path, help="a dataset's folder, with the texts in Parquet")
    folder = parser.parse_args().dataset
    # Otherwise it would look up what it filtered the first time.
    datasets.disable_caching()
    with tempfile.TemporaryDirectory() as cache:
        split = load_dataset(folder).splits[0]
        # Once before: it copies a dataset into files of its own.
        started = time.perf_counter()
        datasets.load_dataset(str(folder), cache_dir=cache)
        copied = time.perf_counter() - started
        print(f"{len(load_dataset(folder))} programs; the datasets library copied them in {copied:.1f} s")
        openers: dict[str, Callable[[], Any]] = {
            "load_dataset": lambda: load_dataset(folder, split),
            "datasets": lambda: datasets.load_dataset(str(folder), cache_dir=cache)[split],
        }
        seconds = [{name: _steps(opener) for name, opener in openers.items()} for _ in range(_ROUNDS)]
    steps = list(seconds[0]["datasets"])
    rows = []
    for step in steps:
        ours, theirs = (median(one[name][step] for one in seconds) for name in openers)
        rows.append([step, f"{ours:.3f}", f"{theirs:.3f}", f"{ours / theirs:.2f}"])
    print(tabulate(rows, headers=["seconds", *openers, "ratio"], tablefmt="github"))


def _steps(opener: Callable[[], Any]) -> dict[str, float]:
    """Return the seconds of each step of reading a dataset."""
    times = {}

    def timed(step: str, call: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = call()
        times[step] = time.perf_counter() - started
        return result

    programs = timed("opening it", opener)
    places = random.Random(0).sample(range(len(programs)), min(_ROWS, len(programs)))  # noqa: S311
    family = programs[0]["family"]
    timed(f"{len(places)} rows at random", lambda: [programs[place] for place in places])
    in_order = programs[: 10 * _ROWS] if hasattr(programs, "where") else programs.select(range(10 * _ROWS))
    timed(f"{10 * _ROWS} rows in order", lambda: sum(1 for _ in in_order))
    if hasattr(programs, "where"):
        timed("those of one family", lambda: len(programs.where(family=family)))
    else:
        timed("those of one family", lambda: len(programs.filter(lambda name: name == family, input_columns="family")))
    return times


if __name__ == "__main__":
    main()
