"""Make one dataset of all shards of a config: `python scripts/merge.py outputs/random-*.shard-*`.

It has the bytes that the config makes without shards. Stopped, it goes on where it was.
"""

from __future__ import annotations

import _cli  # isort: split

import argparse
import sys
import time
from pathlib import Path

import _telling

from mlir_datagen.pipeline.sharding import merge_shards


def main() -> None:
    """Merge the shards that the command line names."""
    parser = argparse.ArgumentParser(description="Make one dataset of all shards of a config.")
    parser.add_argument("shards", type=Path, nargs="+", help="their folders, in any order")
    parser.add_argument(
        "-o", "--output-dir", type=Path, default=Path("outputs"), help="where the dataset goes (outputs)"
    )
    arguments = parser.parse_args()
    started = time.perf_counter()
    with _telling.progress() as listener:
        outcome = merge_shards(arguments.shards, arguments.output_dir, listener)
    _telling.print_outcome(outcome, time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(_cli.run(main))
