"""Parameters, buffers and constants of a network as values: arguments of the function, or constants in its text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlir_datagen.errors import UserError, listed, nearest
from mlir_datagen.mlir.builder import Value
from mlir_datagen.mlir.element_types import dense
from mlir_datagen.mlir.signature import Argument
from mlir_datagen.networks.manual.tensors import tensor_type
from mlir_datagen.ops.network_builder import NetworkBuilder

if TYPE_CHECKING:
    import torch

LARGEST_CONSTANT = 256
"""Constants of the graph with more elements than this become arguments, as buffers are."""


class Weights:
    """Gives the tensors that a network holds as values; those that are asked for become arguments.

    Args:
        builder: where constants are emitted.
        module: the network.
        constants: tensors that PyTorch lifted out of the graph, by name.
        literals: dense attributes by the name of the parameter or buffer that they stand for.

    Raises:
        UserError: when a literal has the name of no parameter or buffer.
    """

    def __init__(
        self,
        builder: NetworkBuilder,
        module: torch.nn.Module,
        constants: Mapping[str, torch.Tensor],
        literals: Mapping[str, str],
    ) -> None:
        self._builder = builder
        self._values: dict[str, Value] = {}
        self._arguments: set[str] = set()
        parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
        held = {**parameters, **buffers}
        # Tied tensors have several names; the first stands for all.
        first = {id(held_tensor): name for name, held_tensor in held.items()}
        self._canonical = {name: first.get(id(held_tensor), name) for name, held_tensor in _all_names(module)}
        lifted = {name: constant for name, constant in constants.items() if name not in self._canonical}
        self._tensors = {**held, **lifted}
        self._roles = {
            **dict.fromkeys(parameters, "parameter"),
            **dict.fromkeys((*buffers, *lifted), "buffer"),
        }
        self._lifted = lifted
        self._literals = {self._canonical.get(name, name): literal for name, literal in literals.items()}
        for name in literals:
            if name not in self._canonical:
                raise UserError(
                    f'There is a literal for "{name}", which is no parameter or buffer.{nearest(name, held)} '
                    f"The model has {listed(held) or 'none'}."
                )

    def __getitem__(self, name: str) -> Value:
        """Return a parameter, buffer or constant by its name in the network.

        Raises:
            UserError: when there is none of this name.
        """
        name = self._canonical.get(name, name)
        if name not in self._tensors:
            raise UserError(f'There is no parameter or buffer "{name}".{nearest(name, self._tensors)}')
        if name not in self._values:
            self._values[name] = self._value(name, self._tensors[name])
        return self._values[name]

    def _value(self, name: str, held: Any) -> Value:
        type_ = tensor_type(held)
        if name in self._literals:
            return self._builder.dense(self._literals[name], type_)
        if name in self._lifted and math.prod(type_.shape) <= LARGEST_CONSTANT:
            return self._builder.dense(dense(held.tolist(), type_.dtype), type_)
        self._arguments.add(name)
        return self._builder.argument(name, type_)

    def arguments(self) -> Iterator[tuple[Argument, Value]]:
        """Yield the arguments asked for so far: parameters, then buffers, each in PyTorch's order."""
        for name, role in self._roles.items():
            if name in self._arguments:
                value = self._values[name]
                yield Argument(role, name, value.type.dtype, value.type.shape), value


def _all_names(module: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)
