"""Finished datasets as what training reads: rows by number and name, filters, tables, and PyTorch's datasets.

May import: dataset.
"""

from __future__ import annotations

from pathlib import Path

from mlir_datagen.loading.programs import Programs

__all__ = ["Programs", "load_dataset"]


def load_dataset(path: str | Path, split: str | None = None) -> Programs:
    """Open a finished dataset; nothing is read but its manifest and where its rows are.

        programs = load_dataset("outputs/random-8e104e91c2a5")
        programs[0]["mlir"], programs["train/matmul_0000"]["flops"], len(programs.split("test"))

    Args:
        path: the dataset's folder.
        split: one of its splits; all of them, one after another, when left out.

    Raises:
        UserError: when it is no dataset, is damaged, or has no such split.
    """
    programs = Programs.of_folder(Path(path))
    return programs if split is None else programs.split(split)
