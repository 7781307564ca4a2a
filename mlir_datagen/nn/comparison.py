"""Running a converted network, and comparing its results with PyTorch's."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.cost import module_flops
from mlir_datagen.mlir.jit import CompiledProgram
from mlir_datagen.mlir.lower import lower
from mlir_datagen.mlir.parse import Contexts
from mlir_datagen.nn.capture import called, quiet
from mlir_datagen.nn.signature import Converted
from mlir_datagen.nn.state import chosen
from mlir_datagen.proving.reference import NUMPY_DTYPES, Errors, difference, require

TOLERANCE = 1e-4
"""The largest error, relative to the largest value of a result, that rounding through a deep network explains.

The deepest of the catalogue were seen to differ by 1e-5; a wrong operation differs by parts of one.
"""


_WORTH_OPTIMIZING = 2_000_000_000


def run(converted: Converted, module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> list[NDArray[Any]]:
    """Compile a converted network and run it on its own weights.

    Raises:
        Rejection: at stage `lowered` or `executed`, when it cannot be.
    """
    lowered = lower(converted.text, Contexts().next())
    # A copy: programs may write into their arguments' memory only by mistake, but then into ours.
    arguments = [np.array(tensor.numpy(), order="C") for tensor in chosen(converted.arguments, module, inputs)]
    results = [np.zeros(result.shape, NUMPY_DTYPES[result.dtype]) for result in converted.results]
    for result in results:
        if result.dtype.kind == "f":
            # An element that the program does not write stays NaN, which never passes.
            result.fill(np.nan)
    # A small network would spend nearly all of its time being optimised.
    optimization = 0 if module_flops(converted.text, Contexts().next()) < _WORTH_OPTIMIZING else 3
    CompiledProgram(lowered, len(arguments) + len(results), optimization).bind([*arguments, *results]).run()
    return results


def compare(results: list[NDArray[Any]], module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> Errors:
    """Compare a program's results with PyTorch's in double precision, which is the same on every machine.

    Raises:
        Rejection: at stage `matched`, when a result is not finite, of another shape, or differs by more than rounding.
    """
    expected = reference(module, inputs)
    if [result.shape for result in results] != [value.shape for value in expected]:
        shapes = f"{[result.shape for result in results]} instead of {[value.shape for value in expected]}"
        raise Rejection("matched", f"the results have the shapes {shapes}")
    pairs = [difference(result, value) for result, value in zip(results, expected, strict=True)]
    worst = Errors(max(pair.absolute for pair in pairs), max(pair.relative for pair in pairs))
    require(worst, TOLERANCE)
    return worst


def reference(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> list[NDArray[Any]]:
    """Return what PyTorch computes, in double precision."""
    precise = copy.deepcopy(module).double()
    wide = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in inputs.items()}
    with quiet():
        leaves = torch.utils._pytree.tree_leaves(called(precise, wide))
    return [leaf.numpy() for leaf in leaves if isinstance(leaf, torch.Tensor)]
