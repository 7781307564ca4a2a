"""What every family of programs is to the rest of the project, whether its programs are counted or drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from mlir_datagen.ops.graph import Graph
from mlir_datagen.ops.structured_operation import NAMED, StructuredOperation, Versions

LARGEST_TOLERANCE = 0.5
"""Of the largest value. Rounding takes long sums of narrow types as far, and nothing is proven of them then."""

Bounds = tuple[float, float] | range
"""Of random numbers: the ends of their range, or a range of whole numbers, none of which is outside."""


class HeldAgainst(NamedTuple):
    """What a result of a program is compared with.

    Attributes:
        reference: what PyTorch computes, in double precision.
        allowed: the largest error that rounding explains; relative to the largest value where `added_up` is given.
        added_up: returns the largest sum of absolute values that an element is added up from: where its terms cancel,
            rounding is relative to that. It takes as long as the reference.
    """

    reference: NDArray[Any]
    allowed: float
    added_up: Callable[[], float] | None = None


def largest(values: NDArray[np.float64]) -> float:
    """Return the largest absolute value, without a copy of them all; NaN if there is one."""
    return max(float(values.max()), -float(values.min()))


class AnySpec(Protocol):
    """A program of a family: what it can be made again from."""

    @property
    def kind(self) -> str:
        """Which of the family's programs it is one of."""

    @property
    def dtype(self) -> str:
        """Its element type."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """What its JSON says."""


class AnyFamily(Protocol):
    """A family; its specs are of a class of its own."""

    name: str

    def spec_from_json(self, fields: Any) -> Any:
        """Make the spec again from the parsed JSON of a row's `spec` column.

        Raises:
            TypeError, ValueError: when the fields make none.
        """

    def spec_of_json(self, text: str) -> Any:
        """Make the spec again from a row's `spec` column.

        Raises:
            TypeError, ValueError: as `spec_from_json`.
            orjson.JSONDecodeError: when it is not JSON; it is a ValueError.
        """
        return self.spec_from_json(orjson.loads(text))

    def problem(self, spec: Any) -> str | None:
        """Say why a spec that comes from elsewhere is none of the family's, or return None."""

    def graph(self, spec: Any) -> Graph:
        """Return the program of a spec."""

    def program(self, spec: Any, form: str = NAMED) -> str:
        """Return the text of a whole module with one function, named after the family.

        Args:
            spec: the program.
            form: the form of its operations, where they have it.
        """
        return self.graph(spec).text(form)

    def main_operation(self, spec: Any) -> StructuredOperation:
        """Return the main operation of a program."""

    def versions(self, spec: Any, asked: str) -> Versions:
        """Return the MLIR that parses a program where a form is asked for."""

    def baseline_seconds(self, spec: Any) -> Any:
        """Estimate how long one call of a program takes as plain loops."""

    def pytorch(self, spec: Any) -> Callable[..., Any]:
        """Return a function of tensors of one element type that computes the results: PyTorch's own, where it has one.

        What the graph alone says is the same; tests hold the one against the other.
        """
        return self.graph(spec).evaluation()

    def held_against(self, spec: Any, arguments: Sequence[NDArray[Any]]) -> Sequence[HeldAgainst]:
        """Return what each result is compared with.

        Args:
            spec: the program.
            arguments: what it was called on.
        """

    def hidden(self, spec: Any, arguments: Sequence[NDArray[Any]], held: Sequence[HeldAgainst]) -> frozenset[int]:
        """Return the places of arguments that show in no result: with others the results are the same.

        None, unless a family says otherwise: whatever a single operation reads shows on random arguments.
        """
        return frozenset()

    def input_ranges(self, spec: Any) -> Sequence[Bounds]:
        """Return for each argument the range of random numbers in which a wrong program shows."""
