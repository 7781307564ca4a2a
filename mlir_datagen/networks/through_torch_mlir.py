"""The converter `torch_mlir`: torch-mlir's own, with parameters and buffers lifted to function arguments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch

from mlir_datagen.errors import Rejection
from mlir_datagen.mlir.fx_import import Imported, import_network
from mlir_datagen.mlir.signature import Argument
from mlir_datagen.mlir.torch_lowering import Linalg, NotLowered
from mlir_datagen.networks.capture import called, capture, changed_inputs, described
from mlir_datagen.networks.changes import giving_tensors
from mlir_datagen.networks.converted import Converted
from mlir_datagen.networks.manual.errors import source_line
from mlir_datagen.networks.manual.registry import operator_handler
from mlir_datagen.networks.quiet import quiet
from mlir_datagen.networks.rewriting import rewritten
from mlir_datagen.networks.state import StateTensor, as_numpy, places, state_tensors

Lower = Callable[[str, int, Mapping[int, Any]], Linalg]
"""Lowers a graph as `mlir.torch_lowering.lower_torch` does, in this process or in another."""


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
    module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], name: str, constant: bool, lower: Lower
) -> Converted:
    """Convert a network.

    Args:
        module: the network, in evaluation mode.
        inputs: example inputs, by name and in order.
        name: of the function.
        constant: whether parameters and buffers become constants.
        lower: runs torch-mlir's passes, which may crash their process.

    Raises:
        UserError: when the network cannot be captured, or changes its own parameters or buffers.
        Rejection: at stage `emitted`, when torch-mlir cannot convert it.
    """
    state = state_tensors(module)
    imported = _imported(module, inputs, state, name)
    taken = [*(StateTensor("input", input_, tensor) for input_, tensor in inputs.items()), *state]
    first = len(inputs)
    constants = {first + index: as_numpy(one.tensor) for index, one in enumerate(state)} if constant else {}
    try:
        lowered = lower(imported.text, first, constants)
    except NotLowered as error:
        raise Rejection("emitted", _explained(error, imported)) from error
    return Converted(
        text=lowered.text,
        arguments=tuple(described(*taken[index]) for index in lowered.kept),
        results=tuple(
            Argument("output", f"output{index}", dtype, shape) for index, (dtype, shape) in enumerate(lowered.results)
        ),
    )


def _imported(
    module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], state: Sequence[StateTensor], name: str
) -> Imported:
    """Return the network in torch-mlir's dialect, with the results of its forward method."""
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


def _explained(error: NotLowered, imported: Imported) -> str:
    """Say why a network was not lowered, for which of its operators, and whether the manual converter has that one."""
    node = None if error.node is None else imported.nodes.get(error.node)
    if node is None or node.op != "call_function":
        return error.reason
    # In which of its modules is not known, since the network is no part of what was captured.
    line = source_line(node)
    said = f"{error.reason}, for the operator {node.target}{line and f' ({line})'}"
    if operator_handler(str(node.target)) is None:
        return said
    return f"{said}, which the manual converter has (converter=manual; in Python, use_torch_mlir=False)"
