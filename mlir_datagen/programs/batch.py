"""Programs that were drawn from grids, many at a time and by column."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.ops.family import OpFamily, Spec, Variant
from mlir_datagen.programs.proof import Failure, Proof
from mlir_datagen.programs.rejected import Rejected, rejected_program


@dataclass(frozen=True)
class ProgramBlock:
    """Programs of one variant, by column.

    Attributes:
        columns: the dimensions, one array for each grid axis of the variant.
        specs: the same, one spec for each program.
        forms: the form that is asked for of each.
        positions: where each program stands among those of its task.
        proofs: what is proven of each.
    """

    family: OpFamily
    variant: Variant
    columns: Sequence[NDArray[np.int64]]
    specs: Sequence[Spec]
    forms: Sequence[str]
    texts: Sequence[str]
    digests: Sequence[str]
    positions: NDArray[np.int64]
    proofs: Sequence[Proof]

    @property
    def spec(self) -> Spec:
        """A spec whose dimensions are columns, one element for each program."""
        return self.family.spec(self.variant, *self.columns)

    def select(self, rows: Sequence[int], proofs: Sequence[Proof]) -> ProgramBlock:
        """Return the block of some of its programs, with what is proven of each of them now."""
        if len(rows) == len(self.texts):
            return dataclasses.replace(self, proofs=proofs)
        chosen = np.asarray(rows, np.int64)
        return ProgramBlock(
            family=self.family,
            variant=self.variant,
            columns=[column[chosen] for column in self.columns],
            specs=[self.specs[row] for row in rows],
            forms=[self.forms[row] for row in rows],
            texts=[self.texts[row] for row in rows],
            digests=[self.digests[row] for row in rows],
            positions=self.positions[chosen],
            proofs=proofs,
        )


@dataclass(frozen=True)
class Batch:
    """What a task produced: blocks whose positions together are in plan order, and what was rejected."""

    split: str
    source: str
    seed: int
    blocks: Sequence[ProgramBlock]
    rejected: Sequence[Rejected]

    @property
    def order(self) -> NDArray[np.int64]:
        """The rows of all blocks, one after the other, in plan order."""
        return np.argsort(np.concatenate([block.positions for block in self.blocks]))

    @property
    def proofs(self) -> list[Proof]:
        """What is proven of each program, in plan order."""
        proofs = [proof for block in self.blocks for proof in block.proofs]
        return [proofs[row] for row in self.order]

    def sift(self, judge: Callable[[ProgramBlock], Iterable[Proof | Failure]]) -> Batch:
        """Return the batch without the programs that fail a further stage.

        Args:
            judge: called with each block; its answer for each program of it, in order.
        """
        blocks = []
        rejected = list(self.rejected)
        for block in self.blocks:
            rows, proofs = [], []
            for row, outcome in enumerate(judge(block)):
                if isinstance(outcome, Proof):
                    rows.append(row)
                    proofs.append(outcome)
                else:
                    spec, form = block.specs[row], block.forms[row]
                    rejected.append(rejected_program(block.family.name, self.split, spec, outcome, form))
            blocks.append(block.select(rows, proofs))
        return dataclasses.replace(self, blocks=blocks, rejected=rejected)
