"""The operations that the linalg dialect of the toolchain has."""

from __future__ import annotations

from torch_mlir.dialects import _linalg_ops_gen


def linalg_operations() -> list[str]:
    """Return their names without `linalg.`, sorted."""
    classes = vars(_linalg_ops_gen).values()
    names = {str(one.OPERATION_NAME) for one in classes if hasattr(one, "OPERATION_NAME")}
    return sorted(name.removeprefix("linalg.") for name in names)
