"""Keeping the random splits free of what models are judged on: by what programs compute, and not by their text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlir_datagen.mlir.structure import ProgramHasher
from mlir_datagen.program import PARSED
from mlir_datagen.proving.job import Failure, Proof


class Decontamination:
    """Knows the programs that no random split may have.

    Attributes:
        against: for the manifest: what they come from, and how many there are.
        left_out: how many programs were left out so far.
    """

    def __init__(self) -> None:
        self.against: dict[str, dict[str, Any]] = {}
        self.left_out = 0
        self._hasher = ProgramHasher()
        self._homes: dict[str, str] = {}

    def add(self, home: str, texts: Iterable[str], **described: Any) -> None:
        """Take in programs.

        Args:
            home: what they belong to, such as a suite.
            texts: the programs.
            described: what the manifest says of their home besides their number.
        """
        hashes = [self._hasher.hash(text) for text in texts]
        for digest in hashes:
            self._homes.setdefault(digest, home)
        self.against[home] = {**described, "programs": len(hashes)}

    def judge(self, text: str) -> Proof | Failure:
        """Say whether a random program may be kept."""
        if not self._homes:
            return PARSED
        home = self._homes.get(self._hasher.hash(text))
        if home is None:
            return PARSED
        self.left_out += 1
        return Failure("unseen", f"{home} has a program that computes the same")
