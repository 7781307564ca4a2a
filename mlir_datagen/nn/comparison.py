"""Comparing what a converted network's program gives with what PyTorch does."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mlir_datagen.errors import Rejection, UserError, listed
from mlir_datagen.nn.building import is_about_memory
from mlir_datagen.nn.capture import called, explained, mlir_dtype
from mlir_datagen.nn.quiet import quiet
from mlir_datagen.nn.signature import Converted, result_types
from mlir_datagen.nn.state import chosen
from mlir_datagen.proving.reference import NUMPY_DTYPES, Errors, difference, require

TOLERANCE = 1e-4
"""The largest error, relative to the largest value of a result, that rounding through a deep network explains.

The deepest of the catalogue were seen to differ by 1e-5; a wrong operation differs by parts of one.
"""


class Reference(NamedTuple):
    """What PyTorch computes.

    Attributes:
        values: of the results, in double precision where the network works in it.
        dtypes: of the results as the network itself gives them, as MLIR spells them.
    """

    values: list[NDArray[Any]]
    dtypes: list[str]


def reference(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], name: str) -> Reference:
    """Return what PyTorch computes: in double precision, which is the same on every machine.

    A network that cannot be copied, or does not work in double precision, since it names another in its code, is its
    own reference, in its own precision.

    Args:
        module: the network, in evaluation mode.
        inputs: by name and in order.
        name: what the network is called in messages.

    Raises:
        UserError: when PyTorch refuses the network or its inputs, or a result has a dtype that programs have not.
        MemoryError: when there is not enough memory.
    """
    with quiet(), explained(name, inputs):
        with _buffers_kept(module):
            own = _results(module, inputs)
        dtypes = [mlir_dtype(result) for result in own]
        _refuse_without_numpy(name, dtypes)
        precise = _results_in_double(module, inputs)
    if precise is None or [result.shape for result in precise] != [result.shape for result in own]:
        precise = own
    values = [_with_infinities(wide.numpy(), result.numpy()) for wide, result in zip(precise, own, strict=True)]
    return Reference(values, dtypes)


def program_arguments(
    converted: Converted, module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], name: str
) -> list[NDArray[Any]]:
    """Return what a converted network is run on, in the order of its arguments: inputs, and its own weights.

    Args:
        converted: the program.
        module: the network.
        inputs: by name.
        name: what the network is called in messages.

    Raises:
        UserError: when it takes or gives a tensor of a dtype that numpy has not.
    """
    _refuse_without_numpy(name, [one.dtype for one in (*converted.arguments, *converted.results)])
    return [tensor.numpy() for tensor in chosen(converted.arguments, module, inputs)]


def compare(results: list[NDArray[Any]], converted: Converted, expected: Reference) -> Errors:
    """Compare a program's results with PyTorch's. Infinities have to be equal; a NaN never is.

    Args:
        results: in order.
        converted: the program.
        expected: PyTorch's results.

    Raises:
        Rejection: at stage `matched`, when a result has another shape or element type, is not finite where PyTorch's
            is, or differs by more than rounding.
    """
    found = result_types(converted)
    wanted = [(dtype, value.shape) for dtype, value in zip(expected.dtypes, expected.values, strict=True)]
    if found != wanted:
        raise Rejection("matched", f"the results are {_typed(found)} instead of {_typed(wanted)}")
    pairs = [_difference(result, value) for result, value in zip(results, expected.values, strict=True)]
    worst = Errors(max(pair.absolute for pair in pairs), max(pair.relative for pair in pairs))
    require(worst, TOLERANCE)
    return worst


@contextmanager
def _buffers_kept(module: torch.nn.Module) -> Iterator[None]:
    """Leave a network the buffers that it has, where its forward method replaces them; not every one can be copied."""
    held = [(layer, dict(layer._buffers)) for layer in module.modules()]
    try:
        yield
    finally:
        for layer, buffers in held:
            layer._buffers.update(buffers)


def _results(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """Return the tensors that a network gives; what it changes in place are copies of its inputs."""
    returned = called(module, {name: tensor.clone() for name, tensor in inputs.items()})
    return [leaf.detach() for leaf in torch.utils._pytree.tree_leaves(returned) if isinstance(leaf, torch.Tensor)]


def _results_in_double(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> list[torch.Tensor] | None:
    """Return what a network gives in double precision, or None for one that has none."""
    wide = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in inputs.items()}
    try:
        return _results(copy.deepcopy(module).double(), wide)
    except Exception as error:
        # Whatever PyTorch or the network's own code raises: it has been seen to work in its own precision.
        if isinstance(error, MemoryError) or is_about_memory(error):
            raise
        return None


def _with_infinities(precise: NDArray[Any], own: NDArray[Any]) -> NDArray[Any]:
    """Return values in double precision, with the infinities of those that the network's own precision cannot hold."""
    if own.dtype.kind == "f" and (infinite := np.isinf(own)).any():
        return np.where(infinite, own, precise)
    return precise


def _difference(result: NDArray[Any], value: NDArray[Any]) -> Errors:
    if value.dtype.kind == "f" and (equal := np.isinf(value) & (result == value)).any():
        result, value = np.where(equal, 0, result), np.where(equal, 0, value)
    with np.errstate(invalid="ignore", over="ignore"):
        return difference(result, value)


def _refuse_without_numpy(name: str, dtypes: Sequence[str]) -> None:
    foreign = [dtype for dtype in dtypes if dtype not in NUMPY_DTYPES]
    if foreign:
        raise UserError(
            f"{name} takes or gives a tensor of {foreign[0]}, which numpy does not have, so that its program cannot be "
            f"run and compared. Convert the network first, as with model.float(), or check it less: check='lower'. "
            f"Those that can be run have {listed(NUMPY_DTYPES)}."
        )


def _typed(results: Sequence[tuple[str, tuple[int, ...]]]) -> str:
    return listed(f"{dtype} {list(shape)}" for dtype, shape in results)
