"""How many programs two datasets have in common."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from mlir_datagen.dataset.reader import Dataset
from mlir_datagen.errors import UserError
from mlir_datagen.mlir.structural_hash import ProgramHasher

MOST_HASHED = 20_000
"""How many programs of a dataset are parsed to be compared with the other's: some 1700 a second."""


class Shared(NamedTuple):
    """What two datasets have in common.

    Attributes:
        programs: how many different programs are in both.
        by_structure: whether they were compared by what they compute, however it is written; by their texts otherwise.
    """

    programs: int
    by_structure: bool


def shared_programs(one: Dataset, other: Dataset) -> Shared:
    """Return how many programs are in both of two datasets, with the programs of each counted once.

    Programs of the same text are the same. The others are parsed, where neither dataset has too many of them.

    Raises:
        UserError: when a dataset cannot be read.
    """
    digests = [_digests(dataset) for dataset in (one, other)]
    same = digests[0].keys() & digests[1].keys()
    left = [of - same for of in (set(digests[0]), set(digests[1]))]
    if not left[0] or not left[1] or max(map(len, left)) > MOST_HASHED:
        return Shared(len(same), by_structure=not left[0] or not left[1])
    hashes = [_hashes(dataset, digests) for dataset, digests in zip((one, other), left, strict=True)]
    return Shared(len(same) + len(hashes[0] & hashes[1]), by_structure=True)


def _digests(dataset: Dataset) -> Counter[str]:
    found = Counter[str]()
    for _, file, batch in dataset.batches():
        found.update(row["sha256"] for row in dataset.rows_of(file, batch.select(["sha256"])))
    return found


def _hashes(dataset: Dataset, digests: set[str]) -> set[str]:
    hasher, found = ProgramHasher(), set[str]()
    for program in dataset.programs():
        if program.sha256 in digests:
            try:
                found.add(hasher.hash(program.text))
            except UserError:
                # On buffers, or with branches: such programs have no hash, and are compared by their texts alone.
                continue
    return found
