"""What each source is handed: its own settings, typed and checked, and nothing else of a run's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, reduce
from typing import Any

from mlir_datagen.errors import listed
from mlir_datagen.networks.model_spec import ConverterSettings, ModelSpec
from mlir_datagen.ops.drawn.draft import Drawing
from mlir_datagen.ops.drawn.families import DrawnFamily
from mlir_datagen.ops.dtypes import DEFAULT
from mlir_datagen.ops.family import OpFamily, Variant
from mlir_datagen.ops.structured_operation import Versions
from mlir_datagen.programs.forms import Forms
from mlir_datagen.sources.grid import Axis, Grid, SameAs
from mlir_datagen.sources.strata import Strata
from mlir_datagen.sources.streams import DrawnStream, GridStream
from mlir_datagen.sources.walk import Limits

SUITES = "suites"
"""The folder of the suites' programs, and what the names of their splits begin with."""


@dataclass(frozen=True)
class OpSettings:
    """One family's part: its weight in the mix, kinds, ranks and element types, and the values of each dimension."""

    family: OpFamily
    weight: Fraction
    kinds: tuple[str, ...]
    ranks: tuple[int, ...]
    dtypes: tuple[str, ...]
    grid: dict[str, Axis]

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The family's variants of the chosen kinds and ranks, each with those of the element types that it has."""
        return tuple(
            variant.of(word)
            for variant in self.family.variants
            if variant.kind in self.kinds and (variant.rank is None or variant.rank in self.ranks)
            for word in self.dtypes
            if word in variant.words
        )

    def variant_grid(self, variant: Variant) -> Grid:
        """Return the grid of one variant."""
        return Grid({axis: self.grid[axis] for axis in variant.axes})

    def versions(self, asked: str) -> Versions:
        """Return the MLIR that parses all its programs where a form is asked for."""
        return reduce(Versions.both, (variant.versions(asked) for variant in self.family.variants))

    @property
    def bounded_by(self) -> str:
        """The settings on which it depends whether there is a program."""
        return f"ops.{self.family.name}.grid"

    @property
    def streams(self) -> tuple[GridStream, ...]:
        """What its programs are numbered by: its variants, in order, with their grids."""
        return tuple(GridStream(self.family, variant, self.variant_grid(variant)) for variant in self.variants)

    def to_saved(self) -> dict[str, Any]:
        """Return the part as plain values, from which `parse_ops` makes it again."""
        saved = _saved_weight(self.weight)
        if len(self.family.kinds) > 1:
            saved["kinds"] = list(self.kinds)
        if self.family.ranks:
            saved["ranks"] = list(self.ranks)
        # It came later: other datasets keep their fingerprints.
        if self.dtypes != (self.family.default_dtype,):
            saved["dtypes"] = list(self.dtypes)
        return {**saved, "grid": {axis: _saved_axis(self.grid[axis]) for axis in self.family.axes}}


@dataclass(frozen=True)
class DrawnSettings:
    """The part of a family of drawn graphs: its weight in the mix, what its graphs are drawn from, and their types."""

    family: DrawnFamily
    weight: Fraction
    drawing: Drawing
    dtypes: tuple[str, ...]

    def versions(self, asked: str) -> Versions:
        """Return the MLIR that parses all its programs where a form is asked for."""
        return self.family.versions_of_all(asked)

    @property
    def least_operations(self) -> int:
        """How few operations its graphs may have; of blocks, that is not known."""
        return self.drawing.length[0]

    @property
    def bounded_by(self) -> str:
        """The settings on which it depends whether there is a program."""
        return listed(f"ops.{self.family.name}.{key}" for key in (*self.family.settings, "grid"))

    @cached_property
    def streams(self) -> tuple[DrawnStream, ...]:
        """What its programs are numbered by: one for each element type, which take turns."""
        return tuple(DrawnStream(self.family, replace(self.drawing, dtype=dtype)) for dtype in self.dtypes)

    def to_saved(self) -> dict[str, Any]:
        """Return the part as plain values, from which `parse_ops` makes it again."""
        drawing = self.drawing
        known = {
            "vocabulary": list(drawing.vocabulary),
            "length": _saved_span(*drawing.length),
            "loops": _saved_span(*drawing.loops),
            "operations": _saved_span(*drawing.operations),
            "fan_out": drawing.fan_out,
            "depth": drawing.depth,
        }
        axes = {axis: _saved_axis(values) for axis, values in drawing.axes.items()}  # type: ignore[arg-type]
        own = {key: known[key] for key in self.family.settings}
        # As of other ops, it came later.
        dtypes = {"dtypes": list(self.dtypes)} if self.dtypes != (DEFAULT,) else {}
        return {**_saved_weight(self.weight), **own, **dtypes, "grid": axes}


