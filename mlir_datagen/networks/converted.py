"""What a converted network takes and gives, in order."""

from __future__ import annotations

from typing import NamedTuple

ROLES = ("input", "parameter", "buffer", "output")


class Argument(NamedTuple):
    """An argument or a result of a network's function.

    Attributes:
        role: one of `ROLES`.
        name: in PyTorch: of an argument of the forward method, or of a parameter or buffer (`layer1.0.conv1.weight`).
        dtype: the element type as MLIR spells it, such as `f32` or `i64`.
        shape: the static shape.
    """

    role: str
    name: str
    dtype: str
    shape: tuple[int, ...]


class Converted(NamedTuple):
    """A network as a module with one function.

    Attributes:
        text: the module.
        arguments: the function's arguments in order: inputs, then parameters, then buffers.
        results: the function's results in order.
    """

    text: str
    arguments: tuple[Argument, ...]
    results: tuple[Argument, ...]


def result_types(converted: Converted) -> list[tuple[str, tuple[int, ...]]]:
    """Return element type and shape of each result."""
    return [(one.dtype, one.shape) for one in converted.results]
