"""Where a split is within a dataset's folder."""

from __future__ import annotations

from mlir_datagen.programs.program import EXTRACTED, NETWORKS_SPLIT

MEASUREMENTS_FOLDER = "measurements"
_DIGITS = 4
"""Of the numbers of programs in one folder."""


def split_folder(split: str) -> str:
    """Return the folder of a split's `.mlir` files: a point goes down, to `suites/gemm` for `suites.gemm`."""
    return split.replace(".", "/")


def program_file(split: str, name: str) -> str:
    """Return the path of a program's `.mlir` file."""
    return f"{split_folder(split)}/{file_in_split(split, name)}"


def is_drawn(split: str) -> bool:
    """Tell whether a split is one of drawn programs, by its name."""
    return "." not in split and split not in (NETWORKS_SPLIT, EXTRACTED)


def file_in_split(split: str, name: str) -> str:
    """Return the path of a program's `.mlir` file within its split's folder.

    Where there are more than 10 000, they are in numbered folders of so many: `3/matmul_31234.mlir`. Programs of suites
    and of networks have names of their own, which may end with a size.
    """
    number = name.rpartition("_")[2]
    folder = f"{number[:-_DIGITS]}/" if is_drawn(split) and number.isdecimal() and len(number) > _DIGITS else ""
    return f"{folder}{name}.mlir"


def index_name(split: str) -> str:
    """Return the path of a split's index where it is one file."""
    return f"{split_folder(split)}.parquet"


def index_names(split: str, programs: int, per_file: int) -> list[str]:
    """Return the paths of a split's index: one file, or numbered ones where it has more programs than fit into one.

    Args:
        split: the split.
        programs: how many it has.
        per_file: how many are in one file; the last one has what is left.
    """
    count = -(-programs // per_file)
    if count <= 1:
        return [index_name(split)]
    return [f"{split_folder(split)}-{number:05d}-of-{count:05d}.parquet" for number in range(count)]


def measurements_file(split: str) -> str:
    """Return the path of the measured times of a split."""
    return f"{MEASUREMENTS_FOLDER}/{index_name(split)}"


def measurements_split(file: str) -> str:
    """Return the split whose measured times a file has."""
    return file.removeprefix(f"{MEASUREMENTS_FOLDER}/").removesuffix(".parquet").replace("/", ".")


def number_width(programs: int) -> int:
    """Return how many digits the numbers in the names of a split with so many programs have."""
    return max(_DIGITS, len(str(programs - 1)))
