"""The parameters and buffers of networks, as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

WEIGHTS_FOLDER = "weights"


def weights_file(root: Path, name: str) -> Path:
    """Return where a network's weights are."""
    return root / WEIGHTS_FOLDER / f"{name}.safetensors"


def remove_weights(root: Path, name: str) -> None:
    """Remove a network's weights, also half-written ones, and their folder when it is left empty."""
    path = weights_file(root, name)
    path.unlink(missing_ok=True)
    _partial(path).unlink(missing_ok=True)
    if path.parent.exists() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def save_weights(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write parameters and buffers, PyTorch's tensors, under their names there."""
    from safetensors.torch import save_file

    path.parent.mkdir(exist_ok=True)
    partial = _partial(path)
    # Copies, since safetensors refuses tensors that share memory.
    save_file({name: tensors[name].clone().contiguous() for name in sorted(tensors)}, partial)
    partial.rename(path)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
