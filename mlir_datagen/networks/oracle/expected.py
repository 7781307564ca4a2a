"""What a program is held against, as plain arrays: made where PyTorch and the network are, used where they are not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class ExpectedResult(NamedTuple):
    """What PyTorch gives for one result.

    Attributes:
        dtype: as MLIR spells it.
        values: in double precision where they are numbers of a floating-point type; of shape and kind of the result.
        allowed: how far each element may lie from them.
        unsettled: where PyTorch itself changes its mind when it rounds otherwise.
    """

    dtype: str
    values: NDArray[Any]
    allowed: NDArray[np.float64]
    unsettled: NDArray[np.bool_]


class Case(NamedTuple):
    """One call of a program: its arguments in order, as they are in memory, and what PyTorch gives for them."""

    arguments: tuple[NDArray[Any], ...]
    results: tuple[ExpectedResult, ...]


class Expected(NamedTuple):
    """What PyTorch says of a network.

    Attributes:
        cases: calls of its program to compare: on its own weights, and where these hide something, on others too.
        unshown: what shows in none of them; a fault there would not be found.
    """

    cases: tuple[Case, ...]
    unshown: tuple[str, ...]
