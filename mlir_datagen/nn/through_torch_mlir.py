"""The converter `torch_mlir`: torch-mlir's own, with parameters and buffers lifted to function arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.fx_import import (
    copy_repeated_results,
    function_results,
    import_network,
    module_text,
    remove_unused_arguments,
    replace_arguments,
)
from mlir_datagen.nn.capture import called, capture, changed_inputs, described, quiet
from mlir_datagen.nn.changes import giving_tensors
from mlir_datagen.nn.rewriting import rewritten
from mlir_datagen.nn.signature import Argument, Converted
from mlir_datagen.nn.state import StateTensor, as_numpy, places, state_tensors


class _Lifted(torch.nn.Module):
    """A network as a function of its inputs and of its state; it holds none itself.

    Frozen into the program, the weights of a small network would already take a hundred megabytes of text.
    """

    def __init__(self, module: torch.nn.Module, inputs: Sequence[str], copied: Collection[str]) -> None:
        super().__init__()
        # In a list, so that it is not a submodule whose parameters would be captured too.
        self._network = [module]
        self._inputs = inputs
        self._copied = copied
        self._places = places(module)

    def forward(self, *tensors: torch.Tensor) -> Any:
        count = len(self._inputs)
        network = _Called(self._network[0])
        named = {f"network.{name}": tensors[count + index] for name, index in self._places.items()}
        inputs = {
            name: tensor.clone() if name in self._copied else tensor
            for name, tensor in zip(self._inputs, tensors[:count], strict=True)
        }
        # PyTorch's own tying of weights would put tensors of the export into a module that has two names, for good.
        with giving_tensors(self._network[0]):
            return torch.func.functional_call(network, named, (inputs,), tie_weights=False)


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
        UserError: when the network cannot be captured, or changes its own parameters or buffers.
        Rejection: at stage `emitted`, when torch-mlir cannot convert it.
    """
    state = state_tensors(module)
    program = _imported(module, inputs, state, name)
    taken = [*(StateTensor("input", input_, tensor) for input_, tensor in inputs.items()), *state]
    if constant:
        offset = len(inputs)
        replace_arguments(program, {offset + index: as_numpy(one.tensor) for index, one in enumerate(state)})
    kept = remove_unused_arguments(program, first=len(inputs))
    copy_repeated_results(program)
    results = function_results(program)
    return Converted(
        text=module_text(program),
        arguments=tuple(described(*taken[index]) for index in kept),
        results=tuple(
            Argument("output", f"output{index}", dtype, shape) for index, (dtype, shape) in enumerate(results)
        ),
    )


def _imported(
    module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], state: Sequence[StateTensor], name: str
) -> Any:
    """Return the network as a module of linalg operations whose results are those of its forward method."""
    copied: Collection[str] = ()
    for _ in range(2):
        exported = capture(_Lifted(module, list(inputs), copied).eval(), inputs, name, state)
        with quiet():
            exported = rewritten(exported)
            copied = changed_inputs(exported, module, list(inputs), state)
            # torch-mlir gives what the forward method changes in place as further results; work on copies instead.
            if not copied:
                return import_network(exported, name)
    raise Rejection("emitted", "torch-mlir gives other results than the forward method")
