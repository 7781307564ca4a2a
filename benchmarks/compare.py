"""This generator beside others of MLIR programs: how fast, and how many of the programs are of use.

    python benchmarks/compare.py                                              # this one alone
    MLIR_RL_FORK=<checkout> MLIR_RL_FIRST=<checkout> python benchmarks/compare.py
    python benchmarks/compare.py --programs 2000 --sample 100 --rounds 1      # quickly
    python benchmarks/compare.py --sample 0                                   # how fast alone

`peers.py` says which checkouts these are. Every generator is a process that is started, makes `--programs` programs in
a new folder, and ends: its seconds are those of all that, in turns, so that a machine that others use is as slow for
each. The medians are printed, what they are of the first generator's, and the processor time of all its processes,
which waits for no disk and nobody else. Then, of the programs of the first round:

- valid: the share of a seeded sample that `mlir-opt-19` and `mlir-opt-22` parse and verify;
- lowers: the share of the sample that the pipeline of `check=lower` lowers to the LLVM dialect, in the MLIR of this
  package, and the share that `mlir-opt-19` lowers with the passes with which MLIR-RL runs programs;
- unique: different texts by all texts, and different structures by those texts that have one: programs that compute
  the same on the same shapes, whatever their names, are one. What does not parse has no structure.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from peers import Generator, generators, network_sizes
from tabulate import tabulate
from torch_mlir import ir

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.mlir_rl_lowering import examine
from mlir_datagen.mlir.structural_hash import ProgramHasher

MLIR_OPTS = ("mlir-opt-19", "mlir-opt-22")
CONSUMER = "mlir-opt-19"
SEED = 1


@dataclass(frozen=True)
class Quality:
    """What a generator's programs are worth.

    Attributes:
        valid: the share of the sample that each of `MLIR_OPTS` takes.
        lowers: the share that our pipeline lowers, and the share that MLIR-RL's does.
        texts: different texts by all.
        structures: different structures by those that have one; how many have one.
    """

    valid: tuple[float, ...]
    lowers: tuple[float, float]
    texts: float
    structures: tuple[float, int]


class Taken(NamedTuple):
    """What a run took, its start and end included: seconds, and seconds of processor time of all its processes."""

    wall: float
    processor: float


def run_of(generator: Generator, folder: Path, programs: int) -> Taken:
    """Run a generator; return what that took."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    generator.run(folder, programs, SEED)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def valid_share(mlir_opt: str, texts: Sequence[str]) -> float:
    """Return the share of the texts that an mlir-opt parses and verifies, each in a process of its own."""
    taken = [
        subprocess.run([mlir_opt, "-o", "/dev/null"], input=text, capture_output=True, text=True) for text in texts
    ]
    return sum(done.returncode == 0 for done in taken) / len(texts)


def _lowers(text: str) -> bool:
    try:
        lower(text, ir.Context())
    except (Rejection, ir.MLIRError):
        return False
    return True


def _lowers_for_consumer(text: str) -> bool:
    try:
        return examine(text, CONSUMER).lowering_problem is None
    except Rejection:
        return False


def lowered_share(texts: Sequence[str]) -> float:
    """Return the share that our pipeline lowers; what crashes MLIR ends a process of its own, and is not lowered."""
    lowered, pool = 0, ProcessPoolExecutor(1)
    for text in texts:
        try:
            lowered += pool.submit(_lowers, text).result()
        except BrokenProcessPool:
            pool = ProcessPoolExecutor(1)
    pool.shutdown()
    return lowered / len(texts)


def structures(texts: Sequence[str]) -> tuple[float, int]:
    """Return different structures by the texts that have one, and how many have one."""
    hasher, found = ProgramHasher(), []
    for text in texts:
        try:
            found.append(hasher.hash(text))
        except UserError:
            continue
    return len(set(found)) / max(1, len(found)), len(found)


def quality(texts: Sequence[str], size: int) -> Quality:
    """Examine programs, and a seeded sample of them."""
    sample = random.Random(SEED).sample(sorted(texts), min(size, len(texts)))  # noqa: S311
    return Quality(
        valid=tuple(valid_share(mlir_opt, sample) for mlir_opt in MLIR_OPTS),
        lowers=(lowered_share(sample), sum(map(_lowers_for_consumer, sample)) / len(sample)),
        texts=len(set(texts)) / len(texts),
        structures=structures(texts),
    )


def stored_texts(folder: Path) -> list[str]:
    """Return the programs of a folder: of its `.mlir` files, or of the index of a dataset that has no files."""
    import pyarrow.parquet as pq

    if texts := Generator.texts(folder):
        return texts
    indexes = [path for path in sorted(folder.rglob("*.parquet")) if ".measurements" not in path.name]
    return [text for path in indexes for text in pq.read_table(path, columns=["mlir"]).column("mlir").to_pylist()]


def compare(programs: int, sample: int, rounds: int, root: Path) -> None:
    """Run the generators in turns, examine what they made, and print both tables."""
    found = generators()
    taken: list[list[Taken]] = [[] for _ in found]
    for turn in range(rounds):
        for place, generator in enumerate(found):
            taken[place].append(run_of(generator, root / f"{turn}_{place}", programs))
    print(f"{programs} programs each, {rounds} rounds in turns, seed {SEED}\n")
    rows = [[generator.name, *rate(taken[0], own, programs)] for generator, own in zip(found, taken, strict=True)]
    show(rows, ["generator", "programs/s", "of the first's rate", "processor ms for each program"])
    if not sample:
        return
    print(f"\nsamples of {sample} of these, seed {SEED}\n")
    rows = []
    for place, generator in enumerate(found):
        worth = quality(stored_texts(root / f"0_{place}"), sample)
        rows.append([generator.name, *described(worth), generator.values])
    columns = [*(f"valid, {name}" for name in MLIR_OPTS), "lowers, ours", f"lowers, {CONSUMER}"]
    show(rows, ["generator", *columns, "unique text", "unique structure", "values checked"])


def rate(first: Sequence[Taken], own: Sequence[Taken], programs: int) -> list[str]:
    """Return what a row says of how fast a generator is, beside the first one."""
    ratios = [one.wall / other.wall for one, other in zip(first, own, strict=True)]
    processor = statistics.median(one.processor for one in own) / programs * 1000
    return [
        f"{programs / statistics.median(one.wall for one in own):.0f}",
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        f"{processor:.2f}",
    ]


def show(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    """Print a table in Markdown."""
    print(tabulate(rows, columns, tablefmt="github", disable_numparse=True), flush=True)


def described(worth: Quality) -> list[str]:
    """Return what a row says of a generator's programs."""
    unique, with_structure = worth.structures
    shares = [f"{share:.1%}" for share in (*worth.valid, *worth.lowers, worth.texts)]
    return [*shares, f"{unique:.1%} of {with_structure}"]


def compare_networks(root: Path) -> None:
    """Print what one network takes."""
    rows = [[name, f"{size / 1000:.0f}"] for name, size in network_sizes(root).items()]
    show(rows, ["ResNet-18, 224 x 224", "KB"])


def main() -> None:
    """Read the arguments and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--programs", type=int, default=10_000, help="of each generator, in each round")
    parser.add_argument("--sample", type=int, default=300, help="how many of these are examined; 0 is none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-networks", action="store_true", help="leave the networks out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments.programs, arguments.sample, arguments.rounds, Path(folder))
        if not arguments.no_networks:
            print()
            compare_networks(Path(folder) / "networks")


if __name__ == "__main__":
    main()
