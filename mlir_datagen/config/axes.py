"""What the parts of all ops have: weights in the mix, and a grid with the values of dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from mlir_datagen.errors import UserError, shown
from mlir_datagen.sources.grid import Axis, SameAs
from mlir_datagen.values import check_keys, mapping, whole_number

LARGEST_DIMENSION = (1 << 31) - 1
LARGEST_WEIGHT = 1_000_000
GRID_FORMS = "a list like [16, 32, 64], a range like {from: 16, to: 512, step: 16}, or {same_as: <other dimension>}"


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


def parse_weight(value: Any, key: str) -> Fraction:
    """Check a weight in the mix.

    Raises:
        UserError: when it is no number from 0 on, or too large.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= LARGEST_WEIGHT:
        raise UserError(
            f"{key} is {shown(value)}, and must be a number of at least 0 and at most {LARGEST_WEIGHT}. Type for "
            f"instance {key}=2."
        )
    # By way of the decimal text, so that 0.1 is a tenth and not the nearest binary fraction.
    return Fraction(str(value))


def checked_grid(
    raw: Mapping[str, Any], key: str, allowed: Sequence[str], optional: Sequence[str], axes: Sequence[str], like: str
) -> Mapping[str, Any]:
    """Check that the part of an op has the keys that it must have; return its grid, with values for each axis.

    Args:
        raw: the part.
        key: where it stands.
        allowed: the keys that it must have.
        optional: others that it may have.
        axes: of the grid.
        like: the op whose file in `conf/ops/` has these keys.

    Raises:
        UserError: for a key that lacks, or that there is not.
    """
    check_keys(raw, (*allowed, *optional), key)
    for needed in allowed:
        if needed not in raw:
            raise UserError(f"{key} lacks {needed}. Compare it with conf/ops/{like}.yaml.")
    grid = mapping(raw["grid"], f"{key}.grid")
    check_keys(grid, axes, f"{key}.grid")
    for axis in axes:
        if axis not in grid:
            raise UserError(f"{key}.grid lacks the dimension {axis}. It takes {GRID_FORMS}.")
    return grid
