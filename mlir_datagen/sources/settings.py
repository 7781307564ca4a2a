"""What each source is handed: its own settings, typed and checked, and nothing else of a run's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mlir_datagen.networks.model_spec import ConverterSettings, ModelSpec
from mlir_datagen.ops.family import OpFamily, Variant
from mlir_datagen.sources.grid import Axis, Grid, SameAs
from mlir_datagen.sources.strata import Strata
from mlir_datagen.sources.walk import Limits


@dataclass(frozen=True)
class OpSettings:
    """One family's part: its weight in the mix, which of its kinds and ranks, and the values of each dimension."""

    family: OpFamily
    weight: Fraction
    kinds: tuple[str, ...]
    ranks: tuple[int, ...]
    grid: dict[str, Axis]

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The family's variants of the chosen kinds and ranks."""
        return tuple(
            variant
            for variant in self.family.variants
            if variant.kind in self.kinds and (variant.rank is None or variant.rank in self.ranks)
        )

    def variant_grid(self, variant: Variant) -> Grid:
        """Return the grid of one variant."""
        return Grid({axis: self.grid[axis] for axis in variant.axes})

    def to_saved(self) -> dict[str, Any]:
        """Return the part as plain values, from which `parse_ops` makes it again."""
        weight = int(self.weight) if self.weight.denominator == 1 else float(self.weight)
        saved: dict[str, Any] = {"weight": weight}
        if len(self.family.kinds) > 1:
            saved["kinds"] = list(self.kinds)
        if self.family.ranks:
            saved["ranks"] = list(self.ranks)
        return {**saved, "grid": {axis: _saved_axis(self.grid[axis]) for axis in self.family.axes}}


def _saved_axis(axis: Axis) -> list[int] | dict[str, int] | dict[str, str]:
    if isinstance(axis, SameAs):
        return {"same_as": axis.axis}
    if isinstance(axis, range):
        return {"from": axis.start, "to": axis[-1], "step": axis.step}
    return list(axis)


@dataclass(frozen=True)
class RandomSettings:
    """What random programs are drawn from, and how.

    Attributes:
        ops: the families, in the table's order.
        split_ratios: of the splits, in canonical order.
        seed: the seed.
        limits: bounds on each program.
        strata: the classes of estimated times, with their shares.
        on_exhausted: whether others make up for a family that runs out (`redistribute`), or that is an `error`.
        is_slow: whether each program is lowered, run or measured as well, so that a task has fewer.
    """

    ops: Mapping[str, OpSettings]
    split_ratios: Mapping[str, int]
    seed: int
    limits: Limits
    strata: Strata
    on_exhausted: str
    is_slow: bool


@dataclass(frozen=True)
class NetworkSettings:
    """Which networks are converted, and how.

    Attributes:
        models: the networks of the run.
        converter: how they are converted, and what one may use meanwhile.
        level: how far they are checked, one of `LEVELS`.
        seed: decides their weights, and the inputs that they are compared on.
        trust: packages whose classes may be imported.
        save_weights: whether their parameters and buffers are written.
        command: returns the command that converts a network alone.
    """

    models: tuple[ModelSpec, ...]
    converter: ConverterSettings
    level: str
    seed: int
    trust: tuple[str, ...]
    save_weights: bool
    command: Callable[[ModelSpec, ConverterSettings], str]
