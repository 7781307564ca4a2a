"""Check a dataset against all that it claims: `python scripts/verify.py outputs/<dataset>`."""

from __future__ import annotations

import _cli  # isort: split

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from mlir_datagen.errors import shown
from mlir_datagen.verification import verify_dataset

_MOST_WORKERS = 1024


def main() -> None:
    """Verify the dataset that the command line names."""
    parser = argparse.ArgumentParser(description="Check a dataset's files, programs, uniqueness and splits.")
    parser.add_argument("dataset", type=Path, help="the dataset's folder")
    parser.add_argument(
        "--workers", type=_number, metavar="N", help="worker processes (one for each core, where there is much to do)"
    )
    arguments = parser.parse_args()
    with tqdm(unit=" programs", disable=None, leave=False) as bar:
        checked = verify_dataset(arguments.dataset, bar.update, arguments.workers)
    for sentence in checked:
        print(sentence)
    print(f"verified: {arguments.dataset}")


def _number(word: str) -> int:
    """Return a number of worker processes."""
    if not word.isdecimal() or int(word) > _MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"it is {shown(word)}, and must be from 0, for none, to {_MOST_WORKERS}")
    return int(word)


if __name__ == "__main__":
    sys.exit(_cli.run(main))
