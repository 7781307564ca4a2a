"""Keeping the random splits free of what models are judged on: by what programs compute, and not by their text.

Programs of a single operation are compared by that operation, too, without its initial value: an export that leaves
the initial value to the caller, as that for MLIR-RL does, makes the same program of both.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from mlir_datagen.mlir.structural_hash import ProgramHasher
from mlir_datagen.programs.proof import Failure


class Decontamination:
    """Knows the programs that no random split may have.

    Attributes:
        against: for the manifest: what they come from, and how many there are.
    """

    def __init__(self) -> None:
        self.against: dict[str, dict[str, Any]] = {}
        self._hasher = ProgramHasher()
        self._homes: dict[str, str] = {}

    def add(self, home: str, texts: Iterable[str], **described: Any) -> None:
        """Take in programs.

        Args:
            home: what they belong to, such as a suite.
            texts: the programs.
            described: what the manifest says of their home besides their number.
        """
        programs = [self._hasher.hashes(text) for text in texts]
        for digest in itertools.chain.from_iterable(programs):
            self._homes.setdefault(digest, home)
        self.against[home] = {**described, "programs": len(programs)}

    def refused(self, text: str) -> Failure | None:
        """Say why a random program may not be kept; None where it may."""
        return self.refused_hashes(self._hasher.hashes(text)) if self._homes else None

    def refused_hashes(self, hashes: Iterable[str]) -> Failure | None:
        """Say the same of one whose hashes a `ProgramHasher` gave."""
        home = next((self._homes[digest] for digest in hashes if digest in self._homes), None)
        return None if home is None else Failure("unseen", f"{home} has a program that computes the same")
