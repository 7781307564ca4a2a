"""What an op family is: the one interface through which the rest of the project knows an op.

A **spec** is what one program is: a named tuple of dimensions, kind and element type. Every function here that takes a
spec also takes a spec whose dimensions are numpy arrays, and then answers for all its points at once. So the shapes
and costs that an emitter, the limits on a grid and the columns of the index use are one piece of code.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from mlir_datagen.mlir.builder import FunctionBuilder, Value
from mlir_datagen.mlir.element_types import ELEMENT_TYPES, as_tensor
from mlir_datagen.mlir.signature import Loop, Operand
from mlir_datagen.mlir.types import tensor
from mlir_datagen.ops.baseline import baseline_seconds

Spec = Any
"""A family's own named tuple; see the module's text for its two forms."""

FAMILY_DTYPES = ("f32",)
"""The element types that specs may have."""


class Variant(NamedTuple):
    """The programs of a family that have the same text but for numbers: one kind, one rank, one set of grid axes."""

    kind: str
    axes: tuple[str, ...]
    rank: int | None = None

    @property
    def name(self) -> str:
        """The kind, and the rank where the family has several."""
        return self.kind if self.rank is None else f"{self.kind}_{self.rank}d"


class Constraint(NamedTuple):
    """A condition on grid points, and how to say that no point fulfils it."""

    holds: Any
    if_never: str


class OpFamily(ABC):
    """One op family. Its instances hold no state."""

    name: ClassVar[str]
    variants: ClassVar[tuple[Variant, ...]]
    minimum_mlir: ClassVar[int]
    """The oldest MLIR whose parser knows the operations that the family emits."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds, in the order of the variants."""
        return tuple(dict.fromkeys(variant.kind for variant in self.variants))

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks, where the family has programs of several; otherwise empty."""
        return tuple(dict.fromkeys(variant.rank for variant in self.variants if variant.rank is not None))

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of all grid axes of all variants."""
        return tuple(dict.fromkeys(axis for variant in self.variants for axis in variant.axes))

    @abstractmethod
    def spec(self, variant: Variant, *dimensions: Any) -> Spec:
        """Make the spec of a point: one dimension for each of `variant.axes`, in that order."""

    @abstractmethod
    def spec_from_json(self, fields: dict[str, Any]) -> Spec:
        """Make the spec again from the parsed JSON of a row's `spec` column.

        Raises:
            TypeError: when the fields are not those of a spec.
        """

    def constraints(self, spec: Spec) -> Sequence[Constraint]:
        """Return what must hold for a point to be a program; nothing, unless a family says otherwise."""
        return ()

    @abstractmethod
    def arguments(self, spec: Spec) -> tuple[Operand, ...]:
        """Return the function's arguments."""

    @abstractmethod
    def results(self, spec: Spec) -> tuple[Operand, ...]:
        """Return the function's results."""

    @abstractmethod
    def loops(self, spec: Spec) -> tuple[Loop, ...]:
        """Return the iteration space of the family's main operation, in linalg's order of its dimensions."""

    @abstractmethod
    def flops(self, spec: Spec) -> Any:
        """Return the number of arithmetic operations; an addition, multiplication, comparison or division is one."""

    @abstractmethod
    def emit(self, builder: FunctionBuilder, spec: Spec, *operands: Value) -> Value:
        """Emit the operations on the operands; return the result."""

    @abstractmethod
    def reference(self, spec: Spec, *arguments: Any) -> Any:
        """Compute the result with PyTorch's functional operations, from and to tensors of double precision."""

    def input_range(self, spec: Spec) -> tuple[float, float]:
        """Return the range of random arguments in which a wrong program shows."""
        return -1.0, 1.0

    def reference_result(self, spec: Spec, arguments: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Return what `reference` computes, from and to numpy arrays."""
        operands = self.arguments(spec)
        tensors = [as_tensor(one, operand.dtype).double() for one, operand in zip(arguments, operands, strict=True)]
        result: NDArray[np.float64] = self.reference(spec, *tensors).numpy()
        return result

    def spec_of_json(self, text: str) -> Spec:
        """Make the spec again from a row's `spec` column.

        Raises:
            TypeError: when it does not have the fields of a spec.
            orjson.JSONDecodeError: when it is not JSON; it is a ValueError.
        """
        return self.spec_from_json(orjson.loads(text))

    def bytes_moved(self, spec: Spec) -> Any:
        """Return the size of arguments and results in bytes: the least that any schedule must move."""
        operands = (*self.arguments(spec), *self.results(spec))
        return sum(math.prod(operand.shape) * ELEMENT_TYPES[operand.dtype].size for operand in operands)

    def column_step(self, spec: Spec) -> Any:
        """Return how many bytes the innermost reduction goes on in memory for each element, where it goes farthest."""
        return ELEMENT_TYPES[spec.dtype].size

    def baseline_seconds(self, spec: Spec) -> Any:
        """Estimate how long one call of the program takes as plain loops."""
        loops = self.loops(spec)
        parallel, reduced = (
            [loop.bound for loop in loops if loop.iterator == kind] for kind in ("parallel", "reduction")
        )
        return baseline_seconds(parallel, reduced, self.bytes_moved(spec), self.column_step(spec))

    def program(self, spec: Spec) -> str:
        """Return the text of a whole module with one function, named after the family."""
        arguments = [(operand.name, tensor(operand.shape, operand.dtype)) for operand in self.arguments(spec)]
        builder = FunctionBuilder(self.name, arguments)
        return builder.finish(self.emit(builder, spec, *builder.arguments))


def flatten(spec: Iterable[Any]) -> tuple[list[str], list[Any]]:
    """Split a spec's fields into its words (kind, element type) and its dimensions, shapes spread out, in order."""
    words: list[str] = []
    dimensions: list[Any] = []
    for field in spec:
        if isinstance(field, str):
            words.append(field)
        elif isinstance(field, (tuple, list)):
            dimensions.extend(field)
        else:
            dimensions.append(field)
    return words, dimensions


def sliding_window_extent(extent: Any, window: Any, stride: Any, dilation: Any) -> Any:
    """Return how many positions an unpadded window has along a dimension of size `extent`."""
    return (extent - dilated(window, dilation)) // stride + 1


def dilated(window: Any, dilation: Any) -> Any:
    """Return how many elements a window spans from its first to its last."""
    return (window - 1) * dilation + 1


def sliding_window_constraints(spec: Spec) -> tuple[Constraint, ...]:
    """Return the constraints of a sliding window over `height` and `width`.

    Where a stride or a dilation has no effect it must be 1: other values would be the same program under another text.
    """
    return (
        *_window_constraints("height", spec.height, spec.kernel_height, spec.stride_height, spec.dilation_height),
        *_window_constraints("width", spec.width, spec.kernel_width, spec.stride_width, spec.dilation_width),
    )


def _window_constraints(side: str, extent: Any, kernel: Any, stride: Any, dilation: Any) -> tuple[Constraint, ...]:
    positions = sliding_window_extent(extent, kernel, stride, dilation)
    return (
        Constraint(
            dilated(kernel, dilation) <= extent,
            f"the kernel is larger than every input: every (dilated) kernel_{side} exceeds every {side}",
        ),
        Constraint(
            (kernel > 1) | (dilation == 1),
            f"a dilation has no effect on a kernel of 1, so that dilation_{side} must have the value 1",
        ),
        Constraint(
            (positions > 1) | (stride == 1),
            f"a stride has no effect where the window has one position, so that stride_{side} must have the value 1",
        ),
    )
