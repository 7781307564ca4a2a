"""What is done with a network once PyTorch has captured it: from torch-mlir's dialect to the results of a run.

All of it may crash this process, hang or eat memory, and none of it needs PyTorch or the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection, UserError
from mlir_datagen.mlir.element_types import ELEMENT_TYPES, unwritten
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.outline import network_outline
from mlir_datagen.mlir.parse import Contexts, Verifier
from mlir_datagen.mlir.signature import Outline
from mlir_datagen.mlir.torch_lowering import Linalg, lower_torch

_WORTH_OPTIMIZING = 2_000_000_000


class NetworkProgram:
    """The program of one network, on its way through the stages in this process."""

    def __init__(self) -> None:
        self._contexts = Contexts()
        self._text = ""
        self._flops = 0
        self._lowered: Any = None
        self._compiled: CompiledProgram | None = None

    def lower_torch(self, text: str, first: int, constants: Mapping[int, NDArray[Any]]) -> Linalg:
        """Do what `mlir.torch_lowering.lower_torch` does."""
        return lower_torch(text, first, constants)

    def verify(self, text: str) -> Outline:
        """Parse and verify the program, which is kept for the next stages; return its graph.

        Raises:
            Rejection: at stage `verified`, also when its operations cannot be counted.
        """
        Verifier().verify(text)
        try:
            outline = network_outline(text, self._contexts.next())
        except UserError as error:
            raise Rejection("verified", str(error)) from error
        self._text, self._flops = text, outline.flops
        return outline

    def lower(self) -> None:
        """Lower the program to the LLVM dialect.

        Raises:
            Rejection: at stage `lowered`.
        """
        self._compiled = None
        self._lowered = lower(self._text, self._contexts.next())

    def run(
        self, arguments: Sequence[NDArray[Any]], results: Sequence[tuple[str, tuple[int, ...]]]
    ) -> list[NDArray[Any]]:
        """Run the lowered program, on arguments of the shapes and element types that it takes.

        It is compiled the first time.

        Args:
            arguments: in order.
            results: element type and shape of each result.

        Returns:
            The results, in order. An element that the program does not write is NaN, or the largest of integers.

        Raises:
            Rejection: at stage `executed`, when it cannot be compiled.
        """
        if self._compiled is None:
            # A small network would spend nearly all of its time being optimised.
            optimization = 0 if self._flops < _WORTH_OPTIMIZING else 3
            self._compiled = CompiledProgram(self._lowered, len(arguments) + len(results), optimization)
        # Copies: programs may write into their arguments' memory only by mistake, but then not into the network's.
        given = [np.array(argument, order="C") for argument in arguments]
        made = [np.full(shape, unwritten(dtype), ELEMENT_TYPES[dtype].numpy) for dtype, shape in results]
        self._compiled.bind([*given, *made]).run()
        return made
