"""Strata: classes of programs by how long their loops are estimated to run, each with its share of every op's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.ops.program_family import AnyFamily

OUTSIDE = -1


@dataclass(frozen=True)
class Strata:
    """The classes, from the shortest times to the longest.

    Attributes:
        seconds: where the first begins, where one ends and the next begins, and where the last ends, which is still in
            it. Without any, there is one class with all programs in it.
        shares: of each class.
    """

    seconds: tuple[float, ...] = ()
    shares: tuple[Fraction, ...] = (Fraction(1),)

    def __len__(self) -> int:
        return len(self.shares)

    def of(self, family: AnyFamily, spec: Any, programs: int) -> NDArray[np.int64]:
        """Return the class of each program; `OUTSIDE` for one that is in none.

        Args:
            family: the family of all of them.
            spec: a spec of columns.
            programs: how many they are.
        """
        if not self.seconds:
            return np.zeros(programs, np.int64)
        estimated = np.broadcast_to(family.baseline_seconds(spec), programs)
        found = np.searchsorted(self.seconds, estimated, side="right") - 1
        found[estimated == self.seconds[-1]] = len(self) - 1
        return np.where(found < len(self), found, OUTSIDE)

    def bounds(self) -> Sequence[tuple[float, float]]:
        """Return where each class begins and ends, in seconds; nothing where all programs are in one."""
        return list(zip(self.seconds, self.seconds[1:], strict=False))


WHOLE = Strata()
"""All programs in one class."""
