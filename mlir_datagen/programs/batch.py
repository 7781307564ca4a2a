"""What sources hand on: programs of one split, by column where many were drawn, one by one where they are listed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.ops.family import OpFamily, Spec, Variant
from mlir_datagen.programs.program import Program
from mlir_datagen.programs.proof import Failure
from mlir_datagen.programs.rejected import Rejected, rejected_program
from mlir_datagen.programs.spec import spec_json


@dataclass(frozen=True)
class ProgramBlock:
    """Programs of one variant that were drawn from a grid, by column.

    Attributes:
        source, seed: what drew them.
        columns: the dimensions, one array for each grid axis of the variant.
        specs: the same, one spec for each program.
        forms: the form that is asked for of each.
        positions: where each program stands among those of its task.
    """

    source: str
    seed: int
    family: OpFamily
    variant: Variant
    columns: Sequence[NDArray[np.int64]]
    specs: Sequence[Spec]
    forms: Sequence[str]
    texts: Sequence[str]
    digests: Sequence[str]
    positions: NDArray[np.int64]

    @property
    def spec(self) -> Spec:
        """A spec whose dimensions are columns, one element for each program."""
        return self.family.spec(self.variant, *self.columns)

    def select(self, rows: Sequence[int]) -> ProgramBlock:
        chosen = np.asarray(rows, np.int64)
        return dataclasses.replace(
            self,
            columns=[column[chosen] for column in self.columns],
            specs=[self.specs[row] for row in rows],
            forms=[self.forms[row] for row in rows],
            texts=[self.texts[row] for row in rows],
            digests=[self.digests[row] for row in rows],
            positions=self.positions[chosen],
        )

    def rejected(self, row: int, split: str, failure: Failure) -> Rejected:
        return rejected_program(self.family.name, split, spec_json(self.specs[row]), failure, self.forms[row])


@dataclass(frozen=True)
class ListedBlock:
    """Programs that are known one by one, with what a `ProgramBlock` has of each.

    Attributes:
        programs: the programs; those that fill a split have no names yet.
        places: where each stands among those of its task; None where it has these alone.
    """

    programs: Sequence[Program]
    places: NDArray[np.int64] | None = None

    @property
    def texts(self) -> Sequence[str]:
        return [program.text for program in self.programs]

    @cached_property
    def digests(self) -> Sequence[str]:
        return [hashlib.sha256(text.encode()).hexdigest() for text in self.texts]

    @property
    def positions(self) -> NDArray[np.int64]:
        return np.arange(len(self.programs)) if self.places is None else self.places

    def select(self, rows: Sequence[int]) -> ListedBlock:
        places = None if self.places is None else self.places[np.asarray(rows, np.int64)]
        return ListedBlock([self.programs[row] for row in rows], places)

    def rejected(self, row: int, split: str, failure: Failure) -> Rejected:
        one = self.programs[row]
        if one.command:
            return Rejected(one.family, split, one.spec, failure.stage, failure.reason, one.command, one.name)
        return rejected_program(one.family, split, one.spec, failure, one.asked_form, one.name)


Block = ProgramBlock | ListedBlock


@dataclass(frozen=True)
class Batch:
    """What a task produced: the programs of one split, and what was rejected.

    Attributes:
        blocks: their positions together are in plan order.
        kept_out: for programs that no random split may have, what the manifest says of them besides their number.
    """

    split: str
    blocks: Sequence[Block]
    rejected: Sequence[Rejected] = ()
    kept_out: Mapping[str, Any] | None = None

    @classmethod
    def listed(
        cls, split: str, outcomes: Iterable[Program | Rejected], kept_out: Mapping[str, Any] | None = None
    ) -> Batch:
        """Return the batch of programs that are known one by one, or of why there is none."""
        outcomes = list(outcomes)
        programs = [one for one in outcomes if isinstance(one, Program)]
        rejected = [one for one in outcomes if isinstance(one, Rejected)]
        return cls(split, [ListedBlock(programs)], rejected, kept_out)

    def __len__(self) -> int:
        return sum(len(block.texts) for block in self.blocks)

    @property
    def attempted(self) -> int:
        """How many programs were tried."""
        return len(self) + len(self.rejected)

    @property
    def programs(self) -> list[Program]:
        """Those of its programs that are known one by one, in plan order."""
        return [program for block in self.blocks if isinstance(block, ListedBlock) for program in block.programs]

    @property
    def order(self) -> NDArray[np.int64]:
        """The rows of all blocks, one after the other, in plan order."""
        return np.argsort(np.concatenate([block.positions for block in self.blocks]))

    def sift(self, judge: Callable[[Block], Iterable[Failure | None]]) -> Batch:
        """Return the batch without the programs that fail.

        Args:
            judge: called with each block; its answer for each program of it, in order.
        """
        blocks = []
        rejected = list(self.rejected)
        for block in self.blocks:
            failures = {row: failure for row, failure in enumerate(judge(block)) if failure is not None}
            rejected += [block.rejected(row, self.split, failure) for row, failure in failures.items()]
            left = [row for row in range(len(block.texts)) if row not in failures] if failures else ()
            blocks.append(block.select(left) if failures else block)
        return dataclasses.replace(self, blocks=blocks, rejected=rejected)
