"""How time and memory grow with the number of programs and of worker processes.

    python benchmarks/scale.py                             # 10 000, 100 000 and 1 000 000 programs; 1 and 2 workers
    python benchmarks/scale.py 'ops=[sequence]' --programs 10000 50000    # other programs, other numbers

Each dataset is made in a process of its own, with `storage=parquet` and `dims=large` unless settings say otherwise.
Time is from the config to the publication, the start of the workers included; memory is the most that the process of
the run, without its workers, ever had resident. Numbers of workers are compared in turns, as machines change their
speed.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mlir_datagen.config.compose import compose_config
from mlir_datagen.pipeline.run import generate

_MIB = 1024


def made(programs: int, workers: int, settings: Sequence[str]) -> None:
    """Make a dataset in this process, and print what it took as JSON."""
    folder = Path(tempfile.mkdtemp(prefix="mlir_datagen_scale_"))
    executor = "executor=serial" if workers == 0 else f"executor.workers={workers}"
    own = [f"num_samples={programs}", "storage=parquet", "dims=large", executor, f"output_dir={folder}"]
    config = compose_config([*own, *settings])
    started = time.perf_counter()
    try:
        generate(config)
    finally:
        seconds = time.perf_counter() - started
        shutil.rmtree(folder)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
    print(json.dumps({"seconds": seconds, "memory": memory}))


def run(programs: int, workers: int, settings: Sequence[str]) -> dict[str, float]:
    """Return the seconds and MiB that a dataset takes in a process of its own."""
    command = [sys.executable, __file__, *settings, "--one", str(programs), "--workers", str(workers)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main() -> None:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure how time and memory grow.")
    parser.add_argument("settings", nargs="*", help="of the run, as generate.py takes them")
    parser.add_argument("--programs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="0 for none")
    parser.add_argument("--rounds", type=int, default=3, help="of comparing numbers of workers")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        made(arguments.one, arguments.workers[0], arguments.settings)
        return
    most = max(arguments.workers)
    for programs in arguments.programs:
        found = run(programs, most, arguments.settings)
        each = found["seconds"] / programs * 1e6
        print(f"{programs:9} programs, {most} workers: {each:6.1f} µs each, {found['memory']:5.0f} MiB", flush=True)
    programs = sorted(arguments.programs)[len(arguments.programs) // 2]
    taken: dict[int, list[float]] = {workers: [] for workers in arguments.workers}
    for _ in range(arguments.rounds):
        for workers, seconds in taken.items():
            seconds.append(run(programs, workers, arguments.settings)["seconds"])
    first = taken[arguments.workers[0]]
    for workers, seconds in taken.items():
        times = statistics.median(one / other for one, other in zip(first, seconds, strict=True))
        print(
            f"{programs:9} programs, {workers} workers: {statistics.median(seconds):6.1f} s, {times:.2f} times as fast"
        )


if __name__ == "__main__":
    main()
