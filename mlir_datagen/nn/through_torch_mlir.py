"""The converter `torch_mlir`: torch-mlir's own, with parameters and buffers lifted to function arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mlir_datagen.mlir.fx_import import (
    function_results,
    import_network,
    module_text,
    remove_unused_arguments,
    replace_arguments,
)
from mlir_datagen.nn.capture import called, capture, described, quiet
from mlir_datagen.nn.signature import Argument, Converted
from mlir_datagen.nn.state import StateTensor, state_tensors


class _Lifted(torch.nn.Module):
    """A network as a function of its inputs and of its state; it holds none itself.

    Frozen into the program, the weights of a small network would already take a hundred megabytes of text.
    """

    def __init__(self, module: torch.nn.Module, inputs: list[str], state: list[StateTensor]) -> None:
        super().__init__()
        # In a list, so that it is not a submodule whose parameters would be captured too.
        self._network = [module]
        self._inputs = inputs
        self._state = [tensor.name for tensor in state]

    def forward(self, *tensors: torch.Tensor) -> Any:
        count = len(self._inputs)
        network = _Called(self._network[0])
        named = {f"network.{name}": tensor for name, tensor in zip(self._state, tensors[count:], strict=True)}
        inputs = dict(zip(self._inputs, tensors[:count], strict=True))
        returned = torch.func.functional_call(network, named, (inputs,))
        # A program gives tensors: what else a network returns, such as None, is no part of it.
        return [leaf for leaf in torch.utils._pytree.tree_leaves(returned) if isinstance(leaf, torch.Tensor)]


class _Called(torch.nn.Module):
    """Calls a network with inputs by name."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> Any:
        return called(self.network, inputs)


def convert_through_torch_mlir(
    module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], name: str, constant: bool
) -> Converted:
    """Convert a network.

    Args:
        module: the network, in evaluation mode.
        inputs: example inputs, by name and in order.
        name: of the function.
        constant: whether parameters and buffers become constants.

    Raises:
        UserError: when the network cannot be captured.
        Rejection: at stage `emitted`, when torch-mlir cannot convert it.
    """
    state = state_tensors(module)
    lifted = _Lifted(module, list(inputs), state)
    tensors = {**inputs, **{f"state {index}": one.tensor for index, one in enumerate(state)}}
    exported = capture(lifted.eval(), tensors, name, shown=inputs)
    with quiet():
        program = import_network(exported, name)
    arguments = [
        *(described("input", input_, tensor) for input_, tensor in inputs.items()),
        *(described(one.role, one.name, one.tensor) for one in state),
    ]
    if constant:
        offset = len(inputs)
        replace_arguments(program, {offset + index: one.tensor.numpy() for index, one in enumerate(state)})
    kept = remove_unused_arguments(program, first=len(inputs))
    results = function_results(program)
    return Converted(
        text=module_text(program),
        arguments=tuple(arguments[index] for index in kept),
        results=tuple(
            Argument("output", f"output{index}", dtype, shape) for index, (dtype, shape) in enumerate(results)
        ),
    )
