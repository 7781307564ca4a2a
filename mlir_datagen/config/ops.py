"""The part of the config that chooses op families, their share of the mix, and their dimension grids."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mlir_datagen.config.axes import checked_grid, parse_axis, parse_weight
from mlir_datagen.config.drawn import parse_drawn
from mlir_datagen.errors import UserError, listed, shown
from mlir_datagen.ops import FAMILIES, PROGRAM_FAMILIES
from mlir_datagen.ops.drawn.families import DRAWN_FAMILIES
from mlir_datagen.ops.family import OpFamily, Variant
from mlir_datagen.programs.spec import no_such_op
from mlir_datagen.sources.grid import SameAs
from mlir_datagen.sources.permutation import MAXIMUM_SIZE
from mlir_datagen.sources.settings import DrawnSettings, OpSettings
from mlir_datagen.values import mapping, some_of


def parse_ops(raw: Mapping[str, Any], required: bool) -> dict[str, OpSettings | DrawnSettings]:
    """Check the `ops` part of a config; return it in the order of the table of families.

    Args:
        raw: the part as plain values.
        required: whether there must be an op.

    Raises:
        UserError: for an unknown op, no op where there must be one, and any value that is not allowed.
    """
    for name in raw:
        if name not in PROGRAM_FAMILIES:
            raise UserError(f"{no_such_op(name)} Type for instance 'ops=[matmul,conv2d]'.")
    if not raw and required:
        raise UserError(
            "No op is chosen, so there is nothing to generate. scripts/list_ops.py lists the ops. "
            "Type for instance 'ops=[matmul,conv2d]', or 'models=[resnet18]' for networks."
        )
    parts = {name: mapping(raw[name], f"ops.{name}") for name in PROGRAM_FAMILIES if name in raw}
    ops: dict[str, OpSettings | DrawnSettings] = {
        name: _parse_op(FAMILIES[name], part) if name in FAMILIES else parse_drawn(DRAWN_FAMILIES[name], part)
        for name, part in parts.items()
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
    grid = checked_grid(raw, key, allowed, ["dtypes"], family.axes, like=_compared(family))
    op = OpSettings(
        family=family,
        weight=parse_weight(raw["weight"], f"{key}.weight"),
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
