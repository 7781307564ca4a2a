"""Make a dataset again from its saved config and compare: `python scripts/reproduce.py outputs/<dataset>`."""

from __future__ import annotations

import _cli  # isort: split

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from mlir_datagen.pipeline.run import Listener
from mlir_datagen.verification.reproduction import reproduce


def main() -> None:
    """Reproduce the dataset that the command line names."""
    parser = argparse.ArgumentParser(description="Make a dataset again from its saved config and compare every byte.")
    parser.add_argument("dataset", type=Path, help="the dataset's folder")
    parser.add_argument("--work-dir", type=Path, help="where it is made again (default: the system's temporary folder)")
    parser.add_argument("--trust", nargs="*", default=[], help="packages whose classes its networks may import")
    arguments = parser.parse_args()
    with tqdm(unit=" programs", disable=None, leave=False) as bar:
        print(reproduce(arguments.dataset, arguments.work_dir, Listener(bar.reset, bar.update), tuple(arguments.trust)))
    print(f"reproduced: {arguments.dataset}")


if __name__ == "__main__":
    sys.exit(_cli.run(main))