def _saved_span(least: int, most: int) -> int | dict[str, int]:
    return least if least == most else {"from": least, "to": most}


def _saved_weight(weight: Fraction) -> dict[str, Any]:
    return {"weight": int(weight) if weight.denominator == 1 else float(weight)}


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
        forms: the share of each form in which operations are written.
        strata: the classes of estimated times, with their shares.
        on_exhausted: whether others make up for a family that runs out (`redistribute`), or that is an `error`.
        is_slow: whether each program is lowered, run or measured as well, so that a task has fewer.
    """

    ops: Mapping[str, OpSettings | DrawnSettings]
    split_ratios: Mapping[str, int]
    seed: int
    limits: Limits
    forms: Forms
    strata: Strata
    on_exhausted: str
    is_slow: bool

    @property
    def versions(self) -> Versions:
        """The MLIR that parses all programs."""
        each = (op.versions(asked) for op in self.ops.values() for asked in self.forms.asked)
        return reduce(Versions.both, each, Versions(0))

    @property
    def has_drawn(self) -> bool:
        """Whether there are drawn graphs, which several families may draw."""
        return any(isinstance(op, DrawnSettings) for op in self.ops.values())

    @property
    def least_operations(self) -> int:
        """How few operations a drawn graph may have."""
        return min((op.least_operations for op in self.ops.values() if isinstance(op, DrawnSettings)), default=0)

    @property
    def streams(self) -> list[GridStream | DrawnStream]:
        """What the programs of all families are numbered by, in order."""
        return [stream for op in self.ops.values() for stream in op.streams]


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


@dataclass(frozen=True)
class ExtractSettings:
    """What is taken out of networks.

    Attributes:
        window: how many connected linalg operations a program has; None for nothing.
        stride: at every so many operations a window begins.
    """

    window: int | None
    stride: int


@dataclass(frozen=True)
class SuiteSpec:
    """A fixed list of programs to evaluate on: specs of op families, or networks and what is extracted from them.

    Attributes:
        name: its name.
        version: goes up whenever its programs change.
        digest: of the names and texts of its programs; None for a suite that is not fixed yet.
        programs: for each program's name its family and its spec's fields.
        models: the networks, with the names that `conf/models/` gives them.
        converter: how they are converted.
        extract: what is taken out of them; nothing where they are the programs themselves.
    """

    name: str
    version: int
    digest: str | None
    programs: Mapping[str, tuple[str, Mapping[str, Any]]]
    models: tuple[ModelSpec, ...]
    converter: str | None
    extract: ExtractSettings

    @property
    def is_of_networks(self) -> bool:
        """Whether its programs are networks, and not what is taken out of them."""
        return bool(self.models) and self.extract.window is None

    @property
    def split(self) -> str:
        """The name of its split."""
        return f"{SUITES}.{self.name}"

    def to_saved(self) -> dict[str, Any]:
        """Return the suite as `conf/suites/` has it."""
        head = {"version": self.version, "digest": self.digest}
        if self.programs:
            listed = {name: {"op": op, **fields} for name, (op, fields) in self.programs.items()}
            return {**head, "programs": listed}
        return {
            **head,
            "models": [model.name for model in self.models],
            "converter": self.converter,
            "window": self.extract.window,
            "stride": self.extract.stride,
        }


@dataclass(frozen=True)
class Exclusion:
    """A suite, or a dataset, whose programs are kept out of the random splits.

    Attributes:
        name: the suite's name, or the dataset's folder.
        digest: the dataset's; None for a suite, which is fixed, and for a dataset that was not looked at yet.
    """

    name: str
    digest: str | None = None

    def to_saved(self) -> str | dict[str, Any]:
        """Return it as `exclude` has it."""
        return self.name if self.digest is None else {"dataset": self.name, "digest": self.digest}

    @property
    def identity(self) -> str:
        """What a run's programs depend on: not the place of a dataset."""
        return self.digest or self.name
