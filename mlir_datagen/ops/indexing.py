"""What operands are indexed with, along the loops of an iteration space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mlir_datagen.ops.notation import Access


def expressions(operand: Access, places: Mapping[str, str], sizes: Mapping[str, int]) -> list[str]:
    """Return what an operand is indexed with, by the names of the loops' dimensions."""
    found = []
    for dimension in operand.dimensions:
        window, shift = dimension.window, dimension.shift
        if window is None:
            ahead = "" if shift is None else f" + {shift.distance}"
            found.append(f"{places[dimension.position]}{ahead}")
        else:
            terms = ((window.position, window.stride), (window.offset, window.dilation))
            factors = ["" if factor is None else f" * {sizes[factor]}" for _, factor in terms]
            found.append(
                " + ".join(f"{places[loop]}{factor}" for (loop, _), factor in zip(terms, factors, strict=True))
            )
    return found


def steps_along(operand: Access, loop: str, sizes: Mapping[str, Any]) -> list[Any]:
    """Return how many elements lie between what an operand gives for neighbours along a loop, if it has that loop."""
    found = []
    for place, dimension in enumerate(operand.dimensions):
        window = dimension.window
        after = math.prod(sizes[inner] for inner in operand.names[place + 1 :])
        if window is not None and window.offset == loop:
            found.append(after * window.dilation_of(sizes))
        elif window is None and dimension.position == loop:
            found.append(after)
    return found
