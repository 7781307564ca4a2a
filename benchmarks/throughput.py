"""How fast datasets are made, beside the rate of the MLIR parser alone on the same texts in the same run.

    python benchmarks/throughput.py                        # 100 000 programs of dims=large, Parquet and files
    python benchmarks/throughput.py --memory 1000000       # peak memory of a larger run, in a process of its own
    python benchmarks/throughput.py --programs 5000 'ops=[sequence]'    # of other programs: any settings

Machines are noisy, and change their speed within minutes: each dataset is followed by the parser on its own texts, and
the median of these pairs' ratios counts. A fresh folder is used each time, and deleted after the last: ext4 makes files
several times more slowly where many were just deleted.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from torch_mlir import ir

from mlir_datagen.config.compose import compose_config
from mlir_datagen.mlir.parse import PROGRAMS_PER_CONTEXT
from mlir_datagen.pipeline.run import generate

CASES = {
    "parquet, one process": ("storage=parquet", "executor=serial"),
    "parquet": ("storage=parquet",),
    "both": ("storage=both",),
}
"""What is measured, and its settings; without another, there is a worker process for each core."""


def seconds_end_to_end(programs: int, case: str, folder: Path, settings: Sequence[str] = ()) -> tuple[float, Path]:
    """Make a dataset; return the seconds from its config to its publication, and its folder."""
    own = [f"num_samples={programs}", *CASES[case], f"output_dir={folder}", "name=throughput"]
    config = compose_config(["dims=large", *own, *settings])
    started = time.perf_counter()
    path = generate(config).path
    return time.perf_counter() - started, path


def seconds_of_parser(texts: Sequence[str]) -> float:
    """Parse and verify the texts, with nothing else in the loop but renewing the context as the generator does."""
    started = time.perf_counter()
    for start in range(0, len(texts), PROGRAMS_PER_CONTEXT):
        context = ir.Context()
        for text in texts[start : start + PROGRAMS_PER_CONTEXT]:
            ir.Module.parse(text, context)
    return time.perf_counter() - started


def stored_texts(dataset: Path) -> list[str]:
    """Return the texts of a dataset that is stored in Parquet."""
    indexes = sorted(dataset.glob("*.parquet"))
    return [text for index in indexes for text in pq.read_table(index, columns=["mlir"]).column("mlir").to_pylist()]


def throughput(programs: int, rounds: int, root: Path, settings: Sequence[str]) -> None:
    """Print the rates, and their ratio to the parser's right after, side by side."""
    seconds: dict[str, list[float]] = {case: [] for case in CASES}
    parser: dict[str, list[float]] = {case: [] for case in CASES}
    for turn in range(rounds):
        for place, case in enumerate(CASES):
            taken, dataset = seconds_end_to_end(programs, case, root / f"{turn}_{place}", settings)
            seconds[case].append(taken)
            parser[case].append(seconds_of_parser(stored_texts(dataset)))
    print(f"{programs} programs, {' '.join(['dims=large', *settings])}, medians of {rounds} rounds")
    alone = statistics.median(value for values in parser.values() for value in values)
    print(f"MLIR parser alone    {programs / alone:8.0f} programs/s")
    for case in CASES:
        ratios = [beside / taken for beside, taken in zip(parser[case], seconds[case], strict=True)]
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        rate = programs / statistics.median(seconds[case])
        print(f"{case:20} {rate:8.0f} programs/s  {statistics.median(ratios):.2f} of the parser's ({each})")


def peak_memory(programs: int, root: Path) -> None:
    """Make a dataset in this process and print the most memory that it ever had resident."""
    taken, _ = seconds_end_to_end(programs, "parquet", root)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{programs} programs: {megabytes:.0f} MiB peak resident memory, {taken:.0f} s")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure how fast datasets are made.")
    parser.add_argument("settings", nargs="*", help="of the run, as generate.py takes them")
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, metavar="PROGRAMS", help="measure the peak memory instead")
    parser.add_argument("--folder", type=Path, help="where datasets are written for the time being")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="mlir_datagen_throughput_", dir=arguments.folder))
    try:
        if arguments.memory:
            peak_memory(arguments.memory, root)
            return
        throughput(arguments.programs, arguments.rounds, root, arguments.settings)
        # In a process of its own: the texts that the parser was given above count for this one's peak.
        subprocess.run([sys.executable, __file__, "--memory", str(arguments.programs)], check=True)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
