"""What a converted network takes and gives, in order."""

from __future__ import annotations

from typing import NamedTuple

from mlir_datagen.mlir.signature import Argument


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
