"""Every op in every element type that it has, run and compared: how many programs are kept, and what becomes of others.

python benchmarks/breadth.py                       # 10 000 programs of dims=small, each run and held to PyTorch
python benchmarks/breadth.py --programs 1000 --parse 19 22     # their texts to parsers that are not ours, too
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from mlir_datagen.config.compose import compose_config
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.pipeline.run import generate

_TEXTS_AT_ONCE = 500


def settings(programs: int, folder: Path, more: Sequence[str]) -> list[str]:
    """Return the settings of a run with every op in all its element types."""
    types = {name: family.dtypes for name, family in FAMILIES.items()}
    types |= {name: family.dtypes for name, family in DRAWN_FAMILIES.items()}
    typed = [f"++ops.{name}.dtypes=[{','.join(words)}]" for name, words in types.items()]
    own = [f"num_samples={programs}", f"output_dir={folder}", "storage=parquet", "dims=small", "check=execute"]
    return ["ops=[all]", *own, *typed, *more]


def refused(version: int, texts: Sequence[str]) -> Iterator[str]:
    """Yield what an mlir-opt says of the texts that it refuses."""
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        done = subprocess.run(
            [f"mlir-opt-{version}", "--split-input-file", "-o", "/dev/null"],
            input="\n// -----\n".join(texts[start : start + _TEXTS_AT_ONCE]),
            capture_output=True,
            text=True,
            check=False,
        )
        yield from (line for line in done.stderr.splitlines() if "error:" in line)


def main() -> None:
    """Make the programs, and print what became of them."""
    parser = argparse.ArgumentParser(description="Run every op in every element type.")
    parser.add_argument("settings", nargs="*", help="more of the run, as generate.py takes them")
    parser.add_argument("--programs", type=int, default=10_000)
    parser.add_argument("--parse", type=int, nargs="*", default=[], help="versions of mlir-opt")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlir_datagen_breadth_") as folder:
        config = compose_config(settings(arguments.programs, Path(folder), arguments.settings))
        started = time.perf_counter()
        outcome = generate(config)
        seconds = time.perf_counter() - started
        columns = ["family", "kind", "dtype", "spec", "proven", "error", "mlir", "minimum_mlir"]
        rows = [
            row
            for index in sorted(outcome.path.glob("*.parquet"))
            for row in pq.read_table(index, columns=columns).to_pylist()
        ]
    types = {(row["family"], json.loads(row["spec"]).get("dtype", row["dtype"])) for row in rows}
    print(f"{len(rows)} programs kept, {len(outcome.rejected)} rejected, in {seconds:.0f} s")
    print(f"of {len({row['family'] for row in rows})} ops, {len(types)} pairs of an op and its element types")
    print(f"proven: {dict(Counter(row['proven'] for row in rows))}")
    for one in outcome.rejected:
        print(f"  {one.family}: {one.stage}: {one.reason}\n    {one.command}")
    for version in arguments.parse:
        texts = [row["mlir"] for row in rows if row["minimum_mlir"] <= version]
        found = list(refused(version, texts))
        print(f"mlir-opt-{version}: {len(texts) - len(found)} of {len(texts)} parse", *found[:5], sep="\n  ")


if __name__ == "__main__":
    main()
