"""How time and memory grow with the number of programs and of worker processes.

    python benchmarks/scale.py                             # 10 000, 100 000 and 1 000 000 programs; 1 and 2 workers
    python benchmarks/scale.py 'ops=[sequence]' --programs 10000 50000    # other programs, other numbers
    python benchmarks/scale.py --programs 1000000 --parser --rounds 0     # beside the MLIR parser alone, on all cores

Each dataset is made in a process of its own, with `storage=parquet` and `dims=large` unless settings say otherwise.
Time is from the config to the publication, the start of the workers included. That is half of the time of 10 000
programs, so that what each further program takes is printed, too. Memory is the most that the process of the run,
without its workers, ever had resident. Numbers of workers are compared in turns, as machines change their speed. The
parser alone has as many processes as there were workers, each with its share of the same texts in memory, right after
the dataset was made.
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

from throughput import seconds_of_parser, stored_texts

from mlir_datagen.config.compose import compose_config
from mlir_datagen.pipeline.run import generate

_MIB = 1024


def made(programs: int, workers: int, settings: Sequence[str], with_parser: bool) -> None:
    """Make a dataset in this process, and print what it took as JSON, and what the parser takes for its texts."""
    folder = Path(tempfile.mkdtemp(prefix="mlir_datagen_scale_"))
    executor = "executor=serial" if workers == 0 else f"executor.workers={workers}"
    own = [f"num_samples={programs}", "storage=parquet", "dims=large", executor, f"output_dir={folder}"]
    config = compose_config([*own, *settings])
    started = time.perf_counter()
    try:
        dataset = generate(config).path
        found = {"seconds": time.perf_counter() - started}
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
        if with_parser:
            found["parser"] = parser_alone(dataset, max(workers, 1))
    finally:
        shutil.rmtree(folder)
    print(json.dumps(found))


def parser_alone(dataset: Path, processes: int) -> float:
    """Return the seconds that some processes need to parse the texts of a dataset, each its share, at the same time."""
    shares = [
        subprocess.Popen(
            [sys.executable, __file__, "--parse", str(dataset), "--share", str(number), str(processes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(processes)
    ]
    for share in shares:
        # It has its texts.
        assert share.stdout is not None
        share.stdout.readline()
    printed = [share.communicate(b"go\n")[0] for share in shares]
    return max(map(float, printed))


def parse_share(dataset: Path, number: int, processes: int) -> None:
    """Read a share of a dataset's texts, say so, wait for a line, and print the seconds that parsing them takes."""
    texts = stored_texts(dataset)[number::processes]
    print("ready", flush=True)
    sys.stdin.readline()
    print(seconds_of_parser(texts))


def run(programs: int, workers: int, settings: Sequence[str], with_parser: bool = False) -> dict[str, float]:
    """Return the seconds and MiB that a dataset takes in a process of its own, and the parser's seconds."""
    command = [sys.executable, __file__, *settings, "--one", str(programs), "--workers", str(workers)]
    command += ["--parser"] if with_parser else []
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main() -> None:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure how time and memory grow.")
    parser.add_argument("settings", nargs="*", help="of the run, as generate.py takes them")
    parser.add_argument("--programs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="0 for none")
    parser.add_argument("--rounds", type=int, default=3, help="of comparing numbers of workers")
    parser.add_argument("--parser", action="store_true", help="parse the same texts with nothing else, and compare")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--parse", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--share", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.parse is not None:
        parse_share(arguments.parse, *arguments.share)
        return
    if arguments.one is not None:
        made(arguments.one, arguments.workers[0], arguments.settings, arguments.parser)
        return
    most = max(arguments.workers)
    before = None
    for programs in sorted(set(arguments.programs)):
        found = run(programs, most, arguments.settings, arguments.parser)
        each = found["seconds"] / programs * 1e6
        beside = f", {found['parser'] / found['seconds']:.2f} of the parser's rate" if arguments.parser else ""
        print(f"{programs:9} programs, {most} workers: {each:6.1f} µs each", end="")
        if before is not None:
            fewer, shorter = before
            further = (found["seconds"] - shorter) / (programs - fewer) * 1e6
            print(f", {further:6.1f} µs for each further program", end="")
        print(f", {found['memory']:5.0f} MiB{beside}", flush=True)
        before = programs, found["seconds"]
    if not arguments.rounds:
        return
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
