"""The part of the config that chooses op families, their share of the mix, and their dimension grids."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mlir_datagen.errors import UserError, listed, shown
from mlir_datagen.ops import FAMILIES
from mlir_datagen.ops.family import OpFamily, Variant
from mlir_datagen.programs.spec import no_such_op
from mlir_datagen.sources.grid import Axis, SameAs
from mlir_datagen.sources.permutation import MAXIMUM_SIZE
from mlir_datagen.sources.settings import OpSettings
from mlir_datagen.values import check_keys, mapping, some_of, whole_number

LARGEST_DIMENSION = (1 << 31) - 1
LARGEST_WEIGHT = 1_000_000
GRID_FORMS = "a list like [16, 32, 64], a range like {from: 16, to: 512, step: 16}, or {same_as: <other dimension>}"


def parse_ops(raw: Mapping[str, Any], required: bool) -> dict[str, OpSettings]:
    """Check the `ops` part of a config; return it in the order of the table of families.

    Args:
        raw: the part as plain values.
        required: whether there must be an op.

    Raises:
        UserError: for an unknown op, no op where there must be one, and any value that is not allowed.
    """
    for name in raw:
        if name not in FAMILIES:
            raise UserError(f"{no_such_op(name)} Type for instance 'ops=[matmul,conv2d]'.")
    if not raw and required:
        raise UserError(
            "No op is chosen, so there is nothing to generate. scripts/list_ops.py lists the ops. "
            "Type for instance 'ops=[matmul,conv2d]', or 'models=[resnet18]' for networks."
        )
    ops = {
        name: _parse_op(family, mapping(raw[name], f"ops.{name}")) for name, family in FAMILIES.items() if name in raw
    }
    if ops and not any(op.weight for op in ops.values()):
        raise UserError(
            "Every op has weight 0, so there is nothing to generate. Type for instance ops.matmul.weight=1."
        )
    return ops


def _parse_op(family: OpFamily, raw: Mapping[str, Any]) -> OpSettings:
    key = f"ops.{family.name}"
    has_kinds, has_ranks = len(family.kinds) > 1, bool(family.ranks)
    allowed = ["weight", *(["kinds"] if has_kinds else []), *(["ranks"] if has_ranks else []), "grid"]
    check_keys(raw, [*allowed, "dtypes"], key)
    for needed in allowed:
        if needed not in raw:
            raise UserError(f"{key} lacks {needed}. Compare it with conf/ops/{_compared(family)}.yaml.")
    grid = mapping(raw["grid"], f"{key}.grid")
    check_keys(grid, family.axes, f"{key}.grid")
    for axis in family.axes:
        if axis not in grid:
            raise UserError(f"{key}.grid lacks the dimension {axis}. It takes {GRID_FORMS}.")
    op = OpSettings(
        family=family,
        weight=_parse_weight(raw["weight"], f"{key}.weight"),
        kinds=some_of(raw["kinds"], f"{key}.kinds", family.kinds) if has_kinds else family.kinds,
        ranks=some_of(raw["ranks"], f"{key}.ranks", family.ranks) if has_ranks else (),
        dtypes=some_of(raw.get("dtypes", [family.default_dtype]), f"{key}.dtypes", family.dtypes),
        grid={axis: parse_axis(grid[axis], f"{key}.grid.{axis}") for axis in family.axes},
    )
    _check_all_chosen(op)
    for variant in op.variants:
        _check_variant(op, variant)
    return op


def _check_all_chosen(op: OpSettings) -> None:
    """Refuse a kind, a rank or an element type of which there is no program with the others that are chosen."""
    made = [(variant.kind, variant.rank, variant.dtype) for variant in op.variants]
    for place, (name, chosen) in enumerate((("kinds", op.kinds), ("ranks", op.ranks), ("dtypes", op.dtypes))):
        lacking = next((one for one in chosen if one not in {each[place] for each in made}), None)
        if lacking is not None:
            allowed = _programs_with(op.family, place, lacking)
            raise UserError(
                f"ops.{op.family.name}.{name} has {lacking}, of which there are no programs with the other choices. "
                f"It goes with {allowed}. Leave it out, or add one of them."
            )


def _programs_with(family: OpFamily, place: int, one: Any) -> str:
    """Return what else programs have that have one kind, rank or element type."""
    every = [(each.kind, each.rank, word) for each in family.variants for word in each.words]
    fitting = [other for other in every if other[place] == one]
    lists = (
        f"{name} {listed(dict.fromkeys(str(other[index]) for other in fitting))}"
        for index, name in enumerate(("kinds", "ranks", "dtypes"))
        if index != place and (index != 1 or family.ranks) and (index != 0 or len(family.kinds) > 1)
    )
    return " and ".join(lists)


def _compared(family: OpFamily) -> str:
    """Return the name of an op whose file has the keys of a family: not each has a file."""
    return "elementwise" if family.ranks else "pooling" if len(family.kinds) > 1 else "matmul"


def _check_variant(op: OpSettings, variant: Variant) -> None:
    key = f"ops.{op.family.name}.grid"
    for axis in variant.axes:
        values = op.grid[axis]
        if isinstance(values, SameAs) and (values.axis not in variant.axes or isinstance(op.grid[values.axis], SameAs)):
            free = [other for other in variant.axes if not isinstance(op.grid[other], SameAs)]
            raise UserError(
                f"{key}.{axis} is the same as {shown(values.axis)}, which is not a dimension with values of its own in "
                f"{op.family.name} {variant.name}. Those are {listed(free)}."
            )
    if op.variant_grid(variant).too_large:
        raise UserError(
            f"{key} has more than 2**{int(math.log2(MAXIMUM_SIZE))} points. Use fewer values or larger steps."
        )


def parse_axis(value: Any, key: str) -> Axis:
    """Check the values of one dimension.

    Raises:
        UserError: when it is none of the three forms, is empty, or holds a number below 1.
    """
    if isinstance(value, Mapping):
        if set(value) == {"same_as"} and isinstance(value["same_as"], str):
            return SameAs(value["same_as"])
        if set(value) != {"from", "to", "step"}:
            raise UserError(f"{key} is {shown(dict(value))}, and must be {GRID_FORMS}.")
        numbers = {
            name: _dimension(value[name], f"{key}.{name}", f"'{key}={{from: 16, to: 512, step: 16}}'")
            for name in ("from", "to", "step")
        }
        axis = range(numbers["from"], numbers["to"] + 1, numbers["step"])
        if not axis:
            raise UserError(
                f"{key} is empty: from {numbers['from']} is above to {numbers['to']}. It takes {GRID_FORMS}."
            )
        return range(axis.start, axis[-1] + 1, axis.step)
    if not isinstance(value, list) or not value:
        raise UserError(f"{key} is {shown(value)}, and must be {GRID_FORMS}; it may not be empty.")
    return tuple(sorted({_dimension(element, key, f"'{key}=[16, 32, 64]'") for element in value}))


def _dimension(value: Any, key: str, example: str) -> int:
    return whole_number(value, key, minimum=1, maximum=LARGEST_DIMENSION, example=example)


def _parse_weight(value: Any, key: str) -> Fraction:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= LARGEST_WEIGHT:
        raise UserError(
            f"{key} is {shown(value)}, and must be a number of at least 0 and at most {LARGEST_WEIGHT}. Type for "
            f"instance {key}=2."
        )
    # By way of the decimal text, so that 0.1 is a tenth and not the nearest binary fraction.
    return Fraction(str(value))
