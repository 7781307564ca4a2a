"""How long a dataset's facts, pictures and report take, and how large they are: `python benchmarks/presentation.py`.

Each size is done in a process of its own, whose memory is told, too.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from mlir_datagen.config.compose import compose_config
from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.pipeline.run import generate
from mlir_datagen.presentation.facts import dataset_facts
from mlir_datagen.presentation.pictures import draw_pictures
from mlir_datagen.presentation.report import report_page

_SIZES = (10_000, 100_000)
_OPS = "ops=[matmul,conv2d,pooling,elementwise]"


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, help="how many programs (default: 10^4, 10^5)")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(*_one(arguments.one))
        return
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in arguments.sizes:
            overrides = [
                _OPS,
                f"num_samples={size}",
                "dims=large",
                "storage=parquet",
                "report=false",
                f"output_dir={scratch}/{size}",
            ]
            folder = generate(compose_config(overrides)).path
            done = subprocess.run(
                [sys.executable, __file__, "--one", str(folder)], capture_output=True, text=True, check=True
            )
            rows.append([size, *map(float, done.stdout.split())])
    head = ["programs", "facts, s", "pictures, s", "report, s", "pictures, MB", "page, MB", "memory, MiB"]
    print(tabulate(rows, headers=head, floatfmt=".1f", intfmt=" "))


def _one(folder: Path) -> list[float]:
    dataset = Dataset(folder)
    started = time.perf_counter()
    facts = dataset_facts(dataset)
    with_facts = time.perf_counter()
    pictures = draw_pictures(facts)
    with_pictures = time.perf_counter()
    page = report_page([dataset], [facts])
    ended = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sizes = [sum(map(len, pictures.values())) / 1e6, len(page) / 1e6]
    return [with_facts - started, with_pictures - with_facts, ended - with_pictures, *sizes, memory]


if __name__ == "__main__":
    main()
