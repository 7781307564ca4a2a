"""Check a dataset against all that it claims: `python scripts/verify.py outputs/<dataset>`."""

from __future__ import annotations

import _cli  # isort: split

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from mlir_datagen.verification import verify_dataset


def main() -> None:
    """Verify the dataset that the command line names."""
    parser = argparse.ArgumentParser(description="Check a dataset's files, programs, uniqueness and splits.")
    parser.add_argument("dataset", type=Path, help="the dataset's folder")
    arguments = parser.parse_args()
    with tqdm(unit=" programs", disable=None, leave=False) as bar:
        checked = verify_dataset(arguments.dataset, bar.update)
    for sentence in checked:
        print(sentence)
    print(f"verified: {arguments.dataset}")


if __name__ == "__main__":
    sys.exit(_cli.run(main))
