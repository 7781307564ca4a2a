"""The part of the config of a family of drawn graphs: what its graphs are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlir_datagen.config.axes import checked_grid, parse_axis, parse_weight
from mlir_datagen.errors import UserError, shown
from mlir_datagen.ops.drawn.draft import Drawing
from mlir_datagen.ops.drawn.families import DrawnFamily
from mlir_datagen.ops.dtypes import DEFAULT
from mlir_datagen.sources.grid import SameAs
from mlir_datagen.sources.settings import DrawnSettings
from mlir_datagen.values import some_of, whole_number

LONGEST = 64
_MOST_LOOPS, _MOST_OPERATIONS = 8, 16
"""Of one operation and of its body."""


def parse_drawn(family: DrawnFamily, raw: Mapping[str, Any]) -> DrawnSettings:
    """Check the part of a family.

    Raises:
        UserError: for any value that is not allowed.
    """
    key = f"ops.{family.name}"
    allowed = ("weight", *family.settings, "grid")
    grid = checked_grid(raw, key, allowed, ("dtypes",), family.axes, like=family.name)
    drawing = Drawing(
        axes={axis: _values(grid[axis], f"{key}.grid.{axis}") for axis in family.axes},
        vocabulary=some_of(raw["vocabulary"], f"{key}.vocabulary", family.vocabulary),
        length=_span(raw.get("length", 1), f"{key}.length"),
        fan_out=_count(raw.get("fan_out", 1), f"{key}.fan_out"),
        depth=None if raw.get("depth") is None else _count(raw["depth"], f"{key}.depth"),
        loops=_span(raw.get("loops", 1), f"{key}.loops", _MOST_LOOPS),
        operations=_span(raw.get("operations", 1), f"{key}.operations", _MOST_OPERATIONS),
    )
    dtypes = some_of(raw.get("dtypes", [DEFAULT]), f"{key}.dtypes", family.dtypes)
    return DrawnSettings(family, parse_weight(raw["weight"], f"{key}.weight"), drawing, dtypes)


def _values(value: Any, key: str) -> Sequence[int]:
    axis = parse_axis(value, key)
    if isinstance(axis, SameAs):
        raise UserError(
            f"{key} is {shown(dict(value))}, and each size of a graph is drawn for itself. Give it its own values: a "
            "list like [16, 32, 64] or a range like {from: 16, to: 512, step: 16}."
        )
    return axis


def _span(value: Any, key: str, maximum: int = LONGEST) -> tuple[int, int]:
    """Return the least and the largest of what a number, or a range of them, allows."""
    if not isinstance(value, Mapping):
        length = _count(value, key, maximum)
        return length, length
    if set(value) != {"from", "to"}:
        raise UserError(f"{key} is {shown(dict(value))}, and must be a number, or a range like {{from: 2, to: 8}}.")
    least, most = (_count(value[end], f"{key}.{end}", maximum) for end in ("from", "to"))
    if least > most:
        raise UserError(f"{key} is empty: from {least} is above to {most}. Type for instance {key}={least}.")
    return least, most


def _count(value: Any, key: str, maximum: int = LONGEST) -> int:
    return whole_number(value, key, minimum=1, maximum=maximum, example=f"{key}=5")
