"""Where a split is within a dataset's folder."""

from __future__ import annotations


def split_folder(split: str) -> str:
    """Return the folder of a split's `.mlir` files: a point goes down, to `suites/gemm` for `suites.gemm`."""
    return split.replace(".", "/")


def program_file(split: str, name: str) -> str:
    """Return the path of a program's `.mlir` file."""
    return f"{split_folder(split)}/{name}.mlir"


def index_name(split: str) -> str:
    """Return the path of a split's index."""
    return f"{split_folder(split)}.parquet"


def number_width(programs: int) -> int:
    """Return how many digits the numbers in the names of a split with so many programs have."""
    return max(4, len(str(programs - 1)))
