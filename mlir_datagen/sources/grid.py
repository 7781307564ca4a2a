"""The points of a variant's dimension grid, numbered, and turned into columns of dimensions by their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.sources.permutation import MAXIMUM_SIZE


@dataclass(frozen=True)
class SameAs:
    """An axis that is not free: it always has the value of another one (square kernels, for instance)."""

    axis: str


Axis = tuple[int, ...] | range | SameAs
"""The values of one dimension, rising: a list, a range with a step, or another axis's value."""


class Grid:
    """The product of the axes; point 0 has the first value of each, and the last axis varies fastest.

    Ranges are never written out, so memory does not depend on the grid's size.
    """

    def __init__(self, axes: Mapping[str, Axis]) -> None:
        self.axes = dict(axes)
        self._free = {name: axis for name, axis in axes.items() if not isinstance(axis, SameAs)}
        self.size = math.prod(len(axis) for axis in self._free.values())

    @property
    def too_large(self) -> bool:
        """Whether point numbers would not fit into 64 bits."""
        return self.size > MAXIMUM_SIZE

    def corners(self) -> NDArray[np.int64]:
        """Return the points that have the first or the last value on every free axis."""
        corners = np.zeros(1, np.int64)
        for axis in self._free.values():
            ends = np.unique([0, len(axis) - 1])
            corners = (corners[:, np.newaxis] * len(axis) + ends).ravel()
        return corners

    def columns(self, points: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the dimensions of the points, one array for each axis in the order given."""
        values: dict[str, NDArray[np.int64]] = {}
        for name, free in reversed(self._free.items()):
            points, digits = np.divmod(points, len(free))
            if isinstance(free, range):
                values[name] = free.start + free.step * digits
            else:
                values[name] = np.asarray(free, np.int64)[digits]
        for name, axis in self.axes.items():
            if isinstance(axis, SameAs):
                values[name] = values[axis.axis]
        return [values[name] for name in self.axes]
