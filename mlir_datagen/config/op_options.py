"""The group `ops`: what a run has of an op that has no file there, and what is said of one that there is not."""

from __future__ import annotations

from typing import Any

from mlir_datagen.config.folder import config_directory
from mlir_datagen.errors import UserError, listed, nearest
from mlir_datagen.ops import PROGRAM_FAMILIES
from mlir_datagen.ops.family import OpFamily

_DIMS = {
    "length": "vector", "rows": "matrix", "columns": "matrix", "m": "matrix", "n": "matrix", "k": "matrix",
    "batch": "batch", "outer": "outer", "tile": "tile", "groups": "groups", "multiplier": "multiplier",
    "channels": "channels", "in": "channels", "out": "channels", "depth": "depth", "height": "spatial",
    "width": "spatial", "kernel": "kernel", "stride": "stride", "dilation": "dilation",
}  # fmt: skip
"""By an axis, or the first word of its name, the dimensions of `conf/dims/` that it has."""
_SQUARE = ("kernel", "stride", "dilation")
"""Those that are the same along all sides."""


def op_option(family: OpFamily) -> dict[str, Any]:
    """Return what a file of `conf/ops/` would say of a family: all its kinds and ranks, over the usual dimensions."""
    grid: dict[str, Any] = {}
    for axis in family.axes:
        what = axis.partition("_")[0]
        first = next((other for other in grid if other.startswith(what)), None)
        is_same = what in _SQUARE and first is not None
        grid[axis] = {"same_as": first} if is_same else f"${{dims.{_DIMS[what]}}}"
    return {
        "weight": 1,
        **({"kinds": list(family.kinds)} if len(family.kinds) > 1 else {}),
        **({"ranks": list(family.ranks)} if family.ranks else {}),
        "dtypes": [family.default_dtype],
        "grid": grid,
    }


def selections() -> list[str]:
    """Return the names of the files that choose several ops at once."""
    files = (path.stem for path in (config_directory() / "ops").glob("*.yaml"))
    return sorted(name for name in files if name not in PROGRAM_FAMILIES)


def unknown_op_option(option: str) -> UserError:
    """Return what is said of an op, or of a selection of them, that there is not."""
    hint = nearest(option, [*PROGRAM_FAMILIES, *selections()], 3)
    return UserError(
        f'There is no "{option}" in the group ops.{hint} It has {len(PROGRAM_FAMILIES)} ops, which '
        f"scripts/list_ops.py lists, and of several ops {listed(selections())}. Type for instance "
        "'ops=[matmul,conv2d]'."
    )
