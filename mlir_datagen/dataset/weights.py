"""The parameters and buffers of networks, as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlir_datagen.networks.converted import Converted

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


def save_weights(path: Path, module: Any, converted: Converted) -> None:
    """Write the parameters and buffers that a converted network takes, under their names in PyTorch.

    All of them, when its program takes none, since they are constants in it.

    Args:
        path: the file.
        module: the network, a `torch.nn.Module`.
        converted: its program, whose arguments say which tensors.
    """
    from safetensors.torch import save_file

    from mlir_datagen.networks.state import state_tensors

    tensors = {one.name: one.tensor for one in state_tensors(module)}
    named = {argument.name for argument in converted.arguments if argument.role != "input"} or set(tensors)
    path.parent.mkdir(exist_ok=True)
    partial = _partial(path)
    # Copies, since safetensors refuses tensors that share memory.
    save_file({name: tensors[name].clone().contiguous() for name in sorted(named)}, partial)
    partial.rename(path)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
