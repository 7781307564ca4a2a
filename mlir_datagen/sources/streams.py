"""What random programs are numbered by: the points of a variant's grid, and the draws of a family."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.ops.drawn.draft import Drawing
from mlir_datagen.ops.drawn.families import DrawnFamily, GraphSpec
from mlir_datagen.ops.dtypes import DEFAULT
from mlir_datagen.ops.family import OpFamily, Spec, Variant
from mlir_datagen.programs.batch import ListedBlock, ProgramBlock
from mlir_datagen.programs.content import stable_hash
from mlir_datagen.programs.forms import Forms
from mlir_datagen.programs.program import family_program
from mlir_datagen.sources.grid import Grid

_MOST_KEPT = 1 << 14
SOURCE = "random"
"""The source of programs that are drawn."""


@dataclass(frozen=True)
class GridStream:
    """A variant's programs: number p is point p of its grid."""

    family: OpFamily
    variant: Variant
    grid: Grid

    def specs(self, numbers: NDArray[np.int64], seed: int) -> list[Spec]:
        """Return the specs of some programs."""
        rows = zip(*(column.tolist() for column in self.grid.columns(numbers)), strict=True)
        return [self.family.spec(self.variant, *row) for row in rows]

    def block(self, numbers: NDArray[np.int64], positions: NDArray[np.int64], seed: int, forms: Forms) -> ProgramBlock:
        """Make some programs.

        Args:
            numbers: which.
            positions: where each stands among those of its task.
            seed: of the run.
            forms: in which they are written.
        """
        family, specs = self.family, self.specs(numbers, seed)
        asked = [forms.of(seed, family, spec) for spec in specs]
        columns = self.grid.columns(numbers)
        texts = family.programs(family.spec(self.variant, *columns), asked)
        digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        return ProgramBlock(SOURCE, seed, family, self.variant, columns, specs, asked, texts, digests, positions)


@dataclass(frozen=True)
class DrawnStream:
    """A family's programs of one element type: number i follows from the seed, the family, the type and i."""

    family: DrawnFamily
    drawing: Drawing
    _known: dict[tuple[int, int], GraphSpec] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[DrawnStream], tuple[DrawnFamily, Drawing]]:
        return DrawnStream, (self.family, self.drawing)

    def draw(self, number: int, seed: int) -> GraphSpec | None:
        """Return the spec of a program; None where its draw leads to none."""
        # Programs of the type that all had before there was another are the same as then.
        words = self.family.name if self.drawing.dtype == DEFAULT else f"{self.family.name} {self.drawing.dtype}"
        key = (stable_hash(words), number)
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
        return self.family.draw(self.drawing, generator)

    def keep(self, number: int, seed: int, spec: GraphSpec) -> None:
        """Keep the spec of a program that will be made soon, so that it need not be drawn again."""
        if len(self._known) < _MOST_KEPT:
            self._known[number, seed] = spec

    def specs(self, numbers: NDArray[np.int64], seed: int) -> list[GraphSpec]:
        """Return the specs of some programs that there are."""
        found = [self._known.pop((number, seed), None) or self.draw(number, seed) for number in numbers.tolist()]
        return [spec for spec in found if spec is not None]

    def block(self, numbers: NDArray[np.int64], positions: NDArray[np.int64], seed: int, forms: Forms) -> ListedBlock:
        """Make some programs, as `GridStream.block` does."""
        family = self.family
        programs = [
            family_program("", SOURCE, family, spec, seed, forms.of(seed, family, spec))
            for spec in self.specs(numbers, seed)
        ]
        return ListedBlock(programs, positions)
