"""Converting a network with either converter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from mlir_datagen.errors import UserError, listed
from mlir_datagen.mlir.element_types import dense_of, of_torch
from mlir_datagen.networks.capture import PROGRAM_DTYPES, capture
from mlir_datagen.networks.changes import unchanged
from mlir_datagen.networks.converted import Converted
from mlir_datagen.networks.quiet import quiet
from mlir_datagen.networks.state import as_numpy, require_capturable, state_tensors

if TYPE_CHECKING:
    from mlir_datagen.networks.through_torch_mlir import Lower


def convert(
    module: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    name: str,
    converter: str,
    constant: bool,
    lower: Lower | None = None,
) -> Converted:
    """Convert a network to linalg operations on tensors.

    Args:
        module: the network, in evaluation mode.
        inputs: example inputs, by name and in order.
        name: of the function.
        converter: one of `CONVERTERS`.
        constant: whether parameters and buffers become constants in the text, and not arguments.
        lower: runs torch-mlir's passes, which may crash their process; left out, they run in this one.

    Raises:
        UserError: when the network cannot be captured, returns no tensor, or has an operator that the converter does
            not know.
        Rejection: at stage `emitted`, when torch-mlir cannot convert it.
        MemoryError: when there is not enough memory.
    """
    require_capturable(module)
    with unchanged(module):
        converted = _convert_with(converter, module, inputs, name, constant, lower)
    if not converted.results:
        raise UserError(f"{name} returns no tensor, so that its program would compute nothing.")
    if foreign := [result.dtype for result in converted.results if result.dtype not in PROGRAM_DTYPES]:
        raise UserError(
            f"{name} returns a tensor of {foreign[0]}, and programs have {listed(PROGRAM_DTYPES)}. "
            "Return complex numbers as torch.view_as_real gives them."
        )
    return converted


def _convert_with(
    converter: str,
    module: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    name: str,
    constant: bool,
    lower: Lower | None,
) -> Converted:
    # Each is imported only where it is used: the manual converter works without torch-mlir.
    if converter == "torch_mlir":
        from mlir_datagen.mlir.torch_lowering import lower_torch
        from mlir_datagen.networks.through_torch_mlir import convert_through_torch_mlir

        return convert_through_torch_mlir(module, inputs, name, constant, lower or lower_torch)
    from mlir_datagen.networks.manual import convert_manual

    literals = _literals(module) if constant else {}
    exported = capture(module, inputs, name)
    with quiet():
        converted = convert_manual(module, exported, name, literals)
    return _named(converted, list(inputs), {one.name for one in state_tensors(module)})


def _named(converted: Converted, inputs: Sequence[str], state: Collection[str]) -> Converted:
    """Return a converted network with the names that both converters give.

    Raises:
        UserError: when it takes a tensor that is none of the network's inputs, parameters and buffers.
    """
    names = iter(inputs)
    arguments = [
        argument._replace(name=next(names)) if argument.role == "input" else argument
        for argument in converted.arguments
    ]
    unknown = [argument.name for argument in arguments if argument.role != "input" and argument.name not in state]
    if unknown:
        raise UserError(
            f"The network has a tensor of its own, {unknown[0]} in its graph, that is neither a parameter nor a "
            "buffer. Register it: self.register_buffer(name, tensor, persistent=False)."
        )
    results = [result._replace(name=f"output{index}") for index, result in enumerate(converted.results)]
    return converted._replace(arguments=tuple(arguments), results=tuple(results))


def _literals(module: torch.nn.Module) -> dict[str, str]:
    """Return parameters and buffers as dense attributes; what has no element type is refused where it is used."""
    typed = [(one, of_torch(one.tensor.dtype)) for one in state_tensors(module)]
    return {one.name: dense_of(as_numpy(one.tensor.contiguous()), dtype) for one, dtype in typed if dtype is not None}
