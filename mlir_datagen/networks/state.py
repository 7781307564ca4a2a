"""A network's parameters and buffers, in order, and what they become in a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray

from mlir_datagen.errors import UserError
from mlir_datagen.mlir.signature import Argument

_QUANTIZED = ("torch.ao.nn.quantized.", "torch.nn.quantized.", "torch.ao.nn.intrinsic.quantized.")
"""Where PyTorch has layers that hold packed weights."""


class StateTensor(NamedTuple):
    """A parameter or a buffer, persistent or not."""

    role: str
    name: str
    tensor: torch.Tensor


def state_tensors(module: torch.nn.Module) -> list[StateTensor]:
    """Return a network's parameters, then its buffers; one that is used under two names comes once."""
    return [
        *(StateTensor("parameter", name, tensor.detach()) for name, tensor in module.named_parameters()),
        *(StateTensor("buffer", name, tensor.detach()) for name, tensor in module.named_buffers()),
    ]


def stored_state(module: torch.nn.Module, arguments: Sequence[Argument]) -> dict[str, torch.Tensor]:
    """Return the parameters and buffers, by name, that a network's program takes.

    All of them, when it takes none, since they are constants in it.
    """
    tensors = {one.name: one.tensor for one in state_tensors(module)}
    named = {argument.name for argument in arguments if argument.role != "input"} or set(tensors)
    return {name: tensors[name] for name in named}


def places(module: torch.nn.Module) -> dict[str, int]:
    """Return where in `state_tensors` each parameter and buffer is, by its name; those that are tied have several."""
    numbers = {id(held): index for index, held in enumerate([*module.parameters(), *module.buffers()])}
    return {
        f"{path}.{name}" if path else name: numbers[id(held)]
        for path, layer in module.named_modules()
        for name, held in (*layer._parameters.items(), *layer._buffers.items())
        if held is not None
    }


def require_capturable(module: torch.nn.Module) -> None:
    """Refuse a network with layers that are no Python code, or whose weights are no tensors.

    Raises:
        UserError: which names the layer, and what can be converted instead.
    """
    for path, layer in module.named_modules():
        what = f'The layer "{path}" of the network' if path else "The network"
        if isinstance(layer, torch.jit.ScriptModule):
            raise UserError(
                f"{what} is compiled TorchScript, which PyTorch does not capture. Convert the torch.nn.Module that it "
                "was made from, before torch.jit.script or torch.jit.trace."
            )
        if type(layer).__module__.startswith(_QUANTIZED):
            raise UserError(
                f"{what} is quantized ({type(layer).__module__}.{type(layer).__name__}), and its weights are no "
                "tensors that PyTorch captures. Convert the network as it was before quantization."
            )


def require_values(module: torch.nn.Module) -> None:
    """Refuse a network that is not capturable, or whose parameters and buffers are not there yet.

    Raises:
        UserError: with what makes them, or what can be converted instead.
    """
    require_capturable(module)
    for name, held in (*module.named_parameters(), *module.named_buffers()):
        if isinstance(held, torch.nn.parameter.UninitializedTensorMixin):
            raise UserError(
                f'The network has no values for "{name}" yet, whose shape its first inputs decide. Call it once: '
                "model(example)."
            )
        if held.device.type == "meta":
            raise UserError(
                f'The network has no values for "{name}", which is on the device "meta". Build it without that device, '
                "or give it memory with model.to_empty(device='cpu') and load its weights."
            )


def splat(module: torch.nn.Module) -> None:
    """Give every parameter and buffer one value throughout: vectors their mean, the others 1 / (inputs of an output).

    So the values neither grow nor vanish on their way through the layers.
    """
    with torch.no_grad():
        for _, _, tensor in state_tensors(module):
            if tensor.is_floating_point() and tensor.numel() > 1:
                inputs = tensor.numel() // tensor.shape[0]
                tensor.fill_(float(tensor.double().mean()) if tensor.ndim == 1 else 1 / inputs)


def is_uniform(tensor: torch.Tensor) -> bool:
    """Tell whether all elements are the same."""
    return tensor.numel() > 0 and bool((tensor == tensor.flatten()[0]).all())


def as_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor as an array.

    Raises:
        UserError: when numpy does not have its dtype.
    """
    try:
        array: NDArray[Any] = tensor.numpy()
    except TypeError as error:
        raise UserError(
            f"The network has a tensor of {tensor.dtype}, which cannot be a constant in the text. Make the weights "
            "arguments (weights='arguments'), or convert the network first, as with model.float()."
        ) from error
    return array


def chosen(
    arguments: Sequence[Argument], module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]
) -> list[torch.Tensor]:
    """Return the tensors that a function's arguments name, in order: an input and a buffer may have one name."""
    state = {one.name: one.tensor for one in state_tensors(module)}
    return [(inputs if argument.role == "input" else state)[argument.name] for argument in arguments]
